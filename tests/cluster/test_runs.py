"""Runs on a loopback cluster: ended, awaited, submitted again, and what their pods wrote."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from betaearth.cli.main import app, guarded
from betaearth.cluster.runs import await_run, raise_failure
from betaearth.cluster.submission import workflow_of
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.region import Region
from betaearth.pipeline.limits import LARGEST_SHARD, MOST_TILES_PER_POD
from betaearth.products.runs import SHARD_SIZE
from tests.cluster.clients import SUBMISSION, cluster, through_argo
from tests.cluster.server import Cluster

__all__ = ["cluster"]

RUN = "betaearth-region-x1"
ROOT = Path(__file__).parents[2]


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.fixture(params=["kube", "argo"])
def way(request: pytest.FixtureRequest, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the command line reaches the cluster."""
    if request.param == "argo":
        monkeypatch.setenv("ARGO_SERVER", cluster.url)
        monkeypatch.setenv("ARGO_TOKEN", cluster.token)
    return str(request.param)


def tell_run(cluster: Cluster, *, phase: str = "Running", shards: int = 2) -> None:
    """A run whose shards have each a pod of a tile-year, which failed once and is tried again."""
    world = cluster.world
    world.create({**workflow_of(SUBMISSION), "metadata": {"name": RUN, "labels": {"betaearth.github.io/run": RUN}}})
    world.report(RUN, phase=phase)
    for shard in range(shards):
        name = f"{RUN}-{shard:05d}"
        world.create(
            {**workflow_of(SUBMISSION), "metadata": {"name": name, "labels": {"betaearth.github.io/run": RUN}}}
        )
        world.report(name, phase="Running", nodes=nodes_of(name, f"{433 + shard}U_1046R/2024"))
        for number in ("11", "22"):
            world.run_pod(
                name, f"{name}-tile-year-{number}", [f"{name} {number}"], labels={"betaearth.github.io/run": RUN}
            )


def nodes_of(workflow: str, tile_year: str) -> dict[str, Any]:
    inputs = {"parameters": [{"name": "tile-years", "value": tile_year}]}
    task = f"{workflow}.tiles(0:{tile_year})"
    common = {"templateRef": {"name": "betaearth-tile-year", "template": "tile-year"}, "inputs": inputs}
    tries = {
        f"{workflow}-{number}": {
            "id": f"{workflow}-{number}",
            "name": f"{task}({index})",
            "type": "Pod",
            "phase": phase,
            **common,
        }
        for index, (number, phase) in enumerate([("11", "Failed"), ("22", "Running")])
    }
    retry = {
        "id": f"{workflow}-1",
        "name": task,
        "type": "Retry",
        "phase": "Running",
        "children": list(tries),
        **common,
    }
    return {f"{workflow}-1": retry, **tries}


class TestSubmit:
    WORDS = ("submit", "--bbox", "13.1", "48.7", "13.4", "48.9", "--years", "2023", "2024")

    @pytest.mark.usefixtures("way")
    def test_prints_the_name_alone_and_what_to_do_next(self, cluster: Cluster) -> None:
        result = invoke(*self.WORDS, "--store", "s3://bucket/here", "--max-cloud", "10", "--tiles-per-pod", "2")
        assert result.exit_code == 0, result.output
        (name,) = cluster.world.workflows
        assert result.stdout == f"{name}\n"
        assert f"betaearth status {name} --namespace earth" in result.stderr
        given = cluster.world.workflows[name]["spec"]["arguments"]["parameters"]
        assert {entry["name"]: entry["value"] for entry in given} == {
            "bbox": "13.1 48.7 13.4 48.9",
            "years": "2023 2024",
            "store": "s3://bucket/here",
            "options": "--max-cloud 10",
            "tiles-per-pod": "2",
        }

    @pytest.mark.usefixtures("way")
    def test_as_json(self, cluster: Cluster) -> None:
        said = json.loads(invoke(*self.WORDS, "--json").stdout)
        assert said["run"] in cluster.world.workflows
        assert said["namespace"] == "earth"

    @pytest.mark.parametrize("as_json", [True, False])
    def test_a_dry_run_asks_nobody(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
        monkeypatch.setenv("KUBECONFIG", "/nowhere")
        result = invoke(*self.WORDS, "--dry-run", "--gap-fill", *(["--json"] if as_json else []))
        document = json.loads(result.stdout) if as_json else yaml.safe_load(result.stdout)
        assert document["spec"]["workflowTemplateRef"] == {"name": "betaearth-region"}
        assert {"name": "options", "value": "--gap-fill"} in document["spec"]["arguments"]["parameters"]
        assert not cluster.asked

    @pytest.mark.parametrize(
        ("option", "most"), [("--tiles-per-pod", MOST_TILES_PER_POD), ("--shard-size", LARGEST_SHARD)]
    )
    def test_what_is_beyond_a_limit_is_told_with_the_limits(self, option: str, most: int) -> None:
        pods = {"--tiles-per-pod": ("shard", RUN, "00000"), "--shard-size": ("plan", *self.WORDS[1:])}[option]
        for given, limit in (("0", "1"), (str(most + 1), str(most))):
            for command in (self.WORDS, pods):
                result = invoke(*command, option, given)
                said = " ".join(result.stderr.split()).partition(f"Invalid value for '{option}': ")[2]
                assert (result.exit_code, re.findall(rf"\b{limit}\b", said)) == (2, [limit]), result.stderr
        assert invoke(*self.WORDS, "--dry-run", option, str(most)).exit_code == 0

    def test_a_dry_run_names_the_namespace_that_is_set(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        def namespace(*words: str) -> str | None:
            named = yaml.safe_load(invoke(*words, "--dry-run").stdout)["metadata"].get("namespace")
            return None if named is None else str(named)

        assert namespace(*self.WORDS) is None
        assert namespace("submit", "-n", "mars", *self.WORDS[1:]) == "mars"
        monkeypatch.setenv("ARGO_NAMESPACE", "venus")
        assert namespace(*self.WORDS) == "venus"
        monkeypatch.delenv("ARGO_NAMESPACE")
        tell_run(cluster, phase="Failed", shards=0)
        assert namespace("resubmit", RUN) == "earth"

    def test_settings_of_this_shell_that_no_pod_gets_are_named_without_values(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {
            "BETAEARTH_STORE": "s3://value/here",
            "BETAEARTH_S3__ENDPOINT": "http://value:9000",
            "BETAEARTH_SELECTION__MAX_CLOUD": "33",
            "BETAEARTH_SOURCE": "",
            "BETAEARTH_CLUSTER__TIMEOUT_S": "5",
        }.items():
            monkeypatch.setenv(name, value)
        line, _ = invoke(*self.WORDS, "--dry-run").stderr.splitlines()
        assert "BETAEARTH_S3__ENDPOINT, BETAEARTH_SELECTION__MAX_CLOUD, BETAEARTH_STORE of this shell" in line
        assert "value" not in line.replace("chart's values", "")
        assert "CLUSTER" not in line
        line, _ = invoke(*self.WORDS, "--dry-run", "--store", "s3://bucket/c", "--max-cloud", "33").stderr.splitlines()
        assert "no pod sees BETAEARTH_S3__ENDPOINT of this shell" in line

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (WORDS[1:], "10 cells of 10 km in 2 years: 20 tile-years in 1 shard at most\n"),
            (
                (*WORDS[1:], "--shard-size", "6", "--spacing-km", "5"),
                "26 cells of 5 km in 2 years: 52 tile-years in 9 shards at most\n",
            ),
            (
                ("--cells", "433U_1046R", "433U_1046R", "--years", "2024"),
                "1 cell of 10 km in 1 year: 1 tile-year in 1 shard at most\n",
            ),
            (
                ("--bbox=13.4 48.70 13.1 48.72", "--years", "2024"),
                "the bbox runs east from 13.4 across 180 degrees to 13.1: 2,645 cells\n"
                "2,645 cells of 10 km in 1 year: 2,645 tile-years in 11 shards at most\n",
            ),
            (("--osm-relation", "62422", "--years", "2024"), ""),
            (("--geojson", "https://h.test/a.json", "--years", "2024"), ""),
        ],
        ids=["bbox", "finer", "cells", "swapped", "relation", "address"],
    )
    @pytest.mark.usefixtures("cluster")
    def test_the_size_is_said_where_it_is_known_and_nothing_else(self, words: tuple[str, ...], said: str) -> None:
        result = invoke("submit", *words, "--dry-run")
        assert result.stderr == said
        assert yaml.safe_load(result.stdout)["kind"] == "Workflow"

    def test_the_size_is_that_of_the_region(self) -> None:
        """An outline, and a box of another reader of the grid."""
        square = {"type": "Polygon", "coordinates": [[[13.1, 48.7], [13.4, 48.7], [13.4, 48.9], [13.1, 48.7]]]}
        for words, area in (
            (("--geojson", json.dumps(square)), Region.from_geojson(square)),
            (("--bbox=13.1 48.7 13.4 48.9",), Region.from_bbox((13.1, 48.7, 13.4, 48.9))),
        ):
            cells = len(set(area.cells(MajorTomGrid())))
            assert invoke("submit", *words, "--years=2024", "--dry-run").stderr.startswith(f"{cells} cells of 10 km")

    def test_options_in_one_word_are_parsed_like_those_of_tile(self) -> None:
        document = yaml.safe_load(invoke(*self.WORDS, "--dry-run", "--options=--max-cloud=10 --no-gap-fill").stdout)
        given = {entry["name"]: entry["value"] for entry in document["spec"]["arguments"]["parameters"]}
        assert given["options"] == "--max-cloud 10 --no-gap-fill"

    @pytest.mark.parametrize(
        "wrong",
        [
            ("--options=--max-clowd 10",),
            ("--options=--store s3://other",),
            ("--cells", "433U_1046R"),
            ("--shard-size", "0"),
            ("--shard-size", "1001"),
            ("--tiles-per-pod", "1001"),
            ("--max-cloud", "much"),
        ],
    )
    def test_wrong_words_are_refused_before_anything_is_sent(self, cluster: Cluster, wrong: tuple[str, ...]) -> None:
        assert invoke(*self.WORDS, *wrong).exit_code == 2
        assert not cluster.asked

    @pytest.mark.parametrize(
        ("words", "error", "said"),
        [
            (("--bbox=-180 -85 180 85", "--years", "2024", "--shard-size", "10"), DataError, "(up to 500 is safe"),
            (("--bbox=1 2 3 4", "--years", "1999"), DataError, "1999"),
            (("--bbox=1 2 3 4", "--years", "2024", "--max-cloud", "120"), ConfigError, "max_cloud"),
            (("--bbox=1 2 3 4", "--years", "2024", "--source", __file__), DataError, "lies on this machine"),
            (("--bbox=1 2 3 4", "--years", "2024", "--store", "./out"), DataError, "s3://bucket/prefix"),
            (("--bbox=1 2 3 4", "--years", "2024", "--model", "./weights"), DataError, "lies on this machine"),
            (("--bbox=1 2 3 4", "--years", "2024", "--store", "s3://"), ConfigError, "names no bucket"),
            (("--bbox=1 2 3 4", "--years", "2024", "--source", "earth-serch"), ConfigError, "is no source"),
            (("--bbox=1 2 3 4", "--years", "2024", "--model", "robsut"), ConfigError, "neither a variant"),
            (("--bbox=1 2 3 4", "--years", "2024", "--store", "s3://My_Bucket/x"), ConfigError, "is no store"),
            (
                ("--bbox=1 2 3 4", "--years", "2024", "--source", "planetary-computer", "--model", "reinit"),
                ConfigError,
                "the source has no s2_l1c",
            ),
            (("--bbox=13.4 -80 13.1 80", "--years", "2024", "--shard-size", "10"), DataError, "east swapped?"),
            (("--bbox=1 2 3 4", "--years", "2024", "--spacing-km", "0.1"), ConfigError, "spacing_km"),
            (("--bbox=1 2 3 4", "--years", "2024", "--namespace", "../x"), ConfigError, "no name of a namespace"),
            (("--geojson", "nowhere.json", "--years", "2024"), DataError, "nowhere.json"),
        ],
    )
    def test_the_impossible_is_refused_before_anything_is_sent(
        self, cluster: Cluster, words: tuple[str, ...], error: type[Exception], said: str
    ) -> None:
        result = invoke("submit", *words)
        assert isinstance(result.exception, error)
        assert said in str(result.exception)
        assert not cluster.asked

    @pytest.mark.usefixtures("way")
    def test_it_waits_for_the_end(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        create = cluster.world.create

        def made_and_done(body: dict[str, Any]) -> dict[str, Any]:
            made = create(body)
            cluster.world.report(made["metadata"]["name"], phase="Succeeded", progress="3/3")
            return made

        monkeypatch.setattr(cluster.world, "create", made_and_done)
        result = invoke(*self.WORDS, "--wait")
        assert result.exit_code == 0, result.output
        assert "Succeeded 3/3" in result.stderr


class TestWait:
    def test_each_change_is_told_once(self, cluster: Cluster) -> None:
        tell_run(cluster, shards=0)
        told: list[str] = []

        def tell(line: str) -> None:
            told.append(line)
            cluster.world.report(RUN, phase="Running", progress="1/2")
            if len(told) == 2:
                cluster.world.report(RUN, phase="Succeeded")

        await_run(through_argo(cluster), RUN, tell)
        assert told == [f"{RUN}: Running", f"{RUN}: Running 1/2", f"{RUN}: Succeeded 1/2"]

    def test_a_deleted_run(self, cluster: Cluster) -> None:
        tell_run(cluster, shards=0)
        with pytest.raises(DataError, match="deleted"):
            await_run(through_argo(cluster), RUN, lambda _: cluster.world.remove(RUN))

    @pytest.mark.parametrize(
        ("codes", "error"),
        [(["65"], DataError), (["75", "65"], TransientError), (["78", "65"], ConfigError), (["70"], DataError)],
    )
    def test_the_pods_exit_codes_say_what_failed(self, codes: list[str], error: type[Exception]) -> None:
        nodes = {
            code: {"id": code, "name": code, "type": "Pod", "phase": "Failed", "outputs": {"exitCode": code}}
            for code in codes
        }
        with pytest.raises(error, match=f"{RUN}.*betaearth status"):
            raise_failure({"metadata": {"name": RUN}, "status": {"phase": "Failed", "nodes": nodes}})

    def test_a_stopped_run(self) -> None:
        stopped = {"metadata": {"name": RUN}, "spec": {"shutdown": "Stop"}, "status": {"phase": "Failed"}}
        with pytest.raises(TransientError, match="resubmit"):
            raise_failure(stopped)

    def test_the_controllers_own_error(self) -> None:
        with pytest.raises(TransientError, match="etcd"):
            raise_failure({"metadata": {"name": RUN}, "status": {"phase": "Error", "message": "etcd is away"}})


class TestStop:
    @pytest.mark.parametrize(("words", "how"), [((), "Stop"), (("--terminate",), "Terminate")])
    @pytest.mark.usefixtures("way")
    def test_the_region_first_then_its_shards(self, cluster: Cluster, words: tuple[str, ...], how: str) -> None:
        tell_run(cluster)
        cluster.world.report(f"{RUN}-00001", phase="Succeeded")
        result = invoke("stop", RUN, *words)
        assert result.stdout.split() == [RUN, f"{RUN}-00000"]
        ended = {name: body["spec"].get("shutdown") for name, body in cluster.world.workflows.items()}
        assert ended == {RUN: how, f"{RUN}-00000": how, f"{RUN}-00001": None}

    def test_a_shard_that_is_just_made_is_found(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        tell_run(cluster, shards=1)
        shut = cluster.world.shut

        def late(name: str, how: str) -> dict[str, Any]:
            if name == f"{RUN}-00000":
                labels = {"betaearth.github.io/run": RUN}
                cluster.world.create(
                    {**workflow_of(SUBMISSION), "metadata": {"name": f"{RUN}-00001", "labels": labels}}
                )
            return shut(name, how)

        monkeypatch.setattr(cluster.world, "shut", late)
        assert f"{RUN}-00001" in invoke("stop", RUN).stdout.split()

    @pytest.mark.usefixtures("way")
    def test_a_shard_that_ends_meanwhile_is_no_fault(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        tell_run(cluster)
        shut = cluster.world.shut

        def ending(name: str, how: str) -> dict[str, Any]:
            if name == RUN:
                cluster.world.report(f"{RUN}-00001", phase="Succeeded")
            return shut(name, how)

        monkeypatch.setattr(cluster.world, "shut", ending)
        listed = cluster.world.listed

        def before_it_ended(*words: Any, **more: Any) -> Any:
            page = copy.deepcopy(listed(*words, **more))
            for item in page["items"]:
                item["status"]["phase"] = "Running"
            return page

        monkeypatch.setattr(cluster.world, "listed", before_it_ended)
        result = invoke("stop", RUN, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["ended"][:2] == [RUN, f"{RUN}-00000"]

    @pytest.mark.usefixtures("way")
    def test_what_is_over_is_left(self, cluster: Cluster) -> None:
        tell_run(cluster, phase="Failed", shards=0)
        assert "over already" in invoke("stop", RUN).stdout
        assert "shutdown" not in cluster.world.workflows[RUN]["spec"]

    @pytest.mark.usefixtures("cluster", "way")
    def test_there_is_no_such_run(self) -> None:
        assert isinstance(invoke("stop", "r9").exception, DataError)


class TestResubmit:
    @pytest.mark.usefixtures("way")
    def test_the_same_region_once_more(self, cluster: Cluster) -> None:
        tell_run(cluster, phase="Failed", shards=0)
        result = invoke("resubmit", RUN)
        assert result.exit_code == 0, result.output
        again = cluster.world.workflows[result.stdout.strip()]
        assert again["spec"] == workflow_of(SUBMISSION)["spec"]
        assert again["metadata"]["name"] != RUN

    @pytest.mark.usefixtures("way")
    def test_while_it_runs_it_is_refused(self, cluster: Cluster) -> None:
        tell_run(cluster, shards=0)
        result = invoke("resubmit", RUN)
        assert isinstance(result.exception, DataError)
        assert "stop it first" in str(result.exception)
        assert list(cluster.world.workflows) == [RUN]


class TestLogs:
    @pytest.mark.usefixtures("way")
    def test_the_latest_pod_of_a_tile_year(self, cluster: Cluster) -> None:
        tell_run(cluster)
        result = invoke("logs", RUN, "434U_1046R", "2024")
        assert result.stdout == f"{RUN}-00001 22\n"

    def test_the_latest_pod_is_that_which_was_made_last(self, cluster: Cluster) -> None:
        tell_run(cluster)
        for number, made in (("11", "59"), ("22", "01")):
            metadata = cluster.world.pods[f"{RUN}-00001-tile-year-{number}"]["metadata"]
            metadata["annotations"] = {"betaearth.github.io/tile-years": "434U_1046R/2024"}
            metadata["creationTimestamp"] = f"2026-01-01T00:00:{made}Z"
        assert invoke("logs", RUN, "434U_1046R", "2024").stdout == f"{RUN}-00001 11\n"

    def test_by_the_annotation_no_workflow_is_read(self, cluster: Cluster) -> None:
        tell_run(cluster)
        notes = {"betaearth.github.io/tile-years": "1U_1R/2024,434U_1046R/2024"}
        cluster.world.pods[f"{RUN}-00001-tile-year-11"]["metadata"]["annotations"] = notes
        assert invoke("logs", RUN, "434U_1046R", "2024").stdout == f"{RUN}-00001 11\n"
        assert not any(asked.path.endswith("/workflows") for asked in cluster.asked)

    def test_the_request_of_a_tile_year_need_not_be_known(self, cluster: Cluster) -> None:
        tell_run(cluster)
        name = f"{RUN}-00001"
        cluster.world.report(name, phase="Running", nodes=nodes_of(name, "434U_1046R/2024/0123456789ab"))
        assert invoke("logs", RUN, "434U_1046R", "2024").stdout == f"{name} 22\n"
        notes = {"betaearth.github.io/tile-years": "1U_1R/2024,434U_1046R/2024/0123456789ab"}
        cluster.world.pods[f"{name}-tile-year-11"]["metadata"]["annotations"] = notes
        assert invoke("logs", RUN, "434U_1046R", "2024").stdout == f"{name} 11\n"

    @pytest.mark.usefixtures("way")
    def test_a_tile_year_of_another_run(self, cluster: Cluster) -> None:
        tell_run(cluster)
        result = invoke("logs", RUN, "1U_1R", "2024")
        assert isinstance(result.exception, DataError)
        assert "no pod of" in str(result.exception)

    def test_nodes_in_a_database(self, cluster: Cluster) -> None:
        tell_run(cluster)
        cluster.world.offloaded = True
        result = invoke("logs", RUN, "434U_1046R", "2024")
        assert isinstance(result.exception, ConfigError)
        assert "--argo-server" in str(result.exception)

    def test_an_archived_shard_is_read_whole(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        tell_run(cluster)
        cluster.world.archived.add(f"{RUN}-00001")
        monkeypatch.setenv("ARGO_SERVER", cluster.url)
        monkeypatch.setenv("ARGO_TOKEN", cluster.token)
        assert invoke("logs", RUN, "434U_1046R", "2024").stdout == f"{RUN}-00001 22\n"

    @pytest.mark.usefixtures("way")
    def test_all_pods_of_the_run(self, cluster: Cluster) -> None:
        tell_run(cluster)
        cluster.world.run_pod(RUN, f"{RUN}-plan-7", ["a", "b\x1b[2J"])
        lines = invoke("logs", RUN, "--tail", "1").stdout.splitlines()
        assert lines[0] == f"{RUN}-plan-7: b\\x1b[2J"
        assert len(lines) == 5

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("nonsense", "2024"), 65),
            (("433U_99999999R", "2024"), 65),
            (("433U_1046R", "1999"), 65),
            (("1U_1R", "x"), 2),
        ],
    )
    def test_what_is_no_tile_year_is_refused_before_anything_is_asked(
        self, cluster: Cluster, words: tuple[str, ...], code: int
    ) -> None:
        assert guarded(lambda: app(["logs", RUN, *words])) == code
        assert not cluster.asked

    @pytest.mark.parametrize("cell", ["434u_1046r", "9000U_1046R"])
    def test_a_cell_of_any_grid_in_any_spelling(self, cluster: Cluster, cell: str) -> None:
        tell_run(cluster)
        notes = {"betaearth.github.io/tile-years": f"{cell.upper()}/2024"}
        cluster.world.pods[f"{RUN}-00001-tile-year-11"]["metadata"]["annotations"] = notes
        assert invoke("logs", RUN, cell, "2024").stdout == f"{RUN}-00001 11\n"

    @pytest.mark.usefixtures("cluster")
    def test_a_cell_without_a_year(self) -> None:
        assert invoke("logs", RUN, "434U_1046R").exit_code == 2


def test_the_runbook_says_that_any_stop_leaves_products_unpublished() -> None:
    for name in ("region", "shard"):
        template = yaml.safe_load((ROOT / "argo" / f"betaearth-{name}.yaml").read_text())
        assert not {"onExit", "hooks"} & template["spec"].keys()  # which a stop, unlike a termination, would let run
    rows = (ROOT / "docs" / "cluster" / "runbook.md").read_text().splitlines()
    (row,) = [row for row in rows if row.startswith("| nothing is published after")]
    assert "`betaearth stop RUN`" in row
    assert "--terminate" not in row


@pytest.mark.parametrize("command", [("logs",), ("stop",), ("resubmit",), ("status",)])
@pytest.mark.parametrize("name", ["../x", "X", "a_b", "-a", "a..b", "a" * 254, "a/b", "a%2fb"])
def test_a_name_that_no_run_has_is_refused_before_anything_is_asked(
    cluster: Cluster, command: tuple[str, ...], name: str
) -> None:
    result = invoke(*command, "--", name)
    assert isinstance(result.exception, DataError)
    assert "no name of a run" in str(result.exception)
    assert not cluster.asked


def test_the_help_of_submit_tells_whose_defaults_hold() -> None:
    said = " ".join(invoke("submit", "--help").stdout.split())
    assert "[env:" not in said
    for option in ("--store", "--source", "--model", "--max-cloud", "--min-coverage", "--spacing-km", "--device"):
        its = said[said.index(f" {option} ") + 1 :].partition(" --")[0]
        assert "[default: the cluster's settings]" in its, its
    assert "[default: 250]" in said
    assert ".toml" not in said
    assert "[env: BETAEARTH_STORE]" in " ".join(invoke("run", "--help").stdout.split())


def test_the_help_says_which_exit_code_waiting_has() -> None:
    said = " ".join(invoke("submit", "--help").stdout.split()).replace("- ", "-")
    assert "worst exit code of the region's own steps (65 where tile-years are missing)" in said


def test_the_default_of_the_template_is_ours() -> None:
    template = yaml.safe_load((ROOT / "argo" / "betaearth-region.yaml").read_text())
    values = {entry["name"]: entry.get("value") for entry in template["spec"]["arguments"]["parameters"]}
    assert values["shard-size"] == str(SHARD_SIZE)

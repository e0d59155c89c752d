"""`betaearth status` against a cluster on the loopback, through both of its APIs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from typer.testing import CliRunner

from betaearth.cli.main import app, guarded
from betaearth.cli.status import follow
from betaearth.cli.status_report import SHOWN
from betaearth.cluster.board import follow_run, last_lines, list_runs, read_run
from betaearth.cluster.parts import State, evidence_of, part_of
from betaearth.cluster.status import run_status
from betaearth.cluster.workflows import Workflows
from betaearth.errors import ConfigError, DataError
from tests.cluster.clients import cluster, through_argo, through_kube
from tests.cluster.documents import PREFIX, Story, pod_of
from tests.cluster.server import Cluster
from tests.cluster.test_status import BUSY, DATA, GPU, RUN, region, rows, shard

__all__ = ["cluster"]


@pytest.fixture(params=["kube", "argo"])
def client(request: pytest.FixtureRequest, cluster: Cluster) -> Workflows:
    return through_kube(timeout_s=5) if request.param == "kube" else through_argo(cluster, timeout_s=5)


def put(cluster: Cluster, *stories: Story) -> None:
    for story in stories:
        document = story.document()
        document["metadata"]["creationTimestamp"] = "2026-03-01T09:59:00Z"
        known = story.name in cluster.world.workflows
        cluster.world.put(document, "MODIFIED" if known else "ADDED")


def story_of_failure(cluster: Cluster, count: int = 4) -> None:
    """A shard of which the first failed for its data, the second waits for a GPU, and the rest is done."""
    names = [f"{n}U_1R/2024" for n in range(count)]
    child = shard("00000", *names)
    child.tile(0, names[0], "Failed", DATA, message="retryStrategy.expression evaluated to false")
    child.tile(1, names[1], "Pending", ("Pending", GPU, None))
    for index, name in enumerate(names[2:], 2):
        child.tile(index, name, "Succeeded", BUSY, ("Succeeded", None, 0))
    put(cluster, region(["00000"], **{"00000": "Running"}), child)


def failed_pod(cluster: Cluster) -> str:
    """Let the pod that failed still be there with its log; return its name."""
    status = run_status(RUN, read_run(through_kube(), RUN).values())
    (name,) = {row.pod for row in status.tile_years if row.state is State.FAILED and row.pod}
    lines = ["first", "reading", "corrupt: \x1b[31mB04.tif", "DataError"]
    labels = {f"{PREFIX}run": RUN}
    cluster.world.run_pod(f"{RUN}-00000", name, lines, phase="Failed", labels=labels)
    return name


def test_a_run_is_read(cluster: Cluster, client: Workflows) -> None:
    story_of_failure(cluster)
    status = run_status(RUN, read_run(client, RUN).values())
    assert rows(status) == {
        "0U_1R/2024": ("failed", 1, "data"),
        "1U_1R/2024": ("pending", 1, "gpu-unschedulable"),
        "2U_1R/2024": ("done", 2, None),
        "3U_1R/2024": ("done", 2, None),
    }
    assert (status.phase, status.retried, status.notes) == ("Running", 2, ())


def test_compressed_nodes_are_read_and_those_of_a_database_said(cluster: Cluster) -> None:
    story_of_failure(cluster)
    cluster.world.packed = True
    assert len(run_status(RUN, read_run(through_kube(), RUN).values()).tile_years) == 4
    cluster.world.packed, cluster.world.offloaded = False, True
    status = run_status(RUN, read_run(through_kube(), RUN).values())
    assert status.tile_years == ()
    assert "BETAEARTH_CLUSTER__ARGO_SERVER" in status.notes[0]
    assert len(run_status(RUN, read_run(through_argo(cluster), RUN).values()).tile_years) == 4


def test_what_an_argo_server_lists_of_its_archive_is_read_whole(cluster: Cluster) -> None:
    story_of_failure(cluster)
    cluster.world.archived.add(f"{RUN}-00000")
    status = run_status(RUN, read_run(through_argo(cluster), RUN).values())
    assert (len(status.tile_years), status.notes) == (4, ())


def test_a_run_in_a_database_is_followed_to_its_end(cluster: Cluster) -> None:
    put(cluster, region(None))
    cluster.world.offloaded = True
    told = follow_run(through_kube(), RUN, every_s=0)
    assert next(told).phase == "Running"
    put(cluster, region([], "Succeeded"))
    *_, last = told
    assert last.phase == "Succeeded"


def test_a_hostile_region_steers_no_terminal_and_a_signed_address_is_not_shown(cluster: Cluster) -> None:
    parameters = {"geojson": "https://x.org/a?sig=secret", "years": "2024\x1b[2J"}
    put(cluster, Story(RUN, {"part": "region"}, "Running", parameters=parameters))
    _, out = invoke()
    assert "https://x.org/a" in out
    assert "sig=" not in out + invoke("--json")[1]
    assert "\x1b" not in out
    child = shard("00000", "\x1b[2J")
    put(cluster, child)
    child.tile(0, "\x1b[2J", "Failed", DATA)
    put(cluster, child)
    assert "\x1b" not in invoke(RUN)[1]


def test_shards_outlive_their_region(cluster: Cluster, client: Workflows) -> None:
    story_of_failure(cluster)
    cluster.world.remove(RUN)
    status = run_status(RUN, read_run(client, RUN).values())
    assert status.phase == "Unknown"
    assert len(status.tile_years) == 4
    assert not status.over


def test_no_such_run(client: Workflows) -> None:
    with pytest.raises(DataError, match="no-such-run"):
        read_run(client, "no-such-run")


def test_last_lines_of_a_pod_that_failed(cluster: Cluster, client: Workflows) -> None:
    story_of_failure(cluster)
    status = run_status(RUN, read_run(client, RUN).values())
    assert last_lines(client, status.tile_years) == {}
    name = failed_pod(cluster)
    assert last_lines(client, status.tile_years) == {name: cluster.world.logs[name][-3:]}


def test_a_run_is_followed_to_its_end(cluster: Cluster, client: Workflows) -> None:
    put(cluster, region(None))
    told = follow_run(client, RUN, every_s=0)
    assert "the plan is not made yet" in next(told).notes[0]
    child = shard("00000", "1U_1R/2024", phase="Running")
    put(cluster, region(["00000"], **{"00000": "Running"}), child)
    running = next(status for status in told if status.tile_years)
    assert running.counts[State.PENDING] == 1
    child.tile(0, "1U_1R/2024", "Succeeded", ("Succeeded", None, 0))
    child.phase = "Succeeded"
    put(cluster, child, region(["00000"], "Succeeded", **{"00000": "Succeeded"}))
    *_, last = told
    assert last.over
    assert (last.phase, last.counts[State.DONE]) == ("Succeeded", 1)


def test_a_run_that_is_deleted_is_over(cluster: Cluster, client: Workflows) -> None:
    put(cluster, region(None))
    told = follow_run(client, RUN, every_s=0)
    assert [next(told).phase, next(told).phase] == ["Running", "Running"]  # as it is read, and as it is watched
    cluster.world.remove(RUN)
    *_, last = told
    assert last.phase == "Unknown"


class Once:
    """A client whose watch tells of one change, and then of nothing for seconds."""

    def __init__(self, client: Workflows, change: dict[str, Any]) -> None:
        self.client, self.change, self.released = client, change, Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def watch(self, _: dict[str, str]) -> Iterator[dict[str, Any]]:
        yield self.change
        self.released.wait(5)


def test_a_change_that_was_held_back_is_told_when_nothing_follows(cluster: Cluster) -> None:
    put(cluster, region(None))
    once = Once(through_kube(), region([]).document())
    told = follow_run(once, RUN, every_s=0.1)  # type: ignore[arg-type]  # it passes on what it does not know
    assert "the plan is not made yet" in next(told).notes[0]
    begun = time.monotonic()
    assert "nothing to make" in next(told).notes[0]
    assert time.monotonic() - begun < 4
    once.released.set()
    assert list(told) == []


def test_a_watch_that_fails_is_told(cluster: Cluster) -> None:
    put(cluster, region(None))
    told = follow_run(through_kube(), RUN, every_s=0)
    next(told)
    cluster.fail("", 403, body=b'{"kind":"Status","message":"no"}')
    with pytest.raises(ConfigError, match="403"):
        next(told)


def test_only_what_pods_tell_is_kept() -> None:
    child = shard("00000", "0U_1R/2024", "1U_1R/2024")
    (waits,) = child.tile(0, "0U_1R/2024", "Pending", ("Pending", None, None))
    (runs,) = child.tile(1, "1U_1R/2024", "Running", ("Running", None, None))
    told = evidence_of(
        [
            pod_of(runs, "runs", phase="Running", containerStatuses=[{"name": "main", "state": {"running": {}}}]),
            pod_of(waits, "waits", phase="Pending", reason="Evicted"),
        ]
    )
    assert told == {waits: ("Evicted", None)}
    part = part_of(child.document(), told)
    assert [row.reason.kind if row.reason else None for row in part.tile_years] == ["evicted", None]


def test_archived_runs_are_read_for_their_region_as_far_as_they_are_many(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (1, 2, 3):
        story = Story(f"r{day}", {"part": "region"}, "Succeeded", parameters={"bbox": "1 2 3 4", "years": "2024"})
        put(cluster, story)
        cluster.world.report(f"r{day}", startedAt=f"2026-01-0{day}T00:00:00Z")
    cluster.world.archived |= {"r1", "r2"}
    monkeypatch.setattr("betaearth.cluster.board.READ_ARCHIVED", 1)
    monkeypatch.setenv("ARGO_SERVER", cluster.url)
    monkeypatch.setenv("ARGO_TOKEN", cluster.token)
    _, *lines = invoke()[1].splitlines()
    assert [line.split()[0] for line in lines] == ["r3", "r2", "r1"]
    assert [line.endswith("bbox 1 2 3 4") for line in lines] == [True, True, False]
    assert lines[2].endswith("archived")


def test_runs_are_listed_the_newest_first(cluster: Cluster, client: Workflows) -> None:
    for name, started in (("older", "2026-01-01T00:00:00Z"), ("newer", "2026-02-01T00:00:00Z")):
        story = Story(name, {"part": "region"}, "Succeeded", parameters={"bbox": "1 2 3 4", "years": "2024"})
        put(cluster, story)
        cluster.world.report(name, startedAt=started)
    put(cluster, shard("00000", "1U_1R/2024"))
    assert [part.name for part in list_runs(client)] == ["newer", "older"]


def invoke(*words: str) -> tuple[int, str]:
    out = ""

    def command() -> None:
        nonlocal out
        result = CliRunner().invoke(app, ["status", *words], standalone_mode=False)
        out = result.stdout
        if result.exception:
            raise result.exception

    return guarded(command), out


def test_the_command_says_what_to_do(cluster: Cluster) -> None:
    story_of_failure(cluster)
    name = failed_pod(cluster)
    code, out = invoke(RUN)
    assert code == 0
    assert out.splitlines()[1:5] == [
        "            all  pending  running  done  failed",
        "shards        1        0        1     0       0",
        "tile-years    4        1        0     2       1",
        "2 tile-years tried more than once",
    ]
    assert "no node has a free nvidia.com/gpu" in out
    assert "-> read the pod's last lines" in out
    assert name in out
    assert "      | DataError" in out
    assert "\x1b" not in out
    assert "3U_1R" not in out


def test_the_command_gives_json(cluster: Cluster) -> None:
    story_of_failure(cluster)
    failed_pod(cluster)
    code, out = invoke(RUN, "--json")
    said: dict[str, Any] = json.loads(out)
    assert (code, said["counts"]) == (0, {"pending": 1, "running": 0, "done": 2, "failed": 1, "stopped": 0})
    assert len(said["tile_years"]) == sum(said["counts"].values())
    bad = next(row for row in said["tile_years"] if row["state"] == "failed")
    assert (bad["cell"], bad["year"], bad["attempts"], bad["reason"]["kind"]) == ("0U_1R", 2024, 1, "data")
    assert bad["log"][-1] == "DataError"
    assert said["shards"] == {"00000": "running"}
    only = json.loads(invoke(RUN, "--json", "--failed")[1])
    assert [row["cell"] for row in only["tile_years"]] == ["0U_1R"]


def test_many_tile_years_are_readable(cluster: Cluster) -> None:
    names = [f"{n}U_1R/2024" for n in range(250)]
    child = shard("00000", *names)
    for index, name in enumerate(names[:100]):
        child.tile(index, name, "Failed", BUSY, message="No more retries left")
    put(cluster, region(["00000"], **{"00000": "Running"}), child)
    code, out = invoke(RUN)
    assert code == 0
    assert len(out.splitlines()) < SHOWN + 20
    assert f"and {100 - SHOWN} more" in out
    assert "failed       100  network or server trouble" in out
    assert f"betaearth resubmit {RUN}" in out
    assert (
        len([line for line in invoke(RUN, "--failed")[1].splitlines() if line.startswith("  ") and "U_1R" in line])
        == 100
    )


def test_all_runs_without_a_name(cluster: Cluster) -> None:
    assert invoke() == (0, "no runs in the namespace earth: `betaearth submit` starts one\n")
    story = Story(RUN, {"part": "region"}, "Running", parameters={"cells": "1U_1R " * 30, "years": "2017-2024"})
    put(cluster, story)
    code, out = invoke()
    head, line = out.splitlines()
    assert (code, head.split()) == (0, ["run", "phase", "started", "took", "years", "region"])
    assert line.startswith(f"{RUN}  Running  2026-03-01 10:00 UTC")
    assert len(line) < 140
    assert json.loads(invoke("--json")[1])[0]["years"] == "2017-2024"


def test_watching_prints_a_line_a_change_and_the_whole_at_the_end(cluster: Cluster) -> None:
    child = shard("00000", "1U_1R/2024", phase="Failed")
    child.tile(0, "1U_1R/2024", "Failed", DATA)
    put(cluster, region(["00000"], "Failed", **{"00000": "Failed"}), child)
    code, out = invoke(RUN, "--watch")
    assert code == 0
    assert out.splitlines()[0] == f"{RUN}  Failed  shards 0/1 done  tile-years: 1 failed"
    assert "its input can never work" in out
    code, out = invoke(RUN, "--watch", "--json")
    assert [json.loads(line)["over"] for line in out.splitlines()] == [True]


def test_a_terminal_shows_the_run_in_its_place(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    story_of_failure(cluster)
    put(cluster, region(["00000"], "Failed", **{"00000": "Failed"}))
    child = cluster.world.workflows[f"{RUN}-00000"]
    cluster.world.put({**child, "status": {**child["status"], "phase": "Failed"}})
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    follow(through_kube(), RUN, failed=False, as_json=False)
    shown = capsys.readouterr().out
    assert "all  done  failed  stopped" in shown
    assert "tile-years    4     2       1        1" in shown


@pytest.mark.parametrize(("status", "code"), [(401, 78), (403, 78), (500, 75)])
def test_a_cluster_that_refuses(cluster: Cluster, status: int, code: int) -> None:
    cluster.fail("/", status, body=b'{"kind":"Status","message":"no"}')
    assert invoke(RUN)[0] == code


@pytest.mark.usefixtures("cluster")
def test_exit_codes_of_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("no-such-run")[0] == 65
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert invoke(RUN)[0] == 78


def test_pods_that_may_not_be_seen_are_no_failure(cluster: Cluster) -> None:
    story_of_failure(cluster)
    cluster.fail("/pods", 403, body=b'{"kind":"Status","message":"pods is forbidden"}')
    code, out = invoke(RUN)
    assert code == 0
    assert "tile-years    4        1        0     2       1" in out


def test_logs_that_may_not_be_seen_are_no_failure(cluster: Cluster) -> None:
    story_of_failure(cluster)
    failed_pod(cluster)
    cluster.fail("/log", 403, body=b'{"kind":"Status","message":"pods/log is forbidden"}')
    assert invoke(RUN)[0] == 0


@pytest.mark.usefixtures("cluster")
def test_a_context_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="moon"):
        through_kube(context="moon")

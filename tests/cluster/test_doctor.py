"""The doctor's look at store, imagery and weights, and the command itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from betaearth.cli.main import app, guarded
from betaearth.cluster.doctor.findings import Finding, Outcome, looked
from betaearth.cluster.doctor.imagery_checks import check_imagery
from betaearth.cluster.doctor.store_checks import check_store
from betaearth.cluster.doctor.weights_checks import check_weights
from betaearth.inference.fetching import WeightsOptions, fetch
from betaearth.nn.weight_files import find_weights
from betaearth.storage.s3_client import S3Options
from tests.cluster.doctor_api import TOKEN, serving, write_kubeconfig
from tests.e2e.loopback_cell import serving as serving_imagery
from tests.e2e.loopback_cell import write_items
from tests.planetary_computer import PlanetaryComputer
from tests.s3_server import S3Server, identities, identity
from tests.weights_server import WeightsServer

OK, WARNING, FAILED, UNKNOWN = Outcome.OK, Outcome.WARNING, Outcome.FAILED, Outcome.UNKNOWN
REPO = "asterisk-labs/betaearth-segformer-film-robust"
FILES = {"model.safetensors": b"tensors", "config.json": b"{}"}


def look(check: Callable[[], Iterator[Finding]]) -> list[tuple[str, Outcome]]:
    return [(finding.check, finding.outcome) for finding in looked("it", "do this", check)]


def key_of(actions: list[str]) -> tuple[str, str]:
    """Key and secret of a user who may do no more than that."""
    return f"key-{'-'.join(actions)}", "some-secret"


@pytest.fixture(scope="module")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS server with a bucket `started`, whose users may do some things alone."""
    server = S3Server(tmp_path_factory.mktemp("guarded"))
    users = [identity(str(actions), key_of(actions), actions) for actions in (["Read", "List"], ["Write"])]
    (server.folder / "s3.json").write_text(json.dumps({"identities": [*identities(), *users]}))
    try:
        server.start()
        yield server
    finally:
        server.kill()


class TestStore:
    def check(self, uri: str | None, *, for_cluster: bool = False) -> list[Finding]:
        return looked("store", "do this", lambda: check_store(uri, S3Options(), for_cluster=for_cluster))

    def test_a_bucket(self, s3_bucket: str) -> None:
        (finding,) = self.check(f"{s3_bucket}/earth", for_cluster=True)
        assert finding.outcome is OK
        assert "keeps conditions" in finding.detail

    def test_a_bucket_that_is_not_there(self, s3_bucket: str) -> None:
        (finding,) = self.check(f"{s3_bucket}-other/earth")
        assert (finding.outcome, finding.transient) == (FAILED, False)

    def test_a_bucket_of_somebody_else(
        self,
        s3_bucket: str,
        s3_endpoint: str,
        s3_stranger: tuple[str, str],
        s3_environment: Callable[..., dict[str, str]],
    ) -> None:
        s3_environment(s3_endpoint, user=s3_stranger)
        (finding,) = self.check(s3_bucket)
        assert finding.outcome is FAILED
        assert s3_stranger[1] not in repr(finding)

    def test_a_folder(self, tmp_path: Path) -> None:
        assert [finding.outcome for finding in self.check(str(tmp_path))] == [OK]
        assert [finding.outcome for finding in self.check(str(tmp_path), for_cluster=True)] == [OK, WARNING]

    def test_nothing_there(self, tmp_path: Path) -> None:
        assert [finding.outcome for finding in self.check(str(tmp_path / "none"))] == [WARNING]
        assert not (tmp_path / "none").exists()
        assert [finding.outcome for finding in self.check(str(tmp_path / "none"), for_cluster=True)] == [
            WARNING,
            WARNING,
        ]

    def test_a_folder_that_nobody_can_make(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert [finding.outcome for finding in self.check(str(tmp_path / "file" / "store"))] == [FAILED]

    @pytest.mark.parametrize("for_cluster", [True, False])
    def test_a_folder_that_nobody_can_have(self, for_cluster: bool) -> None:
        (finding,) = self.check("x" * 300, for_cluster=for_cluster)
        assert (finding.outcome, finding.transient) == (FAILED, False)
        assert "is no path" in finding.detail

    def test_none_named_is_a_failure_where_it_was_asked_for(self) -> None:
        assert [finding.outcome for finding in self.check(None)] == [FAILED]
        assert [finding.outcome for finding in self.check(None, for_cluster=True)] == [UNKNOWN]

    def test_a_uri_that_is_none_is_told_of_once(self) -> None:
        assert [finding.outcome for finding in self.check("s3:/bucket", for_cluster=True)] == [FAILED]

    @pytest.mark.parametrize(
        ("user", "said"),
        [
            (("owner-key", "another-secret"), "AWS_SECRET_ACCESS_KEY is not that of AWS_ACCESS_KEY_ID"),
            (("nobody-key", "another-secret"), "does not know AWS_ACCESS_KEY_ID"),
        ],
    )
    def test_what_to_do_about_wrong_credentials(
        self,
        s3_bucket: str,
        s3_endpoint: str,
        s3_environment: Callable[..., dict[str, str]],
        user: tuple[str, str],
        said: str,
    ) -> None:
        s3_environment(s3_endpoint, user=user)
        (finding,) = self.check(s3_bucket)
        assert finding.outcome is FAILED
        assert said in finding.fix
        assert "another-secret" not in repr(finding)

    @pytest.mark.parametrize(("actions", "said"), [(["Read", "List"], "s3:PutObject"), (["Write"], "s3:ListBucket")])
    def test_what_to_do_about_a_permission_that_lacks(
        self,
        guarded_server: S3Server,
        s3_environment: Callable[..., dict[str, str]],
        actions: list[str],
        said: str,
    ) -> None:
        s3_environment(guarded_server.endpoint, user=key_of(actions))
        (finding,) = self.check("s3://started/earth", for_cluster=True)
        assert finding.outcome is FAILED
        assert said in finding.fix


@pytest.fixture(scope="module")
def imagery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlanetaryComputer]:
    folder = tmp_path_factory.mktemp("imagery")
    with serving_imagery(write_items(folder), folder) as server:
        yield server


class TestImagery:
    def check(self, word: str, cache: Path) -> dict[str, Finding]:
        look = looked("imagery", "do this", lambda: check_imagery(word, cache=cache, s3=S3Options()))
        return {finding.check: finding for finding in look}

    def test_an_api_that_answers_with_files_that_open(self, imagery: PlanetaryComputer, tmp_path: Path) -> None:
        imagery.heal()
        found = self.check(str(imagery.profile), tmp_path)
        assert {name: finding.outcome for name, finding in found.items()} == {
            "imagery": OK,
            "imagery/dem": OK,
            "imagery/s1": OK,
            "imagery/s2_l2a": OK,
        }
        assert "sig=" not in repr(found)
        assert "pixels" in found["imagery/s1"].detail

    def test_an_api_that_refuses_its_files(self, imagery: PlanetaryComputer, tmp_path: Path) -> None:
        imagery.heal()
        imagery.fail("sentinel-1-rtc/", None, "403")
        found = self.check(str(imagery.profile), tmp_path)
        assert {finding.outcome for finding in found.values()} == {OK, FAILED}
        assert found["imagery/s1"].outcome is FAILED
        assert "sig=" not in repr(found)

    def test_an_api_that_lacks_a_sensor(self, imagery: PlanetaryComputer, tmp_path: Path) -> None:
        imagery.heal()
        kept = list(imagery.catalog.items)
        imagery.catalog.items[:] = [
            {**item, "properties": {**item["properties"], "datetime": "2015-06-01T00:00:00Z"}}
            if item["collection"] == "sentinel-1-rtc"
            else item
            for item in kept
        ]
        try:
            finding = self.check(str(imagery.profile), tmp_path)["imagery"]
        finally:
            imagery.catalog.items[:] = kept
        assert finding.outcome is WARNING
        assert "no s1" in finding.detail

    def test_no_api(self, imagery: PlanetaryComputer, tmp_path: Path) -> None:
        found = self.check(f"{imagery.url}/nowhere", tmp_path)
        assert found["imagery"].outcome is FAILED
        assert self.check("no-such-source", tmp_path)["imagery"].outcome is FAILED

    def test_the_synthetic_earth_is_not_painted_for_this(self, tmp_path: Path) -> None:
        assert self.check("synthetic", tmp_path)["imagery"].outcome is OK
        assert list(tmp_path.iterdir()) == []

    def test_an_item_collection_of_another_place(self, tmp_path: Path) -> None:
        items = tmp_path / "items.json"
        items.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
        assert self.check(str(items), tmp_path)["imagery"].outcome is OK
        items.write_text("no JSON")
        assert self.check(str(items), tmp_path)["imagery"].outcome is FAILED


class TestWeights:
    def check(self, model: str, cache: Path, **options: Any) -> dict[str, Finding]:
        look = looked(
            "weights", "do this", lambda: check_weights(model, WeightsOptions(**options), cache=cache, s3=S3Options())
        )
        return {finding.check: finding for finding in look}

    def test_what_is_shipped(self, tmp_path: Path) -> None:
        finding = self.check("demo", tmp_path)["weights"]
        assert finding.outcome is OK
        assert find_weights("demo").sha256 in finding.detail
        assert self.check("demo", tmp_path, sha256="0" * 64)["weights"].outcome is FAILED

    def test_what_the_hub_has_is_not_downloaded(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, FILES)
        finding = self.check("robust", tmp_path)["weights"]
        assert finding.outcome is OK
        assert "can be fetched" in finding.detail
        assert not [asked for asked in hub.asked if "resolve" in asked]
        assert list(tmp_path.iterdir()) == []

    def test_the_hub_has_another_digest(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, FILES)
        assert self.check("robust", tmp_path, sha256="0" * 64)["weights"].outcome is FAILED

    def test_the_hub_has_none(self, hub: WeightsServer, tmp_path: Path) -> None:
        finding = self.check("robust", tmp_path)["weights"]
        assert (finding.outcome, finding.transient) == (FAILED, False)
        hub.publish(REPO, {"README.md": b""})
        assert self.check("robust", tmp_path)["weights"].outcome is FAILED

    def test_the_hub_does_not_answer(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.fail("GET", REPO, status=503)
        finding = self.check("robust", tmp_path)["weights"]
        assert (finding.outcome, finding.transient) == (FAILED, True)

    def test_what_the_cache_has(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, FILES)
        path = fetch(REPO, WeightsOptions(), cache=tmp_path).weights.path
        hub.asked.clear()
        assert "in the cache" in self.check("robust", tmp_path)["weights"].detail
        assert hub.asked == []
        path.write_bytes(b"damaged")
        assert self.check("robust", tmp_path)["weights"].outcome is FAILED

    def test_a_mirror(self, weights_server: WeightsServer, tmp_path: Path) -> None:
        mirror = f"http://user:word@{weights_server.url.removeprefix('http://')}/m"
        assert self.check("robust", tmp_path, mirror=mirror)["weights"].outcome is FAILED
        weights_server.files["/m/betaearth-segformer-film-robust/model.safetensors"] = b"tensors"
        finding = self.check("robust", tmp_path, mirror=mirror)["weights"]
        assert finding.outcome is OK
        assert "word" not in finding.detail

    def test_a_backbone_is_needed_too(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish("asterisk-labs/betaearth-dinov3-vits", FILES)
        found = self.check("dinov3-vits", tmp_path)
        assert found["weights"].outcome is FAILED or found["weights/backbone"].outcome is FAILED

    def test_no_such_model(self, tmp_path: Path) -> None:
        assert self.check("no such model", tmp_path)["weights"].outcome is FAILED


class TestCommand:
    @pytest.fixture(autouse=True)
    def _nowhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
        for name in ("ARGO_SERVER", "ARGO_NAMESPACE"):
            monkeypatch.delenv(name, raising=False)

    def run(self, *words: str) -> tuple[int, str]:
        code, out = 0, ""

        def command() -> None:
            nonlocal out
            result = CliRunner().invoke(app, ["doctor", *words], standalone_mode=False)
            out = result.stdout
            if result.exception:
                raise result.exception

        code = guarded(command)
        return code, out

    def test_a_laptop_without_a_cluster(self, tmp_path: Path) -> None:
        code, out = self.run("--store", str(tmp_path), "--source", "synthetic", "--model", "demo")
        assert code == 78
        assert "failed   kubernetes: no cluster is set up here" in out
        assert "ok       store" in out
        assert "looked at: cluster (1 failed), store (1 ok, 1 warning), imagery (1 ok), weights (1 ok)" in out
        assert "not looked at" not in out

    def test_what_is_left_out_is_said(self, tmp_path: Path) -> None:
        code, out = self.run("--skip", "cluster,imagery", "--store", str(tmp_path), "--model", "demo")
        assert code == 0
        assert out.splitlines()[-2:] == [
            "looked at: store (1 ok), weights (1 ok)",
            "not looked at: cluster (--skip), imagery (--skip)",
        ]

    def test_nothing_looked_at_is_no_success(self) -> None:
        assert self.run("--skip", "cluster,store,imagery,weights")[0] == 78
        assert self.run("--skip", "cluster,imagery,weights")[0] == 78

    def test_one_check_is_one_check(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(
            app, ["doctor", "--skip", "cluster,imagery", "--store", str(tmp_path), "--model", "-"]
        )
        assert str(result.exception) == "1 check failed: weights"

    def test_json_has_a_row_a_finding(self, tmp_path: Path) -> None:
        words = ("--store", str(tmp_path), "--source", "synthetic", "--model", "demo")
        code, out = self.run("--skip", "cluster", *words, "--json")
        said = json.loads(out)
        assert (code, said["clean"]) == (0, True)
        assert {row["check"]: row["outcome"] for row in said["findings"]} == {
            "store": "ok",
            "imagery": "ok",
            "weights": "ok",
        }
        assert said["looked_at"] == {area: {"ok": 1} for area in ("store", "imagery", "weights")}
        assert said["not_looked_at"] == ["cluster"]
        assert set(said["findings"][0]) == {"check", "outcome", "detail", "fix", "transient"}

    def test_a_failure_ends_with_78_and_what_may_pass_with_75(self, hub: WeightsServer, tmp_path: Path) -> None:
        words = ("--skip", "cluster,imagery", "--store", str(tmp_path))
        assert self.run(*words, "--model", "no such model")[0] == 78
        hub.fail("GET", REPO, status=503)
        code, out = self.run(*words, "--model", "robust")
        assert code == 75
        assert "failed   weights" in out
        file = tmp_path / "file"
        file.touch()
        assert self.run("--skip", "cluster,imagery", "--store", str(file), "--model", "robust")[0] == 78

    def test_an_area_that_is_none(self) -> None:
        result = CliRunner().invoke(app, ["doctor", "--skip", "moon"])
        assert result.exit_code == 2
        assert "moon" in result.stderr

    def test_in_a_cluster(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        words = ("--skip", "store,imagery,weights", "--json")
        with serving() as api:
            monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", api.url)))
            code, out = self.run(*words)
            assert code == 0, out
            api.remove("betaearth-shard")
            code, out = self.run(*words)
        assert code == 78
        bad = [row for row in json.loads(out)["findings"] if row["outcome"] != "ok"]
        assert [row["check"] for row in bad] == ["argo/betaearth-shard"]
        assert TOKEN not in out

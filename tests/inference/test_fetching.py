"""Getting weights, against a hub and mirrors on the loopback: the cache, pins, moves, faults, and a killed download."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest

from betaearth.errors import ConfigError, TransientError
from betaearth.inference.fetching import WeightsOptions, fetch, fetch_repository, locate_weights
from betaearth.inference.model import BetaEarth
from betaearth.nn.weight_cache import FetchedRecord
from betaearth.nn.weight_files import find_weights
from tests.weights_server import WeightsServer

REPO = "asterisk-labs/betaearth-segformer-film-robust"
NAME = "betaearth-segformer-film-robust"
SMALL = {"model.safetensors": os.urandom(200_000), "config.json": b'{"architecture": "segformer"}', "other": b""}
DIGEST = hashlib.sha256(SMALL["model.safetensors"]).hexdigest()
NEWER = {**SMALL, "model.safetensors": os.urandom(150_000)}
NEWER_DIGEST = hashlib.sha256(NEWER["model.safetensors"]).hexdigest()


def record_of(folder: Path) -> FetchedRecord:
    return FetchedRecord.model_validate_json((folder / "fetched.json").read_bytes())


class TestFromTheHub:
    def test_it_is_fetched_once(self, hub: WeightsServer, tmp_path: Path) -> None:
        commit = hub.publish(REPO, SMALL)
        folder = fetch_repository(REPO, cache=tmp_path)
        assert sorted(path.name for path in folder.iterdir()) == ["config.json", "fetched.json", "model.safetensors"]
        assert (folder / "model.safetensors").read_bytes() == SMALL["model.safetensors"]
        assert (folder / "config.json").read_bytes() == SMALL["config.json"]
        record = record_of(folder)
        assert (record.repo, record.commit, record.sha256, record.size) == (REPO, commit, DIGEST, 200_000)
        assert (record.source, record.revision, record.licence) == (hub.url, None, "cc-by-4.0")
        assert record.origin == f"{REPO}@{commit}/model.safetensors"
        hub.asked.clear()
        assert fetch_repository(REPO, cache=tmp_path) == folder
        assert fetch_repository(REPO, cache=tmp_path, revision=commit, sha256=DIGEST.upper()) == folder
        assert hub.asked == []

    def test_a_repository_of_somebody_else(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish("timm/vit_small_patch16_dinov3.lvd1689m", {"model.safetensors": b"tensors"})
        folder = fetch_repository("timm/vit_small_patch16_dinov3.lvd1689m", cache=tmp_path)
        assert sorted(path.name for path in folder.iterdir()) == ["fetched.json", "model.safetensors"]

    def test_only_a_pickle(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, {"model.pt": b"tensors"})
        folder = fetch_repository(REPO, cache=tmp_path)
        assert record_of(folder).file == "model.pt"
        assert record_of(folder).sha256 == hashlib.sha256(b"tensors").hexdigest()

    def test_no_weights(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, {"README.md": b""})
        with pytest.raises(ConfigError, match=r"holds no weights: model\.safetensors or model\.pt is needed"):
            fetch_repository(REPO, cache=tmp_path)

    def test_a_moved_branch_is_noticed_only_when_asked(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, SMALL, "main", "v1")
        old = fetch_repository(REPO, cache=tmp_path)
        commit = hub.publish(REPO, NEWER)
        assert fetch_repository(REPO, cache=tmp_path) == old
        made = fetch(REPO, WeightsOptions(), cache=tmp_path, ask_again=True)
        assert made.new
        assert made.weights.folder.name == commit
        assert fetch_repository(REPO, cache=tmp_path) == made.weights.folder
        assert not fetch(REPO, WeightsOptions(), cache=tmp_path, ask_again=True).new
        # A fetch of the tag finds the old commit there, and from then on an unpinned name means it again.
        hub.asked.clear()
        back = fetch(REPO, WeightsOptions(revision="v1"), cache=tmp_path, ask_again=True)
        assert (back.new, back.weights.folder) == (False, old)
        assert hub.asked == [f"GET /api/models/{REPO}/revision/v1"]
        assert fetch_repository(REPO, cache=tmp_path) == old
        assert fetch_repository(REPO, cache=tmp_path, revision="v1") == old
        assert fetch_repository(REPO, cache=tmp_path, revision=commit) == made.weights.folder
        assert len(hub.asked) == 1

    def test_what_is_pinned_is_not_asked_for_again(self, hub: WeightsServer, tmp_path: Path) -> None:
        commit = hub.publish(REPO, SMALL)
        fetch_repository(REPO, cache=tmp_path)
        hub.publish(REPO, NEWER)
        fetch(REPO, WeightsOptions(), cache=tmp_path, ask_again=True)
        hub.asked.clear()
        for options in (WeightsOptions(revision=commit), WeightsOptions(sha256=DIGEST)):
            made = fetch(REPO, options, cache=tmp_path, ask_again=True)
            assert (made.new, made.weights.folder.name) == (False, commit)
        assert hub.asked == []
        assert fetch_repository(REPO, cache=tmp_path).name == commit

    def test_a_wrong_digest_of_a_commit_needs_no_network(
        self, hub: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = hub.publish(REPO, SMALL)
        fetch_repository(REPO, cache=tmp_path)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(ConfigError, match=f"sha256 is {DIGEST}, not {'0' * 64}"):
            fetch_repository(REPO, cache=tmp_path, revision=commit, sha256="0" * 64)

    def test_a_wrong_digest(self, hub: WeightsServer, tmp_path: Path) -> None:
        commit = hub.publish(REPO, SMALL)
        for _ in range(2):
            with pytest.raises(ConfigError, match=f"@{commit}/.* sha256 is {DIGEST}, not {'0' * 64}"):
                fetch_repository(REPO, cache=tmp_path, sha256="0" * 64)
        assert not [line for line in hub.asked if "resolve" in line], "the hub's own digest tells before the download"
        fetch_repository(REPO, cache=tmp_path)
        with pytest.raises(ConfigError, match=f"sha256 is {DIGEST}, not {'0' * 64}"):
            fetch_repository(REPO, cache=tmp_path, sha256="0" * 64)
        with pytest.raises(ConfigError, match="is no digest: 64 hexadecimal digits"):
            fetch_repository(REPO, cache=tmp_path, sha256="abc")

    def test_a_wrong_digest_of_a_file_that_the_hub_has_none_of(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, {"model.pt": b"tensors"})
        with pytest.raises(ConfigError, match=f"sha256 is {hashlib.sha256(b'tensors').hexdigest()}, not"):
            fetch_repository(REPO, cache=tmp_path, sha256="0" * 64)
        assert not list(tmp_path.rglob("model.pt"))

    def test_a_digest_finds_the_newer_one_behind_a_branch(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, SMALL)
        fetch_repository(REPO, cache=tmp_path)
        commit = hub.publish(REPO, NEWER)
        assert fetch_repository(REPO, cache=tmp_path, sha256=NEWER_DIGEST).name == commit

    def test_a_file_that_is_not_what_the_hub_says(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, SMALL)
        hub.promised["model.safetensors"] = "1" * 64
        with pytest.raises(TransientError, match="damaged on its way"):
            fetch_repository(REPO, cache=tmp_path)
        assert not list(tmp_path.rglob("model.safetensors"))

    def test_no_network(
        self, hub: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
    ) -> None:
        hub.publish(REPO, SMALL)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", refused)
        with pytest.raises(TransientError, match=r"cannot be reached.*; a mirror will do .*, or a cache into which"):
            fetch_repository(REPO, cache=tmp_path)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        folder = fetch_repository(REPO, cache=tmp_path)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        assert fetch_repository(REPO, cache=tmp_path) == folder
        with pytest.raises(TransientError, match=f"the cache holds {REPO}@{folder.name}/.* where no fetch, revision"):
            fetch(REPO, WeightsOptions(), cache=tmp_path, ask_again=True)
        with pytest.raises(TransientError, match=r"at v2 .*HF_HUB_OFFLINE"):
            fetch_repository(REPO, cache=tmp_path, revision="v2")

    def test_the_advice_names_the_version_that_would_be_used(
        self, hub: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.publish(REPO, SMALL, "v1")
        old = fetch_repository(REPO, cache=tmp_path, revision="v1")
        hub.publish(REPO, NEWER)
        fetch(REPO, WeightsOptions(), cache=tmp_path, ask_again=True)
        fetch(REPO, WeightsOptions(revision="v1"), cache=tmp_path, ask_again=True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(TransientError, match=f"the cache holds {REPO}@{old.name}/"):
            fetch(REPO, WeightsOptions(), cache=tmp_path, ask_again=True)
        assert fetch_repository(REPO, cache=tmp_path) == old

    def test_a_cut_transfer_leaves_nothing_and_the_next_one_succeeds(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, SMALL)
        hub.fail("GET", "/resolve/", cut=1000, times=9)
        with pytest.raises(TransientError):
            fetch_repository(REPO, cache=tmp_path)
        assert not list(tmp_path.rglob("model.safetensors"))
        hub.faults.clear()
        folder = fetch_repository(REPO, cache=tmp_path)
        assert (folder / "model.safetensors").read_bytes() == SMALL["model.safetensors"]

    def test_two_at_once_download_once(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, SMALL)
        found: list[Path] = []
        threads = [
            threading.Thread(target=lambda: found.append(fetch_repository(REPO, cache=tmp_path))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 1
        assert len(found) == 4
        assert len([line for line in hub.asked if line.startswith("GET") and "model.safetensors" in line]) == 1

    def test_a_cache_that_may_not_be_written(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, SMALL)
        (tmp_path / "weights").write_bytes(b"")
        with pytest.raises(ConfigError, match="is not a folder"):
            fetch_repository(REPO, cache=tmp_path)

    def test_a_cache_that_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(path))  # what root, who may run this, is never told

        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(ConfigError, match="may not be accessed"):
            fetch_repository(REPO, cache=tmp_path)


KILLED = """
import sys
from pathlib import Path
from betaearth.inference.fetching import fetch_repository
fetch_repository(sys.argv[1], cache=Path(sys.argv[2]), mirror=sys.argv[3] or None)
"""


@pytest.mark.parametrize("by_mirror", [False, True])
def test_a_killed_download_is_nothing_and_the_next_one_is_whole(
    weights_server: WeightsServer, tmp_path: Path, by_mirror: bool
) -> None:
    weights_server.publish(REPO, SMALL)
    weights_server.files |= {f"/{NAME}/{name}": data for name, data in SMALL.items()}
    waiting = threading.Event()
    weights_server.fail("GET", "model.safetensors", times=1, cut=120_000, wait=waiting)
    environment = {**os.environ, "HF_ENDPOINT": weights_server.url, "HF_HOME": str(tmp_path / "hf")}
    words = [sys.executable, "-c", KILLED, REPO, str(tmp_path), weights_server.url if by_mirror else ""]
    process = subprocess.Popen(words, env=environment)
    try:
        while not any(line.startswith("GET") and "model.safetensors" in line for line in weights_server.asked):
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        waiting.set()
    with pytest.raises(ConfigError, match="no such file or folder"):
        find_weights(tmp_path / "weights" / "nothing")
    assert not list(tmp_path.rglob("fetched.json"))
    assert list(tmp_path.rglob(".partial"))
    done = subprocess.run(words, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (record,) = tmp_path.rglob("fetched.json")
    assert (record.parent / "model.safetensors").read_bytes() == SMALL["model.safetensors"]
    assert not list(tmp_path.rglob(".partial"))


class TestFromMirrors:
    @pytest.mark.parametrize("layout", [NAME, REPO])
    def test_a_folder(self, tmp_path: Path, layout: str) -> None:
        place = tmp_path / "mirror" / layout
        place.mkdir(parents=True)
        for name, data in SMALL.items():
            (place / name).write_bytes(data)
        told: list[tuple[str, int, int | None]] = []
        folder = fetch_repository(
            REPO, cache=tmp_path, mirror=str(tmp_path / "mirror"), report=lambda *it: told.append(it)
        )
        assert sorted(path.name for path in folder.iterdir()) == ["config.json", "fetched.json", "model.safetensors"]
        record = record_of(folder)
        assert (record.sha256, record.size, record.commit) == (DIGEST, 200_000, None)
        assert record.origin == f"{REPO}/model.safetensors", "no path of this machine"
        assert record.source == (tmp_path / "mirror").as_uri()
        assert told == [("model.safetensors", 200_000, None), ("config.json", len(SMALL["config.json"]), None)]
        shutil.rmtree(tmp_path / "mirror")
        assert fetch_repository(REPO, cache=tmp_path) == folder
        assert fetch_repository(REPO, cache=tmp_path, mirror=str(tmp_path / "mirror")) == folder

    def test_a_web_server(self, weights_server: WeightsServer, tmp_path: Path) -> None:
        weights_server.files |= {f"/base/{NAME}/{name}": data for name, data in SMALL.items()}
        options = WeightsOptions(mirror=f"{weights_server.url}/base")
        made = fetch(REPO, options, cache=tmp_path, ask_again=True)
        assert made.new
        assert made.weights.record.origin == f"{weights_server.url}/base/{NAME}/model.safetensors"
        weights_server.asked.clear()
        assert fetch(REPO, options, cache=tmp_path, ask_again=True).weights == made.weights
        assert weights_server.asked == []

    def test_a_mirror_that_moved_is_noticed_by_its_digest(self, weights_server: WeightsServer, tmp_path: Path) -> None:
        weights_server.files[f"/{NAME}/model.pt"] = SMALL["model.safetensors"]
        old = fetch_repository(REPO, cache=tmp_path, mirror=weights_server.url)
        weights_server.files[f"/{NAME}/model.pt"] = NEWER["model.safetensors"]
        assert fetch_repository(REPO, cache=tmp_path, mirror=weights_server.url) == old
        new = fetch_repository(REPO, cache=tmp_path, mirror=weights_server.url, sha256=NEWER_DIGEST)
        assert new != old
        assert fetch_repository(REPO, cache=tmp_path) == new
        assert fetch_repository(REPO, cache=tmp_path, sha256=DIGEST) == old
        with pytest.raises(ConfigError, match=f"sha256 is {NEWER_DIGEST}, not {'0' * 64}"):
            fetch_repository(REPO, cache=tmp_path, mirror=weights_server.url, sha256="0" * 64)

    def test_a_mirror_is_asked_although_the_hub_was(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, SMALL)
        of_hub = fetch_repository(REPO, cache=tmp_path)
        hub.files[f"/mirror/{NAME}/model.safetensors"] = NEWER["model.safetensors"]
        of_mirror = fetch_repository(REPO, cache=tmp_path, mirror=f"{hub.url}/mirror")
        assert record_of(of_mirror).sha256 == NEWER_DIGEST
        assert fetch_repository(REPO, cache=tmp_path, sha256=DIGEST, mirror=f"{hub.url}/mirror") == of_hub

    def test_nothing_there(self, weights_server: WeightsServer, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=rf"holds no weights of {REPO}: there is no {NAME}/model\.safe.*{REPO}/"):
            fetch_repository(REPO, cache=tmp_path, mirror=weights_server.url)

    def test_a_cut_transfer(self, weights_server: WeightsServer, tmp_path: Path) -> None:
        weights_server.files[f"/{NAME}/model.safetensors"] = SMALL["model.safetensors"]
        weights_server.fail("GET", "model", cut=500, times=1)
        with pytest.raises(TransientError, match="did not arrive whole"):
            fetch_repository(REPO, cache=tmp_path, mirror=weights_server.url)
        assert not list(tmp_path.rglob("model*"))

    def test_a_mirror_that_is_no_text(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"mirror of type .*Path will not do: Input should be a valid string"):
            fetch_repository(REPO, cache=tmp_path, mirror=tmp_path)  # type: ignore[arg-type]

    def test_a_mirror_has_no_revisions(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="a mirror holds one revision"):
            fetch_repository(REPO, cache=tmp_path, mirror=str(tmp_path), revision="v1")


class TestFromS3:
    @pytest.fixture
    def bucket(
        self, s3_endpoint: str, s3_owner: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> Iterator[Any]:
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_owner[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_owner[1])
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        resource = boto3.session.Session().resource("s3")
        bucket = resource.Bucket(f"weights-{uuid.uuid4().hex[:8]}")
        bucket.create()
        yield bucket
        resource.meta.client.close()

    def test_it_is_fetched(self, bucket: Any, tmp_path: Path) -> None:
        for name, data in SMALL.items():
            bucket.put_object(Key=f"models/{NAME}/{name}", Body=data)
        folder = fetch_repository(REPO, cache=tmp_path, mirror=f"s3://{bucket.name}/models/", sha256=DIGEST)
        assert (folder / "model.safetensors").read_bytes() == SMALL["model.safetensors"]
        assert record_of(folder).origin == f"s3://{bucket.name}/models/{NAME}/model.safetensors"

    def test_nothing_there(self, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
        with pytest.raises(ConfigError, match=f"s3://{bucket.name}/elsewhere holds no weights"):
            fetch_repository(REPO, cache=tmp_path, mirror=f"s3://{bucket.name}/elsewhere")
        with pytest.raises(ConfigError, match="no such bucket"):
            fetch_repository(REPO, cache=tmp_path, mirror="s3://no-such-bucket")
        monkeypatch.setenv("AWS_ENDPOINT_URL", refused)
        with pytest.raises(TransientError, match="a mirror will do"):
            fetch_repository(REPO, cache=tmp_path, mirror=f"s3://{bucket.name}/models")


class TestFromPretrained:
    def test_a_variant_is_fetched_and_embeds_as_its_file(
        self, hub: WeightsServer, demo_files: dict[str, bytes], tmp_path: Path
    ) -> None:
        commit = hub.publish("someone/small", demo_files)
        model = BetaEarth.from_pretrained("someone/small", device="cpu", cache=tmp_path)
        digest = hashlib.sha256(demo_files["model.safetensors"]).hexdigest()
        assert (model.weights_sha256, model.variant.name, model.variant.repo) == (digest, "small", None)
        assert model.origin == f"someone/small@{commit}/model.safetensors"
        scene = np.full((9, 64, 64), 1500, "uint16")
        expected = BetaEarth.from_pretrained("demo", device="cpu").predict(s2_l2a=scene)
        assert np.array_equal(model.predict(s2_l2a=scene), expected)
        hub.asked.clear()
        BetaEarth.from_pretrained("someone/small", device="cpu", cache=tmp_path, sha256=digest)
        assert hub.asked == []

    def test_the_repository_names_the_variant(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, SMALL)
        hub.publish(f"someone/{NAME}", SMALL)
        for name in ("robust", NAME, REPO):
            found = locate_weights(name, WeightsOptions(), cache=tmp_path)
            assert (found.name, found.sha256) == ("robust", DIGEST)
        assert locate_weights(f"someone/{NAME}", WeightsOptions(), cache=tmp_path).name is None

    def test_a_changed_file_in_the_cache_is_refused(self, hub: WeightsServer, tmp_path: Path) -> None:
        hub.publish(REPO, SMALL)
        folder = fetch_repository(REPO, cache=tmp_path)
        (folder / "model.safetensors").write_bytes(b"other")
        for name in ("robust", folder):
            with pytest.raises(ConfigError, match=f"has changed since it was fetched: .* it was {DIGEST}; remove"):
                locate_weights(name, WeightsOptions(), cache=tmp_path)

    def test_what_no_path_can_be_is_a_matter_of_set_up(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="is no path"):
            locate_weights("x" * 300, WeightsOptions(), cache=tmp_path)

    def test_a_digest_of_what_is_on_this_machine_is_checked(self) -> None:
        demo = find_weights("demo")
        for name in ("demo", demo.path, str(demo.path.parent)):
            assert BetaEarth.from_pretrained(name, device="cpu", sha256=demo.sha256).weights_sha256 == demo.sha256
            with pytest.raises(ConfigError, match=f"sha256 is {demo.sha256}, not {'0' * 64}"):
                BetaEarth.from_pretrained(name, device="cpu", sha256="0" * 64)

    def test_what_is_on_this_machine_has_no_revision_and_needs_no_mirror(self, tmp_path: Path, refused: str) -> None:
        for name in ("demo", find_weights("demo").path):
            with pytest.raises(ConfigError, match="on this machine, so revision 'v1' means nothing"):
                BetaEarth.from_pretrained(name, device="cpu", revision="v1")
            BetaEarth.from_pretrained(name, device="cpu", mirror=refused, cache=tmp_path / "cache")
        assert not (tmp_path / "cache").exists()

    @pytest.mark.parametrize("name", ["nothing", "betaearth-unknown", "./a/b", "/a/b", "a/b/c", "a/model.pt", "~/x"])
    def test_what_is_no_name(
        self, hub: WeightsServer, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        said = f"{name}: no such file or folder" if "/" in name else r"is neither a variant \(robust, .*nor a hub id"
        with pytest.raises(ConfigError, match=said):
            BetaEarth.from_pretrained(name, device="cpu", cache=tmp_path)
        assert hub.asked == []

    def test_a_misspelt_path_is_not_blamed_on_the_hub_alone(self, hub: WeightsServer, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"no such repository.*; nor is there a file or folder weights/robust on"):
            locate_weights("weights/robust", WeightsOptions(), cache=tmp_path)
        hub.fail("GET", "/api/", status=503)
        with pytest.raises(TransientError, match="nor is there a file or folder weights/robust on this machine"):
            locate_weights("weights/robust", WeightsOptions(), cache=tmp_path)
        with pytest.raises(TransientError) as failure:
            locate_weights("robust", WeightsOptions(), cache=tmp_path)
        assert "nor is there" not in str(failure.value)

    def test_a_folder_of_that_name_comes_first(
        self, hub: WeightsServer, demo_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "someone" / "small").mkdir(parents=True)
        for name, data in demo_files.items():
            (tmp_path / "someone" / "small" / name).write_bytes(data)
        monkeypatch.chdir(tmp_path)
        assert BetaEarth.from_pretrained("someone/small", device="cpu").origin == "model.safetensors"
        assert hub.asked == []


def test_the_record_says_enough_to_fetch_it_again(hub: WeightsServer, tmp_path: Path) -> None:
    hub.publish(REPO, SMALL, "v1")
    folder = fetch_repository(REPO, cache=tmp_path / "a", revision="v1")
    record = json.loads((folder / "fetched.json").read_text())
    again = fetch_repository(record["repo"], cache=tmp_path / "b", revision=record["commit"], sha256=record["sha256"])
    assert (again / record["file"]).read_bytes() == (folder / record["file"]).read_bytes()
    assert record["revision"] == "v1"

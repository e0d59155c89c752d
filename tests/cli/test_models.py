"""`betaearth models`: both tables with their source, a network of the synthetic Earth called so; fetching, making."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import safetensors.torch
from typer.testing import CliRunner

from betaearth.cli.main import app, guarded
from betaearth.nn.dinov3 import DINOv3Config
from betaearth.nn.variants import README_023, README_025, VARIANTS
from betaearth.nn.weight_files import find_weights
from tests.dinov3 import seeded_head
from tests.weights_server import WeightsServer

REPO = "asterisk-labs/betaearth-segformer-film-robust"
SMALL = find_weights("demo")
FILES = {
    "model.safetensors": SMALL.path.read_bytes(),
    "config.json": json.dumps({**SMALL.config, "variant": "robust", "trained": True}).encode(),
}
"""A small network that says that it is robust."""
SIZE = len(FILES["model.safetensors"])
DIGEST = hashlib.sha256(FILES["model.safetensors"]).hexdigest()
SCRIPT = Path(sys.executable).parent / "betaearth"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BETAEARTH_CACHE", str(tmp_path / "cache"))


def say(*words: str) -> str:
    result = CliRunner().invoke(app, ["models", *words])
    assert result.exit_code == 0, result.output
    return result.output


class Done(NamedTuple):
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)


Models = Callable[..., Done]


@pytest.fixture
def models(capfd: pytest.CaptureFixture[str]) -> Iterator[Models]:
    """Run `betaearth models` with its exit-code table."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*words: object) -> Done:
        capfd.readouterr()
        code = guarded(lambda: app(["models", *map(str, words)]))
        return Done(code, *capfd.readouterr())

    yield run
    signal.signal(signal.SIGTERM, before)


def test_the_list_names_every_variant_on_a_line() -> None:
    lines = say("list").splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(VARIANTS)
    assert "trained on a SYNTHETIC Earth" in lines[-1]
    assert all("SYNTHETIC" not in line for line in lines[:-1])


@pytest.mark.parametrize("name", list(VARIANTS))
def test_scores_stand_under_their_table(name: str) -> None:
    variant = VARIANTS[name]
    text = say("show", name)
    for score in variant.scores:
        under = text.split(score.source)[1].split("  published README")[0]
        assert f"{score.cosine:.3f}" in under
        assert f"{score.lulc:.3f}" in under
    assert (README_025 in text) == (README_023 in text) == bool(variant.scores)


def test_json_is_the_registry() -> None:
    rows = json.loads(say("list", "--json"))
    assert all(row["cached"] is None for row in rows)
    assert {row["name"]: row["parameters"] for row in rows} == {v.name: v.parameters for v in VARIANTS.values()}
    assert json.loads(say("show", "asterisk-labs/betaearth-rgb-only", "--json"))["name"] == "rgb-only"


class TestFetch:
    def test_it_says_what_it_got(self, hub: WeightsServer, models: Models, tmp_path: Path) -> None:
        commit = hub.publish(REPO, FILES)
        done = models("fetch", "robust", "--json")
        assert done.err == "", "no progress where nobody watches"
        (row,) = done.rows
        assert Path(row["path"]).read_bytes() == FILES["model.safetensors"]
        assert row["path"].startswith(str(tmp_path / "cache"))
        assert (row["repo"], row["sha256"], row["commit"], row["size"]) == (REPO, DIGEST, commit, SIZE)
        assert (row["licence"], row["new"]) == ("CC-BY-4.0", True)
        again = models("fetch", "robust", "--sha256", DIGEST)
        assert again.code == 0
        for words in ("there already", row["path"], DIGEST, commit, "3.2 MB", "CC-BY-4.0", hub.url):
            assert words in again.out

    def test_what_is_there_but_damaged_is_not_there_already(self, hub: WeightsServer, models: Models) -> None:
        hub.publish(REPO, FILES)
        path = Path(models("fetch", "robust", "--json").rows[0]["path"])
        path.write_bytes(b"half")
        done = models("fetch", "robust", "--sha256", DIGEST)
        assert done.code == 78
        assert f"has changed since it was fetched: its sha256 is {hashlib.sha256(b'half').hexdigest()}" in done.err

    def test_list_and_show_know_the_cache(self, hub: WeightsServer, models: Models) -> None:
        commit = hub.publish(REPO, FILES)
        assert "cached      no" in models("show", "robust").out
        models("fetch", "robust")
        hub.asked.clear()
        lines = models("list").out.splitlines()[1:]
        assert [line.split()[0] for line in lines if " yes " in line] == ["robust", "demo"]
        shown = models("show", "robust").out
        assert commit in shown
        assert DIGEST in shown
        assert models("show", "robust", "--json").rows["cached"]["sha256"] == DIGEST
        assert hub.asked == []

    def test_a_dinov3_variant_brings_its_backbone_and_its_licence(self, hub: WeightsServer, models: Models) -> None:
        content = safetensors.torch.save(seeded_head(DINOv3Config(dim=384)).state_dict())
        hub.publish("asterisk-labs/betaearth-dinov3-vits16", {"model.safetensors": content})
        hub.publish("timm/vit_small_patch16_dinov3.lvd1689m", FILES)
        digest = hashlib.sha256(content).hexdigest()
        head, backbone = models("fetch", "dinov3-vits16", "--sha256", digest, "--json").rows
        assert (head["licence"], backbone["licence"]) == ("CC-BY-4.0", "DINOv3 License")
        assert backbone["repo"] == "timm/vit_small_patch16_dinov3.lvd1689m"

    def test_a_repository_of_somebody_else_has_the_licence_of_its_card(
        self, hub: WeightsServer, models: Models
    ) -> None:
        hub.publish("someone/small", FILES, "v1")
        (row,) = models("fetch", "someone/small", "--revision", "v1", "--json").rows
        assert (row["licence"], row["revision"]) == ("cc-by-4.0", "v1")

    def test_from_a_folder_by_setting(self, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / "mirror" / "betaearth-segformer-film-robust"
        folder.mkdir(parents=True)
        for name, content in FILES.items():
            (folder / name).write_bytes(content)
        monkeypatch.setenv("BETAEARTH_WEIGHTS__MIRROR", str(tmp_path / "mirror"))
        monkeypatch.setenv("BETAEARTH_WEIGHTS__SHA256", DIGEST)
        done = models("fetch", "robust", "--cache", tmp_path / "other")
        assert done.code == 0
        assert "of a mirror, which has none" in done.out
        assert list((tmp_path / "other").rglob("model.safetensors"))
        assert models("fetch", "robust", "--sha256", "0" * 64).code == 78

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            ({"model.safetensors": b"<html>"}, "not a readable safetensors file"),
            ({"model.pt": b"\x80\x02cposix\nsystem\n."}, "not a readable file of plain tensors"),
            ({**FILES, "config.json": (SMALL.path.parent / "config.json").read_bytes()}, "that it is demo, not robust"),
        ],
    )
    def test_what_is_no_network_or_another_one_is_refused(
        self, hub: WeightsServer, models: Models, files: dict[str, bytes], said: str
    ) -> None:
        hub.publish(REPO, files)
        done = models("fetch", "robust")
        assert done.code == 78
        assert said in done.err
        assert f"{hub.url} gave it: remove" in done.err

    def test_a_misspelt_setting_is_an_error_here_too(self, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BETAEARTH_WEIGHTS__MIROR", "x")
        for words in (("fetch", "robust"), ("show", "robust"), ("export", "a", "b")):
            done = models(*words)
            assert done.code == 78
            assert "BETAEARTH_WEIGHTS__MIROR" in done.err

    def test_the_demo_needs_no_fetch(self, models: Models) -> None:
        done = models("fetch", "demo")
        assert (done.code, done.out) == (0, "demo is shipped with the package\n")
        assert models("fetch", "demo", "--sha256", find_weights("demo").sha256).code == 0
        assert models("fetch", "demo", "--sha256", "0" * 64).code == 78
        assert models("fetch", "demo", "--revision", "v1").code == 78

    def test_a_folder_needs_no_fetch(self, models: Models, tmp_path: Path) -> None:
        done = models("fetch", tmp_path)
        assert done.code == 2
        said = " ".join(done.err.replace("\u2502", " ").split())  # a usage error stands in a box
        assert "is on this machine: give a variant or a hub id" in said

    def test_exit_codes(
        self, hub: WeightsServer, models: Models, refused: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.publish(REPO, FILES)
        assert models("fetch", "robust", "--sha256", "0" * 64).code == 78
        assert models("fetch", "robust", "--sha256", "abc").code == 2
        assert models("fetch", "robust", "--revision", "v9").code == 78
        assert models("fetch", "nothing").code == 2
        assert models("fetch", "./nothing").code == 2
        assert models("show", "nothing").code == 2
        assert models("fetch", "someone/nothing").code == 78
        assert models("fetch", "robust", "--mirror", "ftp://host").code == 2
        monkeypatch.setenv("BETAEARTH_WEIGHTS__MIRROR", "ftp://host")
        assert models("fetch", "robust").code == 78
        monkeypatch.delenv("BETAEARTH_WEIGHTS__MIRROR")
        assert models("fetch", "robust", "--mirror", refused).code == 75
        assert models("fetch").code == 2
        assert models("fetch", "robust", "--colour").code == 2
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        done = models("fetch", "robust")
        assert done.code == 75
        assert "a mirror will do" in done.err

    def test_a_process_fetches_and_the_next_one_needs_no_network(
        self, weights_server: WeightsServer, demo_files: dict[str, bytes], tmp_path: Path
    ) -> None:
        weights_server.publish("someone/small", demo_files)
        environment = {**os.environ, "HF_ENDPOINT": weights_server.url, "HF_HOME": str(tmp_path / "hf")}
        words = [str(SCRIPT), "models", "fetch", "someone/small", "--json"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[0]["new"] is True
        weights_server.asked.clear()
        code = (
            "from betaearth import BetaEarth; "
            "model = BetaEarth.from_pretrained('someone/small', device='cpu', cache='cache'); print(model.origin)"
        )
        again = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert again.returncode == 0, again.stderr
        assert again.stdout.startswith("someone/small@")
        assert weights_server.asked == []


class TestExport:
    def test_a_checkpoint_becomes_a_folder(self, models: Models, tmp_path: Path) -> None:
        demo = find_weights("demo").path
        done = models(
            "export", demo, tmp_path / "out", "--variant", "mine", "--licence", "MIT", "--any-subset", "--json"
        )
        assert done.code == 0, done.err
        assert (done.rows["name"], done.rows["licence"], done.rows["tensors"]) == ("mine", "MIT", 531)
        assert find_weights(tmp_path / "out").sha256 == done.rows["sha256"]
        assert "sha256" in models("export", demo, tmp_path / "text").out

    def test_exit_codes(self, models: Models, tmp_path: Path) -> None:
        (tmp_path / "bad.ckpt").write_bytes(b"garbage")
        assert models("export", tmp_path / "bad.ckpt", tmp_path / "out").code == 78
        assert models("export", tmp_path / "none.ckpt", tmp_path / "out").code == 78
        assert models("export", tmp_path / "bad.ckpt").code == 2
        assert models("export", tmp_path / "bad.ckpt", tmp_path / "out", "--variant", "My Own").code == 2
        demo = find_weights("demo").path
        assert models("export", demo, tmp_path / "out", "--variant", "robust").code == 65

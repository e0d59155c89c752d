"""`betaearth audit` as a user runs it: what it prints, and how it ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from betaearth.cli import audit
from betaearth.cli.main import guarded
from tests.stac.damage import LEAF, Scene

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A published store that is only copied."""
    return Scene(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def scene(origin: Scene, tmp_path: Path) -> Scene:
    return origin.copied(tmp_path / "store")


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], scene: Scene) -> Iterator[Run]:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("audit")(audit.audit)
    before = signal.getsignal(signal.SIGTERM)

    def call(*words: object) -> tuple[int, str, str]:
        code = guarded(lambda: app(["--store", str(scene.store.root), *map(str, words)]))
        out, err = capfd.readouterr()
        return code, out, err

    yield call
    signal.signal(signal.SIGTERM, before)


def test_a_clean_store(scene: Scene, run: Run) -> None:
    scene.write("mine.txt", b"mine")
    code, out, _ = run()
    assert code == 0
    assert out.splitlines()[0].endswith(
        "4 tile-years, 3 Items (sizes and known digests compared); 0 under way and not judged"
    )
    assert out.splitlines()[1:] == ["       1  foreign", "foreign           mine.txt: it is none of ours", "clean"]


def test_a_damaged_store_is_told_of_then_repaired(scene: Scene, run: Run) -> None:
    item = scene.item(scene.other)
    scene.delete(item, LEAF)
    code, out, err = run()
    assert code == 65
    assert f"missing-document  {LEAF}" in out
    assert out.endswith("NOT clean\n")
    assert "--repair can put" in err
    code, out, _ = run("--repair", "--deep", "--json")
    report = json.loads(out)
    assert (code, report["clean"], report["deep"]) == (0, True, True)
    assert {found["kind"] for found in report["findings"] if found["repaired"]} >= {"missing-document"}
    assert scene.store.exists(item)
    assert run()[0] == 0


def test_what_cannot_be_repaired_ends_so(scene: Scene, run: Run) -> None:
    scene.flip(scene.newer)
    code, out, err = run("--repair")
    assert code == 65
    assert f"bad-manifest      {scene.newer}" in out
    assert "1 things" in err


def test_grace_and_collection(scene: Scene, run: Run) -> None:
    scene.store.create(scene.file(scene.newer).replace("preview.png", "x"), b"")
    scene.add("439U_1046R")
    assert run()[0] == 0
    assert run("--grace", "0")[0] == 65
    assert run("--grace", "0", "--collection", "betaearth-none-v1")[0] == 65
    assert run("--grace", "-1")[0] == 2


def test_a_store_that_is_not_there(scene: Scene, run: Run) -> None:
    assert run("--repair", "--store", str(scene.store.root / "nowhere"))[0] == 78
    assert not (scene.store.root / "nowhere").exists()

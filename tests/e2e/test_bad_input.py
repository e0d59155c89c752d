"""What is wrong with the input is said in a sentence, with the exit code of the table, and nothing is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import betaearth as betaearth_package
from betaearth.synthetic.source import OCEAN_LONLAT
from tests.e2e.conftest import Betaearth

NEXT_YEAR = datetime.now(UTC).year + 1
BBOX = ("--bbox", "13.0", "48.0", "13.01", "48.01")
CELL = ("--cells", "433U_1046R")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(("tile", "0D_0R", "2021"), 65, "0D", id="a row that does not exist"),
        pytest.param(("tile", "433U_9999R", "2021"), 65, "433U", id="a column that does not exist"),
        pytest.param(("tile", "nonsense", "2021"), 65, "nonsense", id="no cell id at all"),
        pytest.param(("tile", "433U_1046R", "2014"), 65, "2015", id="before Sentinel-2"),
        pytest.param(("tile", "433U_1046R", str(NEXT_YEAR)), 65, "2015", id="in the future"),
        pytest.param(("tile", "433U_1046R", "20x1"), 2, "YEAR", id="not a year"),
        pytest.param(("run", *CELL, "--years", "1999"), 65, "1999", id="a year long ago"),
        pytest.param(("run", *CELL), 2, "years", id="no year"),
        pytest.param(("run", "--years", "2021"), 2, "exactly one", id="no region"),
        pytest.param(("run", *CELL, *BBOX, "--years", "2021"), 2, "exactly one", id="two regions"),
        pytest.param(("run", "--bbox", "13", "49", "14", "48", "--years", "2021"), 65, "south", id="north below south"),
        pytest.param(("run", "--bbox", "13", "48", "14", "98", "--years", "2021"), 65, "98", id="beyond the pole"),
        pytest.param(("run", "--bbox", "13", "86", "14", "87", "--years", "2021"), 65, "85", id="beyond the grid"),
        pytest.param(("run", "--bbox", "13", "48", "nan", "49", "--years", "2021"), 65, "nan", id="not a number"),
        pytest.param(("run", "--bbox", "13", "48", "14", "--years", "2021"), 2, "bbox", id="three numbers"),
        pytest.param(("plan", "--geojson", "none.json", "--years", "2021"), 65, "none.json", id="no such GeoJSON"),
        pytest.param(
            ("tile", "433U_1046R", "2021", "--model", "resnet"),
            78,
            "robust",
            id="a variant that does not exist",
        ),
        pytest.param(
            ("tile", "433U_1046R", "2021", "--model", "robust"),
            75,
            "a mirror will do",
            id="a variant without its weights, and no network",
        ),
        pytest.param(("tile", "433U_1046R", "2021", "--source", "none.json"), 78, "none.json", id="no such source"),
        pytest.param(("tile", "433U_1046R", "2021", "--source", "ftp://x"), 78, "ftp", id="a source of no kind"),
        pytest.param(("tile", "433U_1046R", "2021", "--overlap", "500"), 78, "overlap", id="too much overlap"),
        pytest.param(("tile", "433U_1046R", "2021", "--dtype", "int4"), 78, "dtype", id="a dtype of no kind"),
        pytest.param(("tile", "433U_1046R", "2021", "--spacing-km", "-1"), 78, "spacing", id="negative spacing"),
        pytest.param(("models", "show", "resnet"), 2, "robust", id="show no variant"),
    ],
)
def test_wrong_words(
    words: tuple[str, ...],
    code: int,
    said: str,
    betaearth: Betaearth,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BETAEARTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BETAEARTH_STORE", str(tmp_path / "store"))
    monkeypatch.setattr("betaearth.nn.hub.RETRIES", 0)
    done = betaearth(*words)
    assert done.code == code, done.err
    assert said in done.err
    assert "Traceback" not in done.err
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]  # a cache keeps its locks
    assert not left


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(("--bbox", "13", "49", "14", "48", "--years", "2021"), 65, "south", id="north below south"),
        pytest.param(("--bbox", "0", "48", "15", "49", "--years", "2021"), 65, "betaearth run", id="over three zones"),
        pytest.param((*BBOX, "--years", "2021", "--name", "../x"), 65, "name", id="a name that leaves the folder"),
        pytest.param((*BBOX, "--years", "2014"), 65, "2015", id="before Sentinel-2"),
    ],
)
def test_wrong_areas(
    words: tuple[str, ...],
    code: int,
    said: str,
    betaearth: Betaearth,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BETAEARTH_CACHE", str(tmp_path / "cache"))
    done = betaearth("generate", *words, "--output_dir", tmp_path / "out")
    assert (done.code, said in done.message) == (code, True), done.err
    assert not list(tmp_path.rglob("*.tif"))


def test_a_store_that_is_a_file(betaearth: Betaearth, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.write_text("a file")
    done = betaearth("tile", "433U_1046R", "2021", "--store", store)
    assert done.code == 78
    assert str(store) in done.message
    assert store.read_text() == "a file"


@pytest.mark.parametrize("command", ["publish", "serve"])
def test_a_store_that_is_not_there_is_not_made(command: str, betaearth: Betaearth, tmp_path: Path) -> None:
    done = betaearth(command, "--store", tmp_path / "typo")
    assert done.code == 78
    assert "typo" in done.message
    assert not (tmp_path / "typo").exists()


def test_a_plan_of_a_store_to_come_makes_nothing(betaearth: Betaearth, tmp_path: Path) -> None:
    done = betaearth("plan", *CELL, "--years", "2021", "--store", tmp_path / "new")
    assert done.code == 0, done.err
    assert "1 missing" in done.out
    assert not (tmp_path / "new").exists()


def test_no_store(betaearth: Betaearth) -> None:
    done = betaearth("tile", "433U_1046R", "2021")
    assert done.code == 78
    assert "--store" in done.message


def test_a_misspelt_variable(betaearth: Betaearth, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BETAEARTH_STOER", "x")
    done = betaearth("publish", "--store", tmp_path)
    assert done.code == 78
    assert "BETAEARTH_STOER" in done.message


@pytest.mark.parametrize("kind", ["empty", "alien", "garbage", "truncated"])
def test_wrong_weights(kind: str, betaearth: Betaearth, tmp_path: Path) -> None:
    demo = load_file(Path(betaearth_package.__file__).parent / "nn" / "demo" / "model.safetensors")
    path = tmp_path / "model.safetensors"
    if kind == "empty":
        save_file({}, path)
    elif kind == "alien":
        save_file({name: tensor.clone() for name, tensor in list(demo.items())[:7]}, path)
    elif kind == "garbage":
        path.write_bytes(b"not weights at all")
    else:
        save_file({"head.0.weight": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:-100])
    done = betaearth("tile", "433U_1046R", "2021", "--model", path, "--store", tmp_path / "store")
    assert done.code == 78, done.err
    assert "model.safetensors" in done.message


def test_an_ocean_cell_is_an_outcome(betaearth: Betaearth, tmp_path: Path, synthetic_cache: Path) -> None:
    from betaearth.grid.majortom import MajorTomGrid

    cell = MajorTomGrid(500.0).cell_at(*OCEAN_LONLAT)
    store = tmp_path / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BETAEARTH_CACHE", str(synthetic_cache))
        done = betaearth("tile", cell.id, "2021", "--spacing-km", "0.5", "--store", store)
        again = betaearth("run", "--cells", cell.id, "--years", "2021", "--spacing-km", "0.5", "--store", store)
    assert done.code == 0, done.err
    manifest = json.loads(done.out)
    assert (manifest["outcome"], manifest["files"], manifest["granules"]) == ("empty", {}, [])
    assert "no imagery" in manifest["reason"]
    assert again.code == 0
    assert "nothing to make" in again.out
    assert not list(store.rglob("*.tif"))

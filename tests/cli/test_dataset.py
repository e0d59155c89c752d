"""`betaearth dataset`: what is made, what is shown, and what is refused with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from betaearth.cli.dataset import app
from betaearth.cli.main import guarded
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import lonlat_bounds
from betaearth.grid.utm import neighbour_epsg
from betaearth.products.quantise import dequantise
from betaearth.scenes.model import Sensor
from betaearth.synthetic.source import DEMO_LONLAT, Site, write_source
from betaearth.training.dataset import Dataset
from betaearth.training.places import Place, places_of
from betaearth.training.splits import SplitOptions
from tests.training.core_datasets import Core, tif

SMALL = ["--cells", "2", "--size", "16", "--dates", "2"]


def run(*words: str) -> int:
    """Run the command as the process would."""
    return guarded(lambda: app(list(words)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset") / "made"
    words = [
        "synthetic",
        *SMALL,
        "--years",
        "2021",
        "2022",
        "--seed",
        "3",
        "--split",
        "block",
        "--shares",
        "1",
        "0",
        "0",
    ]
    result = CliRunner().invoke(app, [*words, "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


def test_every_option_arrives(made: Path) -> None:
    dataset = Dataset.open(made, verify=True)
    assert dataset.description.splits == SplitOptions(method="block", shares=(1, 0, 0))
    assert dataset.description.synthetic
    assert {row.year for row in dataset.rows()} == {2021, 2022}
    assert (dataset.description.cells, dataset.description.chips) == (2, 8)
    assert {(row.height, row.width) for row in dataset.rows("train")} == {(16, 16)}
    assert [name for _, name in dataset.description.land_cover][:2] == ["water", "trees"]


def test_show_says_what_there_is(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", str(made), "--json", "--verify") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verified"] is True
    assert found["digest"] == Dataset.open(made).digest
    assert found["inputs"] == {"s2_l2a": 8, "s2_l1c": 8, "s1": 8, "dem": 8}
    assert found["splits"]["train"] == {"cell_years": 4, "chips": 8}
    assert found["strata"]["biome"] == {"cold": 2, "humid": 2}
    assert (
        found["bytes"]
        == sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
        - (made / "dataset.json").stat().st_size
    )
    assert run("show", str(made)) == 0
    text = capsys.readouterr().out
    assert "synthetic   yes" in text
    assert "splits      train cell_years 4, chips 8; val cell_years 0, chips 0" in text


def test_what_cannot_be_shown_is_bad_data(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", str(tmp_path)) == 65
    assert "holds no data set" in capsys.readouterr().err
    assert run("synthetic", *SMALL, "--out", str(made)) == 65
    assert "holds a data set already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--shares", "1", "1", "1"], 2, "sum to 3"),
        (["--shares", "1.5", "0", "-0.5"], 2, "--shares"),
        (["--split", "row"], 2, "--split"),
        (["--block-km", "0"], 2, "--block-km"),
        (["--size", "8"], 65, "chips of 8 pixels"),
        (["--dates", "0"], 65, "0 dates"),
        (["--cells", "0"], 65, "0 cells"),
        (["--years", "2021", "2021"], 65, "each once"),
    ],
)
def test_impossible_numbers_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert run("synthetic", *SMALL, *words, "--out", str(tmp_path / "d")) == code
    # A usage error stands in a box.
    assert said in " ".join(capsys.readouterr().err.replace("\u2502", " ").split())
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Core(tmp_path_factory.mktemp("core")).write().root


def test_major_tom_becomes_a_data_set(core: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["majortom", "--root", str(core), "--size", "32", "--limit", "1", "--out", str(tmp_path / "d"), "--json"]
    assert run(*words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == "AlphaEarth"
    assert not found["synthetic"]
    assert (found["cells"], found["chips"], found["sizes"]) == (1, 1, ["32 x 32"])
    sample = (dataset := Dataset.open(tmp_path / "d")).read(dataset.rows()[0])
    assert set(sample.inputs) == set(Sensor)
    assert sample.valid.all()
    # Its targets are the same code in every pixel of a band.
    np.testing.assert_allclose(np.ptp(sample.target, axis=(1, 2)), 0.0, atol=1e-6)


@pytest.fixture(scope="module")
def place() -> Place:
    return next(places_of([MajorTomGrid().cell_at(*DEMO_LONLAT)], 24))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, place: Place) -> Path:
    """Granules around a small window of a cell."""
    bounds = lonlat_bounds(place.grid.grown(12))
    site = Site(bounds, place.grid.epsg, neighbour_epsg(place.grid.epsg, bounds[0]))
    return write_source(tmp_path_factory.mktemp("granules") / "site", site, 2021)


@pytest.fixture
def targets(tmp_path: Path, place: Place) -> Path:
    grid = place.grid.grown(6)
    codes = np.random.default_rng(1).integers(-127, 128, (64, *grid.shape), np.int8)
    (tmp_path / "aef_2021.tif").write_bytes(tif(codes, grid.west, grid.north, grid.epsg, nodata=-128))
    return tmp_path / "aef_2021.tif"


def test_a_source_and_alphaearth_become_a_data_set(source: Path, targets: Path, place: Place, tmp_path: Path) -> None:
    words = ["source", "--cells", place.cell, "--years", "2021", "--source", str(source), "--size", "24"]
    words += ["--max-cloud", "20", "--max-per-quarter", "2", "--split", "block", "--split-seed", "4"]
    assert run(*words, "--targets", str(targets), "--out", str(tmp_path / "d")) == 0
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.description.splits == SplitOptions(method="block", seed=4)
    rows = dataset.rows()
    assert {row.cell for row in rows} == {place.cell}
    assert 2 <= len(rows) <= 8
    assert all(row.target_fraction == 1 for row in rows)
    with rasterio.open(targets) as file:
        expected = file.read()[:, 6:-6, 6:-6]
    target = np.moveaxis(dequantise(np.moveaxis(expected, 0, -1)), -1, 0)
    np.testing.assert_allclose(dataset.read(rows[0]).target, target, atol=1e-6)


def test_sources_are_asked_for_what_can_be(tmp_path: Path, capsys: pytest.CaptureFixture[str], core: Path) -> None:
    out = ["--out", str(tmp_path / "d")]
    region = ["--cells", "433U_1046R", "--years", "2021", "--source", "synthetic"]
    for words, code, said in (
        (["source", *region], 78, "no files of targets are given"),
        (["source", *region, "--need", "s3"], 2, "--need: "),
        (["source", *region, "--max-cloud", "200"], 2, "--max-cloud"),
        (["source", "--years", "2021"], 2, "exactly one of --bbox"),
        (["majortom", "--root", str(core), "--size", "5"], 2, "--size"),
        (["majortom", "--root", str(tmp_path)], 65, "metadata.parquet"),
    ):
        assert run(*words, *out) == code
        assert said in " ".join(capsys.readouterr().err.replace("\u2502", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_misspelt_settings_are_refused(monkeypatch: pytest.MonkeyPatch, made: Path) -> None:
    monkeypatch.setenv("BETAEARTH_SLECTION__MAX_CLOUD", "3")
    assert run("show", str(made)) == 78

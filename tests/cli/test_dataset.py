"""`betaearth dataset`: what is made, what is shown, and what is refused with which exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from betaearth.cli.dataset import app
from betaearth.cli.dataset_options import is_file, named, plain_options, without_query, written_down
from betaearth.cli.main import guarded
from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import lonlat_bounds
from betaearth.grid.utm import neighbour_epsg
from betaearth.products.quantise import dequantise
from betaearth.scenes.model import Sensor
from betaearth.synthetic.source import DEMO_LONLAT, Site, write_source
from betaearth.training.dataset import Dataset
from betaearth.training.from_source import SourceOptions
from betaearth.training.ledger import Ledger
from betaearth.training.places import Place, places_of
from betaearth.training.shards import Array, write_shard
from betaearth.training.splits import SplitOptions
from tests.training.core_datasets import Core, tif

SMALL = ["--cells", "2", "--size", "32", "--dates", "2"]


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
    assert {(row.height, row.width) for row in dataset.rows("train")} == {(32, 32)}
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
    assert run("show", str(made), "--verify") == 0
    assert "verified    every byte: the sha256 of 2 files is as written" in capsys.readouterr().out
    assert run("show", str(made)) == 0
    text = capsys.readouterr().out
    assert "verified    sizes only" in text
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
        (["--size", "16"], 2, "16 pixels are not possible: give 32 to 1068; networks learn from crops whose edge is a"),
        (["--size", "1069"], 2, "a cell's whole patch has 1068"),
        (["--dates", "0"], 2, "0 dates"),
        (["--cells", "0"], 2, "0 cells"),
        (["--years", "2021", "2021"], 2, "each once"),
    ],
)
def test_impossible_numbers_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert run("synthetic", *SMALL, *words, "--out", str(tmp_path / "d")) == code
    # A usage error stands in a box.
    assert said in " ".join(capsys.readouterr().err.replace("\u2502", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_the_same_command_makes_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["synthetic", "--cells", "9", "--size", "32", "--dates", "1"]

    def interrupted(arrays: Mapping[str, Array], path: Path) -> None:
        if path.stem == "00001":
            raise KeyboardInterrupt
        write_shard(arrays, path)

    with monkeypatch.context() as patch:
        patch.setattr("betaearth.training.writing.write_shard", interrupted)
        assert run(*words, "--out", str(tmp_path / "d")) == 130
    assert "the same command makes the rest" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [".d.partial"]
    assert run(*words, "--out", str(tmp_path / "d"), "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["cell_years"] == 9
    events = [json.loads(line) for line in told.err.splitlines()]
    assert "after 8 of its cell-years" in events[0]["message"]
    assert [event["event"] for event in events].count("cell_written") == 1
    assert run(*words, "--out", str(tmp_path / "whole")) == 0
    assert Dataset.open(tmp_path / "d", verify=True).digest == Dataset.open(tmp_path / "whole").digest


def test_a_signature_stays_unwritten() -> None:
    assert without_query("https://host/Major-TOM?sig=secret") == "https://host/Major-TOM"
    assert without_query("data/aef") == "data/aef"


def test_the_same_words_in_another_folder_are_other_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        found.append(written_down("aef/2021"))
    assert found == [str(tmp_path / "one/aef/2021"), str(tmp_path / "two/aef/2021")]
    assert written_down(f"file://{tmp_path}/two/aef/2021") == written_down("./aef/2021") == found[1]
    assert written_down("https://host/Major-TOM?sig=secret") == "https://host/Major-TOM"
    assert written_down("s3://bucket/Major-TOM") == "s3://bucket/Major-TOM"
    assert not is_file("synthetic:7")
    Path("items.json").write_text("{}")
    assert is_file("items.json")


def test_a_stopped_import_is_of_its_root_and_targets_wherever_it_was_started(
    core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[dict[str, object]] = []

    def note(*_: object, asked: dict[str, object], ledger: Ledger, **__: object) -> None:
        found.append({**asked, "strict": ledger.strict})
        raise DataError("enough")

    (tmp_path / "aef_2021.tif").write_bytes(b"")
    monkeypatch.setattr("betaearth.training.writing.write_dataset", note)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "core").symlink_to(core)
    words = ["majortom", "--root", "core", "--targets", "aef_2021.tif", "--strict", "--out", "d"]
    assert run(*words) == 65
    assert (found[0]["root"], found[0]["targets"]) == (str(tmp_path / "core"), [str(tmp_path / "aef_2021.tif")])
    assert found[0]["strict"]


def test_options_are_spelled_alike_in_every_process() -> None:
    needed = frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM})
    assert plain_options(SourceOptions(needed=needed))["needed"] == ["dem", "s1", "s2_l2a"]
    assert named(["433U_1046R", "434U_1046R"]).startswith("2 of digest ")
    assert named(["433U_1046R"]) != named(["434U_1046R"])


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
    return next(places_of([MajorTomGrid().cell_at(*DEMO_LONLAT)], 32))


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
    words = ["source", "--cells", place.cell, "--years", "2021", "--source", str(source), "--size", "32"]
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
        (["source", *region], 2, "--targets is needed"),
        (["source", *region, "--targets", "none.tif", "--workers", "0"], 2, "reading.workers"),
        (["source", *region[:-4], "--years", "2021", "2021", "--targets", "none.tif"], 2, "each year once"),
        (["source", *region, "--targets", "none.tif", "--size", "24"], 2, "24 pixels are not possible"),
        (["source", *region, "--targets", str(tmp_path)], 78, "holds no .tif or .tiff"),
        (["source", *region, "--need", "s3"], 2, "--need: "),
        (["source", *region, "--max-cloud", "200"], 2, "--max-cloud"),
        (["source", "--years", "2021"], 2, "exactly one of --bbox"),
        (["majortom", "--root", str(core), "--size", "5"], 2, "--size"),
        (["majortom", "--root", str(core), "--limit", "0"], 2, "--limit"),
        (["majortom", "--root", str(tmp_path)], 65, "metadata.parquet"),
    ):
        assert run(*words, *out) == code
        assert said in " ".join(capsys.readouterr().err.replace("\u2502", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_misspelt_settings_are_refused(monkeypatch: pytest.MonkeyPatch, made: Path) -> None:
    monkeypatch.setenv("BETAEARTH_SLECTION__MAX_CLOUD", "3")
    assert run("show", str(made)) == 78

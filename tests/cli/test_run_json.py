"""What `run` and `tile` give to scripts, and the figure that a run leaves in a folder and in a bucket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from betaearth.grid.majortom import MajorTomGrid
from betaearth.storage.open import existing_store
from betaearth.synthetic.source import DEMO_LONLAT, OCEAN_LONLAT
from tests.cli.conftest import Command

GRID = MajorTomGrid(500.0)
LAND, SEA = (GRID.cell_at(*lonlat).id for lonlat in (DEMO_LONLAT, OCEAN_LONLAT))
OPTIONS = ("--spacing-km=0.5", "--max-per-quarter=1", "--s1-per-quarter=1", "--device=cpu")


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch, synthetic_cache: Path) -> None:
    for name, value in {"SOURCE": "synthetic", "MODEL": "demo", "CACHE": str(synthetic_cache)}.items():
        monkeypatch.setenv(f"BETAEARTH_{name}", value)


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_a_run_names_its_figure(
    place: str, betaearth: Command, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = str(tmp_path / "store") if place == "folder" else request.getfixturevalue("s3_bucket") + "/prefix"
    monkeypatch.setenv("BETAEARTH_STORE", uri)
    done = betaearth("run", f"--cells={LAND} {SEA}", "--years=2020", *OPTIONS, "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["overview"] == f"runs/{said['run']}/overview.png"
    assert existing_store(uri).read(said["overview"]).startswith(b"\x89PNG")
    assert {row["cell"]: row["outcome"] for row in said["made"]} == {LAND: "product", SEA: "empty"}
    again = betaearth("run", f"--cells={LAND} {SEA}", "--years=2020", *OPTIONS, "--json")
    assert (json.loads(again.out)["overview"], json.loads(again.out)["made"]) == (None, [])
    assert betaearth("audit").code == 0, "a figure belongs to its run"


@pytest.mark.parametrize("words", [(SEA, "2020"), (f"{SEA}/2020,{SEA}/2021",)], ids=["one", "two"])
def test_tiles_are_one_document(words: tuple[str, ...], betaearth: Command, tmp_path: Path) -> None:
    done = betaearth("tile", *words, *OPTIONS, f"--store={tmp_path / 'store'}", "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert [row["request"]["year"] for row in said["tile_years"]] == [2020, 2021][: len(words[0].split(","))]
    assert {row["outcome"] for row in said["tile_years"]} == {"empty"}
    assert said["failed"] == {}


def test_a_tile_that_fails_is_in_the_document(betaearth: Command, tmp_path: Path) -> None:
    (tmp_path / "items.json").write_text('{"type": "FeatureCollection", "features": [{"type": "Feature"}]}')
    source = f"--source={tmp_path / 'items.json'}"
    done = betaearth("tile", LAND, "2020", *OPTIONS, source, f"--store={tmp_path / 'store'}", "--json")
    assert done.code == 65
    said = json.loads(done.out)
    assert (said["tile_years"], list(said["failed"])) == ([], [f"{LAND} 2020"])

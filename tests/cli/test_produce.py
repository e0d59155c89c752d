"""Words of `betaearth plan`, `tile` and `run`: what of them arrives at the workshop, and what is refused before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

from betaearth.errors import DataError
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.region import Region
from betaearth.settings import Settings
from tests.cli.conftest import Command
from tests.cli.test_area import OPTIONS

TASKS = {
    "plan": ("plan", "--cells", "433U_1046R", "--years", "2021"),
    "tile": ("tile", "433U_1046R", "2021"),
    "run": ("run", "--cells", "433U_1046R", "--years", "2021"),
}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Settings]:
    """Settings with which a workshop would be opened; the command ends there."""
    arrived: list[Settings] = []

    def open_workshop(settings: Settings, *_: object) -> NoReturn:
        arrived.append(settings)
        raise DataError("far enough")

    monkeypatch.setattr("betaearth.wiring.open_workshop", open_workshop)
    monkeypatch.setenv("BETAEARTH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("BETAEARTH_CACHE", str(tmp_path / "cache"))
    return arrived


@pytest.mark.parametrize("command", TASKS)
@pytest.mark.parametrize(("flag", "value", "setting", "expected"), OPTIONS, ids=[row[0] for row in OPTIONS])
def test_every_option_reaches_its_setting(
    command: str,
    flag: str,
    value: str | None,
    setting: str,
    expected: object,
    opened: list[Settings],
    betaearth: Command,
) -> None:
    if (command, flag) == ("plan", "--device"):
        assert betaearth(*TASKS[command], flag, value).code == 2, "a plan computes nothing"
        return
    done = betaearth(*TASKS[command], flag, *([] if value is None else [value]))
    assert (done.code, "far enough" in done.err) == (65, True), done.err
    found: Any = opened[0]
    for name in setting.split("."):
        found = getattr(found, name)
    assert found == expected


@pytest.mark.parametrize("command", ["plan", "run"])
def test_underscores(command: str, opened: list[Settings], betaearth: Command) -> None:
    betaearth(*TASKS[command], "--spacing_km", "10", "--max_per_quarter", "2", "--gap_fill")
    assert (opened[0].selection.max_per_quarter, opened[0].observations.gap_fill) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(("plan", "--years", "2021"), 2, "exactly one", id="no region"),
        pytest.param(("run", "--osm-relation", "5", *TASKS["run"][1:]), 2, "exactly one", id="two regions"),
        pytest.param(("run", "--osm-relation", "-5", "--years", "2021"), 65, "above 0", id="no relation"),
        pytest.param(("run", "--bbox", "13", "49", "14", "48", "--years", "2021"), 65, "south", id="north below south"),
        pytest.param(("tile", "433U_9999R", "2021"), 65, "433U", id="no cell"),
        pytest.param(("tile", "433U_1046R", "2014"), 65, "2015", id="before Sentinel-2"),
        pytest.param(("run", "--cells", "433U_1046R", "--years", "2021", "2014"), 65, "2015", id="one bad year"),
        pytest.param((*TASKS["tile"], "--halo", "7"), 78, "the next one is 12", id="off the lattice"),
    ],
)
def test_what_cannot_work_is_refused_before_weights_are_fetched(
    words: tuple[str, ...], code: int, said: str, opened: list[Settings], betaearth: Command
) -> None:
    done = betaearth(*words)
    assert (done.code, said in done.err) == (code, True), done.err
    assert not opened


def test_the_polygon_of_a_relation_selects_the_cells(
    opened: list[Settings], betaearth: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A triangle, so that cells of its box stay out; it was looked up before, so that no server is asked."""
    triangle = {"type": "Polygon", "coordinates": [[[13.0, 48.0], [14.0, 48.0], [13.0, 49.0], [13.0, 48.0]]]}
    properties = {"osm_type": "relation", "osm_id": 7}
    feature = {"type": "Feature", "properties": properties, "geometry": triangle}
    kept = tmp_path / "cache" / "osm" / "R7.geojson"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    asked: list[list[Cell]] = []

    def cells_of(region: Region, grid: MajorTomGrid) -> list[Cell]:
        asked.append(list(region.cells(grid)))
        return asked[-1]

    monkeypatch.setattr("betaearth.wiring.cells_of", cells_of)
    betaearth("plan", "--osm_relation", "7", "--years", "2021")
    assert len(opened) == 1
    grid = MajorTomGrid(10_000.0)
    (cells,) = asked
    assert set(cells) == set(Region.from_geojson(triangle).cells(grid))
    assert len(cells) < len(list(Region.from_bbox((13.0, 48.0, 14.0, 49.0)).cells(grid)))

"""Imagery of benchmarks: as many passes as are wanted, each over the whole area."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import rasterio
from rasterio.crs import CRS

from benchmarks.painting import Wanted, paint, passes
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes import synthetic_source

RADAR_SHIFT_M = 10.0
"""The radar's lattice lies elsewhere, by less than a pixel."""
GRID = PixelGrid(32633, 367_800.0, 5_417_940.0, 36, 30)


def test_there_are_as_many_passes_as_are_wanted_and_all_show_everything(tmp_path: Path) -> None:
    items = paint(tmp_path, Wanted(GRID, 2021, optical=2, radar=1))
    features = json.loads(items.read_text())["features"]
    count = Counter(item["collection"] for item in features)
    assert count == {"sentinel-2-l2a": 2, "sentinel-1-rtc": 1, "cop-dem-glo-30": 1}
    for item in features:
        for asset in item["assets"].values():
            with rasterio.open(items.parent / asset["href"]) as file:
                assert file.read_masks(1).all()
                if item["collection"] == "sentinel-2-l2a":
                    assert (file.read(1) > 0).all()
                if file.crs == CRS.from_epsg(GRID.epsg):
                    west, south, east, north = GRID.bounds
                    left, bottom, right, top = file.bounds
                    assert max(left - west, bottom - south, east - right, north - top) <= RADAR_SHIFT_M
    assert paint(tmp_path, Wanted(GRID, 2021, optical=2, radar=1)) == items


def test_tiles_of_a_large_area_tell_their_granules_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_source, "ONE_SITE_M", 100.0)
    monkeypatch.setattr(synthetic_source, "TILE_M", 240.0)
    items = paint(tmp_path, Wanted(GRID, 2021, optical=1, radar=1), processes=1)
    features = json.loads(items.read_text())["features"]
    ids = [(item["collection"], item["id"]) for item in features]
    assert len(ids) == len(set(ids))
    assert len({item["id"] for item in features if item["collection"] == "sentinel-2-l2a"}) == 4
    assert len({item["properties"]["datetime"] for item in features if item["collection"] == "sentinel-2-l2a"}) == 1
    assert all((items.parent / asset["href"]).is_file() for item in features for asset in item["assets"].values())


@pytest.mark.parametrize("count", [1, 5, 12, 24])
def test_passes_are_dated_apart(count: int) -> None:
    wanted = Wanted(GRID, 2021, optical=count, radar=0)
    dates = [one.sensed.date() for one in passes(GRID.epsg, wanted)]
    assert len(dates) == count
    assert len(set(dates)) == count
    assert dates == sorted(dates)
    assert {date.year for date in dates} == {2021}

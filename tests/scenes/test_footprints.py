from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import shapely
from pyproj import Transformer

from betaearth.grid.patch import area_pixel_grid, footprint_geometry
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.footprints import (
    covered_share,
    footprint_coverage,
    ground_of,
    ground_of_grid,
    near,
    reach,
    shares_ground,
)
from betaearth.scenes.model import Granule, Scene

MakeGranule = Callable[..., Granule]


def rectangle(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def test_bounds_stand_in_for_a_missing_footprint(make_granule: MakeGranule) -> None:
    granule = make_granule(bounds=(5.0, 50.0, 6.0, 51.0))
    assert ground_of(granule).equals(shapely.box(5, 50, 6, 51))


def test_bounds_across_180_degrees_are_two_boxes(make_granule: MakeGranule) -> None:
    ground = ground_of(make_granule(bounds=(179.0, 0.0, -178.0, 1.0)))
    assert ground.equals(shapely.union_all([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -178, 1)]))


def test_a_footprint_that_crosses_itself_is_repaired(make_granule: MakeGranule) -> None:
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    assert ground_of(make_granule(footprint=bow)).area == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("others", "share"),
    [
        ([], 0.0),
        ([(0.0, 0.0, 4.0, 1.0)], 1.0),
        ([(0.0, 0.0, 1.0, 1.0)], 0.25),
        ([(0.0, 0.0, 2.0, 1.0), (1.0, 0.0, 3.0, 1.0)], 0.75),
        ([(9.0, 0.0, 10.0, 1.0)], 0.0),
    ],
)
def test_covered_share(
    others: list[tuple[float, float, float, float]], share: float, make_granule: MakeGranule
) -> None:
    own = make_granule(footprint=rectangle(0.0, 0.0, 4.0, 1.0))
    covering = [make_granule(footprint=rectangle(*bounds)) for bounds in others]
    assert covered_share(own, covering) == pytest.approx(share)


def test_a_common_edge_is_no_common_ground(make_granule: MakeGranule) -> None:
    ground = shapely.box(0, 0, 1, 1)
    assert not shares_ground(make_granule(bounds=(1.0, 0.0, 2.0, 1.0)), ground)
    assert shares_ground(make_granule(bounds=(0.9, 0.0, 2.0, 1.0)), ground)


def test_the_ground_of_a_grid_repeats_every_turn(grid: PixelGrid) -> None:
    ground = ground_of_grid(grid)
    west, _, east, _ = ground.bounds
    assert east - west > 720
    assert len(shapely.get_parts(ground)) == 3


def test_what_footprints_cover_of_a_grid(grid: PixelGrid, make_granule: MakeGranule) -> None:
    """Whole, half, nothing, two granules together, and a footprint spelled a turn further east."""
    west, south, east, north = (5.0, 50.0, 6.5, 51.0)
    ring = shapely.get_coordinates(shapely.from_geojson(json.dumps(footprint_geometry(grid))))
    middle = float(ring[:, 0].min() + ring[:, 0].max()) / 2

    def scene(name: str, *boxes: tuple[float, float, float, float]) -> Scene:
        granules = tuple(make_granule(bounds=bounds) for bounds in boxes)
        return Scene(id=name, sensor=granules[0].sensor, sensed=granules[0].sensed, granules=granules)

    scenes = [
        scene("whole", (west, south, east, north)),
        scene("half", (west, south, middle, north)),
        scene("nothing", (west, south, 5.1, north)),
        scene("together", (west, south, middle, north), (middle, south, east, north)),
        scene("a turn on", (west + 360, south, east + 360, north)),
    ]
    shares = footprint_coverage(scenes, grid)
    assert list(shares) == ["whole", "half", "nothing", "together", "a turn on"]
    assert list(shares.values()) == pytest.approx([1.0, 0.5, 0.0, 1.0, 1.0], abs=0.02)


@pytest.mark.parametrize(
    ("bounds", "reaches"),
    [
        ((5.0, 50.0, 6.5, 51.0), True),
        ((5.0, 50.0, 5.0, 51.0), False),
        ((365.0, 50.0, 366.5, 51.0), True),
        ((5.0, 40.0, 6.5, 50.51), True),
        ((5.0, 40.0, 6.5, 50.495), True),
        ((5.0, 40.0, 6.5, 50.40), False),
        ((170.0, 50.0, 6.5, 51.0), True),
        ((170.0, 50.0, -170.0, 51.0), False),
    ],
)
def test_granules_that_may_reach_a_grid(
    bounds: tuple[float, float, float, float], reaches: bool, grid: PixelGrid, make_granule: MakeGranule
) -> None:
    assert near(make_granule(bounds=bounds), grid) is reaches


def inside(place: tuple[slice, slice] | None, grid: PixelGrid, lon: float, lat: float) -> bool:
    """Whether the pixel of a point is in a place, by pyproj alone."""
    x, y = Transformer.from_crs(4326, grid.epsg, always_xy=True).transform(lon, lat)
    row, column = int((grid.north - y) // 10), int((x - grid.west) // 10)
    return place is not None and row in range(*place[0].indices(10**6)) and column in range(*place[1].indices(10**6))


@pytest.mark.parametrize(
    ("epsg", "bounds"),
    [
        (32633, (13.2, 48.8, 13.35, 48.9)),
        (32633, (13.0, 48.0, 13.3, 48.84)),
        (32633, (9.0, 40.0, 20.0, 60.0)),
        (32633, (13.42, 48.86, 13.43, 48.87)),
    ],
)
def test_what_a_granule_may_reach_holds_all_of_it(
    epsg: int, bounds: tuple[float, float, float, float], make_granule: MakeGranule
) -> None:
    grid = area_pixel_grid((13.2, 48.7, 13.5, 48.9))
    assert grid.epsg == epsg
    west, south, east, north = bounds
    place = reach(make_granule(bounds=bounds), grid)
    steps = [index / 40 for index in range(41)]
    for lon in (west + (east - west) * step for step in steps):
        for lat in (south + (north - south) * step for step in steps):
            if 13.2 < lon < 13.5 and 48.7 < lat < 48.9:
                assert inside(place, grid, lon, lat)
    assert place is not None
    assert all(0 <= part.start < part.stop <= size for part, size in zip(place, grid.shape, strict=True))


def test_a_small_granule_reaches_little_and_a_far_one_nothing(make_granule: MakeGranule) -> None:
    grid = area_pixel_grid((13.2, 48.7, 13.5, 48.9))
    place = reach(make_granule(bounds=(13.42, 48.86, 13.43, 48.87)), grid)
    assert place is not None
    assert max(part.stop - part.start for part in place) < 700
    assert reach(make_granule(bounds=(14.0, 48.7, 14.5, 48.9)), grid) is None


def test_what_is_reached_across_180_degrees(make_granule: MakeGranule) -> None:
    grid = area_pixel_grid((179.9, -17.1, -179.9, -17.0))
    for bounds in ((-180.0, -18.0, -179.95, -16.0), (179.95, -18.0, 180.0, -16.0), (179.95, -18.0, -179.95, -16.0)):
        lon = bounds[0] + 0.02
        assert inside(reach(make_granule(bounds=bounds), grid), grid, lon, -17.05)

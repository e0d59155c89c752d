from __future__ import annotations

import json
import math
import time
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.grid.bounds import longitude_spans
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.region import Region

GRID = MajorTomGrid()
COARSE = MajorTomGrid(400_000.0)
EVERY_COARSE = [
    Cell(row, column, COARSE)
    for row in range(-COARSE.last_row, COARSE.last_row + 1)
    for column in COARSE.column_range(row)
]


def ids(region: Region, grid: MajorTomGrid = GRID) -> list[str]:
    return [cell.id for cell in region.cells(grid)]


@cache
def coarse_boxes() -> NDArray[np.object_]:
    return np.array([box_of(cell) for cell in EVERY_COARSE])


def box_of(cell: Cell) -> shapely.Geometry:
    _, south, _, north = cell.bounds
    boxes = [shapely.box(west, south, east, north) for west, east in longitude_spans(cell.bounds)]
    return shapely.union_all(boxes)


def in_order(cells: list[Cell]) -> bool:
    keys = [(cell.row, cell.column) for cell in cells]
    return keys == sorted(set(keys))


@pytest.mark.parametrize(
    "name", ["433U_1046R", "573U_1L", "0U_0R", "740U_800R", "740U_800L", "0U_2004L", "946U_0R", "946D_0R"]
)
def test_the_bounds_of_a_cell_are_that_cell(name: str) -> None:
    cell = GRID.cell(name)
    assert list(Region.from_bbox(cell.bounds).cells(GRID)) == [cell]
    assert list(Region.from_cells([cell.id], GRID).cells(GRID)) == [cell]
    assert Region.from_cells([cell.id], GRID).bounds == cell.bounds


def test_touching_edges_do_not_count() -> None:
    west, south, east, north = GRID.cell("433U_1046R").bounds
    assert ids(Region.from_bbox((west, south, math.nextafter(east, 180), north))) == [
        "433U_1046R",
        "433U_1047R",
    ]
    outline = shapely.geometry.mapping(shapely.box(west, south, east, north))
    assert ids(Region.from_geojson(outline)) == ["433U_1046R"]


def test_a_region_over_the_antimeridian_is_the_union_of_its_halves() -> None:
    whole = list(Region.from_bbox((178.0, -20.0, -178.5, -15.0)).cells(GRID))
    halves = [
        cell
        for box in ((178.0, -20.0, 180.0, -15.0), (-180.0, -20.0, -178.5, -15.0))
        for cell in Region.from_bbox(box).cells(GRID)
    ]
    assert set(whole) == set(halves)
    assert len(whole) > 1000
    assert in_order(whole)
    outline = {
        "type": "MultiPolygon",
        "coordinates": [
            [[[178.0, -20.0], [180.0, -20.0], [180.0, -15.0], [178.0, -15.0], [178.0, -20.0]]],
            [[[-180.0, -20.0], [-178.5, -20.0], [-178.5, -15.0], [-180.0, -15.0], [-180.0, -20.0]]],
        ],
    }
    region = Region.from_geojson(outline)
    assert region.bounds == (178.0, -20.0, -178.5, -15.0)
    assert list(region.cells(GRID)) == whole


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(-180, 180), st.floats(-84, 84)).map(lambda p: (round(p[0], 3), round(p[1], 3))),
        min_size=3,
        max_size=8,
        unique=True,
    )
)
def test_polygons_select_the_cells_that_share_an_area(points: list[tuple[float, float]]) -> None:
    polygon = shapely.MultiPoint(points).convex_hull
    assume(polygon.geom_type == "Polygon" and polygon.area > 1e-3)
    ring = list(polygon.exterior.coords)
    assume(all(abs(a[0] - b[0]) <= 180 for a, b in pairwise(ring)))
    chosen = list(Region.from_geojson(shapely.geometry.mapping(polygon)).cells(COARSE))
    boxes = coarse_boxes()
    areas = shapely.area(shapely.intersection(boxes, polygon))
    touched = shapely.intersects(boxes, polygon)
    # Constructed intersections carry rounding, the predicate is exact: the truth lies between these two.
    assert {cell for cell, area in zip(EVERY_COARSE, areas, strict=True) if area > 1e-9} <= set(chosen)
    assert set(chosen) <= {cell for cell, meets in zip(EVERY_COARSE, touched, strict=True) if meets}
    assert in_order(chosen)


def test_holes_leave_cells_out() -> None:
    ring = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    hole = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8], [0.2, 0.2]]
    full = set(ids(Region.from_geojson({"type": "Polygon", "coordinates": [ring]})))
    rest = set(ids(Region.from_geojson({"type": "Polygon", "coordinates": [ring, hole]})))
    inside = {
        cell.id
        for cell in GRID.cells_in((0.2, 0.2, 0.8, 0.8))
        if cell.bounds[0] >= 0.2 and cell.bounds[1] >= 0.2 and cell.bounds[2] <= 0.8 and cell.bounds[3] <= 0.8
    }
    assert inside
    assert full - rest == inside


def test_scattered_cells_come_in_order_and_once() -> None:
    names = ["740U_800R", "433U_1046R", "15d_7l", "433U_1045R", "433U_1046R", "800U_0R", "946D_3R"]
    region = Region.from_cells(names, GRID)
    assert ids(region) == ["946D_3R", "15D_7L", "433U_1045R", "433U_1046R", "740U_800R", "800U_0R"]
    coarse = {cell for name in names for cell in COARSE.cells_in(GRID.cell(name).bounds)}
    assert list(region.cells(COARSE)) == sorted(coarse, key=lambda cell: (cell.row, cell.column))


@settings(deadline=None)
@given(st.lists(st.sampled_from(EVERY_COARSE), min_size=1, max_size=30))
def test_a_list_of_cells_is_those_cells(cells: list[Cell]) -> None:
    region = Region.from_cells([cell.id for cell in cells], COARSE)
    assert list(region.cells(COARSE)) == sorted(set(cells), key=lambda cell: (cell.row, cell.column))


def test_bounds_of_a_region() -> None:
    assert Region.from_bbox((1.0, 2.0, 3.0, 4.0)).bounds == (1.0, 2.0, 3.0, 4.0)
    assert Region.from_bbox((179.0, 2.0, -179.0, 4.0)).bounds == (179.0, 2.0, -179.0, 4.0)
    triangle = {"type": "Polygon", "coordinates": [[[1.0, 2.0], [5.0, 2.0], [3.0, 4.0], [1.0, 2.0]]]}
    assert Region.from_geojson(triangle).bounds == (1.0, 2.0, 5.0, 4.0)


@pytest.mark.parametrize(
    ("bbox", "says"),
    [
        ((0.0, 1.0, 1.0, 0.0), "north must lie above south"),
        ((0.0, 0.0, math.nan, 1.0), "not finite"),
        ((0.0, 0.0, 1.0, 91.0), "latitudes lie in -90..90"),
        ((5.0, 5.0, 5.0, 5.0), "north must lie above south"),
        ((5.0, 5.0, 5.0, 6.0), "no width"),
    ],
)
def test_impossible_boxes_are_refused(bbox: tuple[float, float, float, float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Region.from_bbox(bbox)


@pytest.mark.parametrize(
    ("bbox", "says"),
    [
        ((0.0, 86.0, 1.0, 87.0), r"ends at \+-85 degrees: cut the region there"),
        ((0.0, 80.0, 1.0, 90.0), r"ends at \+-85 degrees"),
        ((0.0, -90.0, 1.0, 10.0), r"ends at \+-85 degrees"),
        ((0.0, -85.0, 1.0, -84.98), "where there is no cell"),
    ],
)
def test_regions_beyond_the_grid_are_refused_at_once(bbox: tuple[float, float, float, float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Region.from_bbox(bbox).cells(GRID)


def test_the_whole_grid_is_a_region() -> None:
    assert list(Region.from_bbox((-180.0, -85.0, 180.0, 85.0)).cells(COARSE)) == EVERY_COARSE


def test_no_cells_and_wrong_cells_are_refused() -> None:
    with pytest.raises(DataError, match="at least one cell id"):
        Region.from_cells([], GRID)
    with pytest.raises(DataError, match="0D_5R does not exist"):
        Region.from_cells(["0U_0R", "0D_5R"], GRID)


def test_a_file_makes_a_region(tmp_path: Path) -> None:
    file = tmp_path / "area.geojson"
    west, south, east, north = GRID.cell("433U_1046R").bounds
    inner = shapely.box(west + 0.01, south + 0.01, east - 0.01, north - 0.01)
    file.write_text(json.dumps(shapely.geometry.mapping(inner)))
    assert ids(Region.from_geojson(file)) == ["433U_1046R"]
    file.write_text("nothing")
    with pytest.raises(DataError, match=r"area\.geojson is no JSON"):
        Region.from_geojson(str(file))


def test_a_hundred_thousand_cells_enumerate_in_seconds() -> None:
    start = time.monotonic()
    box = (-10.0, 36.0, 40.0, 62.0)
    cells = list(Region.from_bbox(box).cells(GRID))
    rows = [row for row in range(-946, 947) if row * 180 / 2004 < 62 and (row + 1) * 180 / 2004 > 36]
    expected = sum(math.ceil(40 * GRID.columns(row) / 360) - math.floor(-10 * GRID.columns(row) / 360) for row in rows)
    assert len(cells) == expected > 100_000
    assert in_order(cells)

    angles = np.linspace(0, 2 * np.pi, 20_001)[:-1]
    radius = 18 + 0.3 * np.sin(500 * angles)
    coast = np.column_stack([20 + 1.5 * radius * np.cos(angles), 20 + radius * np.sin(angles)])
    polygon = shapely.Polygon(coast)
    found = list(Region.from_geojson(shapely.geometry.mapping(polygon)).cells(GRID))
    # Cells of 0.0898 degrees in height: their number is the area in cells plus a share of those at the coast.
    area = sum(
        polygon.intersection(shapely.box(-180, GRID.latitude(row), 180, GRID.latitude(row + 1))).area
        / (GRID.latitude(row + 1) - GRID.latitude(row))
        * GRID.columns(row)
        / 360
        for row in range(0, 430)
    )
    assert 100_000 < area < len(found) < 1.1 * area
    assert in_order(found)
    assert time.monotonic() - start < 20

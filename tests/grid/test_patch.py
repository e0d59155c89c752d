from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import transform_bounds

from betaearth.errors import DataError
from betaearth.grid.bounds import longitude_spans
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.patch import (
    area_pixel_grid,
    footprint,
    footprint_geometry,
    lonlat_bounds,
    pixel_grid,
    ring_geometry,
    unsnapped_corner,
)
from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.grid.utm import central_meridian, reproject_points

GRID = MajorTomGrid()

PATCHES = [
    # cell, zone, easting and northing of the upper-left corner: computed with Major TOM's own formulas
    ("573U_1L", 32630, 698015.29, 5715974.84),
    ("543U_17R", 32631, 449434.53, 5412726.54),
    ("581U_143R", 32634, 495821.70, 5792026.18),
    ("545U_97R", 32633, 372820.06, 5433916.99),
    ("454U_120R", 32633, 435017.42, 4524784.88),
    ("672U_29R", 32632, 293800.58, 6707595.73),
    ("870U_35R", 32633, 506340.34, 8684764.69),
    ("15D_409R", 32737, 248816.09, 9861305.92),
    ("0U_0R", 32631, 165681.44, 10340.00),
    ("3D_874L", 32717, 777599.78, 9980527.96),
    ("378D_1396R", 32756, 328327.22, 6251946.91),
    ("202D_1888R", 32760, 652047.89, 8003657.91),
    ("188D_1917R", 32760, 814299.31, 8141014.22),
    ("740U_800R", 32660, 628278.52, 7385284.42),
    ("420U_1078L", 32610, 550533.47, 4185750.90),
    ("867D_389R", 32758, 530570.54, 1365656.26),
]


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    grid = MajorTomGrid(draw(st.sampled_from([10_000.0, 2_000.0, 12_345.6])))
    row = draw(st.integers(-grid.last_row, grid.last_row))
    columns = grid.column_range(row)
    edges = st.sampled_from([columns[0], columns[-1]])
    return Cell(row, draw(edges | st.integers(columns[0], columns[-1])), grid)


@pytest.mark.parametrize(("name", "epsg", "x", "y"), PATCHES)
def test_patches_of_known_cells(name: str, epsg: int, x: float, y: float) -> None:
    cell = GRID.cell(name)
    assert unsnapped_corner(cell) == pytest.approx((x, y), abs=0.006)
    grid = pixel_grid(cell)
    assert (grid.epsg, grid.shape, grid.resolution) == (epsg, (1068, 1068), 10.0)
    assert abs(grid.west - x) <= 30.01
    assert abs(grid.north - y) <= 30.01


def test_patches_of_the_original(sample_data: Path) -> None:
    for entry in json.loads((sample_data / "majortom_cells.json").read_text()):
        cell = GRID.cell(entry["cell"])
        assert f"EPSG:{pixel_grid(cell).epsg}" == entry["grid_epsg"]
        if "chip_bounds" not in entry:
            continue
        # Published chips of 2240 m are cut every 2640 m, from the patch's west and north.
        x, y = unsnapped_corner(cell)
        column, row = entry["sub"]
        west, south, east, north = entry["chip_bounds"]
        assert (x + column * 2640, y - row * 2640) == pytest.approx((west, north), abs=1e-6)
        assert (east - west, north - south) == pytest.approx((2240, 2240), abs=1e-6)


@pytest.mark.parametrize(("spacing", "pixels"), [(10_000, 1068), (2_000, 270), (1_000, 168), (200, 90), (10_020, 1074)])
def test_sides_are_whole_steps_of_the_lattice(spacing: float, pixels: int) -> None:
    grid = pixel_grid(MajorTomGrid(spacing).cell("0U_0R"))
    assert grid.shape == (pixels, pixels)
    assert spacing + 680 <= pixels * 10 < spacing + 740


@settings(deadline=None)
@given(cells())
def test_a_patch_is_snapped_and_holds_its_corner(cell: Cell) -> None:
    grid = pixel_grid(cell)
    x, y = unsnapped_corner(cell)
    assert abs(grid.west - x) <= 30 + 1e-6
    assert abs(grid.north - y) <= 30 + 1e-6
    assert grid.west % 60 == 0
    assert grid.north % 60 == (0 if grid.epsg < 32700 else 10_000_000 % 60)
    lon, lat = cell.southwest
    (corner_x,), (corner_y,) = reproject_points([lon], [lat], grid.epsg)
    west, south, east, north = grid.bounds
    assert 310 - 1e-6 <= corner_x - west <= 370 + 1e-6
    assert 310 - 1e-6 <= corner_y - south <= 430 + 1e-6
    assert east - corner_x >= cell.grid.spacing_m + 310 - 1e-6
    assert north - corner_y >= cell.grid.spacing_m + 310 - 1e-6


def test_granules_of_real_items_are_pure_crops(sample_data: Path) -> None:
    folder = sample_data / "planetary_computer" / "items"
    items = json.loads((folder / "sentinel-2-l2a-pc.json").read_text())
    items += [json.loads(file.read_text()) for file in folder.glob("item_sentinel-2-l2a_*.json")]
    assert len(items) > 4
    for item in items:
        grid = pixel_grid(GRID.cell_at(*shapely.geometry.shape(item["geometry"]).centroid.coords[0]))
        for band in ("B02", "B05", "B01"):
            size, _, west, _, _, north = item["assets"][band]["proj:transform"][:6]
            assert (grid.west - west) % size == 0
            assert (grid.north - north) % size == 0


def test_granules_of_the_south_are_pure_crops_too() -> None:
    # Tile 35HKC has its upper-left corner at (199980, 6300040), no multiple of 60 m: the equator of the
    # south has the northing 10,000,000 m.
    grid = pixel_grid(GRID.cell_at(24.4, -33.7))
    assert grid.epsg == 32735
    assert (grid.west - 199_980) % 60 == 0
    assert (grid.north - 6_300_040) % 60 == 0


def compare_with_gdal(grid: PixelGrid, bounds: Bounds) -> None:
    expected = transform_bounds(f"EPSG:{grid.epsg}", "EPSG:4326", *grid.bounds, densify_pts=101)
    assert bounds == pytest.approx(expected, abs=2e-5)


@settings(deadline=None, max_examples=50)
@given(cells())
def test_bounds_agree_with_gdal(cell: Cell) -> None:
    grid = pixel_grid(cell)
    compare_with_gdal(grid, lonlat_bounds(grid))


def area(geometry: dict[str, object]) -> float:
    return float(shapely.geometry.shape(geometry).area)


@settings(deadline=None)
@given(cells())
def test_a_footprint_is_a_closed_ring_counter_clockwise(cell: Cell) -> None:
    grid = pixel_grid(cell)
    ring = footprint(grid)
    lons, lats = np.array(ring).T
    assert ring[0] == ring[-1]
    assert np.abs(lons).max() <= 180
    assert all(round(value, 7) == value for value in (*lons, *lats))
    relative = (lons - central_meridian(grid.epsg) + 180) % 360 - 180
    assert shapely.LinearRing(np.column_stack([relative, lats])).is_ccw
    xs, ys = reproject_points(lons, lats, grid.epsg)
    west, south, east, north = grid.bounds
    assert (xs.min(), ys.min(), xs.max(), ys.max()) == pytest.approx((west, south, east, north), abs=0.02)
    assert np.hypot(np.diff(xs), np.diff(ys)).max() <= 3000.05


@settings(deadline=None)
@given(cells())
def test_a_geometry_is_the_footprint_within_its_bounds(cell: Cell) -> None:
    grid = pixel_grid(cell)
    geometry = footprint_geometry(grid)
    assert json.loads(json.dumps(geometry)) == geometry
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid
    parts = list(getattr(shape, "geoms", [shape]))
    assert all(part.exterior.is_ccw for part in parts)
    bounds = lonlat_bounds(grid)
    assert len(parts) == len(longitude_spans(bounds))
    assert sorted((part.bounds[0], part.bounds[2]) for part in parts) == longitude_spans(bounds)
    lons, lats = np.array(footprint(grid)).T
    relative = (lons - central_meridian(grid.epsg) + 180) % 360 - 180
    assert shape.area == pytest.approx(shapely.Polygon(np.column_stack([relative, lats])).area, abs=1e-7)


def test_a_footprint_over_the_antimeridian_is_cut_there() -> None:
    grid = pixel_grid(GRID.cell("740U_800R"))
    west, _, east, _ = lonlat_bounds(grid)
    assert west > 179
    assert east < -179
    geometry = footprint_geometry(grid)
    assert geometry["type"] == "MultiPolygon"
    (first,), (second,) = geometry["coordinates"]
    assert max(lon for lon, _ in first) == 180
    assert min(lon for lon, _ in second) == -180


@pytest.mark.parametrize("start", range(4))
def test_a_ring_is_cut_wherever_it_begins(start: int) -> None:
    corners = [(179.0, 0.0), (-178.0, 0.0), (-178.0, 1.0), (179.0, 1.0)]
    turned = corners[start:] + corners[:start]
    shape = shapely.geometry.shape(ring_geometry([*turned, turned[0]]))
    assert shape.equals(shapely.union_all([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -178, 1)]))


def test_rings_that_only_touch_the_antimeridian_stay_one_polygon() -> None:
    ring = [(179.0, 0.0), (180.0, 0.0), (180.0, 1.0), (179.0, 1.0), (179.0, 0.0)]
    assert ring_geometry(ring)["type"] == "Polygon"
    jumping = [(179.0, 0.0), (-180.0, 0.0), (-180.0, 1.0), (179.0, 1.0), (179.0, 0.0)]
    assert ring_geometry(jumping)["type"] == "Polygon"
    assert area(ring_geometry(jumping)) == pytest.approx(1)
    other = [(180.0, 0.0), (-179.0, 0.0), (-179.0, 1.0), (180.0, 1.0), (180.0, 0.0)]
    assert ring_geometry(other)["type"] == "Polygon"
    assert shapely.geometry.shape(ring_geometry(other)).bounds == (-180, 0, -179, 1)


@settings(deadline=None)
@given(st.floats(-180, 180), st.floats(-84, 83.9), st.floats(1e-5, 5.9), st.floats(1e-5, 1), st.floats(0, 1))
def test_an_area_grid_covers_the_whole_box(
    west: float, south: float, width: float, height: float, share: float
) -> None:
    east = west + width if west + width <= 180 else west + width - 360
    grid = area_pixel_grid((west, south, east, south + height))
    # Points along all four edges: on a long edge the extreme is not at a corner.
    t = np.append(np.linspace(0, 1, 41), share)
    lons = np.concatenate([west + t * width, west + t * width, west + 0 * t, west + 0 * t + width])
    lats = np.concatenate([south + 0 * t, south + 0 * t + height, south + t * height, south + t * height])
    xs, ys = reproject_points(lons, lats, grid.epsg)
    left, bottom, right, top = grid.bounds
    assert xs.min() > left - 0.02
    assert xs.max() < right + 0.02
    assert ys.min() > bottom - 0.02
    assert ys.max() < top + 0.02
    # And is no larger than that needs.
    assert xs.min() - left <= 80
    assert right - xs.max() <= max(80, 60 + width * 200)
    assert grid.west % 60 == 0
    assert grid.north % 60 == (0 if grid.epsg < 32700 else 40)
    assert grid.width % 6 == grid.height % 6 == 0


def test_an_area_grid_covers_more_than_its_two_corners() -> None:
    bounds = (1.0, 50.0, 5.0, 50.5)
    grid = area_pixel_grid(bounds)
    (_, _), (south, _) = reproject_points([3.0, 3.0], [50.0, 50.5], 32631)
    (_, _), (corner, _) = reproject_points([1.0, 5.0], [50.0, 50.5], 32631)
    assert corner - south > 500
    assert grid.epsg == 32631
    assert grid.bounds[1] <= south


def test_an_area_over_the_antimeridian() -> None:
    grid = area_pixel_grid((179.5, -17.0, -179.7, -16.5))
    assert grid.epsg == 32760
    assert grid.width < 9_000
    west, _, east, _ = lonlat_bounds(grid)
    assert west == pytest.approx(179.5, abs=0.01)
    assert east == pytest.approx(-179.7, abs=0.01)
    assert area_pixel_grid((179.7, -17.0, -179.5, -16.5)).epsg == 32701


def test_an_area_over_the_equator_lies_in_one_zone() -> None:
    assert area_pixel_grid((1.0, -0.2, 1.1, 0.1)).epsg == 32731
    grid = area_pixel_grid((1.0, -0.1, 1.1, 0.2))
    assert grid.epsg == 32631
    assert grid.bounds[1] < 0


def test_areas_may_reach_three_degrees_out_of_their_zone() -> None:
    assert area_pixel_grid((-2.9, 45.0, 8.9, 45.1)).epsg == 32631
    assert area_pixel_grid((3.1, 60.0, 14.9, 60.1)).epsg == 32632
    for bounds in ((-3.1, 45.0, 9.1, 45.1), (-180.0, -1.0, 180.0, 1.0), (170.0, 0.0, -170.0, 1.0)):
        with pytest.raises(DataError, match=r"out of the UTM zone .* use `betaearth run` over cells"):
            area_pixel_grid(bounds)


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ((0.0, 84.0, 1.0, 85.5), r"beyond \+-85 degrees"),
        ((0.0, -86.0, 1.0, -84.0), r"beyond \+-85 degrees"),
        ((0.0, 2.0, 1.0, 1.0), "north must lie above south"),
        ((1.0, 1.0, 1.0, 2.0), "no width"),
        ((0.0, 1.0, math.nan, 2.0), "not finite"),
    ],
)
def test_impossible_areas_are_refused(bounds: Bounds, says: str) -> None:
    with pytest.raises(DataError, match=says):
        area_pixel_grid(bounds)


def test_the_bounds_of_an_area_grid_give_a_grid_around_it() -> None:
    grid = area_pixel_grid((4.0, 50.0, 4.001, 50.001))
    assert grid.width >= 12
    tiny = area_pixel_grid((4.0, 50.0, 4.0 + 1e-9, 50.0 + 1e-9))
    assert tiny.shape == (6, 6)

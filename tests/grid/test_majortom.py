from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.grid.majortom import Cell, MajorTomGrid

GRID = MajorTomGrid()
GRIDS = [GRID, MajorTomGrid(2_000.0), MajorTomGrid(100_000.0), MajorTomGrid(333_333.0)]
grids = st.sampled_from(GRIDS)

PLACES = [
    # lat, lon, cell, columns, southern edge, western edge: computed with Major TOM's own formulas
    (51.5074, -0.1278, "573U_1L", 2497, 51.467066, -0.144173),
    (48.8566, 2.3522, "543U_17R", 2642, 48.772455, 2.316427),
    (52.2297, 21.0122, "581U_143R", 2458, 52.185629, 20.943857),
    (48.98, 13.38, "545U_97R", 2632, 48.952096, 13.267477),
    (40.8518, 14.2681, "454U_120R", 3035, 40.778443, 14.233937),
    (60.39, 5.32, "672U_29R", 1982, 60.359281, 5.267407),
    (78.22, 15.65, "870U_35R", 824, 78.143713, 15.291262),
    (-1.2921, 36.8219, "15D_409R", 4007, -1.347305, 36.745695),
    (0.01, 0.01, "0U_0R", 4008, 0.0, 0.0),
    (-0.1807, -78.4678, "3D_874L", 4008, -0.269461, -78.502994),
    (-33.8688, 151.2093, "378D_1396R", 3325, -33.952096, 151.145865),
    (-18.1248, 178.4501, "202D_1888R", 3809, -18.143713, 178.440536),
    (-16.85, 179.97, "188D_1917R", 3835, -16.886228, 179.953064),
    (66.5, 179.97, "740U_800R", 1601, 66.467066, 179.887570),
    (37.7749, -122.4194, "420U_1078L", 3170, 37.724551, -122.422713),
    (-77.8419, 166.6863, "867D_389R", 842, -77.874251, 166.318290),
]


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    grid = draw(grids)
    row = draw(st.integers(-grid.last_row, grid.last_row))
    columns = grid.column_range(row)
    edges = st.sampled_from([columns[0], columns[-1], 0, -1])
    return Cell(row, draw(edges | st.integers(columns[0], columns[-1])), grid)


def centre(cell: Cell) -> tuple[float, float]:
    west, south, east, north = cell.bounds
    if east < west:
        east += 360
    lon = (west + east) / 2
    return (lon if lon <= 180 else lon - 360, (south + north) / 2)


@pytest.mark.parametrize("place", PLACES, ids=[place[2] for place in PLACES])
def test_known_places(place: tuple[float, float, str, int, float, float]) -> None:
    lat, lon, name, columns, south, west = place
    cell = GRID.cell_at(lon, lat)
    assert cell.id == name
    assert GRID.columns(cell.row) == columns
    assert cell.southwest == pytest.approx((west, south), abs=5e-7)
    assert GRID.cell(name) == cell


def test_cells_of_the_original(sample_data: Path) -> None:
    for entry in json.loads((sample_data / "majortom_cells.json").read_text()):
        cell = GRID.cell(entry["cell"])
        assert cell.id == entry["cell"]
        assert cell.southwest == pytest.approx((entry["cell_lon"], entry["cell_lat"]), abs=1e-9)


def test_the_grid_has_as_many_rows_and_cells_as_the_original() -> None:
    assert GRID.rows == 2004
    rows = range(-GRID.last_row, GRID.last_row + 1)
    assert len(rows) == 1893
    assert sum(GRID.columns(row) for row in rows) == 5_094_350


def test_rows_divide_the_meridian_equally() -> None:
    edges = np.linspace(-90, 90, 2005)
    rows = range(-GRID.last_row, GRID.last_row + 1)
    np.testing.assert_allclose([GRID.latitude(row) for row in rows], edges[1002 + rows[0] : 1003 + rows[-1]])
    kept = edges[(edges >= -85) & (edges <= 85)]
    assert len(kept) == len(rows)


def test_the_poleward_limits() -> None:
    assert GRID.south == pytest.approx(-946 * 180 / 2004)
    assert GRID.north == pytest.approx(947 * 180 / 2004)
    assert GRID.north > 85
    assert GRID.cell_at(0.0, 85.05).row == 946


@pytest.mark.parametrize("spacing", [199.0, 1_000_001.0, 0.0, -10_000.0, math.nan, math.inf])
def test_impossible_spacings_are_refused(spacing: float) -> None:
    with pytest.raises(DataError, match="200 to 1000000 m"):
        MajorTomGrid(spacing)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "no Major TOM cell id"),
        ("433U", "no Major TOM cell id"),
        ("433U-1046R", "no Major TOM cell id"),
        ("433R_1046U", "no Major TOM cell id"),
        ("0433U_1046R", "no Major TOM cell id"),
        ("-433U_1046R", "no Major TOM cell id"),
        ("433U_1046R_0", "no Major TOM cell id"),
        ("٤U_1R", "no Major TOM cell id"),
        ("99999999999999999999U_0R", "no Major TOM cell id"),
        ("0D_5R", "counting starts at 0U and 1D"),
        ("5U_0L", "counting starts at 0U and 1D, at 0R and 1L"),
        ("947U_0R", "ends at rows 946U and 946D"),
        ("947D_0R", r"cuts it at \+-85 degrees"),
        ("1500U_0R", "ends at rows 946U and 946D"),
        ("0U_2005R", "has columns 2004L to 2003R"),
        ("0U_2005L", "has columns 2004L to 2003R"),
        ("740U_801R", "has columns 800L to 800R"),
        ("740U_801L", "has columns 800L to 800R"),
    ],
)
def test_impossible_ids_are_refused_with_what_would_be_right(name: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        GRID.cell(name)


def test_ids_are_read_in_any_case() -> None:
    assert GRID.cell("433u_1046r") == GRID.cell("433U_1046R")
    assert GRID.cell("15d_7l").id == "15D_7L"


@pytest.mark.parametrize("row", [800, 794, 581, 521, 518, -800, 0])
def test_both_names_of_the_column_at_180_degrees_are_one_cell(row: int) -> None:
    half = GRID.columns(row) // 2
    assert GRID.columns(row) == 2 * half
    name = f"{row}U" if row >= 0 else f"{-row}D"
    cell = GRID.cell(f"{name}_{half}R")
    assert cell == GRID.cell(f"{name}_{half}L")
    assert cell.id == f"{name}_{half}L"
    assert cell.southwest[0] == -180
    assert GRID.cell_at(180.0, cell.southwest[1]) == cell
    assert GRID.cell_at(-180.0, cell.southwest[1]) == cell
    with pytest.raises(DataError, match=f"has columns {half}L to {half - 1}R"):
        Cell(row, half, GRID)


def test_the_cell_that_straddles_180_degrees() -> None:
    cell = GRID.cell("740U_800R")
    west, _, east, _ = cell.bounds
    assert (west, east) == pytest.approx((180 - 180 / 1601, -180 + 180 / 1601))
    assert east == GRID.cell("740U_800L").bounds[0]
    for lon in (west, 179.99, 180.0, -180.0, -179.99, math.nextafter(east, -200)):
        assert GRID.cell_at(lon, 66.5) == cell
    assert GRID.cell_at(math.nextafter(west, 0), 66.5).id == "740U_799R"
    assert GRID.cell_at(east, 66.5).id == "740U_800L"


@pytest.mark.parametrize(
    ("spacing", "code"),
    [
        (10_000, "MAJORTOM-10-433U_1046R"),
        (2_000, "MAJORTOM-2-433U_1046R"),
        (500, "MAJORTOM-0.5-433U_1046R"),
        (1234.5678, "MAJORTOM-1.2345678-433U_1046R"),
    ],
)
def test_code(spacing: float, code: str) -> None:
    assert MajorTomGrid(spacing).cell("433U_1046R").code == code


@given(cells())
def test_an_id_leads_back_to_its_cell(cell: Cell) -> None:
    assert cell.grid.cell(cell.id) == cell
    assert cell.grid.cell(cell.id.lower()) == cell
    assert hash(cell.grid.cell(cell.id)) == hash(cell)


@given(cells())
def test_the_centre_and_the_corner_of_a_cell_lie_in_it(cell: Cell) -> None:
    assert cell.grid.cell_at(*centre(cell)) == cell
    assert cell.grid.cell_at(*cell.southwest) == cell
    assert cell.bounds[:2] == cell.southwest


@given(cells())
def test_a_cell_ends_where_its_neighbours_begin(cell: Cell) -> None:
    columns = cell.grid.column_range(cell.row)
    assert len(columns) == cell.grid.columns(cell.row)
    east = cell.bounds[2]
    if cell.column < columns[-1]:
        assert east == Cell(cell.row, cell.column + 1, cell.grid).bounds[0]
    else:
        first = Cell(cell.row, columns[0], cell.grid).bounds[0]
        assert east == first or (east, first) == (180, -180)
    if cell.row < cell.grid.last_row:
        assert cell.bounds[3] == Cell(cell.row + 1, 0, cell.grid).bounds[1]


@given(grids, st.floats(-180, 180), st.floats(-85, 85))
def test_a_point_lies_in_exactly_one_cell(grid: MajorTomGrid, lon: float, lat: float) -> None:
    assume(lat >= grid.south)
    cell = grid.cell_at(lon, lat)

    def holds(other: Cell) -> bool:
        west, south, east, north = other.bounds
        longitude = -180.0 if lon == 180 else lon
        inside = west <= longitude < east if west < east else longitude >= west or longitude < east
        return inside and south <= lat < north

    columns = grid.column_range(cell.row)
    near = {columns[(cell.column + step - columns[0]) % len(columns)] for step in (-1, 0, 1)}
    assert [other for column in near if holds(other := Cell(cell.row, column, grid))] == [cell]


@pytest.mark.parametrize(
    ("lon", "lat", "says"),
    [
        (0.0, 85.07, "reaches from"),
        (0.0, -85.0, "has no cell"),
        (0.0, 90.0, "has no cell"),
        (181.0, 0.0, "no point"),
        (math.nan, 0.0, "no point"),
        (0.0, math.nan, "no point"),
        (0.0, 91.0, "no point"),
    ],
)
def test_points_without_a_cell_are_refused(lon: float, lat: float, says: str) -> None:
    with pytest.raises(DataError, match=says):
        GRID.cell_at(lon, lat)


@given(cells())
def test_the_bounds_of_a_cell_hold_that_cell_alone(cell: Cell) -> None:
    assert list(cell.grid.cells_in(cell.bounds)) == [cell]


@given(st.floats(-180, 180), st.floats(-180, 180), st.floats(-84, 83), st.floats(1e-6, 1))
def test_cells_in_bounds_are_those_that_share_an_area(west: float, east: float, south: float, height: float) -> None:
    grid = MajorTomGrid(700_000.0)
    assume(west != east and (west, east) != (180.0, -180.0))
    north = south + height

    def shared(cell: Cell) -> bool:
        a, b, c, d = cell.bounds
        overlaps = [
            min(right, end) - max(left, start)
            for left, right in ([(a, c)] if a < c else [(-180.0, c), (a, 180.0)])
            for start, end in ([(west, east)] if west < east else [(-180.0, east), (west, 180.0)])
        ]
        return max(overlaps) > 0 and min(d, north) > max(b, south)

    rows = range(-grid.last_row, grid.last_row + 1)
    every = [Cell(row, column, grid) for row in rows for column in grid.column_range(row)]
    assert list(grid.cells_in((west, south, east, north))) == [cell for cell in every if shared(cell)]


def test_impossible_bounds_are_refused_before_the_first_cell() -> None:
    with pytest.raises(DataError, match="north must lie above south"):
        GRID.cells_in((0, 2, 1, 1))


@given(cells())
def test_indices_count_from_zero_with_one_offset_for_all_rows(cell: Cell) -> None:
    assert 0 <= cell.row_index < cell.grid.rows
    assert 0 <= cell.column_index < cell.grid.columns(0)
    origin = cell.grid.cell("0U_0R")
    assert cell.row_index - origin.row_index == cell.row
    assert cell.column_index - origin.column_index == cell.column

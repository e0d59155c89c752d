from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betaearth.synthetic.elevation import tiles


def test_a_polar_tile_starts_where_the_real_one_starts() -> None:
    """The real Copernicus_DSM_COG_10_S90_00_W180_00_DEM: 3600 x 360 pixels."""
    name, lattice = next(iter(tiles((-179.9, -89.9, -179.8, -89.1))))
    assert name == "Copernicus_DSM_COG_10_S90_00_W180_00_DEM"
    assert lattice.dx == pytest.approx(0.002777777777777778)
    assert lattice.dy == pytest.approx(0.0002777777777777778)
    column = (lattice.west - -180.0013888888889) / lattice.dx
    row = (lattice.north - -88.99986111111112) / lattice.dy
    assert column == pytest.approx(round(column), abs=1e-6)
    assert row == pytest.approx(round(row), abs=1e-6)


@pytest.mark.parametrize(
    ("bounds", "names"),
    [
        ((11.1, 46.1, 11.2, 46.2), ["N46_00_E011"]),
        ((11.95, 46.1, 12.05, 46.2), ["N46_00_E011", "N46_00_E012"]),
        ((11.1, 46.95, 11.2, 47.05), ["N46_00_E011", "N47_00_E011"]),
        ((-0.05, -0.05, 0.05, 0.05), ["S01_00_W001", "S01_00_E000", "N00_00_W001", "N00_00_E000"]),
        ((179.95, -17.2, -179.95, -17.1), ["S18_00_E179", "S18_00_W180"]),
    ],
)
def test_a_site_over_a_degree_line_has_a_tile_on_each_side(
    bounds: tuple[float, float, float, float], names: list[str]
) -> None:
    assert [name for name, _ in tiles(bounds)] == [f"Copernicus_DSM_COG_10_{n}_00_DEM" for n in names]


@pytest.mark.parametrize(
    ("lat", "factor"), [(10, 1), (49, 1), (50, 1.5), (61, 2), (72, 3), (81, 5), (-51, 1.5), (-49.5, 1)]
)
def test_columns_widen_towards_the_poles(lat: float, factor: float) -> None:
    (_, lattice) = next(iter(tiles((20.3, lat + 0.3, 20.4, lat + 0.4))))
    assert lattice.dx * 3600 == pytest.approx(factor)
    assert lattice.dy * 3600 == pytest.approx(1.0)


@settings(max_examples=200)
@given(
    west=st.floats(-180, 180),
    south=st.floats(-84, 84),
    width=st.floats(0.001, 0.3),
    height=st.floats(0.001, 0.3),
)
def test_tiles_cover_the_site_without_gap_or_overlap(west: float, south: float, width: float, height: float) -> None:
    east = west + width
    found = list(tiles((west, south, east - 360 if east > 180 else east, south + height)))
    assert len({name for name, _ in found}) == len(found)
    rows: dict[str, list[tuple[float, float, float, float]]] = {}
    for name, lattice in found:
        left, bottom, right, top = lattice.box
        degree = math.floor(lattice.west + lattice.dx)
        assert degree - 0.51 * lattice.dx <= left < right <= degree + 1 - 0.49 * lattice.dx
        wrapped = west + (left - west + 180.0) % 360.0 - 180.0
        rows.setdefault(name.split("_00_")[0], []).append((wrapped, bottom, wrapped + right - left, top))
    edges = []
    for boxes in rows.values():
        boxes.sort()
        assert boxes[0][0] <= west
        assert boxes[-1][2] >= east
        for one, other in pairwise(boxes):
            assert one[2] == pytest.approx(other[0], abs=1e-9)
        edges.append((boxes[0][1], boxes[0][3]))
    edges.sort()
    assert edges[0][0] <= south
    assert edges[-1][1] >= south + height
    for lower, upper in pairwise(edges):
        assert lower[1] == pytest.approx(upper[0], abs=1e-9)

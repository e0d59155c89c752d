from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from betaearth.synthetic.lattice import Lattice, block_mean, covering, outline, to_lonlat

LATTICE = Lattice(32632, 600_000.0, 5_400_000.0, 12, 6)


@settings(max_examples=60, deadline=None)
@given(
    lon=st.floats(-3.5, 3.5),
    lat=st.floats(-83.0, 83.0),
    size=st.floats(0.002, 0.1),
    zone=st.integers(1, 60),
)
def test_covering_holds_the_area_and_keeps_to_its_lattice(lon: float, lat: float, size: float, zone: int) -> None:
    central = 6 * zone - 183
    west, east = central + lon, central + lon + size
    bounds = tuple(
        (edge + 180.0) % 360.0 - 180.0 if i % 2 == 0 else edge for i, edge in enumerate((west, lat, east, lat + size))
    )
    epsg = (32600 if lat >= 0 else 32700) + zone
    shift = (3.0, -4.0)
    lattice = covering((bounds[0], bounds[1], bounds[2], bounds[3]), epsg, step=60.0, shift=shift, margin=60.0)
    left, bottom, right, top = lattice.box
    for edge, off in ((left, shift[0]), (right, shift[0]), (bottom, shift[1]), (top, shift[1])):
        assert (edge - off) % 60.0 == pytest.approx(0.0, abs=1e-6)
    # An independent library says where the area lies.
    forward = Transformer.from_crs(4326, epsg, always_xy=True)
    t = np.linspace(0, 1, 7)
    for x, y in (forward.transform(west + size * a, lat + size * b) for a in t for b in t):
        assert left + 59 <= x <= right - 59
        assert bottom + 59 <= y <= top - 59


def test_pixel_centres_agree_with_pyproj() -> None:
    lon, lat = LATTICE.lonlat()
    backward = Transformer.from_crs(32632, 4326, always_xy=True)
    x, y = np.meshgrid(600_005.0 + 10 * np.arange(12), 5_399_995.0 - 10 * np.arange(6))
    expected = backward.transform(x, y)
    np.testing.assert_allclose(lon, expected[0], atol=1e-9)
    np.testing.assert_allclose(lat, expected[1], atol=1e-9)


def test_windows_and_padding_stay_on_the_lattice() -> None:
    assert LATTICE.padded(2).window(2, 2, 6, 12) == LATTICE
    part = LATTICE.window(1, 3, 4, 5)
    assert part.box == (600_030.0, 5_399_950.0, 600_080.0, 5_399_990.0)
    assert part.shape == (4, 5)
    np.testing.assert_array_equal(part.columns(), LATTICE.columns()[3:8])
    np.testing.assert_array_equal(part.rows(), LATTICE.rows()[1:5])


def test_coarser_pixels_cover_the_same_box() -> None:
    coarse = LATTICE.coarser(2)
    assert coarse.box == LATTICE.box
    assert coarse.shape == (3, 6)
    assert coarse.transform == (20.0, 0.0, 600_000.0, 0.0, -20.0, 5_400_000.0)


def test_degrees_wrap_at_180() -> None:
    lon, lat = to_lonlat(4326, np.array([179.0, 180.5, -180.0]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(lon, [179.0, -179.5, -180.0])
    np.testing.assert_allclose(lat, [1.0, 2.0, 3.0])


def test_an_outline_runs_counter_clockwise_along_the_box() -> None:
    ring = outline((0.0, 0.0, 4.0, 2.0), pieces=4)
    assert len(ring) == 16
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True)) / 2
    assert math.isclose(area, 8.0)


def test_a_block_mean_averages_its_pixels() -> None:
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_allclose(block_mean(values), [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]])

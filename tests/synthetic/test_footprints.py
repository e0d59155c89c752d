from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon, box, shape

from betaearth.synthetic.footprints import HalfPlane, footprint
from betaearth.synthetic.lattice import Lattice, outline

LATTICE = Lattice(32632, 600_000.0, 5_400_000.0, 120, 60)


@given(a=st.floats(-2, 2), b=st.floats(-2, 2), c=st.floats(-30, 30))
def test_clipping_agrees_with_an_independent_library(a: float, b: float, c: float) -> None:
    square = (-10.0, -10.0, 10.0, 10.0)
    clipped = HalfPlane(a, b, c).clip(outline(square))
    if abs(a) + abs(b) < 0.1:
        return
    # The half-plane as a polygon much larger than the square.
    normal = np.array([a, b]) / np.hypot(a, b)
    foot, along = normal * c / np.hypot(a, b), np.array([-normal[1], normal[0]])
    far = Polygon(
        [foot + 999 * along, foot - 999 * along, foot - 999 * along - 999 * normal, foot + 999 * along - 999 * normal]
    )
    expected = box(*square).intersection(far).area
    found = Polygon(clipped).area if len(clipped) >= 3 else 0.0
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_half_plane_keeps_pixel_centres() -> None:
    edge = HalfPlane(1.0, 0.0, 600_025.0)
    inside = edge.contains(LATTICE)
    assert inside.shape == (60, 120)
    np.testing.assert_array_equal(inside.sum(axis=1), np.full(60, 3))


def test_a_footprint_outlines_the_lattice() -> None:
    found = footprint(LATTICE)
    lon, lat = LATTICE.lonlat()
    ring = shape(found.geometry)
    assert ring.is_valid
    assert ring.exterior.is_ccw
    assert ring.contains(Polygon([(lon[r, c], lat[r, c]) for r, c in ((0, 0), (-1, 0), (-1, -1), (0, -1))]))
    assert found.bbox == pytest.approx(ring.bounds)


def test_a_cut_footprint_is_smaller() -> None:
    whole, half = (shape(footprint(LATTICE, edge).geometry) for edge in (None, HalfPlane(1.0, 0.0, 600_600.0)))
    assert half.area == pytest.approx(whole.area / 2, rel=1e-3)


def test_a_footprint_over_180_degrees_is_split_there() -> None:
    lattice = Lattice(32660, 827_000.0, 1_000_000.0, 600, 300)
    lon, _ = lattice.lonlat()
    assert lon.max() > 179
    assert lon.min() < -179
    found = footprint(lattice)
    west, _, east, _ = found.bbox
    assert west > east
    parts = shape(found.geometry)
    assert parts.geom_type == "MultiPolygon"
    assert parts.is_valid
    assert sorted(round(part.bounds[0]) for part in parts.geoms) == [-180, 180]
    assert max(part.bounds[2] for part in parts.geoms) == 180.0
    assert min(part.bounds[0] for part in parts.geoms) == -180.0

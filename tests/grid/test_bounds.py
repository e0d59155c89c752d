from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.grid.bounds import checked_bounds, enclosing_bounds, longitude_spans, wrap_longitude
from betaearth.grid.pixels import Bounds


@pytest.mark.parametrize(
    "bounds", [(-180.0, -90.0, 180.0, 90.0), (4.0, 50.0, 4.1, 50.1), (170.0, -20.0, -170.0, -10.0)]
)
def test_possible_bounds_are_returned_as_floats(bounds: Bounds) -> None:
    assert checked_bounds(list(bounds)) == bounds


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((1.0, 2.0, 3.0), "3 numbers instead of four"),
        ((1.0, 2.0, math.nan, 4.0), "not finite"),
        ((1.0, 2.0, math.inf, 4.0), "not finite"),
        ((1.0, 4.0, 3.0, 2.0), "north must lie above south"),
        ((1.0, 2.0, 3.0, 2.0), "north must lie above south"),
        ((1.0, 2.0, 1.0, 3.0), "no width"),
        ((180.0, 2.0, -180.0, 3.0), "no width"),
        ((170.0, 2.0, 190.0, 3.0), "give west > east"),
        ((-180.1, 2.0, 0.0, 3.0), "longitudes lie in -180..180"),
        ((1.0, 2.0, 3.0, 90.5), "latitudes lie in -90..90"),
        ((1.0, -91.0, 3.0, 3.0), "latitudes lie in -90..90"),
    ],
)
def test_impossible_bounds_are_refused_with_a_reason(values: tuple[float, ...], says: str) -> None:
    with pytest.raises(DataError, match=says):
        checked_bounds(values)


def test_spans_are_cut_at_the_antimeridian() -> None:
    assert longitude_spans((1.0, 0.0, 2.0, 1.0)) == [(1.0, 2.0)]
    assert longitude_spans((170.0, 0.0, -170.0, 1.0)) == [(-180.0, -170.0), (170.0, 180.0)]
    assert longitude_spans((180.0, 0.0, -170.0, 1.0)) == [(-180.0, -170.0)]
    assert longitude_spans((170.0, 0.0, -180.0, 1.0)) == [(170.0, 180.0)]


@given(st.floats(-1000, 1000))
@example(math.nextafter(-180.0, -181.0))
def test_a_wrapped_longitude_is_the_same_meridian(lon: float) -> None:
    wrapped = wrap_longitude(lon)
    assert -180 <= wrapped < 180
    assert math.cos(math.radians(wrapped)) == pytest.approx(math.cos(math.radians(lon)), abs=1e-9)
    assert math.sin(math.radians(wrapped)) == pytest.approx(math.sin(math.radians(lon)), abs=1e-9)


@pytest.mark.parametrize(
    ("boxes", "bounds"),
    [
        ([(1.0, 2.0, 3.0, 4.0)], (1.0, 2.0, 3.0, 4.0)),
        ([(1.0, 2.0, 3.0, 4.0), (-5.0, 3.0, 2.0, 7.0)], (-5.0, 2.0, 3.0, 7.0)),
        ([(170.0, 0.0, 180.0, 1.0), (-180.0, 0.0, -175.0, 1.0)], (170.0, 0.0, -175.0, 1.0)),
        ([(170.0, 0.0, 178.0, 1.0), (-179.0, 0.0, -175.0, 1.0)], (170.0, 0.0, -175.0, 1.0)),
        ([(175.0, 0.0, -175.0, 1.0), (160.0, -3.0, 165.0, 2.0)], (160.0, -3.0, -175.0, 2.0)),
        ([(-180.0, 0.0, 180.0, 1.0)], (-180.0, 0.0, 180.0, 1.0)),
        ([(-180.0, 0.0, 10.0, 1.0), (5.0, 0.0, 180.0, 1.0)], (-180.0, 0.0, 180.0, 1.0)),
        ([(-91.0, 0.0, -89.0, 1.0), (89.0, 0.0, 91.0, 1.0)], (-91.0, 0.0, 91.0, 1.0)),
    ],
)
def test_enclosing_bounds_leave_out_the_widest_gap(boxes: list[Bounds], bounds: Bounds) -> None:
    assert enclosing_bounds(boxes) == bounds

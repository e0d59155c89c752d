"""Mixing on the sphere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS

from betaearth.analysis.blending import Blend, feather
from betaearth.analysis.canvas import Canvas


def canvas(width: int, *, resolution: float = 10.0) -> Canvas:
    return Canvas(CRS.from_epsg(32632), Affine(resolution, 0, 0, 0, -resolution, 0), width, width)


def whole(size: int) -> tuple[slice, slice]:
    return slice(0, size), slice(0, size)


def test_weights_of_neighbours_add_up_to_one_where_they_overlap() -> None:
    one = feather(canvas(1068), whole(1068))[:, 500]
    np.testing.assert_allclose(one[-68:] + one[:68], 1, atol=1e-6)
    assert (one[68:-68] == 1).all()
    assert one[0] == np.float32(0.5 / 68)
    corner = feather(canvas(1068), (slice(3, 9), slice(1000, 1068)))[0]
    np.testing.assert_allclose(corner, one[3] * one[1000:], rtol=1e-6)


def test_weights_of_small_and_coarse_rasters_stay_above_nothing() -> None:
    for size, resolution in ((1, 10.0), (5, 10.0), (50, 160.0), (3, 1e5)):
        weights = feather(canvas(size, resolution=resolution), whole(size))
        assert weights.min() > 0
        assert weights.max() <= 1


def at(values: list[float]) -> NDArray[np.float32]:
    """One pixel of a two-dimensional embedding."""
    return np.array(values, np.float32).reshape(2, 1, 1)


def mixed(*layers: tuple[list[float], float]) -> list[float]:
    blend = Blend(2, (1, 1))
    for values, weight in layers:
        blend.add(whole(1), at(values), np.full((1, 1), weight, np.float32))
    return [float(value) for value in blend.vectors()[:, 0, 0]]


def test_directions_between() -> None:
    np.testing.assert_allclose(mixed(([1, 0], 1), ([0, 1], 1)), [0.5**0.5] * 2, atol=1e-7)
    np.testing.assert_allclose(mixed(([1, 0], 3), ([0, 1], 1)), np.array([3, 1]) / 10**0.5, atol=1e-7)
    np.testing.assert_allclose(mixed(([1, 0], 1), ([0, 1], 1), ([1, 0], 2)), np.array([3, 1]) / 10**0.5, atol=1e-7)


def test_what_agrees_stays_and_what_is_alone_too() -> None:
    vector = [float(np.float32(0.6)), float(np.float32(-0.8))]
    assert mixed((vector, 0.3)) == vector
    assert mixed((vector, 0.3), (vector, 0.7), (vector, 0.11)) == vector
    assert mixed(([np.nan, np.nan], 1), (vector, 0.01)) == vector
    assert mixed((vector, 0.01), ([np.nan, np.nan], 1)) == vector


def test_nothing_and_opposites_are_no_data() -> None:
    assert np.isnan(mixed()).all()
    assert np.isnan(mixed(([np.nan, np.nan], 1))).all()
    assert np.isnan(mixed(([1, 0], 1), ([-1, 0], 1))).all()

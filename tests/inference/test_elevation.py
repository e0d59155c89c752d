"""Elevation is scaled by its range over a cell's extent, whatever the extent of the place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from betaearth.inference.elevation import TRAINED_EXTENT, Elevation
from betaearth.inference.preprocessing import normalise
from betaearth.inference.windows import Tiling
from betaearth.scenes.model import Sensor


def hills(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(100, 200, (1, height, width)).astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 400), st.integers(1, 1068))
def test_up_to_a_cell_it_is_scaled_as_a_whole(height: int, width: int) -> None:
    metres, tiling = hills(height, width), Tiling((height, width))
    expected = tiling.pad(normalise(Sensor.DEM, metres))
    elevation = Elevation(metres, tiling)
    for window in tiling.windows():
        assert np.array_equal(elevation.at(window), expected[(slice(None), *window.slices)])


def test_a_distant_peak_changes_nothing_here() -> None:
    metres = hills(300, 2400)
    with_peak = metres.copy()
    with_peak[0, 150, 2350] = 3000
    tiling = Tiling((300, 2400))
    plain, beside = Elevation(metres, tiling), Elevation(with_peak, tiling)
    for window in tiling.windows():
        near = window.x + 112 + TRAINED_EXTENT // 2 > 2350 or window.x + 224 > 2400 - TRAINED_EXTENT
        if not near:
            assert np.array_equal(plain.at(window), beside.at(window))
    last = list(tiling.windows())[-1]
    assert beside.at(last).max() == pytest.approx(1)
    assert np.median(beside.at(last)) < 0.05


@pytest.mark.parametrize("size", [1069, 1500, 2200])
def test_the_extent_is_a_cell_around_the_window(size: int) -> None:
    tiling = Tiling((224, size))
    ramp = np.broadcast_to(np.arange(size, dtype=np.float32), (1, 224, size))
    elevation = Elevation(ramp, tiling)
    for window in tiling.windows():
        scaled = elevation.at(window)[0, 0]
        low = min(max(window.x + 112 - 534, 0), size - 1068)
        assert scaled == pytest.approx((np.arange(window.x, window.x + 224) - low) / 1067, abs=1e-6)

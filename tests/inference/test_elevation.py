"""Elevation is scaled by its range over a cell's extent, whatever the extent of the place; or by a fixed range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from betaearth.inference.blocks import TRAINED_EXTENT, blocks, whole
from betaearth.inference.elevation import Elevation
from betaearth.inference.preprocessing import normalise
from betaearth.scenes.model import Sensor


def hills(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(100, 200, (1, height, width)).astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 400), st.integers(1, 1068))
def test_up_to_a_cell_it_is_scaled_as_a_whole(height: int, width: int) -> None:
    metres, block = hills(height, width), whole((height, width), tile_size=224, overlap=112)
    tiling = block.tiling
    expected = tiling.pad(normalise(Sensor.DEM, metres))
    elevation = Elevation(metres, block)
    for window in tiling.windows():
        assert np.array_equal(elevation.at(window), expected[(slice(None), *window.slices)])


def test_a_distant_peak_changes_nothing_here() -> None:
    metres = hills(300, 2400)
    with_peak = metres.copy()
    with_peak[0, 150, 2350] = 3000
    block = whole((300, 2400), tile_size=224, overlap=112)
    tiling = block.tiling
    plain, beside = Elevation(metres, block), Elevation(with_peak, block)
    for window in tiling.windows():
        near = window.x + 112 + TRAINED_EXTENT // 2 > 2350 or window.x + 224 > 2400 - TRAINED_EXTENT
        if not near:
            assert np.array_equal(plain.at(window), beside.at(window))
    last = list(tiling.windows())[-1]
    assert beside.at(last).max() == pytest.approx(1)
    assert np.median(beside.at(last)) < 0.05


@pytest.mark.parametrize("size", [1069, 1500, 2200])
def test_the_extent_is_a_cell_around_the_window(size: int) -> None:
    block = whole((224, size), tile_size=224, overlap=112)
    ramp = np.broadcast_to(np.arange(size, dtype=np.float32), (1, 224, size))
    elevation = Elevation(ramp, block)
    for window in block.tiling.windows():
        scaled = elevation.at(window)[0, 0]
        low = min(max(window.x + 112 - 534, 0), size - 1068)
        assert scaled == pytest.approx((np.arange(window.x, window.x + 224) - low) / 1067, abs=1e-6)


def test_without_elevation_it_is_0_everywhere() -> None:
    block = whole((64, 64), tile_size=64, overlap=0)
    (window,) = block.tiling.windows()
    for nothing in (np.nan, -32767, np.inf):
        assert not Elevation(np.full((1, 64, 64), nothing, np.float32), block).at(window).any()


def test_missing_pixels_do_not_widen_the_range() -> None:
    metres = hills(64, 64)
    metres[0, 3, 4], metres[0, 5, 6] = np.nan, -32767
    block = whole((64, 64), tile_size=64, overlap=0)
    (window,) = block.tiling.windows()
    scaled = Elevation(metres, block).at(window)
    known = np.isfinite(metres) & (metres > 0)
    low, high = metres[known].min(), metres[known].max()
    assert (scaled[known].min(), scaled[known].max()) == (0, 1)
    assert scaled[0, [3, 5], [4, 6]] == pytest.approx(-low / (high - low))


def test_a_fixed_range_is_the_same_everywhere_and_ends_at_its_ends() -> None:
    metres = np.linspace(-100, 4000, 64 * 200, dtype=np.float32).reshape(1, 64, 200)
    metres[0, 9, 9] = -32767
    block = whole((64, 200), tile_size=64, overlap=32)
    elevation = Elevation(metres, block, fixed=(500.0, 3000.0))
    expected = np.clip((np.where(metres < -1000, 0, metres) - 500) / 2500, 0, 1)
    for window in block.tiling.windows():
        assert elevation.at(window) == pytest.approx(expected[(slice(None), *window.slices)], abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "halo", "edge"),
    [((300, 410), 0, 150), ((300, 410), 60, 256), ((230, 1300), 30, 500), ((90, 700), 6, 300)],
)
def test_neither_a_blocks_border_nor_a_halo_changes_the_scale(shape: tuple[int, int], halo: int, edge: int) -> None:
    """Blocks against the whole, and a halo against none."""
    rng = np.random.default_rng(3)
    metres = rng.uniform(0, 9, (1, shape[0] + 2 * halo, shape[1] + 2 * halo)).astype(np.float32).cumsum(2)
    grid = metres[0, halo : halo + shape[0], halo : halo + shape[1]]
    (area,) = blocks(shape, halo=halo, tile_size=224, overlap=112, edge=2000)
    whole_area = Elevation(metres[(slice(None), *area.heights)], area)
    windows = {(window.y, window.x): window for window in area.tiling.windows()}
    parts = blocks(shape, halo=halo, tile_size=224, overlap=112, edge=edge)
    assert len(parts) > 1
    for block in parts:
        part = Elevation(metres[(slice(None), *block.heights)], block)
        for window in block.tiling.windows():
            here = windows[window.y + block.outer[0].start, window.x + block.outer[1].start]
            assert np.array_equal(part.at(window), whole_area.at(here))
            low = min(max(here.x + 112 - 534 - halo, 0), max(shape[1] - 1068, 0))
            around = grid[:, low : low + 1068]
            expected = (area.tiling.pad(metres)[(slice(None), *here.slices)] - around.min()) / np.ptp(around)
            assert part.at(window) == pytest.approx(expected, abs=1e-6)

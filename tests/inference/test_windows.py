"""Windows: where they lie, what they weigh, how small arrays are padded, and which tilings are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.inference.windows import Tiling, blend_weights, check_tiling, window_origins


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    tile_size = 32 * draw(st.integers(1, 8))
    overlap = draw(st.integers(0, tile_size // 2) | st.integers(0, tile_size - 16))
    shape = (draw(st.integers(1, 400)), draw(st.integers(1, 400)))
    return Tiling(shape, tile_size, overlap)


def test_a_major_tom_cell_has_81_windows() -> None:
    assert window_origins(1068, 224, 112) == (0, 112, 224, 336, 448, 560, 672, 784, 844)
    assert sum(1 for _ in Tiling((1068, 1068)).windows()) == 81


@pytest.mark.parametrize(
    ("size", "origins"), [(224, (0,)), (225, (0, 1)), (260, (0, 36)), (336, (0, 112)), (337, (0, 112, 113))]
)
def test_origins_are_clipped_and_not_repeated(size: int, origins: tuple[int, ...]) -> None:
    assert window_origins(size, 224, 112) == origins


@settings(deadline=None, max_examples=50)
@given(tilings())
def test_windows_cover_every_pixel_with_some_weight(tiling: Tiling) -> None:
    height, width = tiling.padded_shape
    weight = np.zeros((height, width))
    for window in tiling.windows():
        assert 0 <= window.y <= height - window.size
        assert 0 <= window.x <= width - window.size
        weight[window.slices] += tiling.weights()
    assert weight.min() > 0


@settings(deadline=None, max_examples=50)
@given(tilings())
def test_padding_reflects_and_cropping_undoes_it(tiling: Tiling) -> None:
    rng = np.random.default_rng(0)
    array = rng.random((2, *tiling.shape), dtype=np.float32)
    padded = tiling.pad(array)
    assert padded.shape == (2, *tiling.padded_shape)
    assert min(tiling.padded_shape) >= tiling.tile_size
    assert np.array_equal(padded[(slice(None), *tiling.inner)], array)
    assert np.isin(padded[:, :, ::7], array).all()
    mask = tiling.pad_mask(np.ones(tiling.shape, dtype=np.bool_))
    assert mask.sum() == tiling.shape[0] * tiling.shape[1]
    assert mask[tiling.inner].all()


def test_padding_repeats_the_reflection() -> None:
    padded = Tiling((32, 3), 32, 0).pad(np.tile(np.arange(3, dtype=np.float32), (1, 32, 1)))
    assert padded[0, 0].tolist() == [float(abs((i - 14 + 2) % 4 - 2)) for i in range(32)]


def test_the_trapezoid_rises_and_falls_over_the_overlap() -> None:
    profile = blend_weights(224, 112)[111]
    assert profile[1:112] == pytest.approx(np.linspace(0, 1, 112)[1:], abs=1e-7)
    assert np.array_equal(profile, profile[::-1])
    assert 0 < profile[0] < 1e-8
    assert blend_weights(64, 16)[32, 16:48].tolist() == [1.0] * 32


@pytest.mark.parametrize("overlap", [113, 200, 223])
def test_beyond_half_a_window_the_lower_ramp_counts(overlap: int) -> None:
    weights = blend_weights(224, overlap)
    assert np.array_equal(weights, weights[::-1])
    assert np.array_equal(weights, weights.T)
    middle = weights[112] / weights[112].max()
    expected = [min(i, 223 - i) / (overlap - 1) for i in range(224)]
    assert middle[1:-1] == pytest.approx((np.minimum(expected, 1) / min(max(expected), 1))[1:-1], abs=1e-6)


def test_without_overlap_every_pixel_weighs_the_same() -> None:
    assert np.array_equal(blend_weights(32, 0), np.ones((32, 32), dtype=np.float32))


def test_the_rim_changes_no_pixel_that_another_window_covers() -> None:
    """The weight of a rim beside the smallest that another window can have there, over all alignments."""
    for size in range(225, 449):
        ours, zero = np.zeros(size), np.zeros(size)
        profile = blend_weights(224, 112)[111].astype(np.float64)
        from_zero = np.where(profile < 1e-8, 0, profile)
        for origin in window_origins(size, 224, 112):
            ours[origin : origin + 224] += profile
            zero[origin : origin + 224] += from_zero
        assert np.abs(ours[1:-1] / zero[1:-1] - 1).max() < 1e-6
        assert zero[[0, -1]].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("tile_size", "right"), [(200, 224), (1, 32), (0, 32), (-32, 32), (223, 224), (225, 256), (100, 128)]
)
def test_a_tile_size_that_cannot_be_encoded_is_refused_with_the_next_that_can(tile_size: int, right: int) -> None:
    with pytest.raises(DataError, match=f"tile_size {tile_size} is not .*; the next one is {right}$"):
        check_tiling(tile_size, 0)


@pytest.mark.parametrize(("tile_size", "overlap"), [(224, 224), (224, 300), (224, -1), (32, 32)])
def test_an_overlap_that_leaves_no_step_is_refused(tile_size: int, overlap: int) -> None:
    with pytest.raises(DataError, match=rf"overlap {overlap} is not within 0\.\.{tile_size - 1}"):
        check_tiling(tile_size, overlap)


def test_an_empty_array_is_refused() -> None:
    with pytest.raises(DataError, match=r"\(0, 5\) hold no pixel"):
        Tiling((0, 5))

"""Reduced resolutions, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betaearth.products.pyramid import block_means, overview_factors, strips, windows


@pytest.mark.parametrize(
    ("width", "height", "factors"),
    [
        (1, 1, ()),
        (256, 256, ()),
        (257, 10, (2,)),
        (10, 512, (2,)),
        (513, 513, (2, 4)),
        (1068, 1068, (2, 4, 8)),
        (2800, 100, (2, 4, 8, 16)),
    ],
)
def test_an_image_is_reduced_until_it_fits_a_block(width: int, height: int, factors: tuple[int, ...]) -> None:
    assert overview_factors(width, height, 256) == factors


@given(st.integers(1, 2000), st.integers(1, 300))
@settings(deadline=None)
def test_strips_cover_every_row_once(height: int, rows: int) -> None:
    covered = [row for part in strips(height, rows) for row in range(height)[part]]
    assert covered == list(range(height))


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_windows_cover_every_pixel_once(height: int, width: int, rows: int, columns: int) -> None:
    covered = np.zeros((height, width), int)
    for place in windows(height, width, rows, columns):
        assert covered[place].shape[0] <= rows
        assert covered[place].shape[1] <= columns
        covered[place] += 1
    assert (covered == 1).all()


@given(
    st.integers(1, 21),
    st.integers(1, 21),
    st.sampled_from([(2,), (2, 4, 8), (3,), (5, 10)]),
    st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_a_coarser_pixel_is_the_mean_of_the_valid_pixels_below_it(
    height: int, width: int, factors: tuple[int, ...], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    valid = generator.random((height, width)) < 0.6
    values = generator.integers(-50, 50, (height, width, 3)).astype(np.float32) * valid[..., None]
    for factor, mean in zip(factors, block_means(values, valid, factors), strict=True):
        rows, columns = -(-height // factor), -(-width // factor)
        assert mean.values.shape == (rows, columns, 3)
        for row in range(rows):
            for column in range(columns):
                block = np.s_[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
                pixels = values[block][valid[block]]
                assert mean.valid[row, column] == (len(pixels) > 0)
                expected = pixels.astype(np.float64).mean(axis=0) if len(pixels) else np.zeros(3)
                assert mean.values[row, column].tolist() == pytest.approx(expected.tolist(), abs=1e-12)

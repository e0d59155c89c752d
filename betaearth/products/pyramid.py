"""Reduced resolutions: masked means of the pixels that a coarser pixel covers.

All levels are means of the full resolution, not of each other, so that every valid pixel weighs the same.
They are made window by window: only sums of a window are ever held in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Place = tuple[slice, slice]
"""(rows, columns) of a grid, both with start and stop."""


@dataclass(frozen=True)
class Mean:
    """Masked means of blocks of pixels."""

    values: NDArray[np.float64]
    """(y, x, band); zero where no pixel of the block is valid."""
    valid: NDArray[np.bool_]
    """(y, x); True where at least one is."""


def overview_factors(width: int, height: int, block: int) -> tuple[int, ...]:
    """Powers of two by which an image is reduced until it fits into one block; none where it does already."""
    factors = []
    factor = 1
    while -(-max(width, height) // factor) > block:
        factor *= 2
        factors.append(factor)
    return tuple(factors)


def strips(height: int, rows: int) -> Iterator[slice]:
    """Cut an image's rows into strips; the last one may be shorter."""
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))


def windows(height: int, width: int, rows: int, columns: int) -> Iterator[Place]:
    """Cut an image into windows, row by row; those at the right and lower rim may be smaller."""
    return ((part, across) for part in strips(height, rows) for across in strips(width, columns))


def block_means(values: NDArray[Any], valid: NDArray[np.bool_], factors: tuple[int, ...]) -> Iterator[Mean]:
    """Average blocks of `factor` x `factor` pixels, for each factor.

    Args:
        values: (y, x, band); zero where not valid.
        valid: (y, x).
        factors: growing, each a multiple of the one before.

    Yields:
        One mean a factor, of size (ceil(y / factor), ceil(x / factor)).
    """
    sums: NDArray[Any] = values
    counts: NDArray[Any] = valid[..., np.newaxis]
    reached = 1
    for factor in factors:
        sums = _block_sums(sums, factor // reached)
        counts = _block_sums(counts, factor // reached)
        reached = factor
        yield Mean(sums / np.maximum(counts, 1), counts[..., 0] > 0)


def _block_sums(values: NDArray[Any], factor: int) -> NDArray[np.float64]:
    height, width, bands = values.shape
    padding = ((0, -height % factor), (0, -width % factor), (0, 0))
    whole = np.pad(values, padding) if any(after for _, after in padding) else values
    blocks = whole.reshape(whole.shape[0] // factor, factor, whole.shape[1] // factor, factor, bands)
    sums: NDArray[np.float64] = blocks.sum(axis=(1, 3), dtype=np.float64)
    return sums

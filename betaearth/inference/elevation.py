"""Elevation of a place, scaled window by window over the extent that the networks were trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from betaearth.inference.blocks import Block
from betaearth.inference.preprocessing import scale_elevation
from betaearth.inference.windows import Window, within
from betaearth.scenes.masks import dem_valid

Range = tuple[float, float]
"""Lowest and highest elevation in metres."""


class Elevation:
    """Elevation that is scaled by its range over a Major TOM cell's extent around each window, or by a fixed range.

    Up to the size of a cell its range is that over the whole place. In a larger place the scale would otherwise
    depend on how far the place reaches: beside a peak at its other end a hill would vanish.
    """

    def __init__(self, metres: NDArray[np.float32], block: Block, *, fixed: Range | None = None) -> None:
        """Hold the elevation.

        Args:
            metres: (1, y, x) over the block's `heights`; not a number, or -30000 and below, where there is none.
            block: the place and its windows.
            fixed: range that scales every window; what lies beyond it counts as its end, because the networks saw
                nothing below 0 or above 1. None for the range around each window.
        """
        self._block = block
        self._fixed = fixed
        self._padded = block.tiling.pad(metres[(slice(None), *within(block.outer, block.heights))])
        if fixed is None:
            known = dem_valid(metres[0])
            self._floor = np.where(known, metres[0], np.float32(np.inf))
            self._ceiling = np.where(known, metres[0], np.float32(-np.inf))

    def at(self, window: Window) -> NDArray[np.float32]:
        """Return the scaled elevation of a window, (1, size, size)."""
        metres = self._padded[(slice(None), *window.slices)]
        if self._fixed is None:
            return scale_elevation(metres, self._around(window))
        low, high = map(np.float32, self._fixed)
        return scale_elevation(metres, (low, high)).clip(0, 1)

    def _around(self, window: Window) -> tuple[np.float32, np.float32]:
        """Return the range around a window; (0, 0) where there is no elevation."""
        place = self._block.surroundings(window)
        low, high = self._floor[place].min(), self._ceiling[place].max()
        return (low, high) if low <= high else (np.float32(0), np.float32(0))

"""Elevation of a place, scaled window by window over the extent that the networks were trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from betaearth.inference.preprocessing import elevation_range, scale_elevation
from betaearth.inference.windows import Tiling, Window

TRAINED_EXTENT = 1068
"""Edge in pixels of a Major TOM cell at 10 m: the networks saw elevation scaled by its range over one."""


class Elevation:
    """Elevation that is scaled by its range over a Major TOM cell's extent around each window.

    Up to the size of a cell that is the range over the whole place. In a larger place the scale would otherwise
    depend on how far the place reaches: beside a peak at its other end a hill would vanish.
    """

    def __init__(self, metres: NDArray[np.float32], tiling: Tiling) -> None:
        """Hold the elevation.

        Args:
            metres: (1, y, x); not a number, or -30000 and below, where there is none.
            tiling: the windows over (y, x).
        """
        self._metres = metres
        self._padded = tiling.pad(metres)

    def at(self, window: Window) -> NDArray[np.float32]:
        """Return the scaled elevation of a window, (1, size, size)."""
        height, width = self._metres.shape[1:]
        rows = _extent(window.y, window.size, height)
        columns = _extent(window.x, window.size, width)
        around = elevation_range(self._metres[:, rows, columns])
        return scale_elevation(self._padded[(slice(None), *window.slices)], around)


def _extent(start: int, size: int, length: int) -> slice:
    """Return the pixels around a window along an axis of `length` pixels, as near to its middle as they can be."""
    extent = min(max(TRAINED_EXTENT, size), length)
    first = min(max(start + size // 2 - extent // 2, 0), length - extent)
    return slice(first, first + extent)

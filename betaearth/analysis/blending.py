"""Unit vectors of several rasters on one canvas, without a seam between them.

The weight of a raster falls linearly to nothing at its edge, along rows and along columns, so that in the overlap of
two neighbours the one fades out while the other fades in. Vectors are mixed by weight and brought back to unit length;
where there is one alone, or all agree, the vector stays what it is, to the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from betaearth.analysis.canvas import Canvas
from betaearth.grid.patch import MARGIN_M, RESOLUTION_M
from betaearth.products.pyramid import Place

FEATHER_M = 2 * MARGIN_M
"""What patches of neighbouring cells share: over so much a weight falls."""

Vectors = NDArray[np.float32]
"""(band, y, x); unit length, NaN where there is no data."""
Weights = NDArray[np.float32]
"""(y, x); 0 to 1."""


class Blend:
    """A part of a mosaic in the making. What comes of it depends on the order, in the last bits: sort first."""

    def __init__(self, bands: int, shape: tuple[int, int]) -> None:
        """Begin with nothing.

        Args:
            bands: number of components.
            shape: (rows, columns).
        """
        self._vectors = np.full((bands, *shape), np.nan, np.float32)
        self._weights = np.zeros(shape, np.float32)
        self._mixed = np.zeros(shape, np.bool_)

    def add(self, place: Place, vectors: Vectors, weights: Weights) -> None:
        """Mix in what lies at a place.

        Args:
            place: rows and columns of the part.
            vectors: of that place.
            weights: of that place; above 0 where there is data.
        """
        here, total, mixed = self._vectors[:, *place], self._weights[place], self._mixed[place]
        new = np.isfinite(vectors[0])
        first, both = new & (total == 0), new & (total > 0)
        np.copyto(here, vectors, where=first)
        if both.any():
            old, added = here[:, both], vectors[:, both]
            step = added - old
            mixed[both] |= step.any(axis=0)
            # Vectors that are equal differ by nothing, so that they stay what they are.
            here[:, both] = old + step * (weights[both] / (weights[both] + total[both]))
        total += np.where(new, weights, np.float32(0))

    def vectors(self) -> Vectors:
        """Return what has been mixed, at unit length; where vectors cancel out there is no data."""
        out = self._vectors
        changed = out[:, self._mixed].astype(np.float64)
        length = np.sqrt(np.einsum("ij,ij->j", changed, changed))
        with np.errstate(divide="ignore", invalid="ignore"):
            out[:, self._mixed] = np.where(length > 0, changed / length, np.nan)
        return out


def feather(canvas: Canvas, place: Place) -> Weights:
    """Weights of a raster's pixels at a place of it."""
    rows, columns = place
    down, across = _ramp(canvas, canvas.height), _ramp(canvas, canvas.width)
    weights: Weights = np.outer(down[rows], across[columns]).astype(np.float32)
    return weights


def _ramp(canvas: Canvas, size: int) -> NDArray[np.float64]:
    """Weight along one axis: the distance to the nearer end, over `FEATHER_M` or what half the raster is."""
    pixel = canvas.transform.a if canvas.crs.is_projected else RESOLUTION_M
    width = min(max(FEATHER_M / pixel, 1.0), size / 2)
    inwards = np.arange(size) + 0.5
    ramp: NDArray[np.float64] = np.minimum(np.minimum(inwards, inwards[::-1]) / width, 1.0)
    return ramp

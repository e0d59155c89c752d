"""The annual composite: the mean of per-scene embeddings on the unit sphere, per pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.products.embedding import DIMENSIONS, Embedding

SHORTEST_MEAN = 1e-6
"""A mean of unit vectors that is shorter than this is rounding, and its direction is chance."""


class AnnualComposite:
    """A running mean; memory does not grow with the scenes."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """Begin with no observation.

        Args:
            shape: (y, x).
        """
        self._total = np.zeros((*shape, DIMENSIONS), dtype=np.float32)
        self._count = np.zeros(shape, dtype=np.uint16)

    def add(self, vectors: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Add the observations of one scene.

        Args:
            vectors: (y, x, 64), unit length where `valid`; what stands elsewhere does not matter.
            valid: (y, x); True where the scene observed the pixel.

        Raises:
            DataError: a shape does not fit, or a valid vector is not finite.
        """
        if vectors.shape != self._total.shape or valid.shape != self._count.shape:
            raise DataError(
                f"vectors {vectors.shape} and valid {valid.shape} do not fit a composite {self._total.shape}"
            )
        if not np.isfinite(vectors.sum(axis=-1), where=valid, out=np.ones(valid.shape, dtype=np.bool_)).all():
            raise DataError(f"vectors {vectors.shape} hold valid pixels that are not finite")
        np.add(self._total, vectors, out=self._total, where=valid[:, :, None])
        self._count += valid

    def result(self) -> Embedding:
        """Return the mean so far.

        Where the observations cancel out (two opposite vectors) there is no direction to report: such a pixel
        counts as not observed, with zero vector and count 0.
        """
        count = np.maximum(self._count, 1)
        length = np.sqrt(np.einsum("yxc,yxc->yx", self._total, self._total)) / count
        directed = (self._count > 0) & (length >= SHORTEST_MEAN)
        scale = np.divide(1, length * count, out=np.zeros_like(length), where=directed)
        dispersion = np.where(directed, np.clip(1 - length, 0, 1), 0)
        return Embedding(
            vectors=self._total * scale[:, :, None],
            count=np.where(directed, self._count, 0).astype(np.uint16),
            dispersion=dispersion.astype(np.float32),
        )

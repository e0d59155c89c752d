"""The result of inference: an annual embedding and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError

DIMENSIONS = 64
BAND_NAMES = tuple(f"A{i:02d}" for i in range(DIMENSIONS))


@dataclass(frozen=True)
class Embedding:
    """Annual mean of per-scene embeddings on the unit sphere, per pixel."""

    vectors: NDArray[np.float32]
    """(y, x, 64); unit length where `count` > 0, zero elsewhere."""
    count: NDArray[np.uint16]
    """(y, x); observations that entered the mean."""
    dispersion: NDArray[np.float32]
    """(y, x); 1 - length of the mean of the unit observations, 0 (all agree) to 1; 0 where `count` is 0."""

    def __post_init__(self) -> None:
        """Check that the three belong together.

        Raises:
            DataError: a shape does not fit.
        """
        shape = self.vectors.shape[:2]
        if self.vectors.ndim != 3 or self.vectors.shape[2] != DIMENSIONS:
            raise DataError(f"vectors {self.vectors.shape} are not (y, x, {DIMENSIONS})")
        if self.count.shape != shape or self.dispersion.shape != shape:
            raise DataError(
                f"count {self.count.shape} and dispersion {self.dispersion.shape} do not fit vectors "
                f"{self.vectors.shape}"
            )

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(y, x); True where at least one observation was used."""
        return self.count > 0

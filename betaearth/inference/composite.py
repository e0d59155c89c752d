"""The annual composite: the mean of per-scene embeddings on the unit sphere, per pixel."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.inference.blend import Band
from betaearth.inference.predictor import SHORTEST_VECTOR
from betaearth.products.embedding import DIMENSIONS, Embedding

SHORTEST_MEAN = 1e-6
"""A mean of unit vectors that is shorter than this is rounding, and its direction is chance."""


class AnnualComposite:
    """A running mean on the device that computes; memory does not grow with the scenes."""

    def __init__(self, shape: tuple[int, int], device: torch.device | str = "cpu") -> None:
        """Begin with no observation.

        Args:
            shape: (y, x).
            device: where the bands that are added lie.
        """
        self._total = torch.zeros((*shape, DIMENSIONS), dtype=torch.float32, device=device)
        self._count = np.zeros(shape, dtype=np.uint16)

    @torch.inference_mode()
    def add(self, bands: Iterable[Band], valid: NDArray[np.bool_]) -> None:
        """Add the observations of one scene.

        Args:
            bands: predictions of any length, everywhere where `valid`; what stands elsewhere does not matter.
            valid: (y, x); True where the scene observed the pixel.

        Raises:
            DataError: a shape does not fit.
        """
        if valid.shape != self._count.shape:
            raise DataError(f"valid {valid.shape} does not fit a composite {self._count.shape}")
        mask = torch.from_numpy(valid).to(self._total.device, non_blocking=True)[:, :, None]
        for band in bands:
            place = self._total[band.rows]
            if band.vectors.shape != place.shape:
                raise DataError(f"vectors {tuple(band.vectors.shape)} do not fit {tuple(place.shape)}: {band.rows}")
            unit = F.normalize(band.vectors, dim=-1, eps=SHORTEST_VECTOR)
            place += torch.where(mask[band.rows], unit, 0.0)
        self._count += valid

    @torch.inference_mode()
    def result(self) -> Embedding:
        """Return the mean so far.

        Where the observations cancel out (two opposite vectors) there is no direction to report: such a pixel
        counts as not observed, with zero vector and count 0.

        Raises:
            DataError: a valid pixel's vector was not finite.
        """
        total_length = torch.linalg.vector_norm(self._total, dim=-1)
        if not torch.isfinite(total_length).all():
            spoiled = int((~torch.isfinite(total_length)).sum())
            raise DataError(f"vectors {tuple(self._total.shape)} hold {spoiled} valid pixels that are not finite")
        count = np.maximum(self._count, 1)
        length = total_length.cpu().numpy() / count
        directed = (self._count > 0) & (length >= SHORTEST_MEAN)
        scale = np.divide(1, length * count, out=np.zeros_like(length), where=directed, dtype=np.float32)
        vectors = self._total * torch.from_numpy(scale).to(self._total.device)[:, :, None]
        return Embedding(
            vectors=vectors.cpu().numpy(),
            count=np.where(directed, self._count, 0).astype(np.uint16),
            dispersion=np.where(directed, np.clip(1 - length, 0, 1), 0).astype(np.float32),
        )

"""The annual composite: the weighted mean of embeddings of observations on the unit sphere, per pixel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.inference.annual import CompositeState
from betaearth.inference.blend import Band
from betaearth.inference.predictor import SHORTEST_VECTOR
from betaearth.products.embedding import DIMENSIONS, Embedding

SHORTEST_MEAN = 1e-6
"""A mean of unit vectors that is shorter than this is rounding, and its direction is chance."""


class AnnualComposite:
    """A running mean on the device that computes; memory does not grow with the observations."""

    def __init__(self, shape: tuple[int, int], device: torch.device | str = "cpu") -> None:
        """Begin with no observation.

        Args:
            shape: (y, x).
            device: where the bands that are added lie.
        """
        self._total = torch.zeros((*shape, DIMENSIONS), dtype=torch.float32, device=device)
        self._count = np.zeros(shape, dtype=np.uint16)

    @classmethod
    def from_state(cls, state: CompositeState, device: torch.device | str = "cpu") -> Self:
        """Go on where another composite was; the state stays as it is, because its arrays are copied."""
        composite = cls((0, 0), device)
        composite._total = torch.tensor(state.total, dtype=torch.float32, device=device)
        composite._count = state.count.astype(np.uint16)
        return composite

    def state(self) -> CompositeState:
        """Return the sums so far, copied: as much memory again for as long as the state is held."""
        return CompositeState(total=self._total.to("cpu", copy=True).numpy(), count=self._count.copy())

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x)."""
        height, width = self._count.shape
        return (height, width)

    @torch.inference_mode()
    def add(self, bands: Iterable[Band], weight: NDArray[np.uint16] | NDArray[np.bool_]) -> None:
        """Add an observation.

        Args:
            bands: predictions of any length, everywhere where `weight` is not 0; what stands elsewhere does not matter.
            weight: (y, x); how often the pixel's vector counts, 0 where it was not observed.

        Raises:
            DataError: a shape does not fit, or the weight is no count.
        """
        if weight.shape != self.shape:
            raise DataError(f"weight {weight.shape} does not fit a composite {self.shape}")
        if weight.dtype not in (np.bool_, np.uint8, np.uint16):
            raise DataError(
                f"weight {weight.shape} has dtype {weight.dtype}; uint16 is needed, how often a pixel counts"
            )
        weights = torch.from_numpy(weight.astype(np.float32)).to(self._total.device, non_blocking=True)[:, :, None]
        for band in bands:
            place, times = self._total[band.rows], weights[band.rows]
            if band.vectors.shape != place.shape:
                raise DataError(f"vectors {tuple(band.vectors.shape)} do not fit {tuple(place.shape)}: {band.rows}")
            unit = F.normalize(band.vectors, dim=-1, eps=SHORTEST_VECTOR)
            place.addcmul_(torch.where(times > 0, unit, 0.0), times)
        self._count += weight

    @torch.inference_mode()
    def result(self) -> Embedding:
        """Return the mean, made of the sums in place: nothing can be added any more. States taken before stay valid.

        Where the observations cancel out (two opposite vectors) there is no direction to report: such a pixel
        counts as not observed, with zero vector and count 0.

        Raises:
            DataError: a valid pixel's vector was not finite.
        """
        total, self._total = self._total, self._total.new_zeros((0, 0, DIMENSIONS))
        observed, self._count = self._count, np.zeros((0, 0), np.uint16)
        total_length = torch.linalg.vector_norm(total, dim=-1)
        if not torch.isfinite(total_length).all():
            spoiled = int((~torch.isfinite(total_length)).sum())
            raise DataError(f"vectors {tuple(total.shape)} hold {spoiled} valid pixels that are not finite")
        count = np.maximum(observed, 1)
        length = total_length.cpu().numpy() / count
        directed = (observed > 0) & (length >= SHORTEST_MEAN)
        scale = np.divide(1, length * count, out=np.zeros_like(length), where=directed, dtype=np.float32)
        total *= torch.from_numpy(scale).to(total.device)[:, :, None]
        return Embedding(
            vectors=total.cpu().numpy(),
            count=np.where(directed, observed, 0).astype(np.uint16),
            dispersion=np.where(directed, np.clip(1 - length, 0, 1), 0).astype(np.float32),
        )

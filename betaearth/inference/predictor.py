"""Sliding-window prediction over the inputs of one scene, blended as it goes.

Only the 64 channels of the result ever exist for the whole array: every window is finished before the next
one begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from betaearth.errors import DataError
from betaearth.inference.elevation import Elevation
from betaearth.inference.windows import Tiling, Window
from betaearth.nn.segformer import EMBEDDING, EmbeddingNetwork
from betaearth.nn.tail import finish_in_bands

CUDA_BATCH = 8
"""Windows at a time on a GPU. On a CPU it is one: more would not be faster, and one alone makes a window's
result independent of which other windows are predicted."""
CPU_BAND = 8
"""Rows that a CPU finishes at a time: they fit its cache. A GPU finishes whole windows."""
SMALLEST_LENGTH = 1e-12
"""Vectors shorter than this have no direction and stay as they are."""


class Predictor:
    """Predicts scenes of one extent, window by window.

    Elevation given here is encoded once per window, however many scenes follow: its branch knows no date.
    What is kept takes about 1.6 MB per window of a released variant, half of what the same pixels take in the
    result.
    """

    def __init__(self, network: EmbeddingNetwork, tiling: Tiling, *, elevation: Elevation | None = None) -> None:
        """Prepare.

        Args:
            network: in evaluation mode, on the device to use.
            tiling: the windows.
            elevation: what every scene shares.
        """
        self._network = network
        self._tiling = tiling
        self._device = next(network.parameters()).device
        on_gpu = self._device.type == "cuda"
        self._batch = CUDA_BATCH if on_gpu else 1
        self._band = tiling.tile_size if on_gpu else CPU_BAND
        self._elevation = elevation
        self._elevation_features: dict[Window, Tensor] = {}
        self._weights = torch.from_numpy(tiling.weights()).to(self._device)[:, :, None]

    def predict(
        self,
        inputs: Mapping[str, NDArray[np.float32]],
        doy: int | None,
        *,
        usable: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float32]:
        """Predict one scene.

        Args:
            inputs: modality of the network to (band, y, x), scaled; without the elevation that all scenes
                share.
            doy: day of the year, or None for no date.
            usable: (y, x); windows without a True pixel are skipped. Pixels where it is False may then be
                zero; the others do not change.

        Returns:
            (y, x, 64), the weighted mean of the windows' outputs, not normalised.

        Raises:
            DataError: `usable` does not fit, or there is elevation in the inputs beside the shared one.
        """
        if self._elevation is not None and "dem" in inputs:
            raise DataError("dem is given twice: as what all scenes share, and as a scene of its own")
        padded = {name: self._tiling.pad(array) for name, array in inputs.items()}
        date = None if doy is None else torch.tensor([float(doy)], device=self._device)
        blend = _Blend(self._tiling.padded_shape, self._weights)
        with torch.inference_mode(), _float32_convolutions():
            for windows in _batches(self._windows(usable), self._batch):
                terms = [
                    self._network.modulate(name, self._network.features(name, self._cut(array, windows)), date)
                    for name, array in padded.items()
                ]
                if self._elevation is not None:
                    shared = self._shared_features(self._elevation, windows)
                    terms.append(self._network.modulate("dem", shared, date))
                hidden = self._network.fuse(terms)
                for rows, outputs in finish_in_bands(hidden, self._network.last, rows=self._band):
                    blend.add(windows, rows, outputs)
            return blend.result(self._tiling.inner)

    def _windows(self, usable: NDArray[np.bool_] | None) -> Iterator[Window]:
        if usable is None:
            yield from self._tiling.windows()
            return
        if usable.shape != self._tiling.shape:
            raise DataError(f"usable {usable.shape} does not fit the inputs {self._tiling.shape}")
        mask = self._tiling.pad_mask(usable)
        yield from (window for window in self._tiling.windows() if mask[window.slices].any())

    def _cut(self, array: NDArray[np.float32], windows: Sequence[Window]) -> Tensor:
        return self._stack([array[(slice(None), *window.slices)] for window in windows])

    def _stack(self, arrays: Sequence[NDArray[np.float32]]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).to(self._device)

    def _shared_features(self, elevation: Elevation, windows: Sequence[Window]) -> Tensor:
        new = [window for window in windows if window not in self._elevation_features]
        if new:
            encoded = self._network.features("dem", self._stack([elevation.at(window) for window in new]))
            self._elevation_features.update(zip(new, encoded.unbind(0), strict=True))
        return torch.stack([self._elevation_features[window] for window in windows])


class _Blend:
    """The running weighted sum of windows."""

    def __init__(self, shape: tuple[int, int], weights: Tensor) -> None:
        self._window_weights = weights
        self._total = torch.zeros((*shape, EMBEDDING), device=weights.device)
        self._weight = torch.zeros((*shape, 1), device=weights.device)

    def add(self, windows: Sequence[Window], rows: slice, outputs: Tensor) -> None:
        """Add outputs (n, rows, size, 64) of some rows of n windows."""
        weights = self._window_weights[rows]
        for window, output in zip(windows, outputs, strict=True):
            place = (slice(window.y + rows.start, window.y + rows.stop), window.slices[1])
            self._total[place].addcmul_(output, weights)
            self._weight[place] += weights

    def result(self, inner: tuple[slice, slice]) -> NDArray[np.float32]:
        """Return the mean over `inner`, (y, x, 64); zero where no window was."""
        weight = self._weight[inner]
        mean = self._total[inner].div_(weight.masked_fill(weight == 0, 1.0))
        return np.ascontiguousarray(mean.cpu().numpy())


def to_unit_length(vectors: NDArray[np.float32]) -> None:
    """Scale vectors (y, x, 64) to unit length in place; a zero vector stays zero."""
    length = np.sqrt(np.einsum("yxc,yxc->yx", vectors, vectors))
    vectors /= np.maximum(length, np.float32(SMALLEST_LENGTH))[:, :, None]


def _batches(windows: Iterator[Window], size: int) -> Iterator[list[Window]]:
    batch: list[Window] = []
    for window in windows:
        batch.append(window)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _float32_convolutions() -> AbstractContextManager[None]:
    """Convolve in float32 on a GPU, whose default TensorFloat-32 is off by 1e-3, and always the same way."""
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)

"""Sliding-window prediction of the scenes of one place.

Windows are encoded a few at a time and blended as they come (`betaearth.inference.blend`), so that what exists for the
whole place is what went in and nothing else; finished rows leave at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from betaearth.errors import DataError
from betaearth.inference.blend import Band, Blend
from betaearth.inference.elevation import Elevation
from betaearth.inference.precision import Precision, arithmetic, effective
from betaearth.inference.windows import DEFAULT_TILE_SIZE, Tiling, Window
from betaearth.nn.network import EMBEDDING, EmbeddingNetwork

CPU_WINDOWS = 8
"""Windows of 224 px that a CPU encodes at a time. One by one took a quarter longer, for the weights are read each time;
more gained nothing."""
CUDA_SHARE = 0.25
"""Share of a GPU's memory that the activations of the windows may take."""
CUDA_WINDOWS = 64
"""Most windows of 224 px that a GPU encodes at a time; not measured."""
SHORTEST_VECTOR = 1e-12
"""A vector that is shorter than this has no direction and stays as it is."""
WINDOW_BYTES = 128 * 2**20
"""Memory for the activations of a 224 px window: 15 MiB were measured with a SegFormer variant, and a DINOv3 variant
has four images a window."""


class Predictor:
    """Predicts scenes of one extent, window by window.

    Elevation given here is encoded once per window, however many scenes follow: its branch knows no date.
    What is kept takes about 1.6 MB per window of a released variant, half of what the same pixels take in the
    result.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        tiling: Tiling,
        *,
        elevation: Elevation | None = None,
        precision: Precision = Precision.FLOAT32,
    ) -> None:
        """Prepare.

        Args:
            network: in evaluation mode, on the device to use.
            tiling: the windows.
            elevation: what every scene shares.
            precision: of the encoders; float32 where the device has no other.
        """
        self._network = network
        self._tiling = tiling
        self._device = next(network.parameters()).device
        self._precision = effective(precision, self._device)
        self._batch = windows_at_a_time(self._device, tiling.tile_size)
        self._elevation = elevation
        self._elevation_features: dict[Window, Tensor] = {}
        self._everywhere = list(tiling.windows())

    def pad(self, array: NDArray[np.float32]) -> Tensor:
        """Pad one modality (band, y, x) to whole windows, in memory from which a GPU copies while it computes."""
        padded = torch.from_numpy(np.ascontiguousarray(self._tiling.pad(array)))
        return padded.pin_memory() if self._device.type == "cuda" else padded

    @torch.inference_mode()
    def bands(
        self, inputs: Mapping[str, Tensor], doy: int | None, *, usable: NDArray[np.bool_] | None = None
    ) -> Iterator[Band]:
        """Predict one scene.

        Args:
            inputs: modality of the network to what `pad` returned, scaled; without the elevation that all scenes
                share.
            doy: day of the year, or None for no date.
            usable: (y, x); windows without a True pixel that is kept are skipped. Pixels where it is False may then
                be missing; the others do not change.

        Yields:
            The rows that are kept from top to bottom, as far as a window covers them.

        Raises:
            DataError: `usable` does not fit, or there is elevation in the inputs beside the shared one.
        """
        if self._elevation is not None and "dem" in inputs:
            raise DataError("dem is given twice: as what all scenes share, and as a scene of its own")
        there = {name: array.to(self._device, non_blocking=True) for name, array in inputs.items()}
        date = None if doy is None else torch.tensor([float(doy)], device=self._device)
        blend = Blend(self._network, self._tiling, self._device)
        windows = self._windows(usable)
        for start in range(0, len(windows), self._batch):
            batch, later = windows[start : start + self._batch], windows[start + self._batch :]
            blend.add(batch, self._hidden(there, batch, date))
            yield from blend.finished(later[0].y if later else None)

    def predict(
        self, inputs: Mapping[str, NDArray[np.float32]], doy: int | None, *, usable: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Predict one scene in one piece; see `bands`.

        Args:
            inputs: modality of the network to (band, y, x), scaled.
            doy: day of the year, or None for no date.
            usable: (y, x); see `bands`.

        Returns:
            (y, x, 64) of what is kept, not normalised; zero where every window was skipped.
        """
        padded = {name: self.pad(array) for name, array in inputs.items()}
        return assemble(self.bands(padded, doy, usable=usable), self._tiling.kept_shape)

    def _windows(self, usable: NDArray[np.bool_] | None) -> list[Window]:
        if usable is None:
            return list(self._tiling.windows())
        if usable.shape != self._tiling.shape:
            raise DataError(f"usable {usable.shape} does not fit the inputs {self._tiling.shape}")
        mask = self._tiling.pad_mask(usable)
        return [window for window in self._tiling.windows() if mask[window.slices].any()]

    def _hidden(self, inputs: Mapping[str, Tensor], windows: Sequence[Window], doy: Tensor | None) -> Tensor:
        """Encode, date and fuse some windows: (n, c, size / 4, size / 4)."""
        with arithmetic(Precision.FLOAT32, self._device):
            encoded = {name: self._encode(name, cut(array, windows)) for name, array in inputs.items()}
            if self._elevation is not None:
                encoded["dem"] = self._shared_features(self._elevation, windows)
            # Only the encoders may compute in bfloat16.
            return self._network.fuse(
                [self._network.modulate(name, features.float(), doy) for name, features in encoded.items()]
            )

    def _encode(self, modality: str, windows: Tensor) -> Tensor:
        with arithmetic(self._precision, self._device):
            return self._network.features(modality, windows.contiguous(memory_format=torch.channels_last))

    def _shared_features(self, elevation: Elevation, windows: Sequence[Window]) -> Tensor:
        """Return what the elevation of some windows is encoded to.

        The size of a batch shows in the last bits, so windows are encoded in groups that are always the same: whatever
        scenes came before, and whatever windows they needed, a scene gets the same numbers.
        """
        for window in windows:
            if window not in self._elevation_features:
                first = self._everywhere.index(window) // self._batch * self._batch
                group = self._everywhere[first : first + self._batch]
                scaled = torch.from_numpy(np.stack([elevation.at(other) for other in group]))
                encoded = self._encode("dem", scaled.to(self._device))
                self._elevation_features.update(zip(group, encoded.unbind(0), strict=True))
        return torch.stack([self._elevation_features[window] for window in windows])


def windows_at_a_time(device: torch.device, tile_size: int) -> int:
    """Return how many windows of a size a device encodes at a time.

    It depends on the machine and never on what else runs there, because the size of a batch shows in the last bits.
    """
    most, share = CPU_WINDOWS, 1.0
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
        most, share = CUDA_WINDOWS, min(1.0, CUDA_SHARE * memory / (CUDA_WINDOWS * WINDOW_BYTES))
    return max(1, int(share * most * (DEFAULT_TILE_SIZE / tile_size) ** 2))


def cut(array: Tensor, windows: Sequence[Window]) -> Tensor:
    """Cut windows out of an array: (band, y, x) -> (n, band, size, size)."""
    return torch.stack([array[(slice(None), *window.slices)] for window in windows])


def assemble(bands: Iterable[Band], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Put bands together: (y, x, 64), zero where there is none."""
    vectors = np.zeros((*shape, EMBEDDING), dtype=np.float32)
    for band in bands:
        vectors[band.rows] = band.vectors.cpu().numpy()
    return vectors


def to_unit_length(vectors: NDArray[np.float32]) -> None:
    """Scale vectors (y, x, 64) to unit length in place; a zero vector stays zero."""
    length = np.sqrt(np.einsum("yxc,yxc->yx", vectors, vectors))
    vectors /= np.maximum(length, np.float32(SHORTEST_VECTOR))[:, :, None]

"""`BetaEarth`: weights from a variant, a file or a folder, and embeddings from arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from betaearth.errors import ConfigError
from betaearth.inference.observer import Observer, check_taken, network_inputs
from betaearth.inference.predictor import Predictor, to_unit_length
from betaearth.inference.preprocessing import check_doy, prepare
from betaearth.inference.windows import DEFAULT_OVERLAP, DEFAULT_TILE_SIZE, Tiling
from betaearth.nn.segformer import EmbeddingNetwork
from betaearth.nn.variants import DEFAULT_VARIANT, Family, Variant, named_variant
from betaearth.nn.weights import build_network, identify, load_state_dict
from betaearth.scenes.model import Sensor


class BetaEarth:
    """A network with weights, ready to embed.

    Make one with `from_pretrained`.
    """

    def __init__(self, network: EmbeddingNetwork, variant: Variant, *, weights_sha256: str, origin: str) -> None:
        """Hold what `from_pretrained` has put together.

        Args:
            network: in evaluation mode, on the device to use.
            variant: what it is.
            weights_sha256: digest of the file of weights.
            origin: where that file came from, the same on every machine.
        """
        self._network = network
        self.variant = variant
        self.weights_sha256 = weights_sha256
        self.origin = origin

    @classmethod
    def from_pretrained(
        cls,
        repo_or_path: str | Path = DEFAULT_VARIANT.repo or DEFAULT_VARIANT.name,
        device: str | torch.device | None = None,
        dinov3_weights: str | Path | None = None,
    ) -> BetaEarth:
        """Load a variant.

        Args:
            repo_or_path: a variant (`demo` comes with the package), a hub id, a file of weights, or a folder
                that holds `model.safetensors` or `model.pt` and perhaps `config.json`.
            device: such as `cpu` or `cuda`; None takes a GPU where there is one.
            dinov3_weights: backbone of a DINOv3 variant, which this version does not run.

        Raises:
            ConfigError: the weights are not on this machine, are damaged, are not those of a network that
                this version runs, or the device is not there.
        """
        asked = named_variant(str(repo_or_path))
        if dinov3_weights is not None or (asked and asked.family is Family.DINOV3):
            raise ConfigError("DINOv3 variants and their backbones are not supported by this version")
        target = _device(device)
        weights = load_state_dict(repo_or_path)
        variant = identify(weights)
        network = build_network(weights).to(target)
        return cls(network, variant, weights_sha256=weights.sha256, origin=weights.origin)

    @property
    def trained(self) -> bool:
        """False for a seeded initialisation: its embeddings carry no learned meaning."""
        return self.variant.trained

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self._network.parameters()).device

    def __repr__(self) -> str:
        count = sum(parameter.numel() for parameter in self._network.parameters())
        return f"BetaEarth(params={count / 1e6:.1f}M, device={self.device})"

    def predict(  # noqa: PLR0917  the published signature
        self,
        s2_l2a: ArrayLike | None = None,
        s2_l1c: ArrayLike | None = None,
        s1: ArrayLike | None = None,
        dem: ArrayLike | None = None,
        doy: int | None = 182,
        tile_size: int = DEFAULT_TILE_SIZE,
        overlap: int = DEFAULT_OVERLAP,
        normalise: bool = True,
        l2_norm: bool = True,
    ) -> NDArray[np.float32]:
        """Embed one observation of a place, of any size from one pixel.

        Args:
            s2_l2a: (9, y, x) Sentinel-2 L2A digital numbers: B02 B03 B04 B08 B05 B06 B07 B11 B12.
            s2_l1c: (9, y, x) Sentinel-2 L1C digital numbers in the same order.
            s1: (2, y, x) Sentinel-1 RTC linear power: VV VH.
            dem: (1, y, x) elevation in metres. It is scaled by its range over this array, so the extent
                matters.
            doy: day of the year, 1..366; None leaves the date out, which a variant without dates always does.
            tile_size: edge of a window in pixels, a multiple of 32.
            overlap: pixels that neighbouring windows share, at most half a window.
            normalise: False where the inputs are scaled already (see `betaearth.inference.preprocessing`).
            l2_norm: False for the network's output as it is, instead of unit length.

        Returns:
            (y, x, 64).

        Raises:
            DataError: no input, one that is malformed or that the variant does not take, inputs of different
                size, an impossible day or window.
        """
        inputs = {Sensor.S2_L2A: s2_l2a, Sensor.S2_L1C: s2_l1c, Sensor.S1: s1, Sensor.DEM: dem}
        given = {sensor: array for sensor, array in inputs.items() if array is not None}
        check_taken(self.variant, given)
        arrays = prepare(given, scale=normalise)
        day = check_doy(doy)
        height, width = next(iter(arrays.values())).shape[1:]
        predictor = Predictor(self._network, Tiling((height, width), tile_size, overlap))
        vectors = predictor.predict(network_inputs(self.variant, arrays), day)
        if l2_norm:
            to_unit_length(vectors)
        return vectors

    def observer(
        self,
        shape: tuple[int, int],
        *,
        dem: NDArray[np.float32] | None = None,
        tile_size: int = DEFAULT_TILE_SIZE,
        overlap: int = DEFAULT_OVERLAP,
    ) -> Observer:
        """Return what embeds many scenes of one place, whose elevation is encoded only once.

        Args:
            shape: (y, x).
            dem: (1, y, x) metres, shared by all scenes.
            tile_size: edge of a window in pixels, a multiple of 32.
            overlap: pixels that neighbouring windows share, at most half a window.

        Raises:
            DataError: the elevation is malformed or not taken by the variant, or the window is impossible.
        """
        return Observer(self._network, self.variant, Tiling(shape, tile_size, overlap), dem)


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"{device!r} is not a device; such as cpu or cuda is needed") from error
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (target.index or 0) >= present.get(target.type, 0):
        seen = ", ".join(f"{count} x {kind}" for kind, count in present.items() if count)
        raise ConfigError(f"device {str(device)!r} is not there: PyTorch sees {seen} on this machine")
    return target

"""`BetaEarth`: weights from a variant, a file or a folder, and embeddings from arrays."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from betaearth.errors import ConfigError, DataError
from betaearth.inference.backbone import give_backbone
from betaearth.inference.blocks import Block, whole
from betaearth.inference.elevation import Range
from betaearth.inference.fetching import WeightsOptions, fetch_repository, locate_weights
from betaearth.inference.observer import Observer, check_taken, network_inputs
from betaearth.inference.precision import Precision, effective
from betaearth.inference.predictor import Predictor, to_unit_length
from betaearth.inference.preprocessing import check_doy, prepare
from betaearth.inference.transfer import Report
from betaearth.inference.windows import DEFAULT_OVERLAP, DEFAULT_TILE_SIZE, Tiling
from betaearth.nn.backbones import BackboneSource
from betaearth.nn.identity import identify_as
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.variants import DEFAULT_VARIANT, Variant, named_variant
from betaearth.nn.weights import build_network, load_state_dict
from betaearth.scenes.model import Sensor
from betaearth.storage.s3_client import S3Options


class BetaEarth:
    """A network with weights, ready to embed.

    Make one with `from_pretrained`.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        variant: Variant,
        *,
        weights_sha256: str,
        origin: str,
        backbone: BackboneSource | None = None,
    ) -> None:
        """Hold what `from_pretrained` has put together.

        Args:
            network: in evaluation mode, on the device to use.
            variant: what it is.
            weights_sha256: digest of the file of weights.
            origin: where that file came from, the same on every machine.
            backbone: which one a DINOv3 network runs on.
        """
        self._network = network
        self.variant = variant
        self.weights_sha256 = weights_sha256
        self.origin = origin
        self.backbone = backbone

    @classmethod
    def from_pretrained(
        cls,
        repo_or_path: str | Path = DEFAULT_VARIANT.repo or DEFAULT_VARIANT.name,
        device: str | torch.device | None = None,
        dinov3_weights: str | Path | torch.nn.Module | None = None,
        *,
        revision: str | None = None,
        mirror: str | None = None,
        sha256: str | None = None,
        cache: str | Path | None = None,
        s3: S3Options | None = None,
        report: Report | None = None,
    ) -> BetaEarth:
        """Load a variant; what is neither shipped, nor at a path, nor in the cache is downloaded into it.

        Args:
            repo_or_path: a variant (`demo` comes with the package), a hub id, a file of weights, or a folder
                that holds `model.safetensors` or `model.pt` and perhaps `config.json`.
            device: such as `cpu` or `cuda`; None takes a GPU where there is one.
            dinov3_weights: backbone of a DINOv3 variant: a file or folder of timm's, the original or transformers'
                weights; or a module that maps images (m, 3, y, x) to the token maps (m, dim, y / 16, x / 16) of four
                layers, from early to late, each through the last norm, without class and register tokens; it is
                frozen, and moved to the device. None
                takes what the file of weights brings, else timm's release of the backbone that the variant was
                trained on (SAT-493M for ViT-L, LVD-1689M for ViT-S), from the cache or downloaded. Which images a
                file's backbone learned from is checked by its configuration and its names; where they say nothing
                it cannot be told, because the tensors of one size look alike.
            revision: branch, tag or commit on the hub; None takes what was fetched last, else the main branch.
            mirror: `https://host/path`, `s3://bucket/prefix` or a folder to download from instead of the hub, as
                `{mirror}/betaearth-rgb-only/model.safetensors`.
            sha256: digest that the file of weights must have.
            cache: root of the cache; None takes `$XDG_CACHE_HOME/betaearth`, else `~/.cache/betaearth`.
            s3: where a mirror on S3 is; None leaves it to the AWS environment.
            report: called with a file's name, its bytes that arrived so far, and all its bytes where they are known.

        Raises:
            ConfigError: the weights do not exist, are damaged, have another digest, do not fit a network, their
                backbone is not the one that they need, or the device is not there.
            TransientError: they must be downloaded, and the network failed.
        """
        target = _device(device)
        options = WeightsOptions.of(mirror=mirror, revision=revision, sha256=sha256)
        weights = load_state_dict(locate_weights(repo_or_path, options, cache=cache, s3=s3, report=report))
        variant = identify_as(weights, named_variant(str(repo_or_path)))
        network = build_network(weights)
        fetch = partial(fetch_repository, cache=cache, mirror=mirror, s3=s3, report=report)
        backbone = give_backbone(network, weights, dinov3_weights, fetch)
        sha256 = weights.sha256
        return cls(_placed(network, target), variant, weights_sha256=sha256, origin=weights.origin, backbone=backbone)

    @property
    def network(self) -> EmbeddingNetwork:
        """What embeds, for who wants its steps apart."""
        return self._network

    @property
    def trained(self) -> bool:
        """False for a seeded initialisation: its embeddings carry no learned meaning."""
        return self.variant.trained

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self._network.parameters()).device

    @property
    def device_name(self) -> str:
        """Name of the device, for the record: `cpu`, or a GPU's model."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    @property
    def threads(self) -> int:
        """Threads that share a sum on a CPU, for the record."""
        return torch.get_num_threads()

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
        *,
        precision: Precision | str = Precision.FLOAT32,
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
            overlap: pixels that neighbouring windows share, less than a window.
            normalise: False where the inputs are scaled already (see `betaearth.inference.preprocessing`).
            l2_norm: False for the network's output as it is, instead of unit length.
            precision: of the encoders: `float32`, or `bf16` where the device has it (a GPU of compute capability 8, a
                processor with AMX or AVX512-BF16) and float32 elsewhere; see `arithmetic`.

        Returns:
            (y, x, 64).

        Raises:
            DataError: no input, one that is malformed or that the variant does not take, inputs of different
                size, an impossible day or window.
        """
        inputs = {Sensor.S2_L2A: s2_l2a, Sensor.S2_L1C: s2_l1c, Sensor.S1: s1, Sensor.DEM: dem}
        given = {sensor: array for sensor, array in inputs.items() if array is not None}
        check_taken(self.variant, given)
        if self.variant.repo and not self.variant.any_subset and len(given) < len(self.variant.inputs):
            warnings.warn(
                f"{self.variant.name} was trained on {', '.join(self.variant.inputs)} at once, and gets "
                f"{', '.join(given) or 'none'}: {DEFAULT_VARIANT.name} was made for any subset",
                UserWarning,
                stacklevel=2,
            )
        arrays = prepare(given, scale=normalise)
        day = check_doy(doy)
        height, width = next(iter(arrays.values())).shape[1:]
        tiling = Tiling((height, width), tile_size, overlap)
        predictor = Predictor(self._network, tiling, precision=_precision(precision))
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
        precision: Precision | str = Precision.FLOAT32,
    ) -> Observer:
        """Return what embeds many observations of one place, whose elevation is encoded only once.

        Args:
            shape: (y, x).
            dem: (1, y, x) metres, shared by all observations.
            tile_size: edge of a window in pixels, a multiple of 32.
            overlap: pixels that neighbouring windows share, less than a window.
            precision: as in `predict`.

        Raises:
            DataError: the elevation is malformed or not taken by the variant, or the window is impossible.
        """
        return self.block_observer(whole(shape, tile_size=tile_size, overlap=overlap), dem=dem, precision=precision)

    def block_observer(
        self,
        block: Block,
        *,
        dem: NDArray[np.float32] | None = None,
        precision: Precision | str = Precision.FLOAT32,
        dem_range: Range | None = None,
    ) -> Observer:
        """Return what embeds many observations of a block, whose elevation is encoded only once.

        Args:
            block: the place, and how it is cut into windows.
            dem: (1, y, x) metres over the block's `heights`, shared by all observations.
            precision: as in `predict`.
            dem_range: lowest and highest elevation by which all is scaled; None for the range over a Major TOM cell's
                extent around each window.

        Raises:
            DataError: the elevation is malformed, does not fit, or is not taken by the variant.
        """
        return Observer(self._network, self.variant, block, dem, precision=_precision(precision), dem_range=dem_range)

    def arithmetic(self, precision: Precision | str) -> Precision:
        """Return the precision in which the encoders compute on this model's device when asked for one."""
        return effective(_precision(precision), self.device)


def _precision(name: Precision | str) -> Precision:
    try:
        return Precision(name)
    except ValueError as error:
        raise DataError(f"precision {name!r} is none of {', '.join(Precision)}") from error


def _placed(network: EmbeddingNetwork, device: torch.device) -> EmbeddingNetwork:
    """Move a network to a device; on a GPU its convolutions want their weights with the channels last, too."""
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch's stub leaves it out
    return network.to(device)


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

"""Embedding samples with any of their inputs and any treatment of the date, encoding each input once.

The encoders are nearly all of the work, and know neither the date nor the other inputs. An ablation of 15 subsets and
three treatments of the date therefore encodes four inputs, not 96.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from betaearth.errors import DataError
from betaearth.inference.blend import Blend
from betaearth.inference.model import BetaEarth
from betaearth.inference.observer import check_taken, network_inputs
from betaearth.inference.precision import Precision, arithmetic, effective
from betaearth.inference.predictor import assemble, cut, to_unit_length, windows_at_a_time
from betaearth.inference.windows import DEFAULT_OVERLAP, DEFAULT_TILE_SIZE, STEP, Tiling, Window
from betaearth.nn.backbones import BackboneSource
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.variants import Family, Variant
from betaearth.scenes.model import Sensor
from betaearth.training.dataset import Sample

ONE_PASS = 256
"""Edge in pixels up to which a chip is one window."""
Sensors = tuple[Sensor, ...]


class DateMode(StrEnum):
    """What a network is told of the date."""

    DAY = "day"
    """The day of the year."""
    ZERO = "zero"
    """Day 0, which no observation has: the published ablation of the date."""
    NONE = "none"
    """Nothing: the date's modulation is left out, which is not the same as day 0."""


class Embedder:
    """A network with weights that embeds samples."""

    def __init__(
        self,
        network: EmbeddingNetwork,
        variant: Variant,
        *,
        name: str | None = None,
        weights_sha256: str = "",
        origin: str = "",
        backbone: BackboneSource | None = None,
        precision: Precision = Precision.FLOAT32,
    ) -> None:
        """Hold a network.

        Args:
            network: in evaluation mode, on the device to use.
            variant: what it is.
            name: what results call it; None for the variant's name.
            weights_sha256: digest of the file of weights.
            origin: where that file came from.
            backbone: which one a DINOv3 network runs on.
            precision: of the encoders; float32 where the device has no other.

        Raises:
            DataError: the network is in training mode, where dropout would make its embeddings a matter of chance.
        """
        if network.training:
            raise DataError(f"the network of {name or variant.name} is in training mode; network.eval() first")
        self.network = network
        self.variant = variant
        self.name = name or variant.name
        self.weights_sha256 = weights_sha256
        self.origin = origin
        self.backbone = backbone
        self.device = next(network.parameters()).device
        self.precision = effective(precision, self.device)

    @classmethod
    def of(cls, model: BetaEarth, name: str | None = None, *, precision: Precision = Precision.FLOAT32) -> Embedder:
        """Take the network of a loaded model."""
        return cls(
            model.network,
            model.variant,
            name=name,
            weights_sha256=model.weights_sha256,
            origin=model.origin,
            backbone=model.backbone,
            precision=precision,
        )

    @classmethod
    def load(
        cls,
        reference: str | Path,
        *,
        name: str | None = None,
        device: str | None = None,
        precision: Precision = Precision.FLOAT32,
    ) -> Embedder:
        """Load weights by any reference that `BetaEarth.from_pretrained` takes.

        Raises:
            ConfigError: they are not there, or do not fit.
            TransientError: they must be downloaded, and the network failed.
        """
        return cls.of(BetaEarth.from_pretrained(reference, device), name, precision=precision)

    @property
    def device_name(self) -> str:
        """Name of the device, for the record: `cpu`, or a GPU's model."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    @property
    def inputs(self) -> Sensors:
        """The sensors that the variant takes, in its own order."""
        return tuple(Sensor(name) for name in self.variant.inputs)

    def used(self, sensors: Iterable[Sensor]) -> Sensors:
        """Say which of some sensors the network looks at: an RGB network at one product of Sentinel-2, L1C first."""
        given = set(sensors)
        taken = tuple(sensor for sensor in self.inputs if sensor in given)
        return taken[:1] if self.variant.family is Family.RGB_ONLY else taken

    def subsets(self, available: Iterable[Sensor] = tuple(Sensor)) -> tuple[Sensors, ...]:
        """List the subsets of its inputs that give it something else to look at, the largest first.

        Args:
            available: sensors that the data have.

        Returns:
            15 for four inputs; for an RGB network each product alone.
        """
        given = set(available)
        inputs = tuple(sensor for sensor in self.inputs if sensor in given)
        every = [chosen for size in range(len(inputs), 0, -1) for chosen in combinations(inputs, size)]
        return tuple(chosen for chosen in every if self.used(chosen) == chosen)

    def date_modes(self) -> tuple[DateMode, ...]:
        """List the treatments of the date that differ: one for a network that takes no date."""
        return tuple(DateMode) if self.variant.doy else (DateMode.NONE,)

    def encode(self, sample: Sample) -> Encoded:
        """Prepare a sample; its inputs are encoded when they are first asked for, and kept.

        Raises:
            DataError: it has none of the inputs that the variant takes.
        """
        if not self.used(sample.inputs):
            raise DataError(
                f"{sample.row.cell} {sample.row.day} has {', '.join(sample.inputs) or 'no input'}; {self.name} takes "
                f"{', '.join(self.inputs)}"
            )
        return Encoded(self, sample)


class Encoded:
    """A sample whose inputs are encoded once; made by `Embedder.encode`."""

    def __init__(self, embedder: Embedder, sample: Sample) -> None:
        self.sample = sample
        self._embedder = embedder
        self._features: dict[Sensor, list[Tensor]] = {}

    @cached_property
    def tiling(self) -> Tiling:
        """The windows: the sample in one piece up to 256 px, else those of a tile-year."""
        return tiling_of(next(iter(self.sample.inputs.values())).shape[1:])

    @torch.inference_mode()
    def embed(self, sensors: Iterable[Sensor] | None = None, dates: DateMode = DateMode.DAY) -> NDArray[np.float32]:
        """Embed the sample.

        Args:
            sensors: inputs to give; None for all that the sample has and the variant takes.
            dates: what to tell of the date.

        Returns:
            (y, x, 64) of unit length.

        Raises:
            DataError: there is no such input in the sample, or the variant does not take it.
        """
        embedder = self._embedder
        chosen = embedder.used(self._asked(sensors))
        doy = self._doy(dates)
        encoded = [self._encoded(sensor) for sensor in chosen]
        blend = Blend(embedder.network, self.tiling, embedder.device)
        for number, windows in enumerate(self._batches):
            with arithmetic(Precision.FLOAT32, embedder.device):
                hidden = embedder.network.fuse(
                    [
                        embedder.network.modulate(self._modality(sensor), features[number].float(), doy)
                        for sensor, features in zip(chosen, encoded, strict=True)
                    ]
                )
            blend.add(windows, hidden)
        vectors = assemble(blend.finished(), self.tiling.shape)
        to_unit_length(vectors)
        return vectors

    def _asked(self, sensors: Iterable[Sensor] | None) -> Sequence[Sensor]:
        if sensors is None:
            return tuple(self.sample.inputs)
        asked = tuple(sensors)
        check_taken(self._embedder.variant, asked)
        if not asked:
            raise DataError(f"{self.sample.row.cell} {self.sample.row.day}: no input is asked for")
        for sensor in asked:
            if sensor not in self.sample.inputs:
                raise DataError(
                    f"{self.sample.row.cell} {self.sample.row.day} has no {sensor}; it has "
                    f"{', '.join(self.sample.inputs)}"
                )
        return asked

    def _doy(self, dates: DateMode) -> Tensor | None:
        if dates is DateMode.NONE or not self._embedder.variant.doy:
            return None
        day = 0 if dates is DateMode.ZERO else self.sample.row.doy
        return torch.tensor([float(day)], device=self._embedder.device)

    @cached_property
    def _batches(self) -> list[list[Window]]:
        windows = list(self.tiling.windows())
        size = windows_at_a_time(self._embedder.device, self.tiling.tile_size)
        return [windows[start : start + size] for start in range(0, len(windows), size)]

    def _modality(self, sensor: Sensor) -> str:
        return "rgb" if self._embedder.variant.family is Family.RGB_ONLY else sensor.value

    def _encoded(self, sensor: Sensor) -> list[Tensor]:
        """Encode a sensor, batch by batch: (n, ..., size / 4, size / 4) each."""
        if sensor not in self._features:
            embedder = self._embedder
            (scaled,) = network_inputs(embedder.variant, {sensor: self.sample.inputs[sensor]}).values()
            padded = torch.from_numpy(np.ascontiguousarray(self.tiling.pad(scaled))).to(embedder.device)
            with arithmetic(embedder.precision, embedder.device):
                self._features[sensor] = [
                    embedder.network.features(
                        self._modality(sensor), cut(padded, windows).contiguous(memory_format=torch.channels_last)
                    )
                    for windows in self._batches
                ]
        return self._features[sensor]


def tiling_of(shape: Sequence[int]) -> Tiling:
    """Return the windows over a sample of (y, x): one up to 256 px, padded to a multiple of 32, else a tile-year's."""
    height, width = shape
    edge = max(height, width)
    if edge > ONE_PASS:
        return Tiling((height, width), DEFAULT_TILE_SIZE, DEFAULT_OVERLAP)
    return Tiling((height, width), -(-edge // STEP) * STEP, 0)

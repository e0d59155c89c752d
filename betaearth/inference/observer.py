"""Embedding observations: which inputs a variant takes, and many observations of one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from betaearth.errors import DataError
from betaearth.inference.blend import Band
from betaearth.inference.blocks import Block
from betaearth.inference.elevation import Elevation, Range
from betaearth.inference.precision import Precision
from betaearth.inference.predictor import Predictor, assemble, to_unit_length
from betaearth.inference.preprocessing import RGB, check_content, check_doy, check_input, normalise
from betaearth.inference.windows import extents
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.variants import Family, Variant
from betaearth.scenes.model import Sensor

RawArray = NDArray[np.uint16] | NDArray[np.float32]
"""(band, y, x) as a sensor delivers it."""


def check_taken(variant: Variant, sensors: Iterable[Sensor]) -> None:
    """Check that a variant takes these inputs.

    Raises:
        DataError: it does not take one of them.
    """
    for sensor in sensors:
        if sensor not in variant.inputs:
            raise DataError(f"{variant.name} does not take {sensor}; it takes {', '.join(variant.inputs)}")


def network_inputs(variant: Variant, arrays: Mapping[Sensor, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Name the inputs as the network does; an RGB network takes three bands of L1C, or else of L2A."""
    if variant.family is not Family.RGB_ONLY:
        return {sensor.value: array for sensor, array in arrays.items()}
    level = Sensor.S2_L1C if Sensor.S2_L1C in arrays else Sensor.S2_L2A
    return {"rgb": arrays[level][list(RGB)]}


@dataclass(frozen=True)
class Observation:
    """What the network sees at once, ready for it."""

    inputs: Mapping[str, Tensor]
    """Modality to (band, y, x), scaled and padded to whole windows."""
    doy: int | None
    """Day of the year, or None for no date."""
    usable: NDArray[np.bool_] | None
    """(y, x); windows without a True pixel are skipped. None for all."""


class Observer:
    """Embeds many observations of one place, of one sensor or several, together with the place's elevation.

    The elevation is scaled and encoded once, however many observations follow. Made by `BetaEarth.observer`.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        variant: Variant,
        block: Block,
        dem: NDArray[np.float32] | None,
        *,
        precision: Precision = Precision.FLOAT32,
        dem_range: Range | None = None,
    ) -> None:
        """Prepare.

        Args:
            network: in evaluation mode, on the device to use.
            variant: what it is.
            block: the place and its windows.
            dem: (1, y, x) metres over the block's `heights`, or None.
            precision: of the encoders.
            dem_range: lowest and highest elevation by which all is scaled; None for the range around each window.

        Raises:
            DataError: the elevation is malformed, does not fit, or the variant does not take it.
        """
        self._variant = variant
        self._shape = extents(block.outer)
        elevation = None
        if dem is not None:
            metres = self._checked(Sensor.DEM, dem, extents(block.heights))
            elevation = Elevation(metres, block, fixed=dem_range)
        self._kept_shape = block.shape
        self._predictor = Predictor(network, block.tiling, elevation=elevation, precision=precision)

    def prepare(
        self, arrays: Mapping[Sensor, RawArray], *, doy: int | None, usable: NDArray[np.bool_] | None = None
    ) -> Observation:
        """Check and scale an observation: what the processor does, perhaps while the network is busy with another one.

        Args:
            arrays: sensor to (band, y, x) over the block's `outer`, raw; without the elevation that all share.
            doy: day of the year, 1..366, or None for no date.
            usable: (y, x); windows without a True pixel are skipped, which changes no pixel where it is True.

        Raises:
            DataError: there is no array, one is malformed or empty, does not fit, or the variant does not take it; an
                impossible day.
        """
        if not arrays:
            raise DataError(
                f"an observation without an array; {self._variant.name} takes {', '.join(self._variant.inputs)}"
            )
        scaled: dict[Sensor, NDArray[np.float32]] = {}
        for sensor, data in arrays.items():
            raw = self._checked(sensor, data, self._shape)
            check_content(sensor, raw)
            scaled[sensor] = normalise(sensor, raw)
        inputs = network_inputs(self._variant, scaled)
        padded = {name: self._predictor.pad(array) for name, array in inputs.items()}
        return Observation(padded, check_doy(doy), usable)

    def bands(self, observation: Observation) -> Iterator[Band]:
        """Embed an observation, as bands of rows that are not normalised; see `Predictor.bands`."""
        return self._predictor.bands(observation.inputs, observation.doy, usable=observation.usable)

    def observe(
        self, arrays: Mapping[Sensor, RawArray], *, doy: int | None, usable: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Embed an observation in one piece; see `prepare`.

        Returns:
            (y, x, 64) of what the block keeps, of unit length; zero where every window was skipped.
        """
        vectors = assemble(self.bands(self.prepare(arrays, doy=doy, usable=usable)), self._kept_shape)
        to_unit_length(vectors)
        return vectors

    def _checked(self, sensor: Sensor, data: RawArray, shape: tuple[int, int]) -> NDArray[np.float32]:
        check_taken(self._variant, [sensor])
        array = check_input(sensor, data)
        if array.shape[1:] != shape:
            raise DataError(f"{sensor} {array.shape} does not fit the place {shape}")
        return array

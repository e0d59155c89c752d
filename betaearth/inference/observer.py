"""Embedding observations: which inputs a variant takes, and many scenes of one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from betaearth.errors import DataError
from betaearth.inference.blend import Band
from betaearth.inference.elevation import Elevation
from betaearth.inference.precision import Precision
from betaearth.inference.predictor import Predictor, assemble, to_unit_length
from betaearth.inference.preprocessing import RGB, check_content, check_doy, check_input, normalise
from betaearth.inference.windows import Tiling
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.variants import Family, Variant
from betaearth.scenes.model import Sensor


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
    """A scene that is ready for the network."""

    inputs: Mapping[str, Tensor]
    """Modality to (band, y, x), scaled and padded to whole windows."""
    doy: int | None
    """Day of the year, or None for no date."""
    usable: NDArray[np.bool_] | None
    """(y, x); windows without a True pixel are skipped. None for all."""


class Observer:
    """Embeds many scenes of one place, one sensor each, together with the place's elevation.

    The elevation is scaled and encoded once, however many scenes follow. Made by `BetaEarth.observer`.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        variant: Variant,
        tiling: Tiling,
        dem: NDArray[np.float32] | None,
        precision: Precision = Precision.FLOAT32,
    ) -> None:
        """Prepare.

        Args:
            network: in evaluation mode, on the device to use.
            variant: what it is.
            tiling: the windows over the place.
            dem: (1, y, x) metres, or None.
            precision: of the encoders.

        Raises:
            DataError: the elevation is malformed, does not fit, or the variant does not take it.
        """
        self._variant = variant
        self._tiling = tiling
        elevation = None if dem is None else Elevation(self._checked(Sensor.DEM, dem), tiling)
        self._predictor = Predictor(network, tiling, elevation=elevation, precision=precision)

    def prepare(
        self,
        sensor: Sensor,
        data: NDArray[np.uint16] | NDArray[np.float32],
        *,
        doy: int | None,
        usable: NDArray[np.bool_] | None = None,
    ) -> Observation:
        """Check and scale one scene: what the processor does, perhaps while the network is busy with another one.

        Args:
            sensor: whose scene it is.
            data: (band, y, x), raw.
            doy: day of the year, 1..366, or None for no date.
            usable: (y, x); windows without a True pixel are skipped, which changes no pixel where it is True.

        Raises:
            DataError: the data is malformed or empty, does not fit, or the variant does not take it; an impossible
                day.
        """
        raw = self._checked(sensor, data)
        check_content(sensor, raw)
        scaled = normalise(sensor, raw)
        inputs = network_inputs(self._variant, {sensor: scaled})
        padded = {name: self._predictor.pad(array) for name, array in inputs.items()}
        return Observation(padded, check_doy(doy), usable)

    def bands(self, observation: Observation) -> Iterator[Band]:
        """Embed one scene, as bands of rows that are not normalised; see `Predictor.bands`."""
        return self._predictor.bands(observation.inputs, observation.doy, usable=observation.usable)

    def observe(
        self,
        sensor: Sensor,
        data: NDArray[np.uint16] | NDArray[np.float32],
        *,
        doy: int | None,
        usable: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float32]:
        """Embed one scene in one piece; see `prepare`.

        Returns:
            (y, x, 64) of unit length; zero where every window was skipped.
        """
        vectors = assemble(self.bands(self.prepare(sensor, data, doy=doy, usable=usable)), self._tiling.shape)
        to_unit_length(vectors)
        return vectors

    def _checked(self, sensor: Sensor, data: NDArray[np.uint16] | NDArray[np.float32]) -> NDArray[np.float32]:
        check_taken(self._variant, [sensor])
        array = check_input(sensor, data)
        if array.shape[1:] != self._tiling.shape:
            raise DataError(f"{sensor} {array.shape} does not fit the place {self._tiling.shape}")
        return array

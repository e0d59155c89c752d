"""Embedding observations: which inputs a variant takes, and many scenes of one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.inference.elevation import Elevation
from betaearth.inference.predictor import Predictor, to_unit_length
from betaearth.inference.preprocessing import RGB, check_doy, check_input, normalise
from betaearth.inference.windows import Tiling
from betaearth.nn.segformer import EmbeddingNetwork
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


class Observer:
    """Embeds many scenes of one place, one sensor each, together with the place's elevation.

    The elevation is scaled and encoded once, however many scenes follow. Made by `BetaEarth.observer`.
    """

    def __init__(
        self, network: EmbeddingNetwork, variant: Variant, tiling: Tiling, dem: NDArray[np.float32] | None
    ) -> None:
        """Prepare.

        Args:
            network: in evaluation mode, on the device to use.
            variant: what it is.
            tiling: the windows over the place.
            dem: (1, y, x) metres, or None.

        Raises:
            DataError: the elevation is malformed, does not fit, or the variant does not take it.
        """
        self._variant = variant
        self._tiling = tiling
        elevation = None if dem is None else Elevation(self._checked(Sensor.DEM, dem), tiling)
        self._predictor = Predictor(network, tiling, elevation=elevation)

    def observe(
        self,
        sensor: Sensor,
        data: NDArray[np.uint16] | NDArray[np.float32],
        *,
        doy: int | None,
        usable: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float32]:
        """Embed one scene.

        Args:
            sensor: whose scene it is.
            data: (band, y, x), raw.
            doy: day of the year, 1..366, or None for no date.
            usable: (y, x); windows without a True pixel are skipped, which changes no pixel where it is True.

        Returns:
            (y, x, 64) of unit length; zero where every window was skipped.

        Raises:
            DataError: the data is malformed, does not fit, or the variant does not take it; an impossible
                day.
        """
        scaled = normalise(sensor, self._checked(sensor, data))
        inputs = network_inputs(self._variant, {sensor: scaled})
        vectors = self._predictor.predict(inputs, check_doy(doy), usable=usable)
        to_unit_length(vectors)
        return vectors

    def _checked(self, sensor: Sensor, data: NDArray[np.uint16] | NDArray[np.float32]) -> NDArray[np.float32]:
        check_taken(self._variant, [sensor])
        array = check_input(sensor, data)
        if array.shape[1:] != self._tiling.shape:
            raise DataError(f"{sensor} {array.shape} does not fit the place {self._tiling.shape}")
        return array

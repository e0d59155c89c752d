"""What a network learns from: a cell's imagery on some dates of a year, and its target of that year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.scenes.model import BANDS, Sensor

TARGET_BANDS = 64
TARGET_NODATA = -128
"""Code of a target's pixel that has no vector."""
_TYPES = {
    Sensor.S2_L2A: np.dtype(np.uint16),
    Sensor.S2_L1C: np.dtype(np.uint16),
    Sensor.S1: np.dtype(np.float32),
    Sensor.DEM: np.dtype(np.float32),
}


@dataclass(frozen=True)
class Chip:
    """A cell on one date, raw; what was not seen is None."""

    day: date
    """Of Sentinel-2, or of Sentinel-1 where there is no Sentinel-2."""
    s2_l2a: NDArray[np.uint16] | None = None
    """(9, y, x) digital numbers as the archive holds them, with or without its offset of 1000, as production reads
    them unless told otherwise (`scenes.options.Radiometry`); 0 where there is no data."""
    s2_l1c: NDArray[np.uint16] | None = None
    """(9, y, x), likewise."""
    s1: NDArray[np.float32] | None = None
    """(2, y, x) linear power; not above 0 where there is no data."""
    clear: NDArray[np.bool_] | None = None
    """(y, x), True where neither cloud nor shadow hides the ground from Sentinel-2; None where nobody knows."""

    def given(self) -> dict[Sensor, NDArray[np.uint16] | NDArray[np.float32]]:
        """List what was seen, by sensor."""
        every = {Sensor.S2_L2A: self.s2_l2a, Sensor.S2_L1C: self.s2_l1c, Sensor.S1: self.s1}
        return {sensor: array for sensor, array in every.items() if array is not None}


@dataclass(frozen=True, kw_only=True)
class CellYear:
    """A cell in a year: its chips, and what they are to be turned into."""

    cell: str
    """Major TOM id."""
    year: int
    lon: float
    """Of its centre, degrees."""
    lat: float
    chips: tuple[Chip, ...]
    """In the order of their dates."""
    target: NDArray[np.int8]
    """(64, y, x) codes; `products.quantise.dequantise` gives the vectors; -128 in every band where there is none."""
    dem: NDArray[np.float32] | None = None
    """(1, y, x) metres, -32767 where there is no data."""
    labels: NDArray[np.uint8] | None = None
    """(y, x) land cover, 0 where it is not known."""
    strata: Mapping[str, str] = field(default_factory=dict)
    """Further words to group results by, such as `biome`: `humid`."""

    def check(self) -> None:
        """Check that all arrays lie on one grid and hold the bands that they must.

        Raises:
            DataError: one does not.
        """
        shape = self.target.shape[1:]
        if self.target.ndim != 3 or self.target.shape[0] != TARGET_BANDS or self.target.dtype != np.int8:
            found = f"{self.target.dtype} {self.target.shape}"
            raise DataError(f"target of {self.cell} {self.year} is {found}; int8 (64, y, x) is needed")
        self._check_dates()
        arrays = [
            (f"{sensor} of {chip.day}", BANDS[sensor], _TYPES[sensor], array)
            for chip in self.chips
            for sensor, array in chip.given().items()
        ]
        if self.dem is not None:
            arrays.append(("dem", BANDS[Sensor.DEM], _TYPES[Sensor.DEM], self.dem))
        for name, bands, kind, array in arrays:
            if array.shape != (len(bands), *shape):
                raise DataError(
                    f"{name} of {self.cell} {self.year} has shape {array.shape}; {(len(bands), *shape)} is needed, "
                    f"as its target says: {', '.join(bands)}"
                )
            if array.dtype != kind:
                raise DataError(f"{name} of {self.cell} {self.year} is {array.dtype}; {kind} is needed")
        for name, plane in (("labels", self.labels), *((f"clear of {chip.day}", chip.clear) for chip in self.chips)):
            if plane is not None and plane.shape != shape:
                raise DataError(f"{name} of {self.cell} {self.year} has shape {plane.shape}; {shape} is needed")
        if self.labels is not None and self.labels.dtype != np.uint8:
            raise DataError(f"labels of {self.cell} {self.year} are {self.labels.dtype}; uint8 is needed")

    def _check_dates(self) -> None:
        if not self.chips:
            raise DataError(f"{self.cell} {self.year} has no date: a cell needs at least one chip")
        for chip in self.chips:
            if not chip.given():
                raise DataError(
                    f"{self.cell} {self.year} has nothing on {chip.day}: Sentinel-2 or Sentinel-1 is needed"
                )
        for earlier, later in pairwise(chip.day for chip in self.chips):
            if later <= earlier:
                raise DataError(
                    f"{self.cell} {self.year} has {later} after {earlier}: each date once, in the order of time"
                )

"""What a source holds and what we make of it: granules, scenes and their arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from betaearth.grid.pixels import Bounds, PixelGrid

if TYPE_CHECKING:
    from betaearth.scenes.files import Files
    from betaearth.scenes.profile import SourceProfile


class Sensor(StrEnum):
    """The four inputs of the networks, by the argument names of `BetaEarth.predict`."""

    S2_L2A = "s2_l2a"
    S2_L1C = "s2_l1c"
    S1 = "s1"
    DEM = "dem"


S2_BANDS = ("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B11", "B12")
"""Major TOM's order: the 10 m bands first, then the 20 m bands."""
S1_BANDS = ("VV", "VH")
DEM_BANDS = ("DEM",)
BANDS: Mapping[Sensor, tuple[str, ...]] = {
    Sensor.S2_L2A: S2_BANDS,
    Sensor.S2_L1C: S2_BANDS,
    Sensor.S1: S1_BANDS,
    Sensor.DEM: DEM_BANDS,
}
FIRST_YEAR = 2015
"""Sentinel-2A began to observe in June 2015."""
SCL = "SCL"
"""Key of the scene classification among a Sentinel-2 L2A granule's assets, where it has one."""


@dataclass(frozen=True, kw_only=True)
class Granule:
    """One item of a source catalog, in our words. Hrefs are absolute and unsigned."""

    id: str
    collection: str
    """Collection id in the source."""
    sensor: Sensor
    sensed: datetime
    """Start of sensing, UTC."""
    bounds: Bounds
    """(west, south, east, north), degrees; west > east where it crosses 180 degrees."""
    assets: Mapping[str, str]
    """Our band name (`BANDS` of the sensor, and `SCL`) to href."""
    platform: str | None = None
    relative_orbit: int | None = None
    orbit_state: str | None = None
    mgrs_tile: str | None = None
    baseline: str | None = None
    """`s2:processing_baseline`."""
    generated: str | None = None
    """`s2:generation_time`, as the source spells it."""
    cloud_cover: float | None = None
    """Percent of the whole granule; None where the source does not say."""
    epsg: int | None = None
    """EPSG code of its rasters; None where the source does not say."""
    footprint: Mapping[str, Any] | None = None
    """GeoJSON geometry of its valid data, degrees; None where the source gives nothing but `bounds`."""

    @property
    def version(self) -> dict[str, str | None]:
        """What tells two issues of the same granule apart: part of the sources digest."""
        return {"id": self.id, "baseline": self.baseline, "generated": self.generated}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All granules of one acquisition that touch the grid. The DEM is one scene too."""

    id: str
    sensor: Sensor
    sensed: datetime
    granules: tuple[Granule, ...]
    """In the order of mosaicking: a later one fills only what earlier ones left invalid."""

    @property
    def doy(self) -> int:
        """Day of year of sensing, 1..366."""
        return self.sensed.timetuple().tm_yday


@dataclass(frozen=True)
class SceneArrays:
    """A scene read onto a pixel grid."""

    scene: Scene
    data: NDArray[np.uint16] | NDArray[np.float32]
    """(band, y, x) in the order of `BANDS`; S2 uint16 DN, S1 float32 linear power, DEM float32 metres."""
    valid: NDArray[np.bool_]
    """(y, x); True where every band has data and no mask rejects the pixel."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Granule id to the reason why it was left out of the mosaic."""
    offsets: Mapping[str, int] = field(default_factory=dict)
    """Granule id to the digital number that was added to its valid pixels; Sentinel-2 only."""
    covered: NDArray[np.bool_] | None = None
    """(y, x); True where every band has data, clouded or not. None where nothing but `valid` is known."""


@dataclass(frozen=True)
class Look:
    """What a scene shows of a place, at a glance: its scene classification on a coarse grid."""

    clear: NDArray[np.bool_]
    """(y, x); True where the ground was seen."""
    covered: NDArray[np.bool_]
    """(y, x); True where there is data, clouded or not."""


class Source(Protocol):
    """Where granules come from: a STAC API, an item collection, the synthetic Earth."""

    @property
    def profile(self) -> SourceProfile:
        """How it spells what we ask of it, and the rules of its pixels."""

    @property
    def files(self) -> Files:
        """Opens its assets, signed where they must be."""

    @property
    def identity(self) -> str:
        """What the source is, the same on every machine; part of the request digest."""

    @property
    def title(self) -> str:
        """What the source is, for people: manifest, Item and log."""

    @property
    def synthetic(self) -> bool:
        """True where the imagery is made up."""

    def portable(self, href: str) -> str:
        """Spell an asset's href for a manifest: relative where it lies on disk beside the source."""

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        """Find every granule of the sensors that touches the grid in the year, sorted by (sensed, id).

        The DEM has no year: its granules are returned whatever their date.

        Raises:
            TransientError: the source did not answer.
            ConfigError: the source is not there, or refuses.
            DataError: what it holds cannot be read as STAC.
        """

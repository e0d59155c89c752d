"""How a source spells what we ask of it: its collection ids and asset keys, as data.

A further source of imagery is a further `SourceProfile`, no further code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from betaearth.scenes.model import DEM_BANDS, S1_BANDS, S2_BANDS, SCL, Sensor


@dataclass(frozen=True, kw_only=True)
class SourceProfile:
    """Collections and assets of a source."""

    collections: Mapping[Sensor, str]
    """Sensor to collection id."""
    assets: Mapping[Sensor, Mapping[str, str]]
    """Sensor to our band name to the source's asset key."""

    def sensor_of(self, collection: str | None) -> Sensor | None:
        """Return the sensor of a collection; None where it is no collection of ours."""
        return next((sensor for sensor, name in self.collections.items() if name == collection), None)


PLANETARY_COMPUTER = SourceProfile(
    collections={
        Sensor.S2_L2A: "sentinel-2-l2a",
        Sensor.S2_L1C: "sentinel-2-l1c",
        Sensor.S1: "sentinel-1-rtc",
        Sensor.DEM: "cop-dem-glo-30",
    },
    assets={
        Sensor.S2_L2A: {band: band for band in (*S2_BANDS, SCL)},
        Sensor.S2_L1C: {band: band for band in S2_BANDS},
        Sensor.S1: {band: band.lower() for band in S1_BANDS},
        Sensor.DEM: dict.fromkeys(DEM_BANDS, "data"),
    },
)
"""Microsoft's Planetary Computer, and everything that follows its spelling: our item collections and the
synthetic Earth. The Planetary Computer itself has no Level-1C."""

"""When the Sentinel-2 satellites pass, and what goes wrong on each pass: cloud, cuts, copies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from betaearth.synthetic.noise import seed_of

PLATFORMS = {"S2A": "Sentinel-2A", "S2B": "Sentinel-2B"}


class Cut(StrEnum):
    """How the granules of a pass lie on a site."""

    WHOLE = "whole"
    EAST_WEST = "east-west"
    """Two tiles side by side, overlapping."""
    NORTH_SOUTH = "north-south"
    """Two tiles one above the other, overlapping."""
    SWATH_EDGE = "swath-edge"
    """Nothing was seen beyond a slanted line through the middle of the site."""
    NEIGHBOUR_ZONE = "neighbour-zone"
    """A part of the site in its own zone, the whole of it in the neighbouring zone."""


@dataclass(frozen=True)
class Conditions:
    """What is special about a pass."""

    cloud: float = 0.0
    """Share of the sky under cloud, 0 to 1, over an area much larger than a site."""
    cirrus: bool = False
    """Thin high cloud as well."""
    cut: Cut = Cut.WHOLE
    reissued: bool = False
    """The catalog holds it twice: once more of an older processing baseline."""
    cloud_known: bool = True
    """False where the catalog's `eo:cloud_cover` is null."""
    nodata_tag: bool = True
    """False where the files do not say that 0 is nodata, as happens upstream."""


@dataclass(frozen=True)
class Acquisition:
    """One pass over a site."""

    sensed: datetime
    """UTC."""
    satellite: str
    """A key of `PLATFORMS`."""
    orbit: int
    """Relative orbit, 1..143."""
    seed: int
    """Of everything that belongs to this pass alone: clouds, haze, noise."""
    conditions: Conditions

    @property
    def day_of_year(self) -> int:
        """1..366."""
        return self.sensed.timetuple().tm_yday


_YEAR = (
    Conditions(),
    Conditions(cloud=0.55, nodata_tag=False),
    Conditions(cloud=0.06, cut=Cut.EAST_WEST),
    Conditions(reissued=True, nodata_tag=False),
    Conditions(cloud=0.35, cirrus=True),
    Conditions(cut=Cut.SWATH_EDGE, nodata_tag=False),
    Conditions(cloud=0.08, cloud_known=False),
    Conditions(cut=Cut.NEIGHBOUR_ZONE, nodata_tag=False),
    Conditions(cloud=1.0),
    Conditions(cloud=0.12, cirrus=True, cut=Cut.NORTH_SOUTH, nodata_tag=False),
    Conditions(cloud=0.75),
    Conditions(nodata_tag=False),
)
"""The passes of a year, about one a month."""
_REPEAT = 5
"""Days between two passes of the pair of satellites."""


def acquisitions(epsg: int, year: int, seed: int) -> tuple[Acquisition, ...]:
    """List the passes of a year over a UTM zone, in order of time: neighbouring sites share them."""
    zone = epsg % 100
    first = seed_of("first pass", epsg, year, seed) % _REPEAT
    orbit = 1 + seed_of("orbit", epsg, seed) % 143
    # 10:30 local solar time at the zone's central meridian, whichever UTC hour that is.
    clock = timedelta(hours=(10.5 - (6 * zone - 183) / 15) % 24, seconds=21, milliseconds=24)
    start = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=first) + clock
    passes = []
    for index, conditions in enumerate(_YEAR):
        jitter = seed_of("pass", index, epsg, year, seed) % 3 - 1
        turn = int((index + 0.5) * (365 / _REPEAT) / len(_YEAR) - 0.5) + jitter
        passes.append(
            Acquisition(
                sensed=start + timedelta(days=_REPEAT * turn),
                satellite="S2B" if (turn + year) % 2 else "S2A",
                orbit=orbit,
                seed=seed_of("acquisition", epsg, year, index, seed),
                conditions=conditions,
            )
        )
    return tuple(passes)

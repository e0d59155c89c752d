"""Sentinel-1 of the synthetic Earth: backscatter, speckle and radiometrically terrain-corrected granules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.footprints import footprint
from betaearth.synthetic.ground import Ground
from betaearth.synthetic.items import Item, iso, item, stamp
from betaearth.synthetic.landscape import LandCover
from betaearth.synthetic.lattice import Lattice
from betaearth.synthetic.noise import Fractal, hash_pairs, seed_of, uniform
from betaearth.synthetic.raster import write_cog
from betaearth.synthetic.season import Season, season

COLLECTION = "sentinel-1-rtc"
NODATA = -32768.0
SHIFT = (3.0, -4.0)
"""Metres east and north by which the radar's lattice lies off Sentinel-2's."""

_LOOKS = 4
"""Independent looks in a pixel: speckle is gamma-distributed with this shape and mean 1."""
_FACING = 1.2
"""Nepers by which a slope is brighter for every metre that it rises per metre away from the radar: what terrain
correction leaves behind."""

_DECIBELS = {
    LandCover.WATER: (-19.0, -27.0),
    LandCover.TREES: (-8.5, -14.5),
    LandCover.WETLAND: (-10.0, -17.0),
    LandCover.CROPS: (-12.5, -20.5),
    LandCover.BUILT: (-3.5, -11.0),
    LandCover.BARE: (-15.0, -24.0),
    LandCover.ICE: (-9.0, -17.0),
    LandCover.RANGELAND: (-12.0, -19.0),
}
"""Gamma nought of VV and VH without leaves, decibels."""
_LEAFY = {LandCover.TREES: (0.5, 1.2), LandCover.CROPS: (2.5, 5.5), LandCover.RANGELAND: (1.0, 2.5)}
"""What full green cover adds, decibels."""
_DAMP = Fractal("damp", 40_000.0, 4)


class Flaw(StrEnum):
    """What is wrong with a pass."""

    NONE = "none"
    SINGLE = "single"
    """Only VV was recorded."""
    EMPTY = "empty"
    """The footprint claims the site, but no pixel there has data: border noise removal took them."""


@dataclass(frozen=True)
class Pass:
    """One radar pass over a site."""

    sensed: datetime
    """Start of sensing, UTC."""
    orbit_state: str
    """`ascending` or `descending`."""
    orbit: int
    """Relative orbit, 1..175."""
    flaw: Flaw
    seed: int
    """Of everything that belongs to this pass alone: speckle, wind, rain."""

    @property
    def day_of_year(self) -> int:
        """1..366."""
        return self.sensed.timetuple().tm_yday


_FLAWS = (*4 * (Flaw.NONE,), Flaw.SINGLE, *2 * (Flaw.NONE,), Flaw.EMPTY, *2 * (Flaw.NONE,))
_SLICE = timedelta(seconds=25)


def passes(epsg: int, year: int, seed: int) -> tuple[Pass, ...]:
    """List the radar passes of a year over a UTM zone, in order of time; orbits take turns."""
    start = datetime(year, 1, 1, tzinfo=UTC)
    midnight = (6 * (epsg % 100) - 183) / 15
    found = []
    for index, flaw in enumerate(_FLAWS):
        ascending = index % 2 == 0
        state = "ascending" if ascending else "descending"
        # Dawn-dusk orbit: ascending at 18 h and descending at 6 h local solar time; every 12 days.
        clock = timedelta(hours=((18.0 if ascending else 6.0) - midnight) % 24, seconds=31, milliseconds=719)
        turn = int((index + 0.5) * 30 / len(_FLAWS) - 0.5)
        first = seed_of("first radar pass", state, epsg, year, seed) % 12
        found.append(
            Pass(
                sensed=start + timedelta(days=first + 12 * turn) + clock,
                orbit_state=state,
                orbit=1 + seed_of("radar orbit", state, epsg, seed) % 175,
                flaw=flaw,
                seed=seed_of("radar pass", epsg, year, index, seed),
            )
        )
    return tuple(found)


def backscatter(ground: Ground, day: Season, seen: Pass, polarisation: str) -> NDArray[np.float32]:
    """Compute gamma nought (y, x), linear power, with speckle.

    Args:
        ground: the landscape on the radar's lattice.
        day: its state on the day of the pass.
        seen: the pass.
        polarisation: `VV` or `VH`.
    """
    place, index = ground.landscape, ("VV", "VH").index(polarisation)
    bare = np.array([0.0, *(_DECIBELS[c][index] for c in LandCover)], np.float32)
    leafy = np.array([0.0, *(_LEAFY.get(c, (0.0, 0.0))[index] for c in LandCover)], np.float32)
    weather = _DAMP(ground.points, seen.seed)
    decibels = bare[place.land_cover] + leafy[place.land_cover] * day.green
    # Wind roughens water, rain brightens soil; roofs and walls make towns grainy.
    decibels += np.where(place.land_cover == LandCover.WATER, 1.6, 0.5).astype(np.float32) * weather
    decibels += np.where(place.land_cover == LandCover.BUILT, 2.0, 0.5).astype(np.float32) * place.grain
    decibels -= 1.5 * day.snow * (place.land_cover != LandCover.ICE)
    # The antenna looks to the right of its way: a slope that rises away from it faces it.
    rise = ground.slope_east if seen.orbit_state == "ascending" else -ground.slope_east
    facing = np.exp(np.clip(_FACING * rise, -1.0, 1.0))
    power = (np.power(10.0, decibels / 10) * facing).reshape(ground.lattice.shape)
    return np.asarray(power * _speckle(ground.lattice, seed_of(polarisation, seen.seed)), np.float32)


def _speckle(lattice: Lattice, seed: int) -> NDArray[np.float32]:
    """Draw gamma-distributed speckle (y, x) of mean 1: the mean of one exponential draw a look."""
    product = np.ones(lattice.shape, np.float32)
    rows, columns = lattice.rows()[:, np.newaxis], lattice.columns()[np.newaxis, :]
    for look in range(_LOOKS):
        product *= uniform(hash_pairs(rows, columns, seed_of("look", look, lattice.epsg, seed)))
    return np.asarray(-np.log(product) / _LOOKS, np.float32)


def write_radar(folder: Path, ground: Ground, year: int, seed: int) -> Iterator[Item]:
    """Write the granules of a year below `folder`; yields their Items."""
    for seen in passes(ground.lattice.epsg, year, seed):
        polarisations = ("VV",) if seen.flaw is Flaw.SINGLE else ("VV", "VH")
        name = _name(seen, polarisations)
        home = folder / COLLECTION / name
        home.mkdir(parents=True)
        day = season(ground, year, seen.day_of_year, seed)
        for polarisation in polarisations:
            if seen.flaw is Flaw.EMPTY:
                values = np.full(ground.lattice.shape, NODATA, np.float32)
            else:
                values = backscatter(ground, day, seen, polarisation)
            write_cog(home / f"{polarisation.lower()}.tif", values, ground.lattice, NODATA)
        yield item(
            name,
            COLLECTION,
            moment=seen.sensed,
            outline=footprint(ground.lattice),
            epsg=ground.lattice.epsg,
            properties={
                "start_datetime": iso(seen.sensed),
                "end_datetime": iso(seen.sensed + _SLICE),
                "platform": "SENTINEL-1A",
                "constellation": "Sentinel-1",
                "sar:instrument_mode": "IW",
                "sar:frequency_band": "C",
                "sar:product_type": "GRD",
                "sar:polarizations": list(polarisations),
                "sat:orbit_state": seen.orbit_state,
                "sat:relative_orbit": seen.orbit,
            },
            assets={polarisation.lower(): ground.lattice for polarisation in polarisations},
        )


def _name(seen: Pass, polarisations: tuple[str, ...]) -> str:
    kind = "1SDV" if len(polarisations) == 2 else "1SSV"
    span = f"{stamp(seen.sensed)}_{stamp(seen.sensed + _SLICE)}"
    orbit, datatake = seed_of("absolute", seen.seed) % 60_000, seed_of("datatake", seen.seed) % 0x80000
    return f"S1A_IW_GRDH_{kind}_{span}_{orbit:06d}_{datatake:06X}_rtc"

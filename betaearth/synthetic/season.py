"""The state of a landscape on a day: green cover, snow and the sun."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.ground import Ground
from betaearth.synthetic.landscape import LandCover, Landscape
from betaearth.synthetic.noise import ramp, seed_of
from betaearth.synthetic.parcels import crop_of, green_cover

_YEAR = 365.25
_COLDEST = 20.0
"""Day of the northern year on which it is coldest."""
_HOUR_ANGLE = math.radians(-22.5)
"""The satellites pass at 10:30 local solar time, one and a half hours before noon."""
_LOWEST = math.cos(math.radians(80.0))
"""The sun is never taken lower than 10 degrees: there is no polar night in the archive."""


@dataclass(frozen=True)
class Season:
    """A landscape on a day; every field is (points,)."""

    green: NDArray[np.float32]
    """Share of the ground under green leaves, 0 to 1."""
    snow: NDArray[np.float32]
    """Share of the ground under snow or ice, 0 to 1."""
    sunlight: NDArray[np.float32]
    """Light on the slope against light on level ground; 1 on level ground."""


def season(ground: Ground, year: int, day_of_year: int, seed: int) -> Season:
    """Bring a landscape to a day."""
    place = ground.landscape
    # South of the equator the year is half a year late.
    day = (np.float32(day_of_year) + np.where(place.lat < 0, np.float32(_YEAR / 2), np.float32(0))) % _YEAR
    warmth = _warmth(place, day.astype(np.float32), year, seed)
    return Season(
        green=_green(place, day.astype(np.float32), warmth, year, seed),
        snow=_snow(place, warmth),
        sunlight=_sunlight(ground, day_of_year),
    )


def _warmth(place: Landscape, day: NDArray[np.float32], year: int, seed: int) -> NDArray[np.float32]:
    """Temperature of the day, degrees Celsius; years differ by up to 1.5 degrees either way."""
    anomaly = 3.0 * (seed_of("year", year, seed) / 2**32 - 0.5)
    course = np.cos(2 * np.float32(math.pi) * (day - _COLDEST) / _YEAR)
    return np.asarray(place.terrain.warmth + anomaly - place.terrain.swing * course, np.float32)


def _green(
    place: Landscape, day: NDArray[np.float32], warmth: NDArray[np.float32], year: int, seed: int
) -> NDArray[np.float32]:
    """Green cover by class: trees and grass follow warmth and rain, crops follow their calendar."""
    leaves = 0.25 + 0.70 * ramp(warmth, 3.0, 13.0)
    parched = ramp(warmth, 16.0, 28.0) * ramp(place.moisture, 1.0, -0.8)
    grass = ramp(warmth, 1.0, 10.0) * (0.15 + 0.75 * ramp(place.moisture, -1.3, 0.8)) * (1 - 0.7 * parched)
    crops = green_cover(place.parcel, crop_of(place.parcel, year, seed), day)
    cover = place.land_cover
    green = np.select(
        [
            cover == LandCover.TREES,
            cover == LandCover.CROPS,
            cover == LandCover.RANGELAND,
            cover == LandCover.WETLAND,
            cover == LandCover.BUILT,
            cover == LandCover.BARE,
        ],
        [
            leaves + place.conifer * (np.float32(0.88) - leaves),
            crops * ramp(warmth, -3.0, 4.0),
            grass,
            0.15 + 0.50 * ramp(warmth, 4.0, 14.0),
            np.clip(0.12 + 0.10 * place.grain, 0.0, 0.5) * ramp(warmth, 0.0, 8.0),
            np.full(cover.shape, 0.03, np.float32),
        ],
        np.float32(0.0),
    )
    return np.asarray(green, np.float32)


def _snow(place: Landscape, warmth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Snow lies where it is cold and not a desert, never on open water; ice stays."""
    lying = ramp(warmth + 0.4 * place.grain, -0.5, -5.5) * ramp(place.moisture, -1.6, -0.6)
    lying[place.land_cover == LandCover.WATER] = 0.0
    lying[place.land_cover == LandCover.TREES] *= 0.5
    lying[place.land_cover == LandCover.ICE] = 0.97
    return lying


def declination(day_of_year: int) -> float:
    """Latitude at which the sun stands overhead, radians (Cooper 1969)."""
    return math.radians(23.45) * math.sin(2 * math.pi * (284 + day_of_year) / 365.0)


def zenith_cosine(lat: float, day_of_year: int) -> float:
    """Cosine of the sun's zenith angle at 10:30 local solar time, at a latitude in degrees."""
    phi, delta = math.radians(lat), declination(day_of_year)
    level = math.sin(phi) * math.sin(delta) + math.cos(phi) * math.cos(delta) * math.cos(_HOUR_ANGLE)
    return max(level, _LOWEST)


def towards_sun(lat: float, day_of_year: int) -> tuple[float, float]:
    """Metres east and north to go towards the sun for every metre up, at a latitude in degrees."""
    phi, delta = math.radians(lat), declination(day_of_year)
    east = -math.cos(delta) * math.sin(_HOUR_ANGLE)
    north = math.cos(phi) * math.sin(delta) - math.sin(phi) * math.cos(delta) * math.cos(_HOUR_ANGLE)
    up = zenith_cosine(lat, day_of_year)
    return east / up, north / up


def _sunlight(ground: Ground, day_of_year: int) -> NDArray[np.float32]:
    """Direct light by the cosine of incidence, with a third of the light diffuse and the same everywhere."""
    phi, delta = np.radians(ground.landscape.lat), np.float32(declination(day_of_year))
    sine, cosine = np.sin(phi), np.cos(phi)
    noonward = np.float32(math.cos(_HOUR_ANGLE)) * np.cos(delta)
    up = np.maximum(sine * np.sin(delta) + cosine * noonward, np.float32(_LOWEST))
    east = np.float32(-math.sin(_HOUR_ANGLE)) * np.cos(delta)
    north = cosine * np.sin(delta) - sine * noonward
    slope_east, slope_north = ground.slope_east, ground.slope_north
    facing = (up - slope_east * east - slope_north * north) / np.sqrt(1 + slope_east**2 + slope_north**2)
    direct = np.clip(facing / up, 0.0, 2.0)
    return np.where(ground.landscape.terrain.sea, 1.0, 0.33 + 0.67 * direct).astype(np.float32)

"""Fields of farmland: a Voronoi mosaic of a few hundred metres, around the whole globe without a seam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.noise import EARTH_RADIUS, hash_pairs, scramble, seed_of, uniform

_SPACING = 340.0
"""Metres between the seeds of neighbouring fields."""
_DEGREE = np.pi / 180.0 * EARTH_RADIUS
"""Metres of a degree of latitude."""
_ROW = _SPACING / _DEGREE
"""Degrees of latitude of a row of seeds."""


@dataclass(frozen=True)
class CropCalendar:
    """When a crop stands green, days of the northern year."""

    name: str
    sown: float
    """Day of half green-up."""
    harvested: float
    """Day of half loss; smaller than `sown` where the crop overwinters."""
    cover: float
    """Green cover at its height, 0 to 1."""


CROPS = (
    CropCalendar("winter cereal", 85.0, 185.0, 0.92),
    CropCalendar("oilseed", 70.0, 170.0, 0.85),
    CropCalendar("maize", 160.0, 262.0, 0.95),
    CropCalendar("roots", 145.0, 285.0, 0.88),
    CropCalendar("ley", 60.0, 320.0, 0.75),
)


def parcels(lon: NDArray[np.float64], lat: NDArray[np.float64], seed: int) -> NDArray[np.uint32]:
    """Name the field at every place by a hash, the same all over the field.

    Seeds lie jittered in rows of equal latitude; each row holds a whole number of them around the globe, so
    the mosaic closes at 180 degrees.

    Args:
        lon: (points,) degrees, -180..180.
        lat: (points,) degrees.
        seed: of the Earth.
    """
    key = seed_of("parcels", seed)
    home = np.floor((lat + 90.0) / _ROW).astype(np.int64)
    level = np.cos(np.radians(lat)).astype(np.float32)
    nearest = np.full(lon.shape, np.inf, np.float32)
    owner = np.zeros(lon.shape, np.uint32)
    for row in (home - 1, home, home + 1):
        around = np.maximum(np.round(360.0 / _ROW * np.cos(np.radians((row + 0.5) * _ROW - 90.0))), 1.0)
        place = (lon + 180.0) / 360.0 * around
        for step in (-1, 0, 1):
            column = np.floor(place).astype(np.int64) + step
            name = hash_pairs(row, column % around.astype(np.int64), key)
            across = (column + uniform(name) - place) * (360.0 / around)
            upward = (row + uniform(scramble(name ^ np.uint32(0x5BD1E995)))) * _ROW - 90.0 - lat
            distance = (across.astype(np.float32) * level) ** 2 + upward.astype(np.float32) ** 2
            closer = distance < nearest
            nearest[closer] = distance[closer]
            owner[closer] = name[closer]
    return owner


def crop_of(parcel: NDArray[np.uint32], year: int, seed: int) -> NDArray[np.uint8]:
    """Choose each field's crop of a year: an index into `CROPS`, shape of `parcel`."""
    draw = uniform(scramble(parcel ^ np.uint32(seed_of("rotation", year, seed))))
    return np.minimum(draw * len(CROPS), len(CROPS) - 1).astype(np.uint8)


def green_cover(parcel: NDArray[np.uint32], crop: NDArray[np.uint8], day: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tell how green each field stands, 0 to 1.

    Args:
        parcel: (points,) names of fields; each is some days early or late.
        crop: (points,) index into `CROPS`.
        day: (points,) day of the northern year, 0..365; shift it by half a year in the south.
    """
    sown, harvested, cover = (
        np.array([getattr(c, part) for c in CROPS], np.float32)[crop] for part in ("sown", "harvested", "cover")
    )
    late = (uniform(scramble(parcel ^ np.uint32(0x1B873593))) - np.float32(0.5)) * 24.0
    rise = 1.0 / (1.0 + np.exp(-(day - sown - late) / 9.0))
    fall = 1.0 / (1.0 + np.exp(-(day - harvested - late) / 5.0))
    return (cover * np.clip(rise - fall, 0.0, 1.0)).astype(np.float32)

"""The truth of the synthetic Earth: land cover, biome and what grows where, as pure functions of place.

Nothing here depends on a lattice: the same place has the same landscape in every window, zone and resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.noise import Fractal, places, ramp, uniform
from betaearth.synthetic.parcels import parcels
from betaearth.synthetic.terrain import Terrain, terrain

_CLIMATE = Fractal("moisture", 2_600_000.0, 6)
_PATCH = Fractal("patch", 3_500.0, 3)
_FOREST = Fractal("forest", 2_600.0, 5, 0.6)
_SPECIES = Fractal("species", 5_000.0, 4)
_TOWN = Fractal("town", 5_200.0, 4, 0.45)
_GRAIN = Fractal("grain", 70.0, 2, 0.8)


class LandCover(IntEnum):
    """Classes of the truth; 0 stays free for nodata."""

    WATER = 1
    TREES = 2
    WETLAND = 3
    CROPS = 4
    BUILT = 5
    BARE = 6
    ICE = 7
    RANGELAND = 8


class Biome(IntEnum):
    """Where water or warmth limits growth, or neither."""

    COLD = 0
    HUMID = 1
    DRY = 2


@dataclass(frozen=True)
class Landscape:
    """What there is at some places, whatever the date; every field is (points,)."""

    terrain: Terrain
    moisture: NDArray[np.float32]
    """About -3 (desert) to 3 (soaked)."""
    biome: NDArray[np.uint8]
    """A `Biome`."""
    land_cover: NDArray[np.uint8]
    """A `LandCover`."""
    parcel: NDArray[np.uint32]
    """Name of the field of farmland, also where nothing is farmed."""
    conifer: NDArray[np.float32]
    """Share of needle-leaved trees among trees, 0 to 1."""
    grain: NDArray[np.float32]
    """Texture of some tens of metres: mean 0, standard deviation about 1."""
    lat: NDArray[np.float32]
    """Degrees."""


def landscape(lon: NDArray[np.float64], lat: NDArray[np.float64], *, seed: int = 0) -> Landscape:
    """Describe places given by longitude -180..180 and latitude, degrees, each (points,)."""
    points = places(lon, lat)
    ground = terrain(points, lat, seed)
    moisture = _moisture(points, lat, seed)
    parcel = parcels(lon, lat, seed)
    conifer = ramp(_SPECIES(points, seed) - (ground.warmth - 6.0) / 5.0, -0.8, 0.8)
    return Landscape(
        terrain=ground,
        moisture=moisture,
        biome=_biome(ground, moisture),
        land_cover=_classify(points, ground, moisture, parcel, seed),
        parcel=parcel,
        conifer=conifer,
        grain=_GRAIN(points, seed),
        lat=lat.astype(np.float32),
    )


def land_cover(lon: NDArray[np.float64], lat: NDArray[np.float64], *, seed: int = 0) -> NDArray[np.uint8]:
    """Tell the true `LandCover` at places.

    Args:
        lon: degrees, any shape.
        lat: degrees, the same shape.
        seed: of the Earth.
    """
    points = places(lon, lat)
    flat = np.asarray(lat, np.float64).ravel()
    ground = terrain(points, flat, seed)
    around = (np.asarray(lon, np.float64).ravel() + 180.0) % 360.0 - 180.0
    classes = _classify(points, ground, _moisture(points, flat, seed), parcels(around, flat, seed), seed)
    return classes.reshape(np.shape(lon))


def _moisture(points: NDArray[np.float64], lat: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
    """Rain: wet tropics, dry belts near 25 degrees, weather of continents, wet hollows."""
    away = np.abs(lat)
    belts = 0.25 - 1.1 * np.exp(-(((away - 25.0) / 9.0) ** 2)) + 0.6 * np.exp(-((away / 11.0) ** 2))
    return np.asarray(belts + 0.7 * _CLIMATE(points, seed) + 0.2 * _PATCH(points, seed), np.float32)


def _biome(ground: Terrain, moisture: NDArray[np.float32]) -> NDArray[np.uint8]:
    kinds = np.where(moisture < -0.7, Biome.DRY, Biome.HUMID)
    return np.where(ground.warmth < 3.0, Biome.COLD, kinds).astype(np.uint8)


def _classify(
    points: NDArray[np.float64],
    ground: Terrain,
    moisture: NDArray[np.float32],
    parcel: NDArray[np.uint32],
    seed: int,
) -> NDArray[np.uint8]:
    """Decide the class at every place; a later rule overrules the earlier ones."""
    forest = _FOREST(points, seed)
    growth = ramp(ground.warmth, 1.0, 6.0) * ramp(moisture, -1.0, 0.0) * ramp(ground.ruggedness, 0.5, 0.1)
    farmed = uniform(parcel) < 0.85 * growth
    wooded = (forest + 0.6 * np.minimum(moisture, 1.5) > 0.55) & (ground.warmth > -3.5) & (moisture > -1.2)
    barren = (moisture + 0.25 * forest < -1.35) | (ground.warmth + 1.5 * forest < -6.0)
    town = _TOWN(points, seed) + 0.5 * (uniform(parcel) - np.float32(0.5))
    built = (town > 1.75) & (ground.warmth > -2.0) & (ground.ruggedness < 0.6) & (moisture > -1.6)
    wetland = ground.shore & (moisture > -0.8)
    classes = np.full(forest.shape, LandCover.RANGELAND, np.uint8)
    for where, what in (
        (farmed, LandCover.CROPS),
        (wooded, LandCover.TREES),
        (barren, LandCover.BARE),
        (wetland, LandCover.WETLAND),
        (built, LandCover.BUILT),
        (ground.fresh & (moisture > -1.5), LandCover.WATER),
        (ground.warmth < -11.0, LandCover.ICE),
        (ground.sea, LandCover.WATER),
    ):
        classes[where] = what
    return classes

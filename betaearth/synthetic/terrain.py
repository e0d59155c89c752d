"""Terrain of the synthetic Earth: continents, relief, lakes and rivers, warmth by height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.noise import Fractal, ramp

# The number picks one Earth of many: one with land where most of the places lie that people try first.
_CONTINENT = Fractal("continent 3698", 5_000_000.0, 6)
_MOUNTAIN = Fractal("mountain", 900_000.0, 5)
_UPLAND = Fractal("upland", 90_000.0, 4)
_DETAIL = Fractal("detail", 5_600.0, 8)
_RIVER = Fractal("river", 9_000.0, 4)
_WARMTH = Fractal("warmth", 1_500_000.0, 3)

_DEEP = -0.67
"""Continentalness below which the sea is deep: about a fifth of the globe."""
_LAKE = -1.35
"""Detail below which lowland lies under its lake."""
_SHORE = 0.18
"""Detail above a lake's surface that stays soaked."""


@dataclass(frozen=True)
class Terrain:
    """Terrain at some places; every field is (points,)."""

    elevation: NDArray[np.float32]
    """Metres above the sea; exactly 0 on the sea."""
    sea: NDArray[np.bool_]
    """True on the sea."""
    fresh: NDArray[np.bool_]
    """True on lakes and rivers."""
    shore: NDArray[np.bool_]
    """True on soaked ground beside a lake."""
    ruggedness: NDArray[np.float32]
    """0 (plain) to 1 (mountain range)."""
    warmth: NDArray[np.float32]
    """Mean of the year, degrees Celsius."""
    swing: NDArray[np.float32]
    """Half the difference between the warmest and the coldest day, degrees Celsius."""


def deep_ocean(points: NDArray[np.float64], seed: int) -> NDArray[np.bool_]:
    """Tell where no satellite product is made: open ocean, far from land; (points,)."""
    return _CONTINENT(points, seed) < _DEEP


def terrain(points: NDArray[np.float64], lat: NDArray[np.float64], seed: int) -> Terrain:
    """Raise the terrain at places (3, points) in metres, whose latitudes (points,) are in degrees."""
    continent = _CONTINENT(points, seed)
    ruggedness = ramp(_MOUNTAIN(points, seed), 0.2, 1.6)
    inland = ramp(continent, _DEEP + 0.1, _DEEP + 0.5)
    base = 420.0 * (continent + 0.25) + 500.0 * ruggedness * inland
    base += inland * (25.0 + 700.0 * ruggedness) * _UPLAND(points, seed)
    detail = _DETAIL(points, seed)
    roughness = inland * (14.0 + 260.0 * ruggedness)
    level = base + roughness * _LAKE
    height = base + roughness * detail
    lowland = (ruggedness < 0.35) & (level > 1.0)
    lake = lowland & (detail < _LAKE)
    river = (np.abs(_RIVER(points, seed)) < 0.012 * (1 - ruggedness)) & (height > 1.0)
    elevation = np.where(lake, level, height).astype(np.float32)
    sea = elevation <= 0.0
    elevation[sea] = 0.0
    tilt = np.abs(np.sin(np.radians(lat))).astype(np.float32)
    warmth = 27.0 - 40.0 * tilt**2.4 + 1.5 * _WARMTH(points, seed) - 0.0065 * elevation
    return Terrain(
        elevation=elevation,
        sea=sea,
        fresh=(lake | river) & ~sea,
        shore=lowland & ~lake & (detail < _LAKE + _SHORE),
        ruggedness=ruggedness,
        warmth=warmth.astype(np.float32),
        swing=(2.5 + 13.5 * tilt**1.3).astype(np.float32),
    )

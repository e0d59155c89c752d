"""The teacher: vectors of 64 numbers that sum up a year of the synthetic Earth, for networks to learn.

It stands in for AlphaEarth and is made to be like it in what matters to a learner. It knows the whole year and the
truth: which classes lie around a pixel, how much and when it greens, its snow, terrain, moisture and biome. A scene of
one date is therefore an incomplete view, and several dates say more. It is a fixed random network of that state, and
no meaning lies in its numbers.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.ground import Ground
from betaearth.synthetic.landscape import Biome, LandCover, landscape
from betaearth.synthetic.lattice import Lattice
from betaearth.synthetic.noise import hash_pairs, places, seed_of, uniform
from betaearth.synthetic.season import season

BANDS = 64
MARGIN = 3
"""Pixels around the ones that are taught which have a say in them: the reach of the smoothing of classes."""

_DAYS = tuple(15 + round(month * 365.25 / 12) for month in range(12))
"""Days of the year on which the teacher looks at the ground."""
_TAPS = (1, 2, 3, 4, 3, 2, 1)
"""Weights of the pixels of a row or column around the middle one: a triangle about 4 pixels wide at half height."""
_HIDDEN = (96, 96)
"""Widths of the two hidden layers."""
_GAIN = 1.1
"""Standard deviation that a weight would have before a layer of one number; how far the network is from linear."""
_CENTRING = 0.2
"""Share of the mean vector of all land that is taken away. With all of it vectors of different places would share
nothing; with this much the best constant scores a cosine of 0.66 on all land and of 0.53 on cells of every class."""
_SAMPLE = 6000
"""Places on the globe of which those on land make up the mean."""


def teach(ground: Ground, year: int, seed: int) -> NDArray[np.float32]:
    """Compute the vectors of a year.

    Args:
        ground: the landscape on a lattice that is `MARGIN` pixels wider on every side than what is taught.
        year: of the green-up and of the crops in the fields.
        seed: of the Earth.

    Returns:
        (64, y, x) of unit length, without the margin.
    """
    height, width = ground.lattice.shape
    inner = (slice(MARGIN, height - MARGIN), slice(MARGIN, width - MARGIN))
    one_hot = _one_hot(ground.landscape.land_cover)
    classes = _smoothed(one_hot.reshape(-1, height, width))
    rest = _year(ground, year, seed).reshape(-1, height, width)[:, *inner]
    state = np.concatenate([classes, rest]).reshape(len(classes) + len(rest), -1)
    vectors = _network(state, seed) - _CENTRING * _centre(seed)[:, np.newaxis]
    vectors /= np.linalg.norm(vectors, axis=0)
    return np.asarray(vectors.reshape(BANDS, *classes.shape[1:]), np.float32)


def _one_hot(land_cover: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(classes, points): 1 in the row of a place's class."""
    return np.asarray(land_cover == np.array(LandCover, np.uint8)[:, np.newaxis], np.float32)


def _smoothed(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average planes (n, y, x) over the neighbourhood: what is left is `MARGIN` pixels smaller on every side."""
    for axis in (1, 2):
        length = planes.shape[axis] - 2 * MARGIN
        wide = np.moveaxis(planes, axis, 0)
        smooth = np.zeros_like(wide[:length])
        for start, tap in enumerate(_TAPS):
            smooth += np.float32(tap / sum(_TAPS)) * wide[start : start + length]
        planes = np.moveaxis(smooth, 0, axis)
    return planes


def _year(ground: Ground, year: int, seed: int) -> NDArray[np.float32]:
    """Describe each place's year apart from its class: (features, points), each of the order of 1."""
    place, shape = ground.landscape, ground.landscape.lat.shape
    mean, east, north, snow = (np.zeros(shape, np.float32) for _ in range(4))
    for day in _DAYS:
        seen = season(ground, year, day, seed)
        angle = 2 * math.pi * day / 365.25
        mean += seen.green / len(_DAYS)
        # Amplitude and phase of the green-up as the two parts of its first harmonic: no jump at the turn of the year.
        east += seen.green * np.float32(2 * math.cos(angle) / len(_DAYS))
        north += seen.green * np.float32(2 * math.sin(angle) / len(_DAYS))
        snow += seen.snow / len(_DAYS)
    terrain = place.terrain
    slope = np.hypot(ground.slope_east, ground.slope_north)
    biomes = [0.5 * (place.biome == biome) for biome in Biome]
    features = [
        2.0 * mean,
        3.0 * east,
        3.0 * north,
        1.5 * snow,
        0.1 * np.log1p(terrain.elevation),
        0.7 * terrain.ruggedness,
        np.minimum(2.0 * slope, 1.0),
        terrain.warmth / 20.0,
        np.clip(place.moisture, -2.0, 2.0) / 2.5,
        *biomes,
    ]
    return np.stack(features).astype(np.float32)


def _network(state: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Turn states (features, points) into vectors (64, points), before centring."""
    values = state
    for layer, width in enumerate((*_HIDDEN, BANDS)):
        values = np.tanh(_weights(width, len(values), seed_of("teacher", layer, seed)) @ values)
    return values


def _weights(rows: int, columns: int, seed: int) -> NDArray[np.float32]:
    """Draw weights (rows, columns) of a layer: uniform, by the hash that draws the landscape too."""
    bits = hash_pairs(np.arange(rows)[:, np.newaxis], np.arange(columns)[np.newaxis, :], seed)
    return (2 * uniform(bits) - 1) * np.float32(_GAIN * math.sqrt(3 / columns))


@lru_cache(maxsize=4)
def _centre(seed: int) -> NDArray[np.float32]:
    """Average the uncentred vectors of places spread evenly over all land, without their surroundings: (64,)."""
    # A spiral of equal areas (Fibonacci lattice): the same places on every machine, none of them special.
    index = np.arange(_SAMPLE, dtype=np.float64)
    lat = np.degrees(np.arcsin(1 - (2 * index + 1) / _SAMPLE))
    lon = (index * 360 / ((1 + math.sqrt(5)) / 2)) % 360 - 180
    # Neither Antarctica nor the pole has cells of the grid or images.
    seen = (lat > -60) & (lat < 80)
    lon, lat = lon[seen], lat[seen]
    whole = landscape(lon, lat, seed=seed)
    level = np.zeros(lon.shape, np.float32)
    ground = Ground(Lattice(4326, -180.0, 80.0, len(lon), 1), whole, places(lon, lat), level, level)
    state = np.concatenate([_one_hot(whole.land_cover), _year(ground, 2021, seed)])
    mean = _network(state[:, ~whole.terrain.sea], seed).mean(axis=1)
    return np.asarray(mean, np.float32)

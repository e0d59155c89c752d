"""Where the cells of a synthetic data set lie: on land, in every biome, with every class of land cover."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import LATTICE_M, RESOLUTION_M, pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.grid.utm import lonlat_points, reproject_points
from betaearth.synthetic.landscape import Biome, LandCover, landscape
from betaearth.synthetic.noise import EARTH_RADIUS, hash_pairs, places, seed_of, uniform
from betaearth.synthetic.source import DEMO_LONLAT

HELD_OUT_M = 50_000.0
"""No chip lies nearer to the demo's place, whose embeddings are judged by networks that were taught elsewhere."""
SMALLEST_PX = 16

_SOUTHERNMOST, _NORTHERNMOST = -56.0, 75.0
"""Degrees of latitude between which there is land with cells and images."""
_EASTERNMOST = 179.0
"""Degrees of longitude, east and west: a chip lies on one side of 180 degrees."""
_REACH_M = 20_000.0
"""More than lies between a point and the farthest corner of its cell's patch."""
_CANDIDATES = 1500
"""Points that are drawn at once."""
_ATTEMPTS = 50
_STEP = round(LATTICE_M / RESOLUTION_M)


@dataclass(frozen=True)
class LandPlace:
    """A chip's place."""

    cell: str
    """Major TOM id."""
    grid: PixelGrid
    """The chip's pixels, a window of the cell's patch on the 60 m lattice."""
    lon: float
    """Of the chip's centre, degrees."""
    lat: float


def land_places(count: int, size_px: int, seed: int, *, earth: int = 0) -> Iterator[LandPlace]:
    """Draw places of different cells on land; the first ones stay the same when more are wanted.

    They take turns through the biomes, and within a biome through the classes of land cover, so that what is rare on
    the globe (towns, ice, wetland) is seen as well.

    Args:
        count: places.
        size_px: edge of a chip, 16..1068 pixels of 10 m.
        seed: of the draw.
        earth: seed of the Earth.

    Raises:
        DataError: the size is not possible.
    """
    largest = pixel_grid(MajorTomGrid().cell_at(0.0, 0.0)).width
    if not SMALLEST_PX <= size_px <= largest:
        raise DataError(
            f"chips of {size_px} pixels are not possible: give {SMALLEST_PX}, the least that networks take, to "
            f"{largest}, the whole patch of a cell"
        )
    return _drawn(count, size_px, seed, earth)


def _drawn(count: int, size_px: int, seed: int, earth: int) -> Iterator[LandPlace]:
    taken: set[str] = set()
    for index in range(count):
        place = next(
            place
            for attempt in range(_ATTEMPTS)
            for lon, lat in _candidates(index, seed_of("place", index, attempt, seed), earth)
            if (place := _place(lon, lat, size_px)).cell not in taken
        )
        taken.add(place.cell)
        yield place


def _candidates(index: int, seed: int, earth: int) -> Iterator[tuple[float, float]]:
    """Yield points of the biome whose turn it is, those first whose class has its turn."""
    numbers = np.arange(_CANDIDATES, dtype=np.int64)
    east, north = (
        uniform(hash_pairs(numbers, np.full_like(numbers, axis), seed)).astype(np.float64) for axis in (0, 1)
    )
    low, high = (math.sin(math.radians(limit)) for limit in (_SOUTHERNMOST, _NORTHERNMOST))
    lon, lat = (2 * east - 1) * _EASTERNMOST, np.degrees(np.arcsin(low + north * (high - low)))
    there = landscape(lon, lat, seed=earth)
    biome, wanted = index % len(Biome), 1 + index // len(Biome) % len(LandCover)
    fits = ~there.terrain.sea & (there.biome == biome) & ~_near_demo(lon, lat)
    for choice in (fits & (there.land_cover == wanted), fits & (there.land_cover != wanted)):
        for chosen in np.flatnonzero(choice):
            yield float(lon[chosen]), float(lat[chosen])


def _near_demo(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    demo = places(np.array([DEMO_LONLAT[0]]), np.array([DEMO_LONLAT[1]]))
    cosine = (places(lon, lat) * demo).sum(axis=0) / EARTH_RADIUS**2
    distance = np.arccos(np.clip(cosine, -1, 1)) * EARTH_RADIUS
    return np.asarray(distance < HELD_OUT_M + _REACH_M)


def _place(lon: float, lat: float, size_px: int) -> LandPlace:
    """Put a chip around a point, as far as the cell's patch reaches."""
    cell = MajorTomGrid().cell_at(lon, lat)
    patch = pixel_grid(cell)
    (x,), (y,) = reproject_points([lon], [lat], patch.epsg)
    column = _start((x - patch.west) / patch.resolution, size_px, patch.width)
    row = _start((patch.north - y) / patch.resolution, size_px, patch.height)
    grid = patch.part(slice(row, row + size_px), slice(column, column + size_px))
    west, south, east, north = grid.bounds
    (lon_of,), (lat_of,) = lonlat_points([(west + east) / 2], [(south + north) / 2], grid.epsg)
    return LandPlace(cell.id, grid, float(lon_of), float(lat_of))


def _start(centre: float, size: int, limit: int) -> int:
    """First pixel of a window around a pixel, on the 60 m lattice and within the patch."""
    first = min(max(centre - size / 2, 0.0), float(limit - size))
    return int(first // _STEP) * _STEP

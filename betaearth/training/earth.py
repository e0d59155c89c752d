"""Cells of the synthetic Earth with all that a network learns from: imagery of some dates, and the teacher's vectors.

What a chip shows is what the pipeline reads from the synthetic Earth's files: the same lattices, the same
interpolation from 20 m, from the radar's pixels and from the elevation model's degrees.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from betaearth.errors import DataError
from betaearth.grid.patch import lonlat_bounds
from betaearth.grid.pixels import PixelGrid
from betaearth.products.quantise import quantise
from betaearth.scenes.masks import DEM_NODATA, scl_usable
from betaearth.scenes.model import S1_BANDS, S2_BANDS
from betaearth.scenes.resampling import resample
from betaearth.synthetic.atmosphere import Dome, dome
from betaearth.synthetic.calendar import Date
from betaearth.synthetic.calendar import dates as dates_of
from betaearth.synthetic.elevation import tiles
from betaearth.synthetic.ground import Ground, survey
from betaearth.synthetic.landscape import Biome, LandCover
from betaearth.synthetic.lattice import Lattice
from betaearth.synthetic.noise import places, seed_of
from betaearth.synthetic.optical import issues, view
from betaearth.synthetic.radar import SHIFT, backscatter
from betaearth.synthetic.season import season
from betaearth.synthetic.teacher import MARGIN, teach
from betaearth.synthetic.terrain import terrain
from betaearth.training.chips import CellYear, Chip
from betaearth.training.description import About
from betaearth.training.land import LandPlace, land_places

ABOUT = About(
    name="synthetic Earth",
    source="synthetic Earth of betaearth: procedural, not imagery",
    synthetic=True,
    target="synthetic teacher",
    licence="CC0-1.0",
    land_cover=tuple((int(cover), cover.name.lower()) for cover in LandCover),
)
"""What data sets of these cells say of themselves."""

Number = TypeVar("Number", np.uint8, np.uint16, np.float32)

_AROUND = 12
"""Pixels seen around a chip: the reach of interpolation and of the teacher; keeps to the 60 m lattice."""
_SCALE = np.float32(10_000)
"""Digital number of reflectance 1."""


@dataclass(frozen=True)
class Stage:
    """A place as both satellites find it on any date."""

    grid: PixelGrid
    ground: Ground
    """On the lattice of the 10 m bands, around the grid."""
    radar: Ground
    """On the radar's lattice."""
    above: Dome
    earth: int


def synthetic_cells(
    count: int,
    *,
    size_px: int = 256,
    dates: int = 8,
    years: Sequence[int] = (2021,),
    seed: int = 0,
    earth: int = 0,
    without: Container[tuple[str, int]] = (),
) -> Iterator[CellYear]:
    """Yield cells in years, one after the other; nothing is computed before it is asked for.

    Cells lie on land, at least 50 km from the demo's place. The first ones stay the same when more are wanted.

    Args:
        count: cells, each in every year.
        size_px: edge of a chip, 16..1068 pixels of 10 m.
        dates: chips of a cell in a year, spread over the year, 1..365.
        years: calendar years, each once.
        seed: of the places, the dates and their weather.
        earth: seed of the Earth; 0 is the demo's.
        without: (cell, year) that are passed over, looked at as each has its turn.

    Raises:
        DataError: one of the numbers is not possible.
    """
    if count < 1:
        raise DataError(f"{count} cells are no data set: give 1 or more")
    if not 1 <= dates <= 365:
        raise DataError(f"{dates} dates in a year are not possible: give 1 to 365")
    if not years or len(set(years)) != len(years) or not all(1 <= year <= 9998 for year in years):
        raise DataError(f"years {tuple(years)} are not possible: give at least one, each once")
    return (
        cell_year(place, year, dates=dates, seed=seed, earth=earth)
        for place in land_places(count, size_px, seed, earth=earth)
        for year in years
        if (place.cell, year) not in without
    )


def cell_year(place: LandPlace, year: int, *, dates: int, seed: int, earth: int = 0) -> CellYear:
    """See a place through a year.

    Args:
        place: a chip's pixels and their names.
        year: calendar year.
        dates: chips.
        seed: of the dates and their weather.
        earth: seed of the Earth.
    """
    grid = place.grid
    stage = stage_of(grid, earth)
    ground = stage.ground
    drawn = dates_of(grid.epsg, year, dates, seed_of("cell", place.cell, seed))
    vectors = _taught(ground, grid, year, earth)
    labels = _inner(ground.landscape.land_cover.reshape(ground.lattice.shape), grid)
    return CellYear(
        cell=place.cell,
        year=year,
        lon=place.lon,
        lat=place.lat,
        chips=tuple(see(stage, date) for date in drawn),
        target=np.moveaxis(quantise(np.moveaxis(vectors, 0, -1), np.ones(grid.shape, np.bool_)), -1, 0),
        dem=elevation(grid, earth)[np.newaxis],
        labels=labels,
        strata=_strata(ground, grid, labels, place),
    )


def stage_of(grid: PixelGrid, earth: int) -> Stage:
    """Survey a place once, for all of its dates."""
    ground = survey(_around(grid), earth)
    return Stage(grid, ground, survey(_shifted(grid), earth), dome(ground.lattice.coarser(2)), earth)


def _around(grid: PixelGrid) -> Lattice:
    """Return the lattice of the 10 m bands around a chip; its size is even, as that of the 20 m bands needs."""
    whole = Lattice(grid.epsg, grid.west, grid.north, grid.width + grid.width % 2, grid.height + grid.height % 2)
    return whole.padded(_AROUND)


def _shifted(grid: PixelGrid) -> Lattice:
    """Return the radar's lattice around a chip."""
    whole = Lattice(grid.epsg, grid.west + SHIFT[0], grid.north + SHIFT[1], grid.width, grid.height)
    return whole.padded(2)


def _inner(values: NDArray[np.uint8], grid: PixelGrid) -> NDArray[np.uint8]:
    return values[_AROUND : _AROUND + grid.height, _AROUND : _AROUND + grid.width]


def _taught(ground: Ground, grid: PixelGrid, year: int, earth: int) -> NDArray[np.float32]:
    """Ask the teacher; the vectors (64, y, x) of the chip."""
    first = _AROUND - MARGIN
    return teach(ground, year, earth)[:, first : first + grid.height, first : first + grid.width]


def see(stage: Stage, date: Date) -> Chip:
    """See a place on a date with both satellites."""
    grid, ground, radar = stage.grid, stage.ground, stage.radar
    seen = view(ground, stage.above, date.optical, stage.earth)
    day = season(radar, date.radar.sensed.year, date.radar.day_of_year, stage.earth)
    offset = issues(date.optical)[-1].offset
    power = [_on(grid, backscatter(radar, day, date.radar, band), radar.lattice) for band in S1_BANDS]
    return Chip(
        day=date.optical.sensed.date(),
        s2_l2a=_digital_numbers(seen.boa, ground.lattice, grid, offset),
        s2_l1c=_digital_numbers(seen.toa, ground.lattice, grid, offset),
        s1=np.stack(power),
        clear=scl_usable(_on(grid, seen.scl, stage.above.lattice, nearest=True)),
    )


def _digital_numbers(
    reflectance: dict[str, NDArray[np.float32]], lattice: Lattice, grid: PixelGrid, offset: int
) -> NDArray[np.uint16]:
    """Digitise bands of 10 and 20 m as the files hold them: (9, y, x); 0 is kept for no data."""
    bands = []
    for band in S2_BANDS:
        numbers = np.clip(np.rint(reflectance[band] * _SCALE) + offset, 1, 65535).astype(np.uint16)
        fine = numbers.shape == lattice.shape
        bands.append(_on(grid, numbers, lattice if fine else lattice.coarser(2)))
    return np.stack(bands)


def _on(grid: PixelGrid, values: NDArray[Number], lattice: Lattice, *, nearest: bool = False) -> NDArray[Number]:
    """Read pixels of a lattice onto a chip's grid, as files are read."""
    return resample(
        values,
        np.ones(values.shape, np.bool_),
        Affine(*lattice.transform),
        CRS.from_epsg(lattice.epsg),
        grid,
        nearest=nearest,
    )[0]


def elevation(grid: PixelGrid, earth: int) -> NDArray[np.float32]:
    """Mosaic the elevation model's tiles on a chip: (y, x) metres; no data where a tile would be all sea."""
    metres = np.full(grid.shape, DEM_NODATA, np.float32)
    for _, lattice in tiles(lonlat_bounds(grid)):
        lon, lat = lattice.lonlat()
        height = terrain(places(lon, lat), lat.ravel(), earth)
        if height.sea.all():
            continue
        values = height.elevation.reshape(lattice.shape)
        transform, crs = Affine(*lattice.transform), CRS.from_epsg(lattice.epsg)
        part, known = resample(values, np.ones(values.shape, np.bool_), transform, crs, grid, nearest=False)
        fill = known & (metres == DEM_NODATA)
        metres[fill] = part[fill]
    return metres


def _strata(ground: Ground, grid: PixelGrid, labels: NDArray[np.uint8], place: LandPlace) -> dict[str, str]:
    """Name what most of a chip is."""
    biomes = _inner(ground.landscape.biome.reshape(ground.lattice.shape), grid)
    return {
        "biome": Biome(int(np.bincount(biomes.ravel()).argmax())).name.lower(),
        "land_cover": LandCover(int(np.bincount(labels.ravel()).argmax())).name.lower(),
        "hemisphere": "north" if place.lat >= 0 else "south",
    }

"""The elevation model of the synthetic Earth: Copernicus GLO-30 tiles, cut to a site's neighbourhood."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np

from betaearth.synthetic.footprints import footprint
from betaearth.synthetic.items import Item, item
from betaearth.synthetic.lattice import Box, Lattice
from betaearth.synthetic.noise import places
from betaearth.synthetic.raster import write_cog
from betaearth.synthetic.terrain import terrain

COLLECTION = "cop-dem-glo-30"
_ROWS = 3600
"""Pixels of a degree of latitude."""
_MARGIN = 4
"""Pixels added around a site."""
_MADE = datetime(2021, 4, 22, tzinfo=UTC)
_COLUMN_FACTORS = ((85, 10), (80, 5), (70, 3), (60, 2), (50, Fraction(3, 2)), (0, 1))
"""Latitude from which columns are how many times wider than rows."""


def tiles(bounds: Box) -> Iterator[tuple[str, Lattice]]:
    """Name the degree tiles of a site and cut their lattices to its neighbourhood.

    Pixel centres lie on whole multiples of a step, so a tile reaches half a pixel west and north beyond its
    degree. It owns the columns from its west meridian on, and the rows from its north parallel down.

    Args:
        bounds: (west, south, east, north) degrees; west > east where it crosses 180 degrees.
    """
    west, south, east, north = bounds
    east = east + 360.0 if west > east else east
    low, high = math.floor(south * _ROWS) - _MARGIN, math.ceil(north * _ROWS) + _MARGIN
    for lat in range(math.ceil(low / _ROWS) - 1, math.ceil(high / _ROWS)):
        top, bottom = min(high, (lat + 1) * _ROWS), max(low, lat * _ROWS + 1)
        columns = int(_ROWS / Fraction(_column_factor(lat)))
        left, right = math.floor(west * columns) - _MARGIN, math.ceil(east * columns) + _MARGIN
        for lon in range(left // columns, right // columns + 1):
            first, last = max(left, lon * columns), min(right, (lon + 1) * columns - 1)
            degree = (lon + 180) % 360 - 180
            yield (
                _name(degree, lat),
                Lattice(
                    epsg=4326,
                    west=degree + (first - lon * columns - 0.5) / columns,
                    north=(top + 0.5) / _ROWS,
                    width=last - first + 1,
                    height=top - bottom + 1,
                    dx=1 / columns,
                    dy=1 / _ROWS,
                ),
            )


def _column_factor(lat: int) -> int | Fraction:
    """How many times wider than rows the columns of a tile are; `lat` is its south parallel."""
    nearest = lat if lat >= 0 else -lat - 1
    return next(factor for start, factor in _COLUMN_FACTORS if nearest >= start)


def _name(lon: int, lat: int) -> str:
    north, east = "N" if lat >= 0 else "S", "E" if lon >= 0 else "W"
    return f"Copernicus_DSM_COG_10_{north}{abs(lat):02d}_00_{east}{abs(lon):03d}_00_DEM"


def write_elevation(folder: Path, bounds: Box, seed: int) -> Iterator[Item]:
    """Write the tiles of a site below `folder`; yields their Items. There is no tile where all is sea."""
    for name, lattice in tiles(bounds):
        lon, lat = lattice.lonlat()
        height = terrain(places(lon, lat), lat.ravel(), seed)
        if height.sea.all():
            continue
        home = folder / COLLECTION / name
        home.mkdir(parents=True)
        write_cog(home / "data.tif", height.elevation.reshape(lattice.shape).astype(np.float32), lattice, None)
        yield item(
            name,
            COLLECTION,
            moment=_MADE,
            outline=footprint(lattice),
            epsg=4326,
            properties={"gsd": 30, "platform": "TanDEM-X"},
            assets={"data": lattice},
        )

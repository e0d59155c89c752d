"""The embedded default source: imagery of a made-up Earth, written when it is asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from betaearth.errors import ConfigError
from betaearth.grid.patch import lonlat_bounds
from betaearth.grid.pixels import PixelGrid
from betaearth.grid.utm import neighbour_epsg
from betaearth.scenes.files import Files
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import Granule, Sensor
from betaearth.scenes.profile import SYNTHETIC, SourceProfile
from betaearth.storage.folder import folder_errors
from betaearth.synthetic.items import mgrs_tile
from betaearth.synthetic.source import VERSION, Site, write_source

ONE_SITE_M = 14_000.0
"""Edge of the largest grid, metres, that is painted as one site; a larger one takes too much memory at once."""
TILE_M = 10_000.0
"""Edge of the tiles, metres, in which larger grids are painted; they lie on a lattice of the zone, so that all grids
share them."""


@dataclass(frozen=True)
class SyntheticSource:
    """A procedural Earth. What it wrote once for a grid and a year is read again from the cache."""

    cache: Path
    """Folder that may be deleted at any time between runs."""
    seed: int = 0
    files: Files = field(default_factory=Files, compare=False, repr=False)
    """Opens what was written."""

    @property
    def profile(self) -> SourceProfile:
        """The spelling of the Planetary Computer, and a DEM of a whole world."""
        return SYNTHETIC

    @property
    def identity(self) -> str:
        """Version and seed: the same everywhere."""
        return f"synthetic:v{VERSION}:seed={self.seed}"

    @property
    def title(self) -> str:
        """Says that nobody ever saw it."""
        return f"Synthetic Earth v{VERSION}, seed {self.seed}: procedural, not imagery"

    @property
    def synthetic(self) -> bool:
        """It is made up."""
        return True

    def portable(self, href: str) -> str:
        """Spell an asset's href relative to the cache."""
        return os.path.relpath(href, self.cache.resolve())

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        """Write what the grid saw in the year, unless it is there, and find every granule of the sensors.

        Raises:
            ConfigError: the cache cannot be written.
            DataError: something else lies at its place in the cache.
        """
        found = [
            granule
            for name, site in sites(grid)
            for granule in ItemCollectionSource(str(self._written(name, site, year)), SYNTHETIC, self.files).search(
                grid, year, sensors
            )
        ]
        return sorted(found, key=lambda granule: (granule.sensed, granule.id))

    def _written(self, name: str, site: Site, year: int) -> Path:
        folder = self.cache / f"synthetic-v{VERSION}-seed{self.seed}-{name}-{year}"
        try:
            with folder_errors(self.cache):
                return write_source(folder, site, year, seed=self.seed)
        except NotADirectoryError as error:
            raise ConfigError(f"{self.cache} is not a folder; name one for the cache") from error


def sites(grid: PixelGrid) -> Iterator[tuple[str, Site]]:
    """Name the sites that cover a grid: the grid itself, or the tiles that it touches where it is large."""
    west, south, east, north = grid.bounds
    if max(east - west, north - south) <= ONE_SITE_M:
        yield (
            f"{grid.epsg}-{grid.west:.0f}-{grid.north:.0f}-{grid.width}x{grid.height}-{grid.resolution:g}m",
            _site(grid, None),
        )
        return
    for column in range(math.floor(west / TILE_M), math.ceil(east / TILE_M)):
        for row in range(math.floor(south / TILE_M), math.ceil(north / TILE_M)):
            pixels = round(TILE_M / 10.0)
            tile = PixelGrid(grid.epsg, column * TILE_M, (row + 1) * TILE_M, pixels, pixels)
            name = _tile_name(tile, column, row)
            yield f"{tile.epsg}-{name}", _site(tile, name)


def _site(grid: PixelGrid, tile: str | None) -> Site:
    west, south, east, north = lonlat_bounds(grid)
    middle = (west + east + (360.0 if west > east else 0.0)) / 2
    return Site((west, south, east, north), grid.epsg, neighbour_epsg(grid.epsg, middle), tile)


def _tile_name(tile: PixelGrid, column: int, row: int) -> str:
    """Name a square of 10 km as the Military Grid Reference System does, such as `32UPU37`."""
    middle = (tile.west + TILE_M / 2, tile.north - TILE_M / 2)
    _, south, _, north = lonlat_bounds(tile)
    return f"{mgrs_tile(tile.epsg, *middle, (south + north) / 2)}{column % 10}{row % 10}"

"""The embedded default source: imagery of a made-up Earth, written when it is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from betaearth.errors import ConfigError
from betaearth.grid.patch import lonlat_bounds
from betaearth.grid.pixels import PixelGrid
from betaearth.grid.utm import neighbour_epsg
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import Granule, Sensor
from betaearth.storage.folder import folder_errors
from betaearth.synthetic.source import VERSION, Site, write_source


@dataclass(frozen=True)
class SyntheticSource:
    """A procedural Earth. What it wrote once for a grid and a year is read again from the cache."""

    cache: Path
    """Folder that may be deleted at any time between runs."""
    seed: int = 0

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
        west, south, east, north = lonlat_bounds(grid)
        middle = (west + east + (360.0 if west > east else 0.0)) / 2
        site = Site((west, south, east, north), grid.epsg, neighbour_epsg(grid.epsg, middle))
        try:
            with folder_errors(self.cache):
                items = write_source(self.cache / self._folder(grid, year), site, year, seed=self.seed)
        except NotADirectoryError as error:
            raise ConfigError(f"{self.cache} is not a folder; name one for the cache") from error
        return ItemCollectionSource(str(items)).search(grid, year, sensors)

    def _folder(self, grid: PixelGrid, year: int) -> str:
        place = f"{grid.epsg}-{grid.west:.0f}-{grid.north:.0f}-{grid.width}x{grid.height}-{grid.resolution:g}m"
        return f"synthetic-v{VERSION}-seed{self.seed}-{place}-{year}"

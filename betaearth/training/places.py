"""Where the chips of a cell lie: all of its patch, or a window in the middle of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from betaearth.errors import ConfigError
from betaearth.grid.majortom import Cell
from betaearth.grid.patch import pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.grid.utm import lonlat_points
from betaearth.scenes.options import LATTICE_PX


@dataclass(frozen=True)
class Place:
    """A cell and the pixels of it that are wanted."""

    cell: str
    """Major TOM id."""
    grid: PixelGrid

    @property
    def lonlat(self) -> tuple[float, float]:
        """(longitude, latitude) of the middle, degrees."""
        west, south, east, north = self.grid.bounds
        lons, lats = lonlat_points(np.array([(west + east) / 2]), np.array([(south + north) / 2]), self.grid.epsg)
        return (float(lons[0]), float(lats[0]))


def places_of(cells: Iterable[Cell], size_px: int | None = None) -> Iterator[Place]:
    """Yield the places of cells.

    Args:
        cells: of the Major TOM grid.
        size_px: edge of a window in the middle of each patch, on the lattice of Sentinel-2's bands; None: all of it.

    Raises:
        ConfigError: the window does not fit.
    """
    return (Place(cell.id, middle(pixel_grid(cell), size_px, step=LATTICE_PX)) for cell in cells)


def middle(grid: PixelGrid, size_px: int | None, *, step: int = 1) -> PixelGrid:
    """Return a square in the middle of a grid; all of the grid where no size is given.

    Args:
        grid: of which.
        size_px: edge.
        step: pixels; the square's corner is a multiple of them away from the grid's.

    Raises:
        ConfigError: the grid is smaller.
    """
    if size_px is None:
        return grid
    if not 0 < size_px <= min(grid.shape):
        raise ConfigError(
            f"a window of {size_px} px does not fit into {grid.width} x {grid.height} px: choose a smaller one"
        )
    row, column = ((size - size_px) // 2 // step * step for size in grid.shape)
    return grid.part(slice(row, row + size_px), slice(column, column + size_px))

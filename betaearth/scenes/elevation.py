"""The DEM onto a pixel grid: its tiles are joined before they are warped, so that no tile border shows.

Where a worldwide DEM has no tile there is sea, at 0 m; where a tile is withheld or could not be read, and where a tile
says itself that it knows nothing, the height is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.grid.utm import lonlat_points
from betaearth.scenes.footprints import ground_of_bounds, ground_of_grid
from betaearth.scenes.masks import Mask
from betaearth.scenes.raster import (
    DEM_PIXELS,
    Layer,
    RasterWindow,
    empty_layer,
    lattice_offset,
    moved,
    onto_grid,
    paste,
)

TILE_SHIFT_DEG = 1 / 360
"""More than the half pixel by which the Copernicus DEM's tiles are shifted, whose columns are up to ten arc seconds."""
_REACH = replace(DEM_PIXELS, resampling=Resampling.nearest)
_NEIGHBOURS = ((0, 1), (1, 0), (1, 2), (2, 1))
"""Above, left, right, below, counted from above left. Not diagonal: at a coast two tiles would meet in the sea."""


def elevation_layer(windows: Sequence[RasterWindow], grid: PixelGrid) -> Layer:
    """Mosaic the windows of DEM tiles on a grid; an earlier tile wins where tiles overlap.

    Tiles of one lattice are joined in it. Between tiles of different lattices, as where the columns of the
    Copernicus DEM get wider towards the poles, less than a pixel may be left open: it is closed from both
    sides.
    """
    mosaics = join(windows)
    layer = empty_layer(grid, DEM_PIXELS)
    for mosaic in mosaics:
        _fill(layer, onto_grid(mosaic, grid, DEM_PIXELS))
    if len(mosaics) > 1 and not layer.valid.all():
        _fill(layer, _between([onto_grid(_grown(mosaic), grid, DEM_PIXELS) for mosaic in mosaics]))
    return layer


def with_sea(layer: Layer, windows: Sequence[RasterWindow], unknown: Sequence[Bounds], grid: PixelGrid) -> Layer:
    """Put sea, at 0 m, where no tile lies.

    Args:
        layer: the mosaic of the tiles.
        windows: of the tiles; what they leave open within themselves stays open.
        unknown: bounds in degrees of tiles that exist and of which nothing is known. They are taken as larger by
            `TILE_SHIFT_DEG` on each side, because the Copernicus DEM's tiles are shifted by half a pixel and what they
            lack must not become sea.
        grid: of the layer.
    """
    if layer.valid.all():
        return layer
    sea = ~layer.valid & ~_reached(windows, grid)
    ground = ground_of_grid(grid).buffer(2 * TILE_SHIFT_DEG)
    near = [bounds for bounds in unknown if ground_of_bounds(bounds).intersects(ground)]
    if near:
        rows, columns = np.nonzero(sea)
        sea[rows, columns] = ~_within(near, rows, columns, grid)
    return Layer(np.where(sea, np.float32(0.0), layer.values), layer.valid | sea)


def join(windows: Sequence[RasterWindow]) -> list[RasterWindow]:
    """Join windows that lie on the same lattice."""
    lattices: list[list[RasterWindow]] = []
    for window in windows:
        for members in lattices:
            if members[0].crs == window.crs and lattice_offset(window.transform, members[0].transform) is not None:
                members.append(window)
                break
        else:
            lattices.append([window])
    return [_joined(members) for members in lattices]


def _reached(windows: Sequence[RasterWindow], grid: PixelGrid) -> Mask:
    """(y, x); True where the nearest pixel of a lattice belongs to a window on it, with data or without."""
    reached = np.zeros(grid.shape, np.bool_)
    everywhere = [
        replace(window, values=np.ones_like(window.values), valid=np.ones_like(window.valid)) for window in windows
    ]
    for mosaic in join(everywhere):
        reached |= onto_grid(mosaic, grid, _REACH).valid
    return reached


def _within(
    bounds: Sequence[Bounds], rows: NDArray[np.intp], columns: NDArray[np.intp], grid: PixelGrid
) -> NDArray[np.bool_]:
    """(n,); True for pixels whose centre lies within one of the bounds, enlarged by `TILE_SHIFT_DEG`."""
    easts = np.asarray(grid.west + (columns + 0.5) * grid.resolution, np.float64)
    norths = np.asarray(grid.north - (rows + 0.5) * grid.resolution, np.float64)
    lons, lats = lonlat_points(easts, norths, grid.epsg)
    inside = np.zeros(rows.shape, np.bool_)
    for west, south, east, north in bounds:
        across = (lons - west + TILE_SHIFT_DEG) % 360.0 <= (east - west) % 360.0 + 2 * TILE_SHIFT_DEG
        inside |= across & (lats >= south - TILE_SHIFT_DEG) & (lats <= north + TILE_SHIFT_DEG)
    return inside


def _joined(members: Sequence[RasterWindow]) -> RasterWindow:
    if len(members) == 1:
        return members[0]
    first = members[0]
    placed = [(window, lattice_offset(window.transform, first.transform) or (0, 0)) for window in members]
    top, left = min(row for _, (row, _) in placed), min(column for _, (_, column) in placed)
    height = max(row + window.values.shape[0] for window, (row, _) in placed) - top
    width = max(column + window.values.shape[1] for window, (_, column) in placed) - left
    canvas = Layer(np.full((height, width), DEM_PIXELS.nodata, DEM_PIXELS.dtype), np.zeros((height, width), np.bool_))
    for window, (row, column) in placed:
        paste(window, canvas, row - top, column - left)
    return RasterWindow(canvas.values, canvas.valid, moved(first.transform, top, left), first.crs)


def _fill(layer: Layer, other: Layer) -> None:
    take = other.valid & ~layer.valid
    layer.values[take] = other.values[take]
    layer.valid[take] = True


def _grown(window: RasterWindow) -> RasterWindow:
    """Grow a window's data by one pixel on every side, each new pixel the mean of neighbours with data."""
    values, valid = np.pad(window.values, 2), np.pad(window.valid, 2)
    height, width = values.shape[0] - 2, values.shape[1] - 2
    total, count = np.zeros((height, width)), np.zeros((height, width), np.int64)
    for row, column in _NEIGHBOURS:
        part = (slice(row, row + height), slice(column, column + width))
        total += np.where(valid[part], values[part], 0.0)
        count += valid[part]
    own = (slice(1, 1 + height), slice(1, 1 + width))
    mean = np.where(count > 0, total / np.maximum(count, 1), DEM_PIXELS.nodata)
    grown = np.where(valid[own], values[own], mean).astype(DEM_PIXELS.dtype)
    transform = moved(window.transform, -1, -1)
    return RasterWindow(grown, valid[own] | (count > 0), transform, window.crs)


def _between(grown: Sequence[Layer]) -> Layer:
    """Mean of grown layers where at least two of them meet: beyond a lone border nothing is known."""
    meeting = np.sum([layer.valid for layer in grown], axis=0)
    total = np.sum([np.where(layer.valid, layer.values, 0.0) for layer in grown], axis=0)
    mean = np.where(meeting > 1, total / np.maximum(meeting, 1), DEM_PIXELS.nodata)
    return Layer(mean.astype(DEM_PIXELS.dtype), meeting > 1)

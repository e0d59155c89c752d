"""The DEM onto a pixel grid: its tiles are joined before they are warped, so that no tile border shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from betaearth.grid.pixels import PixelGrid
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

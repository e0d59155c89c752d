"""One raster file onto a pixel grid: a pure crop where the lattices agree, a warp where they do not.

A file's pixels without data never enter an interpolated value, and a grid pixel whose nearest file pixel has
no data has none either. So the edge of a swath neither bleeds inwards nor grows.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import DTypeLike, NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from betaearth.errors import DataError
from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.hrefs import plain
from betaearth.scenes.masks import (
    DEM_NODATA,
    S1_NODATA,
    S2_NODATA,
    Mask,
    dem_valid,
    s1_valid,
    s2_valid,
)
from betaearth.scenes.resampling import resample
from betaearth.scenes.window_cache import FileWindow

MARGIN_PX = 3
"""File pixels read around the grid, so that interpolation at its rim has its neighbours."""
ALIGNED_PX = 1e-3
"""Lattices that differ by less than this share of a pixel agree."""
_CORES = BoundedSemaphore(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
"""Many threads wait for the network, but no more compute than there are cores: they would take turns at Python's lock,
which cost a fifth of the time of reading."""
TURN_DEG = 360.0


@dataclass(frozen=True)
class PixelRule:
    """How the pixels of a kind of band are read."""

    dtype: DTypeLike
    nodata: float
    """What stands in for no data on the grid."""
    valid: Callable[[NDArray[Any]], Mask]
    resampling: Resampling
    """Nearest or bilinear."""


S2_PIXELS = PixelRule(np.uint16, S2_NODATA, s2_valid, Resampling.bilinear)
SCL_PIXELS = PixelRule(np.uint8, S2_NODATA, s2_valid, Resampling.nearest)
S1_PIXELS = PixelRule(np.float32, S1_NODATA, s1_valid, Resampling.bilinear)
DEM_PIXELS = PixelRule(np.float32, DEM_NODATA, dem_valid, Resampling.bilinear)


@dataclass(frozen=True)
class RasterWindow:
    """The part of a file that surrounds a grid."""

    values: NDArray[Any]
    """(y, x) in the rule's dtype; its nodata where invalid."""
    valid: Mask
    """(y, x); True where the file has data."""
    transform: Affine
    crs: CRS
    extent: Bounds | None = None
    """(west, south, east, north) of the whole file in its own CRS; None where the window is not of one file."""


@dataclass(frozen=True)
class Layer:
    """A band on a pixel grid."""

    values: NDArray[Any]
    """(y, x) in the rule's dtype; its nodata where invalid."""
    valid: Mask
    """(y, x); True where there is data."""


def read_layer(href: str, grid: PixelGrid, rule: PixelRule, files: Files) -> Layer:
    """Read a band onto a grid.

    Raises:
        DataError: the file is missing, corrupt, or not what the rule reads.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    window = read_window(href, grid, rule, files)
    return empty_layer(grid, rule) if window is None else onto_grid(window, grid, rule)


def read_window(href: str, grid: PixelGrid, rule: PixelRule, files: Files) -> RasterWindow | None:
    """Read the part of a file that surrounds a grid; None where the file does not reach it.

    Raises:
        DataError: the file is missing, corrupt, or not what the rule reads.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    stored = _stored(href, grid, files)
    if np.issubdtype(rule.dtype, np.integer) and not np.issubdtype(stored.values.dtype, np.integer):
        raise DataError(f"{plain(href)} holds {stored.values.dtype}; digital numbers and classes are whole numbers")
    if not stored.values.size:
        return None
    valid = rule.valid(stored.values)
    if stored.nodata is not None and not math.isnan(stored.nodata):
        valid &= stored.values != stored.nodata
    values = np.where(valid, stored.values, rule.nodata).astype(rule.dtype)
    transform, crs = _unwrapped(stored.transform, stored.crs, _bounds_around(grid, stored.crs))
    return RasterWindow(values, valid, transform, crs, stored.extent)


def onto_grid(window: RasterWindow, grid: PixelGrid, rule: PixelRule) -> Layer:
    """Bring a window of a file onto a grid; a pixel's value does not depend on where the grid ends."""
    with _CORES:
        return _onto_grid(window, grid, rule)


def _onto_grid(window: RasterWindow, grid: PixelGrid, rule: PixelRule) -> Layer:
    offset = _aligned_offset(window, grid)
    if offset is not None:
        layer = empty_layer(grid, rule)
        paste(window, layer, *offset)
        return layer
    nearest = rule.resampling is Resampling.nearest
    values, valid = resample(window.values, window.valid, window.transform, window.crs, grid, nearest=nearest)
    values[~valid] = rule.nodata
    return Layer(values, valid)


def empty_layer(grid: PixelGrid, rule: PixelRule) -> Layer:
    """Return a layer without data."""
    return Layer(np.full(grid.shape, rule.nodata, rule.dtype), np.zeros(grid.shape, np.bool_))


def paste(window: RasterWindow, layer: Layer, row: int, column: int) -> None:
    """Fill what a layer lacks from a window whose upper-left pixel is the layer's pixel (row, column)."""
    rows, own_rows = _overlap(row, window.values.shape[0], layer.values.shape[0])
    columns, own_columns = _overlap(column, window.values.shape[1], layer.values.shape[1])
    take = window.valid[own_rows, own_columns] & ~layer.valid[rows, columns]
    np.copyto(layer.values[rows, columns], window.values[own_rows, own_columns], where=take)
    layer.valid[rows, columns] |= take


def moved(transform: Affine, rows: int, columns: int) -> Affine:
    """Transform of a north-up lattice whose upper-left pixel is (rows, columns) of another's."""
    left, top = transform.c + columns * transform.a, transform.f + rows * transform.e
    return Affine(transform.a, 0.0, left, 0.0, transform.e, top)


def lattice_offset(origin: Affine, other: Affine) -> tuple[int, int] | None:
    """(row, column) of a north-up lattice's upper-left pixel in another; None where they do not agree."""
    if not np.allclose((origin.a, origin.e), (other.a, other.e), rtol=1e-9, atol=0.0):
        return None
    row, column = (origin.f - other.f) / other.e, (origin.c - other.c) / other.a
    if max(abs(row - round(row)), abs(column - round(column))) > ALIGNED_PX:
        return None
    return (round(row), round(column))


def _aligned_offset(window: RasterWindow, grid: PixelGrid) -> tuple[int, int] | None:
    if window.crs != CRS.from_epsg(grid.epsg):
        return None
    return lattice_offset(window.transform, Affine(*grid.transform))


def _overlap(offset: int, size: int, whole: int) -> tuple[slice, slice]:
    """Where a part of a size that begins at an offset lies in the whole, and which of the part that is."""
    start = min(max(offset, 0), whole)
    stop = max(min(offset + size, whole), start)
    return slice(start, stop), slice(start - offset, stop - offset)


def _stored(href: str, grid: PixelGrid, files: Files) -> FileWindow:
    """What a file holds around a grid: kept from an earlier time, or read now."""
    kept = files.windows.get(href, grid) if files.windows else None
    if kept is not None:
        return kept
    with files.open(href) as file:
        window = _stored_window(file, grid, plain(href))
    if files.windows:
        files.windows.put(href, grid, window)
    return window


def _stored_window(file: rasterio.DatasetReader, grid: PixelGrid, where: str) -> FileWindow:
    if file.crs is None:
        raise DataError(f"{where} does not say its CRS")
    transform = file.transform
    if transform.b != 0.0 or transform.d != 0.0 or transform.a <= 0.0 or transform.e >= 0.0:
        raise DataError(f"{where} is not north-up: its transform is {tuple(transform)[:6]}")
    window = _window_around(file, _bounds_around(grid, file.crs))
    if window is None:
        nothing = np.zeros((0, 0), file.dtypes[0])
        return FileWindow(nothing, transform, file.crs, file.nodata, tuple(file.bounds))
    values = file.read(1, window=window)
    origin = moved(transform, window.row_off, window.col_off)
    return FileWindow(values, origin, file.crs, file.nodata, tuple(file.bounds))


def _bounds_around(grid: PixelGrid, crs: CRS) -> Bounds:
    """Bounds of the grid in a file's CRS; longitudes run on beyond 180 degrees where the grid crosses it."""
    own = CRS.from_epsg(grid.epsg)
    west, south, east, north = grid.bounds if crs == own else transform_bounds(own, crs, *grid.bounds, densify_pts=21)
    return (west, south, east + TURN_DEG if crs.is_geographic and east < west else east, north)


def _window_around(file: rasterio.DatasetReader, around: Bounds) -> Window | None:
    """Window of a file around bounds in its CRS, with a margin; None where they lie outside."""
    west, south, east, north = around
    scale, step, left, top = file.transform.a, -file.transform.e, file.transform.c, file.transform.f
    turn = _turn(left + scale * file.width / 2, (west + east) / 2) if file.crs.is_geographic else 0.0
    first = math.floor((west + turn - left) / scale) - MARGIN_PX
    last = math.ceil((east + turn - left) / scale) + MARGIN_PX
    upper = math.floor((top - north) / step) - MARGIN_PX
    lower = math.ceil((top - south) / step) + MARGIN_PX
    first, last = max(first, 0), min(last, file.width)
    upper, lower = max(upper, 0), min(lower, file.height)
    if first >= last or upper >= lower:
        return None
    return Window(first, upper, last - first, lower - upper)


def _turn(file_middle: float, grid_middle: float) -> float:
    """Whole turns, degrees, that bring the grid's longitudes to the file's."""
    return TURN_DEG * round((file_middle - grid_middle) / TURN_DEG)


def _unwrapped(transform: Affine, crs: CRS, around: Bounds) -> tuple[Affine, CRS]:
    """Count longitudes from a meridian near the grid where the usual count breaks off close to it.

    Tiles on both sides of 180 degrees then lie on one lattice, and interpolation crosses from one to the
    other.
    """
    middle = round((around[0] + around[2]) / 2)
    if not crs.is_geographic or abs(middle) < 178 or crs.to_epsg() != 4326:
        return transform, crs
    left = transform.c - middle
    left -= TURN_DEG * round(left / TURN_DEG)
    meridian = middle - TURN_DEG * round(middle / TURN_DEG)
    shifted = Affine(transform.a, 0.0, left, 0.0, transform.e, transform.f)
    return shifted, CRS.from_proj4(f"+proj=longlat +datum=WGS84 +pm={meridian} +no_defs")

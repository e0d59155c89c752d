"""From the pixels of a file to the pixels of a grid that lies otherwise.

A value depends on its own pixel's place alone and not on how much is read around it, to the last bit: areas are made
block by block. Therefore places are counted on lattices without beginning, and where a projection lies between them it
is evaluated at nodes fixed on the ground and interpolated, which errs by less than a thousandth of a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from betaearth.grid.pixels import PixelGrid

NODE_PX = 32
"""Grid pixels between nodes. Over 320 m a projection bends by some millimetres."""
STRIP = 64
"""Rows that are made at once, so that little more memory is taken than the result needs."""
PHASE_DIGITS = 7
"""Decimals of a pixel to which a lattice's phase is known: all windows of a file get the same one."""

Places = NDArray[np.floating[Any]]
"""Along one axis of a file, in its pixels: a whole number is an upper or left edge, one half more a centre."""


@dataclass(frozen=True)
class _Axis:
    """Places along one axis of a window; pixels are counted from its own first one."""

    base: NDArray[np.int64]
    """The pixel whose centre lies at or before the place."""
    share: Places
    """Of the way from there to the next centre, 0 to less than 1."""
    nearest: NDArray[np.int64]
    """The pixel that the place lies in."""
    size: int
    """Pixels of the window along the axis."""

    @classmethod
    def of(cls, places: Places, first: int, size: int) -> _Axis:
        before = np.floor(places - 0.5)
        return cls(
            before.astype(np.int64) - first,
            places - 0.5 - before,
            np.floor(places).astype(np.int64) - first,
            size,
        )

    @property
    def surrounded(self) -> bool:
        """Whether there are pixels on both sides of every place."""
        return bool(self.base.min() >= 0 and self.base.max() < self.size - 1)

    @property
    def inside(self) -> NDArray[np.bool_]:
        return (self.nearest >= 0) & (self.nearest < self.size)


def resample(
    values: NDArray[Any], valid: NDArray[np.bool_], transform: Affine, crs: CRS, grid: PixelGrid, *, nearest: bool
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Give each pixel of a grid the value of a window of a file at its centre.

    Between four centres it is interpolated, of which those without data do not count. Where the pixel that the place
    lies in has no data there is none.

    Args:
        values: (y, x) of the window.
        valid: (y, x); True where the file has data.
        transform: of the window; north-up.
        crs: of the window.
        grid: where to.
        nearest: whether classes are read, which are never mixed.

    Returns:
        Values, (y, x) of the grid in the window's dtype, whole numbers rounded half up; and where they are valid.
        Elsewhere they mean nothing.
    """
    out = np.zeros(grid.shape, values.dtype)
    known = np.zeros(grid.shape, np.bool_)
    clean = None if nearest else np.pad(np.where(valid, values, np.zeros((), values.dtype)), 1)
    counts, full = np.pad(valid, 1), bool(valid.all())
    for strip, rows, columns in _strips(values.shape, transform, crs, grid):
        known[strip] = rows.inside & columns.inside
        if not full:
            known[strip] &= _nearest(valid, rows, columns)
        if clean is None:
            out[strip] = _nearest(values, rows, columns)
            continue
        mixed = _interpolated(clean, rows, columns)
        if not (full and rows.surrounded and columns.surrounded):
            weights = _interpolated(counts, rows, columns)
            mixed /= np.where(weights > 0.0, weights, 1.0)
        if np.issubdtype(out.dtype, np.integer):
            mixed += 0.5
            np.floor(mixed, out=mixed)
        out[strip] = mixed
    return out, known


def _nearest(array: NDArray[Any], rows: _Axis, columns: _Axis) -> NDArray[Any]:
    """The pixels that places lie in; those beyond the array mean nothing."""
    row, column = np.clip(rows.nearest, 0, rows.size - 1), np.clip(columns.nearest, 0, columns.size - 1)
    if row.shape[1] == 1:
        return np.asarray(np.take(np.take(array, row[:, 0], axis=0), column[0], axis=1))
    return np.asarray(array[row, column])


def _interpolated(padded: NDArray[Any], rows: _Axis, columns: _Axis) -> NDArray[np.floating[Any]]:
    """Interpolate in an array that has one pixel more on each side."""
    up, left = np.clip(rows.base + 1, 0, rows.size), np.clip(columns.base + 1, 0, columns.size)
    if rows.base.shape[1] == 1:
        first = int(up.min())
        part = padded[first : int(up.max()) + 2].astype(np.float64)
        return _between_columns(_between_rows(part, up[:, 0] - first, rows.share), left[0], columns.share)
    upper = _mix(_taken(padded, up, left), _taken(padded, up, left + 1), columns.share)
    lower = _mix(_taken(padded, up + 1, left), _taken(padded, up + 1, left + 1), columns.share)
    return _mix(upper, lower, rows.share)


def _between_rows(part: NDArray[np.floating[Any]], up: NDArray[np.int64], share: Places) -> NDArray[np.floating[Any]]:
    return _mix(np.take(part, up, axis=0), np.take(part, up + 1, axis=0), share)


def _between_columns(
    part: NDArray[np.floating[Any]], left: NDArray[np.int64], share: Places
) -> NDArray[np.floating[Any]]:
    return _mix(np.take(part, left, axis=1), np.take(part, left + 1, axis=1), share)


def _mix(one: NDArray[np.floating[Any]], other: NDArray[np.floating[Any]], share: Places) -> NDArray[np.floating[Any]]:
    """Equal values stay what they are, and so does the first where the share is nothing. `other` is used up."""
    other -= one
    other *= share
    other += one
    return other


def _taken(padded: NDArray[Any], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
    return padded[rows, columns].astype(np.float64)


def _strips(
    shape: tuple[int, ...], transform: Affine, crs: CRS, grid: PixelGrid
) -> Iterator[tuple[slice, _Axis, _Axis]]:
    """Rows of the grid, and where they lie in the window; (y, 1) and (1, x) where no projection lies between."""
    row_phase, first_row = _phase(-transform.f / -transform.e)
    column_phase, first_column = _phase(transform.c / transform.a)
    easts = grid.west + (np.arange(grid.width) + 0.5) * grid.resolution
    norths = grid.north - (np.arange(grid.height) + 0.5) * grid.resolution
    projection = None if crs == CRS.from_epsg(grid.epsg) else _Nodes.around(grid, crs)
    for start in range(0, grid.height, STRIP):
        strip = slice(start, min(start + STRIP, grid.height))
        xs, ys = easts[np.newaxis, :], norths[strip, np.newaxis]
        if projection is not None:
            xs, ys = projection.at(easts, norths[strip])
        rows = _Axis.of(ys / transform.e - row_phase, first_row, shape[0])
        columns = _Axis.of(xs / transform.a - column_phase, first_column, shape[1])
        yield strip, rows, columns


def _phase(origin: float) -> tuple[float, int]:
    """Split a place into the phase of its lattice, 0 to less than 1 pixel, and the number of its pixel."""
    phase = round(origin - math.floor(origin), PHASE_DIGITS) % 1.0
    return phase, round(origin - phase)


@dataclass(frozen=True)
class _Nodes:
    """A projection at the nodes of a lattice on the ground, which all grids of a zone share."""

    xs: NDArray[np.floating[Any]]
    """(node row, node column), in the file's CRS."""
    ys: NDArray[np.floating[Any]]
    west: int
    """Number of the first node column."""
    south: int
    """Number of the first node row; they are counted northwards."""
    step: float
    """Metres between nodes."""

    @classmethod
    def around(cls, grid: PixelGrid, crs: CRS) -> _Nodes:
        step = NODE_PX * grid.resolution
        west, south, east, north = (math.floor(bound / step) for bound in grid.bounds)
        easts, norths = np.meshgrid(np.arange(west, east + 2) * step, np.arange(south, north + 2) * step)
        xs, ys = transform_points(CRS.from_epsg(grid.epsg), crs, easts.ravel().tolist(), norths.ravel().tolist())
        return cls(np.array(xs).reshape(easts.shape), np.array(ys).reshape(easts.shape), west, south, step)

    def at(self, easts: Places, norths: Places) -> tuple[Places, Places]:
        """Coordinates (y, x) in the file's CRS of the points on columns and rows of the ground."""
        column, across = self._split(easts, self.west)
        row, up = self._split(norths, self.south)
        return (
            _between_columns(_between_rows(self.xs, row, up[:, np.newaxis]), column, across),
            _between_columns(_between_rows(self.ys, row, up[:, np.newaxis]), column, across),
        )

    def _split(self, metres: Places, first: int) -> tuple[NDArray[np.int64], Places]:
        node = np.floor(metres / self.step)
        return node.astype(np.int64) - first, metres / self.step - node

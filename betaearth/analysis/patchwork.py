"""Rasters on one canvas, read window by window: cropped where lattices agree, interpolated where they do not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject

from betaearth.analysis.blending import Blend, Vectors, Weights, feather
from betaearth.analysis.canvas import Canvas, projected
from betaearth.analysis.rasters import RasterFile
from betaearth.products.embedding import BAND_NAMES
from betaearth.products.pyramid import Place, windows
from betaearth.scenes.raster import lattice_offset

TILE_PX = 512
"""Edge of what is mixed at once: 64 MiB of vectors, and as much for a raster that is mixed in."""
MARGIN_PX = 3
"""Pixels that are read around a tile of another projection, for interpolation."""
SAME_SIZE = 0.98
"""Pixels that are finer by less are taken as of one size: projections stretch by so much."""


@dataclass(frozen=True)
class Patchwork:
    """Rasters on one canvas.

    A pixel does not depend on what is read around it; where it is interpolated, but for rounding in the sixth digit.
    """

    canvas: Canvas
    rasters: tuple[RasterFile, ...]
    """In the order in which they are mixed."""
    bands: tuple[str, ...] = BAND_NAMES

    def read(self, place: Place, bands: slice | int = slice(None)) -> NDArray[np.float32]:
        """Read a window, tile by tile.

        Args:
            place: rows and columns of the canvas.
            bands: which to return.

        Returns:
            (band, y, x), or (y, x) of one band; NaN where there is no data.

        Raises:
            DataError, ConfigError, TransientError: a file cannot be read any more.
        """
        rows, columns = place
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        out = np.empty((len(self.bands), *shape), np.float32)[bands]
        side = self._tile_side()
        for down, across in windows(*shape, side, side):
            tile = self.canvas.part((_moved(down, rows.start), _moved(across, columns.start)))
            out[..., down, across] = self._tile(tile)[bands]
        return out

    def _tile(self, tile: Canvas) -> Vectors:
        blend = Blend(len(self.bands), (tile.height, tile.width))
        for raster in self.rasters:
            offset = _offset(raster, tile)
            add = _warped(raster, tile) if offset is None else _cropped(raster, tile, offset)
            if add is not None:
                blend.add(*add)
        return blend.vectors()

    def _tile_side(self) -> int:
        """Edge of a tile whose pixels, as the files have them, are no more than those of `TILE_PX`."""
        finest = min(raster.canvas.pixel_in(self.canvas.crs) for raster in self.rasters)
        return max(16, math.floor(TILE_PX * min(1.0, finest / self.canvas.transform.a)))


Layer = tuple[Place, Vectors, Weights]
"""A place of a tile, and what a raster has there."""


def _cropped(raster: RasterFile, tile: Canvas, offset: tuple[int, int]) -> Layer | None:
    """Take pixels as they are.

    Args:
        raster: on the tile's lattice.
        tile: where to.
        offset: (row, column) of the tile's first pixel in the raster.
    """
    row, column = offset
    rows = slice(max(row, 0), min(row + tile.height, raster.canvas.height))
    columns = slice(max(column, 0), min(column + tile.width, raster.canvas.width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    vectors = raster.read((rows, columns))
    return (_moved(rows, -row), _moved(columns, -column)), vectors, feather(raster.canvas, (rows, columns))


def _warped(raster: RasterFile, tile: Canvas) -> Layer | None:
    """Interpolate vectors, and their weights by themselves, from another lattice or projection."""
    finer = raster.canvas.pixel_in(tile.crs) / tile.transform.a
    around = projected(tile.bounds, tile.crs, raster.canvas.crs)
    place = raster.canvas.place(around, margin=MARGIN_PX * max(1, math.ceil(1 / finer)))
    if place is None:
        return None
    part = raster.canvas.part(place)
    vectors = _reprojected(raster.read(place), part, tile, finer)
    length = np.sqrt(np.einsum("ijk,ijk->jk", vectors, vectors, dtype=np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        vectors /= length.astype(np.float32)
    weights = _reprojected(feather(raster.canvas, place)[np.newaxis], part, tile, finer)[0]
    vectors[:, ~(weights > 0)] = np.nan
    return (slice(0, tile.height), slice(0, tile.width)), vectors, np.nan_to_num(weights)


def _reprojected(values: NDArray[np.float32], part: Canvas, tile: Canvas, finer: float) -> NDArray[np.float32]:
    """Bilinear between values, of which NaN do not count, with the exact projection of each pixel.

    Args:
        values: (band, y, x) of the part.
        part: where they lie.
        tile: where to.
        finer: edge of a pixel of the part in pixels of the tile; below 1, as many are averaged.
    """
    # GDAL would find the scale by the window, so that a value depended on how much is read around it.
    scale = finer if finer < SAME_SIZE else 1.0
    out = np.full((len(values), tile.height, tile.width), np.nan, np.float32)
    reproject(
        np.ascontiguousarray(values),
        out,
        src_transform=part.transform,
        src_crs=part.crs,
        dst_transform=tile.transform,
        dst_crs=tile.crs,
        src_nodata=np.nan,
        dst_nodata=np.nan,
        resampling=Resampling.bilinear,
        tolerance=0,
        XSCALE=scale,
        YSCALE=scale,
    )
    return out


def _offset(raster: RasterFile, tile: Canvas) -> tuple[int, int] | None:
    """(row, column) of the tile's first pixel in the raster; None where their lattices do not agree."""
    if raster.canvas.crs != tile.crs:
        return None
    return lattice_offset(tile.transform, raster.canvas.transform)


def _moved(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by)

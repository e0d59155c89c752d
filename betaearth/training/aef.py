"""AlphaEarth's annual embeddings as targets: from GeoTIFFs of 64 bands onto a pixel grid, always north-up.

Google's files are bottom-up: their first row is the southernmost one. Bands hold `products.quantise`'s code, int8 with
-128 for no data; files of float vectors are taken too. Where a file's pixels are those of the grid, moved by whole
pixels, its codes are copied. Elsewhere codes cannot be averaged, since they are square roots: they are decoded to unit
vectors, interpolated between the four nearest pixel centres, brought to unit length and coded again. For grids of
coarser pixels the unit vectors of each pixel are summed, as in AlphaEarth's own overviews.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from betaearth.errors import DataError
from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.products.quantise import NODATA, decode, quantise, to_unit_length
from betaearth.scenes.files import Files
from betaearth.scenes.hrefs import plain
from betaearth.scenes.raster import lattice_offset, moved
from betaearth.scenes.resampling import resample
from betaearth.training.chips import TARGET_BANDS

ATTRIBUTION = "The AlphaEarth Foundations Satellite Embedding dataset is produced by Google and Google DeepMind."
LICENCE = "CC-BY-4.0"
COPERNICUS = "Contains modified Copernicus Sentinel data and Copernicus DEM data."
"""What users of the imagery beside it must say."""
MARGIN_PX = 3
"""File pixels read around a grid, so that interpolation at its rim has its neighbours."""
LARGEST_PX = 1 << 24
"""Pixels of one file that are read at once, a gigabyte of codes; a cell's patch has a million."""
SHORTEST = 1e-3
"""Length below which neighbouring unit vectors cancel each other, and their mean has no direction."""
_STRIP = 64
"""Rows that are coded at once, so that float64 takes little memory."""

Codes = NDArray[np.int8]
"""(64, y, x); -128 in every band where there is no data."""


@dataclass(frozen=True)
class _Part:
    """The part of a lattice of AlphaEarth's pixels that surrounds a grid."""

    codes: Codes
    transform: Affine
    """North-up."""
    crs: CRS


def read_codes(hrefs: Iterable[str], grid: PixelGrid, *, files: Files) -> Codes:
    """Mosaic AlphaEarth files on a grid; an earlier file wins where they overlap.

    Args:
        hrefs: paths, `file://`, `http(s)://` or `s3://`; those that do not reach the grid add nothing.
        grid: where to.
        files: opens them, remote ones by ranges of bytes.

    Returns:
        Codes on the grid, north-up.

    Raises:
        DataError: a file is missing, corrupt, or holds no vectors of 64 bands.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    parts = [part for href in hrefs if (part := _read_part(href, grid, files)) is not None]
    mosaic = np.full((TARGET_BANDS, *grid.shape), NODATA, np.int8)
    for lattice in _lattices(parts):
        _fill(mosaic, _onto_grid(lattice, grid))
    return mosaic


def read_extent(href: str, files: Files) -> tuple[CRS, Bounds]:
    """Read where a file lies: its CRS, and (west, south, east, north) in it.

    Raises:
        DataError: the file is missing, corrupt, or holds no vectors of 64 bands.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    with files.open(href) as file:
        transform = _north_up(file, plain(href))
        return file.crs, _bounds(transform, file.height, file.width)


def known(codes: Codes) -> NDArray[np.bool_]:
    """(y, x); True where there is a vector. Google's files mask all bands of a pixel or none."""
    valid: NDArray[np.bool_] = (codes != NODATA).all(axis=0)
    return valid


def _read_part(href: str, grid: PixelGrid, files: Files) -> _Part | None:
    with files.open(href) as file:
        return _window_of(file, grid, plain(href))


def _window_of(file: rasterio.DatasetReader, grid: PixelGrid, where: str) -> _Part | None:
    transform = _north_up(file, where)
    around = _grid_bounds(grid, file.crs)
    window = _window_around(transform, file.height, file.width, around)
    if window is None:
        return None
    if window.width * window.height > LARGEST_PX:
        raise DataError(
            f"{where} has {window.width} x {window.height} pixels on a place of {grid.width} x {grid.height} of "
            f"{grid.resolution:g} m: it is no file of AlphaEarth's 10 m pixels"
        )
    stored = window
    bottom_up = file.transform.e > 0
    if bottom_up:
        last = window.row_off + window.height
        stored = Window(window.col_off, file.height - last, window.width, window.height)
    values = file.read(window=stored)
    codes = _codes(values[:, ::-1] if bottom_up else values, file.nodata)
    return _Part(codes, moved(transform, window.row_off, window.col_off), file.crs)


def _north_up(file: rasterio.DatasetReader, where: str) -> Affine:
    """Transform of the file once it is turned north-up.

    Raises:
        DataError: it is no file of AlphaEarth's vectors.
    """
    kind = np.dtype(file.dtypes[0])
    if file.count != TARGET_BANDS or not (kind == np.int8 or np.issubdtype(kind, np.floating)):
        raise DataError(
            f"{where} has {file.count} bands of {kind}; AlphaEarth's files have {TARGET_BANDS} of int8, "
            "or of float where they were decoded"
        )
    if file.crs is None:
        raise DataError(f"{where} does not say its CRS")
    transform: Affine = file.transform
    if transform.b != 0 or transform.d != 0 or transform.a <= 0 or transform.e == 0:
        raise DataError(f"{where} is turned or mirrored: its transform is {tuple(transform)[:6]}")
    if transform.e < 0:
        return transform
    return Affine(transform.a, 0.0, transform.c, 0.0, -transform.e, transform.f + transform.e * file.height)


def _codes(values: NDArray[Any], nodata: float | None) -> Codes:
    """(64, y, x) of a file as codes, masked in all bands or none."""
    if values.dtype == np.int8:
        codes = np.ascontiguousarray(values)
    else:
        vectors = np.moveaxis(values, 0, -1).astype(np.float32)
        valid = np.isfinite(vectors).all(axis=-1) & (np.abs(vectors).max(axis=-1) > 0)
        if nodata is not None and not math.isnan(nodata):
            valid &= (vectors != nodata).all(axis=-1)
        vectors[~valid] = 0
        codes = np.ascontiguousarray(np.moveaxis(quantise(to_unit_length(vectors), valid), -1, 0))
    codes[:, ~known(codes)] = NODATA
    return codes


def _lattices(parts: Sequence[_Part]) -> list[_Part]:
    """Join parts of one lattice, so that no file's border shows where pixels are interpolated."""
    groups: list[list[_Part]] = []
    for part in parts:
        for members in groups:
            same = members[0].crs == part.crs
            if same and lattice_offset(part.transform, members[0].transform) is not None:
                members.append(part)
                break
        else:
            groups.append([part])
    return [_joined(members) for members in groups]


def _joined(members: Sequence[_Part]) -> _Part:
    if len(members) == 1:
        return members[0]
    first = members[0]
    places = [lattice_offset(part.transform, first.transform) or (0, 0) for part in members]
    top, left = min(row for row, _ in places), min(column for _, column in places)
    sizes = [part.codes.shape[1:] for part in members]
    height = max(row + size[0] for (row, _), size in zip(places, sizes, strict=True)) - top
    width = max(column + size[1] for (_, column), size in zip(places, sizes, strict=True)) - left
    canvas = np.full((TARGET_BANDS, height, width), NODATA, np.int8)
    for part, (row, column) in zip(members, places, strict=True):
        rows = slice(row - top, row - top + part.codes.shape[1])
        columns = slice(column - left, column - left + part.codes.shape[2])
        _fill(canvas[:, rows, columns], part.codes)
    return _Part(canvas, moved(first.transform, top, left), first.crs)


def _fill(mosaic: Codes, other: Codes) -> None:
    np.copyto(mosaic, other, where=known(other) & ~known(mosaic))


def _onto_grid(part: _Part, grid: PixelGrid) -> Codes:
    times = _times(part, grid)
    if times > 1:
        fine = PixelGrid(
            grid.epsg, grid.west, grid.north, grid.width * times, grid.height * times, grid.resolution / times
        )
        return _averaged(_onto_grid(part, fine), times)
    offset = lattice_offset(part.transform, Affine(*grid.transform)) if part.crs == CRS.from_epsg(grid.epsg) else None
    return _interpolated(part, grid) if offset is None else _cropped(part, grid, *offset)


def _times(part: _Part, grid: PixelGrid) -> int:
    """How many of a part's pixels lie along a pixel of the grid, in whichever unit its CRS counts."""
    west, south, east, north = _grid_bounds(grid, part.crs)
    across, along = (east - west) / part.transform.a, (south - north) / part.transform.e
    return round(min(across / grid.width, along / grid.height))


def _cropped(part: _Part, grid: PixelGrid, row: int, column: int) -> Codes:
    """Copy codes; the part's upper-left pixel is the grid's pixel (row, column)."""
    codes = np.full((TARGET_BANDS, *grid.shape), NODATA, np.int8)
    top, bottom = max(row, 0), min(row + part.codes.shape[1], grid.height)
    left, right = max(column, 0), min(column + part.codes.shape[2], grid.width)
    if top < bottom and left < right:
        codes[:, top:bottom, left:right] = part.codes[:, top - row : bottom - row, left - column : right - column]
    return codes


def _interpolated(part: _Part, grid: PixelGrid) -> Codes:
    valid = known(part.codes)
    length = np.sqrt(sum(np.square(decode(band)) for band in part.codes))
    length[~valid | (length == 0)] = 1
    vectors = np.empty((TARGET_BANDS, *grid.shape), np.float32)
    reached = np.zeros(grid.shape, np.bool_)
    for index, band in enumerate(part.codes):
        unit = (decode(band) / length).astype(np.float32)
        vectors[index], reached = resample(unit, valid, part.transform, part.crs, grid, nearest=False)
    return _coded(vectors, reached)


def _averaged(codes: Codes, times: int) -> Codes:
    """Sum the unit vectors of squares of `times` x `times` pixels, those without data left out."""
    height, width = codes.shape[1] // times, codes.shape[2] // times
    total = np.zeros((TARGET_BANDS, height, width), np.float32)
    for row in range(times):
        for column in range(times):
            vectors = to_unit_length(decode(np.moveaxis(codes[:, row::times, column::times], 0, -1)))
            total += np.moveaxis(vectors, -1, 0).astype(np.float32)
    seen = np.asarray(known(codes).reshape(height, times, width, times).any(axis=(1, 3)))
    return _coded(total, seen)


def _coded(vectors: NDArray[np.float32], valid: NDArray[np.bool_]) -> Codes:
    """Bring vectors (64, y, x) to unit length and code them; those without direction are no data."""
    codes = np.empty(vectors.shape, np.int8)
    for start in range(0, vectors.shape[1], _STRIP):
        rows = slice(start, start + _STRIP)
        strip = np.ascontiguousarray(np.moveaxis(vectors[:, rows], 0, -1))
        kept = valid[rows] & (np.linalg.norm(strip, axis=-1) > SHORTEST)
        codes[:, rows] = np.moveaxis(quantise(to_unit_length(strip), kept), -1, 0)
    return codes


def _bounds(transform: Affine, height: int, width: int) -> Bounds:
    west, north = transform.c, transform.f
    return (west, north + transform.e * height, west + transform.a * width, north)


def _grid_bounds(grid: PixelGrid, crs: CRS) -> Bounds:
    own = CRS.from_epsg(grid.epsg)
    if crs == own:
        return grid.bounds
    west, south, east, north = transform_bounds(own, crs, *grid.bounds, densify_pts=21)
    return (west, south, east, north)


def _window_around(transform: Affine, height: int, width: int, around: Bounds) -> Window | None:
    """Window of a north-up lattice around bounds in its CRS, with a margin; None where they lie outside."""
    west, south, east, north = around
    left = max(math.floor((west - transform.c) / transform.a) - MARGIN_PX, 0)
    right = min(math.ceil((east - transform.c) / transform.a) + MARGIN_PX, width)
    top = max(math.floor((north - transform.f) / transform.e) - MARGIN_PX, 0)
    bottom = min(math.ceil((south - transform.f) / transform.e) + MARGIN_PX, height)
    return Window(left, top, right - left, bottom - top) if left < right and top < bottom else None

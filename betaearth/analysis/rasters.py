"""A raster file as it is read for analysis: what its head says, and its pixels as float32 with NaN.

A file is opened for each window and closed again, so that arrays can be pickled, and read by any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from betaearth.analysis.canvas import Canvas
from betaearth.analysis.sources import files
from betaearth.errors import DataError
from betaearth.products.bands import FLOAT32_NODATA, QUALITY_NAMES, QUALITY_NODATA
from betaearth.products.blocks import read_codes
from betaearth.products.embedding import BAND_NAMES, DIMENSIONS
from betaearth.products.pyramid import Place, strips
from betaearth.products.quantise import NODATA, dequantise, to_unit_length
from betaearth.scenes.hrefs import plain
from betaearth.storage.s3_client import S3Options

STRIP_PX = 1 << 17
"""Pixels that are decoded at once: 64 components of them in float64 are 64 MiB."""
_ROWS = 128
"""Rows that are read at once, at least."""

Pixels = NDArray[np.float32]
"""(y, x, band); NaN where there is no data."""
Decode = Callable[[NDArray[Any], float | None], Pixels]
"""From what is stored, (y, x, band), and the file's own no-data value."""


@dataclass(frozen=True)
class RasterFile:
    """What the head of a raster says."""

    href: str
    canvas: Canvas
    """Of the level that is read, north-up."""
    bands: tuple[str, ...]
    dtype: str
    nodata: float | None
    tags: Mapping[str, str]
    factors: tuple[int, ...]
    """By which the overviews are coarser."""
    overview: int | None
    """Number of the overview that is read; None for full resolution."""
    upside_down: bool
    """Whether its first row is the southernmost one."""
    block_rows: int
    """Rows that are stored together."""
    decode: Decode
    s3: S3Options | None = None
    """Where S3 is; None leaves it to the AWS environment."""

    def read(self, place: Place, bands: slice | int = slice(None)) -> NDArray[np.float32]:
        """Read a window; all bands are read, whatever is asked for, since they are decoded together.

        Args:
            place: rows and columns, counted from the north-west, within the raster.
            bands: which to return.

        Returns:
            (band, y, x), or (y, x) of one band; NaN where there is no data.

        Raises:
            DataError: the file is not there any more, or corrupt.
            ConfigError: it may not be read.
            TransientError: the network or the server failed.
        """
        rows, columns = place
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        out = np.empty((len(self.bands), *shape), np.float32)[bands]
        if not out.size:
            return out
        with _opened(self.href, self.overview, self.s3) as (_, file):
            for strip in self._strips(rows):
                codes = self._stored(file, strip, columns)
                for part in strips(len(codes), max(1, STRIP_PX // shape[1])):
                    first = strip.start - rows.start + part.start
                    decoded = np.moveaxis(self.decode(codes[part], self.nodata), -1, 0)
                    out[..., first : first + decoded.shape[1], :] = decoded[bands]
        return out

    def _strips(self, rows: slice) -> Iterator[slice]:
        """Cut rows where the file's blocks end, so that none is decoded twice."""
        step = self.block_rows * -(-_ROWS // self.block_rows)
        offset = self.canvas.height % step if self.upside_down else 0
        start = rows.start
        while start < rows.stop:
            stop = min(((start - offset) // step + 1) * step + offset, rows.stop)
            yield slice(start, stop)
            start = stop

    def _stored(self, file: DatasetReader, rows: slice, columns: slice) -> NDArray[Any]:
        """Read rows counted from the north, in that order."""
        if not self.upside_down:
            return read_codes(file, (rows, columns))
        height = self.canvas.height
        return read_codes(file, (slice(height - rows.stop, height - rows.start), columns))[::-1]


def embedding_file(href: str, overview: int | None = None, s3: S3Options | None = None) -> RasterFile:
    """Look at a raster of embeddings.

    Raises:
        DataError: it is not there, corrupt, or no raster of embeddings; or it has no such overview.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    with _opened(href, overview, s3) as (file, level):
        _check_embedding(file, plain(href))
        decode = _DECODERS[file.dtypes[0]]
        return _described(href, level, full=file, overview=overview, bands=BAND_NAMES, decode=decode, s3=s3)


def quality_file(href: str, overview: int | None = None, s3: S3Options | None = None) -> RasterFile:
    """Look at a raster of quality.

    Raises:
        DataError: it is not there, corrupt, or no raster of quality; or it has no such overview.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    with _opened(href, overview, s3) as (file, level):
        if file.descriptions != QUALITY_NAMES or set(file.dtypes) != {"uint16"}:
            raise DataError(f"{plain(href)} is {_kind(file)}; quality is {' and '.join(QUALITY_NAMES)} in uint16")
        decode = _Scaled(tuple(file.scales))
        return _described(href, level, full=file, overview=overview, bands=QUALITY_NAMES, decode=decode, s3=s3)


@contextmanager
def _opened(href: str, overview: int | None, s3: S3Options | None) -> Iterator[tuple[DatasetReader, DatasetReader]]:
    """Open a raster, and of it the overview that is read; the same again where it is read in full."""
    with files(s3).open(href) as file:
        if overview is None:
            yield file, file
            return
        levels = len(file.overviews(1))
        if not 0 <= overview < levels:
            raise DataError(f"{plain(href)} has {levels} overviews, counted from 0; there is no {overview}")
        with rasterio.open(file.name, overview_level=overview) as coarse:
            yield file, coarse


def _described(
    href: str,
    level: DatasetReader,
    *,
    full: DatasetReader,
    overview: int | None,
    bands: tuple[str, ...],
    decode: Decode,
    s3: S3Options | None,
) -> RasterFile:
    if full.crs is None:
        raise DataError(f"{plain(href)} does not say its projection")
    if full.transform.b or full.transform.d or full.transform.a <= 0:
        raise DataError(f"{plain(href)} is turned: its transform is {tuple(full.transform)[:6]}; rows must run east")
    tags = {name: text for name, text in full.tags().items() if name.startswith("BETAEARTH_")}
    transform = level.transform
    if overview is not None and tags:
        # GDAL stretches an overview over the raster; a pixel of ours covers whole pixels, at the rim fewer.
        factor = full.overviews(1)[overview]
        transform = _coarser(full.transform, factor)
    return RasterFile(
        href=href,
        canvas=Canvas(full.crs, _north_up(transform, level.height), level.height, level.width),
        bands=bands,
        dtype=full.dtypes[0],
        nodata=full.nodata,
        tags=tags,
        factors=tuple(full.overviews(1)),
        overview=overview,
        upside_down=transform.e > 0,
        block_rows=level.block_shapes[0][0],
        decode=decode,
        s3=s3,
    )


def _coarser(transform: Affine, factor: int) -> Affine:
    return Affine(transform.a * factor, 0.0, transform.c, 0.0, transform.e * factor, transform.f)


def _north_up(transform: Affine, height: int) -> Affine:
    if transform.e < 0:
        return transform
    return Affine(transform.a, 0.0, transform.c, 0.0, -transform.e, transform.f + transform.e * height)


def _check_embedding(file: DatasetReader, where: str) -> None:
    wanted = f"an embedding has {DIMENSIONS}, A00 to A63, of int8 in AlphaEarth's code or of float32"
    if file.descriptions == QUALITY_NAMES:
        raise DataError(f"{where} is the quality of an embedding: betaearth.open_quality reads it")
    types = set(file.dtypes)
    if file.count != DIMENSIONS or len(types) != 1 or not types <= set(_DECODERS):
        raise DataError(f"{where} is {_kind(file)}; {wanted}")
    if any(file.descriptions) and file.descriptions != BAND_NAMES:
        raise DataError(f"{where} is {_kind(file)}; {wanted}, in that order")
    if set(file.scales) != {1.0} or set(file.offsets) != {0.0}:
        raise DataError(f"{where} is scaled by {file.scales[0]:g} and {file.offsets[0]:g}; {wanted}")
    if types == {"int8"} and set(file.nodatavals) - {NODATA, None}:
        raise DataError(f"{where} says {file.nodata:g} where there is no data; AlphaEarth's code says {NODATA}")


def _kind(file: DatasetReader) -> str:
    """Say what a raster is."""
    names = [name for name in file.descriptions if name]
    called = f" called {', '.join(names[:3])}{', …' if len(names) > 3 else ''}" if names else ""
    return f"a raster of {file.count} bands of {', '.join(sorted(set(file.dtypes)))}{called}"


def _from_int8(codes: NDArray[Any], nodata: float | None) -> Pixels:  # noqa: ARG001  # the code has its own
    return _known(dequantise(codes), (codes != NODATA).all(axis=-1))


def _from_float32(values: NDArray[Any], nodata: float | None) -> Pixels:
    absent = FLOAT32_NODATA if nodata is None else nodata
    known = (np.isfinite(values) & (values != absent)).all(axis=-1)
    clean = np.where(known[..., np.newaxis], values, 0).astype(np.float64)
    return _known(to_unit_length(clean).astype(np.float32), known)


def _known(vectors: Pixels, known: NDArray[np.bool_]) -> Pixels:
    """Put NaN where there is no data; a vector without length has no direction, so it is none."""
    vectors[~(known & vectors.any(axis=-1))] = np.nan
    return vectors


_DECODERS: Mapping[str, Decode] = {"int8": _from_int8, "float32": _from_float32}


@dataclass(frozen=True)
class _Scaled:
    """Decodes bands of quality."""

    scales: tuple[float, ...]
    """What a stored 1 means, per band."""

    def __call__(self, codes: NDArray[Any], nodata: float | None) -> Pixels:
        """Scale what is stored; NaN where the first band holds no data."""
        values: Pixels = (codes * np.array(self.scales)).astype(np.float32)
        values[codes[..., 0] == (QUALITY_NODATA if nodata is None else nodata)] = np.nan
        return values

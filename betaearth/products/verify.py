"""Reading a written file again, before anyone is told that it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from betaearth.grid.pixels import PixelGrid
from betaearth.products.bands import Codes, Raster, embedding_raster, quality_raster
from betaearth.products.cog import BLOCK
from betaearth.products.embedding import Embedding
from betaearth.products.options import Dtype
from betaearth.products.pyramid import overview_factors, strips
from betaearth.products.quantise import decode

NORM_TOLERANCE: dict[Dtype, float] = {"int8": 0.0225, "float32": 1e-5}
"""Largest deviation from unit length that a right file can have.

The int8 code moves the square root of a component by at most 1/255, so the length by at most
`(1 + 64^(1/4) / 255)^2 - 1`.
"""


def verify_embedding_cog(path: Path, embedding: Embedding, grid: PixelGrid, *, dtype: Dtype) -> float:
    """Compare a written file with the embedding that it should hold.

    Returns:
        Largest deviation from unit length over valid pixels, as stored; 0 where there is none.

    Raises:
        RuntimeError: the file is not what was to be written.
    """
    worst = 0.0
    for codes, valid in _verified(path, embedding_raster(embedding, grid, dtype)):
        vectors = decode(codes[valid]) if dtype == "int8" else codes[valid]
        worst = max(worst, float(np.abs(np.linalg.norm(vectors, axis=-1) - 1).max(initial=0)))
    # Not `>`: a length that is no number must not pass.
    if not worst <= NORM_TOLERANCE[dtype]:
        raise _wrong(path, f"vectors deviate from unit length by {worst}")
    return worst


def verify_quality_cog(path: Path, embedding: Embedding, grid: PixelGrid) -> None:
    """Compare a written file with the counts and dispersions that it should hold.

    Raises:
        RuntimeError: the file is not what was to be written.
    """
    for _ in _verified(path, quality_raster(embedding, grid)):
        pass


def _verified(path: Path, raster: Raster) -> Iterator[tuple[Codes, NDArray[np.bool_]]]:
    """Yield what is stored, strip by strip, with its validity (y, x); compared with what should be."""
    with rasterio.open(path) as file:
        _verify_header(path, file, raster)
        for rows in strips(raster.grid.height, BLOCK):
            window = Window(0, rows.start, raster.grid.width, rows.stop - rows.start)
            codes = np.moveaxis(file.read(window=window), 0, -1)
            valid = raster.valid[rows]
            if not np.array_equal(codes == raster.bands.nodata, np.broadcast_to(~valid[..., None], codes.shape)):
                raise _wrong(path, f"no data is not where nothing was observed, rows {rows.start}..{rows.stop}")
            if not np.array_equal(codes, raster.codes(rows)):
                raise _wrong(path, f"rows {rows.start}..{rows.stop} hold other values")
            yield codes, valid


def _verify_header(path: Path, file: DatasetReader, raster: Raster) -> None:
    grid, bands = raster.grid, raster.bands
    facts = {
        "size": (file.shape, grid.shape),
        "zone": (file.crs.to_epsg(), grid.epsg),
        "transform": (tuple(file.transform)[:6], grid.transform),
        "band names": (file.descriptions, bands.names),
        "types": (set(file.dtypes), {bands.dtype}),
        "no data": (set(file.nodatavals), {bands.nodata}),
        "scales": (file.scales, bands.scales),
        # Their number alone: GDAL derives a factor from the widths, which are rounded.
        "overviews": (len(file.overviews(1)), len(overview_factors(grid.width, grid.height, BLOCK))),
    }
    for name, (found, expected) in facts.items():
        if found != expected:
            raise _wrong(path, f"{name} {found} instead of {expected}")


def _wrong(path: Path, problem: str) -> RuntimeError:
    return RuntimeError(f"{path.name} was written but is not right: {problem}")

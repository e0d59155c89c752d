"""Reading a written file again, before anyone is told that it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import DatasetReader

from betaearth.products.bands import Bands, CodedBands, Codes
from betaearth.products.blocks import Raster, read_codes
from betaearth.products.pyramid import Place, overview_factors, windows
from betaearth.products.quantise import NORM_TOLERANCE, decode
from betaearth.products.tiling import TILE, place_name

_SPAN = 2 * TILE


def verify_embedding_cog(path: Path, raster: Raster[CodedBands]) -> float:
    """Compare a written file with the blocks of unit vectors that it should hold.

    Returns:
        Largest deviation from unit length over valid pixels, as stored; 0 where there is none.

    Raises:
        RuntimeError: the file is not what was to be written.
    """
    dtype = raster.bands.dtype
    worst = 0.0
    for codes in _verified(path, raster):
        stored = codes[raster.bands.observed(codes)]
        vectors = decode(stored) if dtype == "int8" else stored
        worst = max(worst, float(np.abs(np.linalg.norm(vectors, axis=-1) - 1).max(initial=0)))
    # Not `>`: a length that is no number must not pass.
    if not worst <= NORM_TOLERANCE[dtype]:
        raise _wrong(path, f"vectors deviate from unit length by {worst}")
    return worst


def verify_cog(path: Path, raster: Raster[Bands]) -> None:
    """Compare a written file with the blocks that it should hold.

    Raises:
        RuntimeError: the file is not what was to be written.
    """
    for _ in _verified(path, raster):
        pass


def _verified(path: Path, raster: Raster[Bands]) -> Iterator[Codes]:
    """Yield what is stored, window by window, compared with the files of the blocks, not with their mosaic."""
    with rasterio.open(path) as file:
        _verify_header(path, file, raster)
        for place, block_path in raster.blocks:
            with rasterio.open(block_path) as block:
                for inner in windows(block.height, block.width, TILE, _SPAN):
                    outer = _moved(inner, place)
                    codes = read_codes(file, outer)
                    if not np.array_equal(codes, read_codes(block, inner)):
                        raise _wrong(path, f"{place_name(outer)} hold other values")
                    yield codes


def _moved(inner: Place, place: Place) -> Place:
    """Count the rows and columns of a block from the upper-left corner of the area."""
    rows, columns = (
        slice(offset.start + part.start, offset.start + part.stop) for part, offset in zip(inner, place, strict=True)
    )
    return rows, columns


def _verify_header(path: Path, file: DatasetReader, raster: Raster[Bands]) -> None:
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
        "overviews": (len(file.overviews(1)), len(overview_factors(grid.width, grid.height, TILE))),
    }
    for name, (found, expected) in facts.items():
        if found != expected:
            raise _wrong(path, f"{name} {found} instead of {expected}")


def _wrong(path: Path, problem: str) -> RuntimeError:
    return RuntimeError(f"{path.name} was written but is not right: {problem}")

"""Cloud-optimised GeoTIFFs: the embedding in 64 bands, and the quality of it in two.

Overviews are ours, not the driver's: a mean of the codes is not the code of the mean, and a mean of unit
vectors is no unit vector. They are written beside the full resolution and handed to GDAL's COG driver as
overviews of a VRT, which is how that driver takes overviews that somebody else made.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import rasterio
import rasterio.shutil

from betaearth.grid.pixels import PixelGrid
from betaearth.products.bands import Bands, CodedBands
from betaearth.products.blocks import STRIP, Raster, create_plain, put_codes, read_codes, writing
from betaearth.products.pyramid import Place, block_means, overview_factors, windows
from betaearth.products.tiling import TILE
from betaearth.products.vrt import product_vrt

SPAN = 1024
"""Columns that are averaged at a time; like `STRIP` a power of two, so that no coarser pixel is cut."""

ZSTD_LEVEL = 3
"""GDAL's own 9 takes 2.5 times as long for files that are no smaller."""

_PREDICTORS = {"int8": "STANDARD", "uint16": "STANDARD", "float32": "FLOATING_POINT"}


def write_cog(path: Path, raster: Raster[CodedBands], tags: Mapping[str, str]) -> None:
    """Write a product's raster with overviews.

    An overview pixel is made of the mean of the observed full-resolution pixels that it covers: their direction, for
    unit vectors. The file appears whole or not at all, and the same pixels give the same bytes, in whatever blocks.

    Args:
        path: file to write, replaced where it is there; its folder must be.
        raster: what to write.
        tags: metadata of the file, name to text.
    """
    factors = overview_factors(raster.grid.width, raster.grid.height, TILE)
    with _beside(path) as folder:
        levels = {factor: folder / f"{factor}.tif" for factor in factors}
        _write_overviews(levels, raster)
        vrt = folder / "product.vrt"
        vrt.write_bytes(product_vrt(raster.bands, raster.grid, levels, tags, full=raster.mosaic))
        _copy(vrt, folder / path.name, raster.bands, OVERVIEWS="FORCE_USE_EXISTING" if factors else "NONE")
        (folder / path.name).replace(path)


def write_averaged_cog(path: Path, raster: Raster[Bands], tags: Mapping[str, str]) -> None:
    """Write a raster whose values may be averaged as they are, with overviews by GDAL's driver.

    Args:
        path: file to write, replaced where it is there; its folder must be.
        raster: what to write.
        tags: metadata of the file, name to text.
    """
    with _beside(path) as folder:
        vrt = folder / "product.vrt"
        vrt.write_bytes(product_vrt(raster.bands, raster.grid, {}, tags, full=raster.mosaic))
        _copy(vrt, folder / path.name, raster.bands, OVERVIEWS="IGNORE_EXISTING", OVERVIEW_RESAMPLING="AVERAGE")
        (folder / path.name).replace(path)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Make a folder for unfinished files beside the target, so that the last step is a rename."""
    with writing(), tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as name:
        yield Path(name)


def _copy(vrt: Path, path: Path, bands: Bands, **overviews: str) -> None:
    rasterio.shutil.copy(
        vrt,
        path,
        driver="COG",
        BLOCKSIZE=TILE,
        COMPRESS="ZSTD",
        LEVEL=ZSTD_LEVEL,
        PREDICTOR=_PREDICTORS[bands.dtype],
        BIGTIFF="IF_SAFER",
        **overviews,
    )


def _write_overviews(levels: Mapping[int, Path], raster: Raster[CodedBands]) -> None:
    """Write plain files of the reduced resolutions, by factor."""
    with ExitStack() as stack:
        full = stack.enter_context(rasterio.open(raster.mosaic))
        files = {
            factor: stack.enter_context(create_plain(path, raster.bands, _reduced(raster.grid, factor)))
            for factor, path in levels.items()
        }
        for place in _windows(raster.grid, levels):
            bands, codes = raster.bands, read_codes(full, place)
            means = block_means(bands.decode(codes), bands.observed(codes), tuple(levels))
            for factor, mean in zip(levels, map(bands.finish, means), strict=True):
                top, left = (part.start // factor for part in place)
                put_codes(files[factor], bands.encode(mean.values, mean.valid), top, left)


def _windows(grid: PixelGrid, levels: Mapping[int, Path]) -> Iterator[Place]:
    """Cut a grid into windows that cut no coarser pixel; none where there is nothing to average."""
    if not levels:
        return iter(())
    return windows(grid.height, grid.width, max(STRIP, *levels), max(SPAN, *levels))


def _reduced(grid: PixelGrid, factor: int) -> PixelGrid:
    size = (-(-grid.width // factor), -(-grid.height // factor))
    return PixelGrid(grid.epsg, grid.west, grid.north, *size, grid.resolution * factor)

"""Cloud-optimised GeoTIFFs: the embedding in 64 bands, and the quality of it in two.

Overviews are ours, not the driver's: a mean of the codes is not the code of the mean, and a mean of unit
vectors is no unit vector. They are written beside the full resolution and handed to GDAL's COG driver as
overviews of a VRT, which is how that driver takes overviews that somebody else made.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from betaearth.grid.pixels import PixelGrid
from betaearth.products.bands import Bands, Codes, Raster, embedding_raster, quality_raster
from betaearth.products.embedding import Embedding
from betaearth.products.options import Dtype
from betaearth.products.pyramid import block_means, overview_factors, strips

BLOCK = 256
"""Edge of a block, pixels."""
STRIP = 64
"""Rows that are encoded and averaged at a time; a power of two, so that no coarser pixel is cut."""

ZSTD_LEVEL = 3
"""GDAL's own 9 takes 2.5 times as long for files that are no smaller."""

_GDAL_TYPES = {"int8": "Int8", "uint16": "UInt16", "float32": "Float32"}
_PREDICTORS = {"int8": "STANDARD", "uint16": "STANDARD", "float32": "FLOATING_POINT"}


def write_embedding_cog(
    path: Path, embedding: Embedding, grid: PixelGrid, *, dtype: Dtype, tags: Mapping[str, str]
) -> None:
    """Write the unit vectors in bands A00..A63, no data (-128, or -9999) where nothing was observed.

    An overview pixel is the mean direction of the valid full-resolution vectors that it covers. The file
    appears whole or not at all, and the same arguments give the same bytes.

    Args:
        path: file to write, replaced where it is there; its folder must be.
        embedding: (y, x) of the grid.
        grid: where the pixels lie.
        dtype: the int8 code of `betaearth.products.quantise`, or exact.
        tags: metadata of the file, name to text.

    Raises:
        DataError: embedding and grid differ in shape.
    """
    _write(path, embedding_raster(embedding, grid, dtype), tags)


def write_quality_cog(path: Path, embedding: Embedding, grid: PixelGrid, *, tags: Mapping[str, str]) -> None:
    """Write the count and the dispersion (in .0001) of the observations as uint16, 65535 where there is none.

    An overview pixel holds the means, rounded, over the observed full-resolution pixels that it covers. The
    file appears whole or not at all, and the same arguments give the same bytes.

    Args:
        path: file to write, replaced where it is there; its folder must be.
        embedding: (y, x) of the grid.
        grid: where the pixels lie.
        tags: metadata of the file, name to text.

    Raises:
        DataError: embedding and grid differ in shape.
    """
    _write(path, quality_raster(embedding, grid), tags)


def _write(path: Path, raster: Raster, tags: Mapping[str, str]) -> None:
    factors = overview_factors(raster.grid.width, raster.grid.height, BLOCK)
    # Beside the target, so that the last step is a rename.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as name:
        folder = Path(name)
        _write_levels(folder, raster, factors)
        vrt = folder / "product.vrt"
        vrt.write_bytes(_describe(raster.bands, raster.grid, factors, tags))
        rasterio.shutil.copy(
            vrt,
            folder / "product.tif",
            driver="COG",
            BLOCKSIZE=BLOCK,
            COMPRESS="ZSTD",
            LEVEL=ZSTD_LEVEL,
            PREDICTOR=_PREDICTORS[raster.bands.dtype],
            BIGTIFF="IF_SAFER",
            OVERVIEWS="FORCE_USE_EXISTING" if factors else "NONE",
        )
        (folder / "product.tif").replace(path)


def _write_levels(folder: Path, raster: Raster, factors: tuple[int, ...]) -> None:
    """Write `1.tif`, `2.tif`, `4.tif` ...: plain files of the full and the reduced resolutions."""
    bands = raster.bands
    with ExitStack() as stack:
        levels = {f: stack.enter_context(_create_level(folder, bands, raster.grid, f)) for f in (1, *factors)}
        for rows in strips(raster.grid.height, max((STRIP, *factors))):
            codes = raster.codes(rows)
            _put(levels[1], codes, rows.start)
            means = block_means(bands.decode(codes), raster.valid[rows], factors)
            for factor, mean in zip(factors, map(bands.finish, means), strict=True):
                _put(levels[factor], bands.encode(mean.values, mean.valid), rows.start // factor)


def _create_level(folder: Path, bands: Bands, grid: PixelGrid, factor: int) -> DatasetWriter:
    return rasterio.open(
        folder / f"{factor}.tif",
        "w",
        driver="GTiff",
        width=-(-grid.width // factor),
        height=-(-grid.height // factor),
        count=len(bands.names),
        dtype=bands.dtype,
        nodata=bands.nodata,
        crs=f"EPSG:{grid.epsg}",
        transform=Affine(grid.resolution * factor, 0.0, grid.west, 0.0, -grid.resolution * factor, grid.north),
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        interleave="pixel",
        bigtiff="if_safer",
    )


def _put(level: DatasetWriter, codes: Codes, start: int) -> None:
    """Write rows from `start` on."""
    level.write(np.moveaxis(codes, -1, 0), window=Window(0, start, codes.shape[1], codes.shape[0]))


def _describe(bands: Bands, grid: PixelGrid, factors: tuple[int, ...], tags: Mapping[str, str]) -> bytes:
    """Compose the VRT: https://gdal.org/en/stable/drivers/raster/vrt.html.

    Everything that the product says of itself is said here; the levels give pixels alone.
    """
    root = ElementTree.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    _add(root, "SRS", f"EPSG:{grid.epsg}")
    x, y = repr(grid.resolution), repr(-grid.resolution)
    _add(root, "GeoTransform", f"{grid.west!r}, {x}, 0.0, {grid.north!r}, 0.0, {y}")
    metadata = ElementTree.SubElement(root, "Metadata")
    for name, text in sorted({**tags, "AREA_OR_POINT": "Area"}.items()):
        _add(metadata, "MDI", text, key=name)
    for index, (name, scale) in enumerate(zip(bands.names, bands.scales, strict=True), start=1):
        band = ElementTree.SubElement(root, "VRTRasterBand", dataType=_GDAL_TYPES[bands.dtype], band=str(index))
        _add(band, "Description", name)
        _add(band, "NoDataValue", repr(bands.nodata))
        _add(band, "ColorInterp", "Gray" if index == 1 else "Undefined")
        if scale != 1.0:
            _add(band, "Scale", repr(scale))
        _refer(ElementTree.SubElement(band, "SimpleSource"), 1, index)
        for factor in factors:
            _refer(ElementTree.SubElement(band, "Overview"), factor, index)
    return ElementTree.tostring(root)


def _refer(parent: ElementTree.Element, factor: int, band: int) -> None:
    _add(parent, "SourceFilename", f"{factor}.tif", relativeToVRT="1")
    _add(parent, "SourceBand", str(band))


def _add(parent: ElementTree.Element, name: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, name, attributes).text = text

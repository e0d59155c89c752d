"""GDAL's virtual rasters, as XML: https://gdal.org/en/stable/drivers/raster/vrt.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from betaearth.grid.pixels import PixelGrid
from betaearth.products.bands import Bands
from betaearth.products.pyramid import Place

_GDAL_TYPES = {"int8": "Int8", "uint16": "UInt16", "float32": "Float32"}


def mosaic_vrt(bands: Bands, grid: PixelGrid, blocks: Sequence[tuple[Place, Path]]) -> bytes:
    """Describe one raster of blocks.

    Args:
        bands: of every block.
        grid: of the whole.
        blocks: places and files.
    """
    root = _root(grid)
    for index in range(1, len(bands.names) + 1):
        band = _band(root, bands, index)
        for (rows, columns), path in blocks:
            source = ElementTree.SubElement(band, "SimpleSource")
            _refer(source, path, index)
            size = {"xSize": str(columns.stop - columns.start), "ySize": str(rows.stop - rows.start)}
            # With its size told, a file is opened when it is read, not with all the others.
            ElementTree.SubElement(
                source,
                "SourceProperties",
                RasterXSize=size["xSize"],
                RasterYSize=size["ySize"],
                DataType=_GDAL_TYPES[bands.dtype],
            )
            ElementTree.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0", **size})
            ElementTree.SubElement(source, "DstRect", {"xOff": str(columns.start), "yOff": str(rows.start), **size})
    return ElementTree.tostring(root)


def product_vrt(
    bands: Bands, grid: PixelGrid, levels: Mapping[int, Path], tags: Mapping[str, str], *, full: Path
) -> bytes:
    """Describe a product with its overviews.

    Everything that the product says of itself is said here; the files give pixels alone.

    Args:
        bands: of all files.
        grid: of the full resolution.
        levels: files of the overviews by factor, in growing order.
        tags: metadata, name to text.
        full: the full resolution.
    """
    root = _root(grid)
    metadata = ElementTree.SubElement(root, "Metadata")
    for name, text in sorted({**tags, "AREA_OR_POINT": "Area"}.items()):
        _add(metadata, "MDI", text, key=name)
    for index, (name, scale) in enumerate(zip(bands.names, bands.scales, strict=True), start=1):
        band = _band(root, bands, index)
        _add(band, "Description", name)
        _add(band, "ColorInterp", "Gray" if index == 1 else "Undefined")
        if scale != 1.0:
            _add(band, "Scale", repr(scale))
        _refer(ElementTree.SubElement(band, "SimpleSource"), full, index)
        for path in levels.values():
            _refer(ElementTree.SubElement(band, "Overview"), path, index)
    return ElementTree.tostring(root)


def _root(grid: PixelGrid) -> ElementTree.Element:
    root = ElementTree.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    _add(root, "SRS", f"EPSG:{grid.epsg}")
    x, y = repr(grid.resolution), repr(-grid.resolution)
    _add(root, "GeoTransform", f"{grid.west!r}, {x}, 0.0, {grid.north!r}, 0.0, {y}")
    return root


def _band(root: ElementTree.Element, bands: Bands, index: int) -> ElementTree.Element:
    band = ElementTree.SubElement(root, "VRTRasterBand", dataType=_GDAL_TYPES[bands.dtype], band=str(index))
    _add(band, "NoDataValue", repr(bands.nodata))
    return band


def _refer(parent: ElementTree.Element, path: Path, band: int) -> None:
    _add(parent, "SourceFilename", str(path.absolute()), relativeToVRT="0")
    _add(parent, "SourceBand", str(band))


def _add(parent: ElementTree.Element, name: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, name, attributes).text = text

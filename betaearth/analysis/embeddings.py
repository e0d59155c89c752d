"""Opening one product: `betaearth.open_embeddings` and `betaearth.open_quality`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import xarray

from betaearth.analysis.arrays import lazy_array
from betaearth.analysis.canvas import WGS84, asked_bounds, named, projected
from betaearth.analysis.rasters import RasterFile, embedding_file, quality_file
from betaearth.analysis.sources import ItemOrHref, Source, locate, year_in_name
from betaearth.errors import DataError
from betaearth.scenes.hrefs import plain
from betaearth.storage.s3_client import S3Options


def open_embeddings(
    item_or_href: ItemOrHref,
    *,
    bbox: Sequence[float] | None = None,
    bounds: Sequence[float] | None = None,
    asset: str = "embeddings",
    overview: int | None = None,
    s3: S3Options | None = None,
) -> xarray.DataArray:
    """Open an annual embedding as unit vectors, whatever its encoding.

    Only the head of the file is read. Slicing, `.values` and `.chunk()` read the blocks that they need; decoding needs
    all 64 bands of a pixel, so that few bands cost as much as all.

    Args:
        item_or_href: a `pystac.Item` (also pystac-client's), the same as a mapping, or an address: of an Item's JSON or
            of a GeoTIFF; a path, `file://`, `http(s)://` or `s3://` (credentials as boto3 finds them).
        bbox: west, south, east, north, degrees: every pixel that its box in the raster's projection touches.
        bounds: the same in units of the raster's projection.
        asset: key of the asset in the Item.
        overview: number of an overview, 0 the finest; None for full resolution.
        s3: where S3 is; None leaves it to the AWS environment, as boto3 reads it.

    Returns:
        (band, y, x) float32 of unit length, NaN where there is no data; bands A00 to A63, x and y centres of pixels,
        north first, `spatial_ref` the projection, and `time` the year where it is known.

    Raises:
        DataError: it is not there, is no embedding, has no such overview, or does not touch the box.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    source = locate(item_or_href, asset, s3)
    raster = embedding_file(source.href, overview, s3)
    source = completed(source, raster)
    array = lazy_array(raster, attributes_of(source, "annual embedding, unit vectors"), year=source.year)
    array.encoding["source"] = plain(source.href)
    return _cut(array.rename("embeddings"), raster, bbox, bounds, source)


def open_quality(
    item_or_href: ItemOrHref,
    *,
    bbox: Sequence[float] | None = None,
    bounds: Sequence[float] | None = None,
    asset: str = "quality",
    overview: int | None = None,
    s3: S3Options | None = None,
) -> xarray.Dataset:
    """Open what an embedding rests on: `obs_count`, observations of a pixel, and `dispersion` of them, 0 to 1.

    Args:
        item_or_href: as for `open_embeddings`.
        bbox: west, south, east, north, degrees.
        bounds: the same in units of the raster's projection.
        asset: key of the asset in the Item.
        overview: number of an overview, 0 the finest; None for full resolution.
        s3: where S3 is; None leaves it to the AWS environment, as boto3 reads it.

    Returns:
        Two float32 arrays (y, x), lazily read, NaN where there is no data.

    Raises:
        DataError: it is not there, is no such raster, has no such overview, or does not touch the box.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    source = locate(item_or_href, asset, s3)
    raster = quality_file(source.href, overview, s3)
    source = completed(source, raster)
    array = lazy_array(raster, attributes_of(source, "quality"), year=source.year)
    cut = _cut(array, raster, bbox, bounds, source)
    quality = cut.to_dataset("band")
    quality.attrs, names = cut.attrs, {"obs_count": "observations in the mean", "dispersion": "1 - length of the mean"}
    for name, text in names.items():
        quality[name].attrs = {"long_name": text, "units": "1"}
    return quality


def completed(source: Source, raster: RasterFile) -> Source:
    """Learn from the head of a raster of ours what no Item has said."""
    item = raster.tags.get("BETAEARTH_ITEM")
    return replace(
        source,
        year=source.year if source.year is not None else year_in_name(item),
        variant=source.variant or raster.tags.get("BETAEARTH_VARIANT"),
    )


def attributes_of(source: Source, long_name: str) -> dict[str, Any]:
    """Say what an array is, and where it is from."""
    origin = {"item": source.item, "collection": source.collection, "variant": source.variant}
    return {"long_name": long_name, "units": "1", **{name: text for name, text in origin.items() if text}}


def _cut(
    array: xarray.DataArray,
    raster: RasterFile,
    bbox: Sequence[float] | None,
    bounds: Sequence[float] | None,
    source: Source,
) -> xarray.DataArray:
    canvas = raster.canvas
    asked = asked_bounds(bbox, bounds, canvas.crs)
    if asked is None:
        return array
    place = canvas.place(asked)
    if place is None:
        there = canvas.bounds if bbox is None else projected(canvas.bounds, canvas.crs, WGS84)
        units = named(canvas.crs) if bbox is None else "degrees"
        said = ", ".join(f"{number:.7g}" for number in (bounds if bbox is None else bbox) or ())
        raise DataError(
            f"{source.name} covers ({', '.join(f'{number:.7g}' for number in there)}) in {units}; "
            f"({said}) lies outside of it"
        )
    rows, columns = place
    return array.isel(y=rows, x=columns)

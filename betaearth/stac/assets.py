"""The assets of an Item, and what a Collection says that every Item's assets are."""

from __future__ import annotations

import hashlib
import posixpath
from typing import Any

import pystac

from betaearth.errors import DataError
from betaearth.products.bands import DISPERSION_SCALE, QUALITY_NAMES, QUALITY_NODATA
from betaearth.products.embedding import BAND_NAMES
from betaearth.products.manifest import FileRecord, Manifest
from betaearth.stac.document import COG, JSON, PNG

Fields = dict[str, Any]

TITLES = {
    "embeddings": "64-D annual embedding (A00..A63), COG",
    "quality": "Observation count and dispersion of the observations, COG",
    "thumbnail": "Preview: three principal components as RGB",
    "provenance": "Provenance manifest (authoritative)",
}
TYPES = {"embeddings": COG, "quality": COG, "thumbnail": PNG, "provenance": JSON}
ROLES = {
    "embeddings": ["data", "embedding"],
    "quality": ["metadata", "quality"],
    # A PNG that is no thumbnail would be taken for a raster on the Item's grid.
    "thumbnail": ["thumbnail"],
    "provenance": ["metadata"],
}
FILES = {"embeddings": "embeddings.tif", "quality": "quality.tif", "thumbnail": "preview.png"}

AXES = [{"name": name} for name in BAND_NAMES]
QUALITY_BANDS: list[Fields] = [
    {"name": QUALITY_NAMES[0], "description": "Observations in the mean"},
    {
        "name": QUALITY_NAMES[1],
        "description": "1 - length of the mean of the unit observations; 0 where all agree",
        "raster:scale": DISPERSION_SCALE,
    },
]
DEQUANTISE = {"format": "gdal-calc", "expression": "sign(A)*(A.astype(float)/127.5)**2"}
"""Of each axis of an int8 product; the 64 of a pixel then go to length 1. It is not linear: no scale."""
QUANTIZATION = {"method": "aef-signed-square", "original_dtype": "float32", "quantized_dtype": "int8"}


def item_assets(manifest: Manifest, *, manifest_key: str, manifest_bytes: bytes) -> dict[str, pystac.Asset]:
    """Describe the files of a product and its manifest, relative to the Item beside the manifest.

    Raises:
        DataError: the manifest lacks a file that every product has, or its data type.
    """
    folder = posixpath.dirname(manifest_key)
    resolution = manifest.request.grid.resolution
    fields = {
        **raster_fields(manifest.dtype, _nodata(manifest), resolution),
        "thumbnail": {},
        "provenance": {},
    }
    fields["embeddings"]["eo:bands"] = AXES
    fields["quality"]["eo:bands"] = [{"name": name} for name in QUALITY_NAMES]
    digest = hashlib.sha256(manifest_bytes).hexdigest()
    records = {name: _record(manifest, file) for name, file in FILES.items()}
    records["provenance"] = FileRecord(key=manifest_key, size=len(manifest_bytes), sha256=digest)
    return {name: _asset(name, fields[name], record, folder) for name, record in records.items()}


def asset_templates(dtype: str | None, nodata: float | None, resolution: float) -> dict[str, Fields]:
    """Describe what the assets of all Items have in common: a Collection's `item_assets`.

    Args:
        dtype: data type of the embeddings; None where Items differ.
        nodata: number that says no data there; None where Items differ.
        resolution: edge of a pixel, metres.
    """
    rasters = raster_fields(dtype, nodata, resolution)
    return {
        name: {"title": TITLES[name], "type": TYPES[name], "roles": ROLES[name], **rasters.get(name, {})}
        for name in TITLES
    }


def raster_fields(dtype: str | None, nodata: float | None, resolution: float) -> dict[str, Fields]:
    """Describe the pixels of the two rasters, asset name to fields; what is None is left out."""
    stored = {"data_type": dtype, "nodata": nodata}
    embeddings: Fields = {
        **{name: value for name, value in stored.items() if value is not None},
        "gsd": resolution,
        "raster:sampling": "area",
        "raster:spatial_resolution": resolution,
        "bands": AXES,
        **({"processing:expression": DEQUANTISE} if dtype == "int8" else {}),
    }
    quality: Fields = {
        "data_type": "uint16",
        "nodata": QUALITY_NODATA,
        "gsd": resolution,
        "bands": QUALITY_BANDS,
    }
    return {"embeddings": embeddings, "quality": quality}


def _asset(name: str, fields: Fields, record: FileRecord, folder: str) -> pystac.Asset:
    relative = posixpath.relpath(record.key, folder)
    return pystac.Asset(
        href=relative if relative.startswith("../") else f"./{relative}",
        title=TITLES[name],
        media_type=TYPES[name],
        roles=list(ROLES[name]),
        extra_fields={
            **fields,
            "file:size": record.size,
            # A multihash: 0x12 says SHA-256, 0x20 its 32 bytes.
            "file:checksum": f"1220{record.sha256}",
        },
    )


def _record(manifest: Manifest, file: str) -> FileRecord:
    record = manifest.files.get(file)
    if record is None:
        raise DataError(f"the manifest of {manifest.item_id} lists {sorted(manifest.files)}; a product has {file} too")
    return record


def _nodata(manifest: Manifest) -> float:
    if manifest.nodata is None or manifest.dtype is None:
        raise DataError(f"the manifest of {manifest.item_id} states no dtype or no nodata; a product has both")
    return int(manifest.nodata) if manifest.dtype == "int8" else manifest.nodata

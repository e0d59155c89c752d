"""The STAC Item of a tile-year: a pure function of its manifest.

It says where the pixels lie, what the files are, and what determined them; the scenes themselves stay in
the manifest, which the Item links as `via`. Hrefs are relative and there is no link to itself, so that a
store can be moved.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pystac
from pystac.utils import datetime_to_str

from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import footprint_geometry
from betaearth.grid.pixels import PixelGrid
from betaearth.products.manifest import Fate, GridRecord, Manifest, Statistics, VariantRecord
from betaearth.stac import assets, extension
from betaearth.stac.document import GEOJSON, JSON, LICENSE, LICENSE_HREF, Document, extension_uri
from betaearth.stac.recipe import recipe
from betaearth.stac.titles import (
    CATALOG_TITLE,
    block_title,
    is_synthetic,
    item_title,
    manifest_collection_title,
    product_version,
)

EXTENSIONS = (
    extension_uri("projection", "v2.0.0"),
    extension_uri("raster", "v2.0.0"),
    extension_uri("grid", "v1.1.0"),
    extension_uri("file", "v2.1.0"),
    extension_uri("processing", "v1.2.0"),
    extension_uri("version", "v1.2.0"),
    extension_uri("eo", "v1.1.0"),
    extension.URI,
)
ATTRIBUTION = extension_uri("attribution", "v0.1.0")
"""Declared only where there is an attribution: its schema refuses an Item without."""


@dataclass(frozen=True)
class Succession:
    """Which versions of a tile-year come before and after one of them, by the ids of their Items."""

    id: str | None = None
    """Of the Item itself; None: the tile-year's own."""
    predecessor: str | None = None
    successor: str | None = None
    """None for the current version."""
    latest: str | None = None
    """The current version; None for itself."""
    superseded: datetime | None = None
    """When the successor was made, UTC."""


CURRENT = Succession()
"""Of a tile-year's only version."""


def item_from_manifest(
    manifest: Manifest, *, manifest_key: str, manifest_bytes: bytes, succession: Succession = CURRENT
) -> pystac.Item:
    """Describe a tile-year's product.

    Args:
        manifest: of a product, on a cell.
        manifest_key: its object key; the Item lies in the same folder.
        manifest_bytes: as they are stored: the Item states their size and SHA-256.
        succession: which versions come before and after this one.

    Raises:
        DataError: the manifest is of an empty tile-year, of an area that is no cell, or incomplete.
    """
    if manifest.statistics is None or manifest.product_digest is None:
        raise DataError(f"{manifest_key} is of an empty tile-year ({manifest.reason}); only a product has an Item")
    item = pystac.Item(
        id=succession.id or manifest.item_id,
        geometry=_geometry(manifest.request.grid),
        bbox=list(manifest.request.grid.bounds_lonlat),
        datetime=datetime(manifest.request.year, 1, 1, tzinfo=UTC),
        properties=_properties(manifest, manifest.statistics, succession),
        collection=manifest.collection,
        stac_extensions=[*EXTENSIONS, *([ATTRIBUTION] if manifest.attribution else [])],
        assets=assets.item_assets(manifest, manifest_key=manifest_key, manifest_bytes=manifest_bytes),
    )
    item.add_links([*_links(manifest, manifest_key), *_version_links(succession)])
    return item


def item_document(item: pystac.Item) -> Document:
    """Return an Item as it is stored: links as they are, none to itself."""
    return item.to_dict(include_self_link=False, transform_hrefs=False)


def model_properties(manifest: Manifest) -> dict[str, Any]:
    """Describe the network: the value of `betaearth:model`."""
    variant = manifest.request.variant
    return {
        "variant": variant.name,
        "trained": variant.trained,
        **({"trained_on_synthetic": True} if variant.trained_on_synthetic else {}),
        "weights": variant.weights,
        "weights_sha256": variant.weights_sha256,
        "inputs": list(variant.inputs),
        **(
            {"backbone": variant.backbone, "backbone_sha256": variant.backbone_sha256}
            if variant.backbone and variant.backbone_sha256
            else {}
        ),
    }


def attribution_text(sentences: Iterable[str]) -> str:
    """Join sentences, one a line, so that they can be told apart again."""
    return "\n".join(sorted(set(sentences)))


def _geometry(grid: GridRecord) -> dict[str, Any]:
    west, _, east, _ = grid.bounds_lonlat
    if west > east:
        pixels = PixelGrid(grid.epsg, grid.west, grid.north, grid.width, grid.height, grid.resolution)
        return footprint_geometry(pixels)
    return {"type": "Polygon", "coordinates": [[list(point) for point in grid.footprint]]}


def _properties(manifest: Manifest, statistics: Statistics, succession: Succession) -> dict[str, Any]:
    year, grid = manifest.request.year, manifest.request.grid
    created = datetime_to_str(manifest.created)
    return {
        "title": item_title(manifest),
        "start_datetime": f"{year}-01-01T00:00:00Z",
        "end_datetime": f"{year}-12-31T23:59:59Z",
        "created": created,
        # The same on every publish: an Item changes only when another manifest takes its place or supersedes it.
        "updated": datetime_to_str(succession.superseded) if succession.superseded else created,
        "gsd": grid.resolution,
        "license": LICENSE,
        **({"attribution": attribution_text(manifest.attribution)} if manifest.attribution else {}),
        "version": product_version(manifest.collection),
        **({"deprecated": True} if succession.successor else {}),
        "proj:code": f"EPSG:{grid.epsg}",
        "proj:shape": [grid.height, grid.width],
        "proj:transform": [grid.resolution, 0.0, grid.west, 0.0, -grid.resolution, grid.north],
        "grid:code": _grid_code(manifest.request.cell, grid),
        "processing:lineage": _lineage(manifest),
        "processing:software": dict(manifest.software),
        **({"emb:quantization": dict(assets.QUANTIZATION)} if manifest.dtype == "int8" else {}),
        "betaearth:model": model_properties(manifest),
        "betaearth:provenance": _provenance(manifest),
        "betaearth:observations": _observations(manifest, statistics),
    }


def _grid_code(cell: str, grid: GridRecord) -> str:
    if grid.spacing_m is None:
        raise DataError(f"{cell!r} is an area of interest; only a Major TOM cell has an Item")
    return MajorTomGrid(grid.spacing_m).cell(cell).code


def _lineage(manifest: Manifest) -> str:
    variant = manifest.request.variant
    sensors = Counter(scene.sensor for scene in manifest.scenes)
    counted = ", ".join(f"{count} of {sensor}" for sensor, count in sorted(sensors.items()))
    network = f"{variant.name}{_upbringing(variant)}"
    seen = f"{len(manifest.scenes)} scenes"
    if any(len(observation.scenes) > 1 for observation in manifest.observations):
        seen = f"{len(manifest.observations)} observations, together of {seen},"
    return (
        f"Mean on the unit sphere of the embeddings of {seen} "
        f"of {manifest.request.year} ({counted}) from {manifest.source_title}; network: {network}."
    )


def _upbringing(variant: VariantRecord) -> str:
    if not variant.trained:
        return ", a seeded initialisation without training"
    return ", trained on synthetic data" if variant.trained_on_synthetic else ""


def _provenance(manifest: Manifest) -> dict[str, Any]:
    request = manifest.request
    return {
        "request_digest": manifest.request_digest,
        "sources_digest": manifest.sources_digest,
        "fingerprint": manifest.fingerprint,
        "product_digest": manifest.product_digest,
        "algorithm_version": request.algorithm_version,
        "source": manifest.source_title,
        "source_identity": request.source,
        "synthetic": is_synthetic(request.source),
        "selection": request.options.get("selection", {}),
        "radiometry": sorted({scene.radiometry for scene in manifest.scenes}),
        "reproduce": recipe(manifest),
    }


def _observations(manifest: Manifest, statistics: Statistics) -> dict[str, Any]:
    rejected = Counter(
        # The message of an unreadable granule names its file, so that each would be a reason of its own.
        "unreadable" if granule.fate is Fate.UNREADABLE else granule.reason or "not selected"
        for granule in manifest.granules
        if granule.fate is not Fate.USED
    )
    return {
        "scenes": len(manifest.scenes),
        "granules": {
            "found": len(manifest.granules),
            "used": len(manifest.granules) - rejected.total(),
            # A list and no map: the columns of a table of Items must not depend on what happened.
            "rejected": [{"reason": reason, "granules": count} for reason, count in sorted(rejected.items())],
        },
        "missing": manifest.missing,
        "min": statistics.observations_min,
        "mean": statistics.observations_mean,
        "max": statistics.observations_max,
        "valid_fraction": statistics.valid_fraction,
        "dispersion_mean": statistics.dispersion_mean,
    }


def _links(manifest: Manifest, manifest_key: str) -> list[pystac.Link]:
    block = manifest_key.split("/")[-3]
    return [
        pystac.Link("root", "../../../../../catalog.json", JSON, CATALOG_TITLE),
        pystac.Link("parent", "../catalog.json", JSON, block_title(block)),
        pystac.Link("collection", "../../../../collection.json", JSON, manifest_collection_title(manifest)),
        *_derived_from(manifest),
        pystac.Link("license", LICENSE_HREF, "text/html", LICENSE),
        pystac.Link("via", f"./{posixpath.basename(manifest_key)}", JSON, assets.TITLES["provenance"]),
    ]


def _version_links(succession: Succession) -> list[pystac.Link]:
    """Link the other versions; they lie in the same folder."""
    titles = {
        "predecessor-version": ("Version that this one superseded", succession.predecessor),
        "successor-version": ("Version that superseded this one", succession.successor),
        "latest-version": ("Current version", succession.latest),
    }
    return [pystac.Link(rel, f"./{target}.json", GEOJSON, title) for rel, (title, target) in titles.items() if target]


def _derived_from(manifest: Manifest) -> list[pystac.Link]:
    """Link the source's collections where the source is an API; other sources have no address to link."""
    api = re.search(r"https?://\S+", manifest.request.source)
    if api is None:
        return []
    used = {granule.collection for granule in manifest.granules if granule.fate is Fate.USED}
    return [
        pystac.Link("derived_from", f"{api[0].rstrip('/')}/collections/{name}", JSON, f"{name} (list in manifest)")
        for name in sorted(used)
    ]

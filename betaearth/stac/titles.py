"""What collections, catalogs and Items are called, and what a title must own up to."""

from __future__ import annotations

import re

from betaearth.errors import DataError
from betaearth.products.manifest import Manifest

CATALOG_TITLE = "BetaEarth embeddings"


def is_synthetic(source: str) -> bool:
    """Whether a source, by its identity, is the procedural Earth and not imagery."""
    return source.partition(":")[0] == "synthetic"


def caveats(*, trained: bool, synthetic: bool, trained_on_synthetic: bool = False) -> str:
    """Say what keeps a product from being what it looks like; "" where nothing does.

    Args:
        trained: whether every network was trained.
        synthetic: whether some imagery is made up.
        trained_on_synthetic: whether some network learned from made-up data.
    """
    said = {
        "untrained network": not trained,
        "network trained on synthetic data": trained_on_synthetic,
        "synthetic source": synthetic,
    }
    words = [word for word, holds in said.items() if holds]
    return f" ({', '.join(words)})" if words else ""


def item_title(manifest: Manifest) -> str:
    """Title of a tile-year's Item."""
    request = manifest.request
    return f"BetaEarth {request.variant.name} embedding {request.cell} {request.year}{_caveats_of(manifest)}"


def collection_title(collection: str, *, trained: bool, synthetic: bool, trained_on_synthetic: bool = False) -> str:
    """Title of a collection, as Items and the catalog above link it."""
    return f"Annual embeddings {collection}" + caveats(
        trained=trained, synthetic=synthetic, trained_on_synthetic=trained_on_synthetic
    )


def manifest_collection_title(manifest: Manifest) -> str:
    """Title of the collection that a manifest belongs to, by what this one manifest knows."""
    return f"Annual embeddings {manifest.collection}{_caveats_of(manifest)}"


def superblock_title(name: str) -> str:
    """Title of the catalog of 256 x 256 cells."""
    return f"Super-block {name}"


def block_title(name: str) -> str:
    """Title of the catalog of 16 x 16 cells."""
    return f"Block {name}"


def product_version(collection: str) -> str:
    """Product version in a collection's id: `v1` of `betaearth-robust-v1`.

    Raises:
        DataError: the id names none.
    """
    match = re.search(r"-(v[0-9]+)$", collection)
    if match is None:
        raise DataError(f"collection {collection!r} names no product version; betaearth-robust-v1 does")
    return match[1]


def _caveats_of(manifest: Manifest) -> str:
    request = manifest.request
    return caveats(
        trained=request.variant.trained,
        synthetic=is_synthetic(request.source),
        trained_on_synthetic=request.variant.trained_on_synthetic,
    )

"""An Item that somebody published, and the manifest that it names, read from the Item's address alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.products.fingerprint import fingerprint, request_digest, sources_digest
from betaearth.products.keys import manifest_key, parse_manifest_key, tile_year_prefix
from betaearth.products.manifest import Fate, Manifest
from betaearth.stac.document import Document, from_bytes
from betaearth.stac.item import Succession
from betaearth.stac.versions import LARGEST_MANIFEST, StoredManifest, check_file_keys, check_name, version_id
from betaearth.storage.locations import Location

LARGEST_ITEM = 4 << 20
"""Bytes beyond which an object is no Item of ours; one has about 20 kB."""
LARGEST_FILE = 4 << 30
"""Bytes beyond which no file of a tile-year is: 1068 x 1068 pixels of 64 float32 bands are 0.3 GB."""
MANIFEST_ASSET = "provenance"

_MULTIHASH = re.compile(r"1220([0-9a-f]{64})")
"""Of a SHA-256: 0x12 says which, 0x20 its 32 bytes."""
_BESIDE = re.compile(r"\./(?P<id>[a-z0-9_-]{1,300})\.json")


@dataclass(frozen=True)
class Described:
    """A file as an Item describes it."""

    href: str
    size: int
    """Bytes."""
    sha256: str


def parse_item(data: bytes, where: str) -> Document:
    """Parse an Item that was read from `where`.

    Raises:
        DataError: it is no JSON object, or no Item.
    """
    try:
        document = from_bytes(data, where=where)
    except RecursionError:
        raise DataError(f"{where} nests deeper than any STAC document") from None
    if document.get("type") != "Feature" or not isinstance(document.get("id"), str):
        raise DataError(
            f"{where} is no STAC Item (type {document.get('type')!r:.60}): give the address of a cell's Item"
        )
    return document


def described(document: Document, name: str) -> Described:
    """Read what an Item says of one of its assets.

    Raises:
        DataError: it has no such asset, or does not say where it is, how large, and what its digest is.
    """
    assets = document.get("assets")
    asset = assets.get(name) if isinstance(assets, dict) else None
    if not isinstance(asset, dict):
        raise DataError(f"the Item has no asset {name!r}")
    href, size, checksum = (asset.get(field) for field in ("href", "file:size", "file:checksum"))
    if not isinstance(href, str):
        raise DataError(f"the asset {name!r} has no href")
    largest = LARGEST_MANIFEST if name == MANIFEST_ASSET else LARGEST_FILE
    if type(size) is not int or not 0 <= size <= largest:
        raise DataError(f"the asset {name!r} has the file:size {size!r:.40}; up to {largest} bytes are possible")
    match = _MULTIHASH.fullmatch(checksum) if isinstance(checksum, str) else None
    if match is None:
        raise DataError(f"the asset {name!r} has the file:checksum {checksum!r:.90}; 1220 and a SHA-256 are needed")
    return Described(href, size, match[1])


def save(item: Location, file: Described, path: Path) -> str:
    """Copy a file of an Item to this machine, if it is the one that the Item describes.

    Returns:
        A sentence.

    Raises:
        DataError: it leads out of the Item's folder, is not there, or has another size or digest.
        ConfigError: it may not be read.
        TransientError: the server or the network failed.
    """
    place = item.join(file.href)
    saved = place.save(path, limit=file.size)
    if saved.size != file.size:
        raise DataError(f"{place} has {saved.size} bytes, the Item says {file.size}")
    if saved.sha256 != file.sha256:
        raise DataError(f"{place} has the SHA-256 {saved.sha256}, the Item says {file.sha256}")
    return f"{file.size} bytes, SHA-256 {file.sha256}"


def parse_manifest(data: bytes, where: str) -> StoredManifest:
    """Parse the manifest of a tile-year's product, and give it the key that follows from what it says.

    Raises:
        DataError: it is none, or says what cannot be together.
    """
    if len(data) > LARGEST_MANIFEST:
        raise DataError(f"{where} is larger than {LARGEST_MANIFEST} bytes, so it is no manifest")
    manifest = Manifest.from_bytes(data, where=where)
    request = manifest.request
    if manifest.outcome != "product" or manifest.product_digest is None or request.grid.spacing_m is None:
        raise DataError(f"{where} is not of a product of a Major TOM cell, so no Item is made of it")
    cell = MajorTomGrid(request.grid.spacing_m).cell(request.cell)
    prefix = tile_year_prefix(manifest.collection, request.year, cell)
    key = manifest_key(prefix, manifest.request_digest, manifest.sources_digest)
    name = parse_manifest_key(key)
    if name is None or request.year < 1:
        raise DataError(f"{where} would belong at {key}, which is no key of a manifest")
    check_name(manifest, name, key)
    check_file_keys(manifest, prefix, key)
    return StoredManifest(key, data, manifest)


def check_digests(manifest: Manifest) -> str:
    """Compute the digests of a manifest again from what it says; that of its product `parse_manifest` has compared.

    Returns:
        A sentence.

    Raises:
        DataError: names the first that differs.
    """
    used = [
        {"id": granule.id, "baseline": granule.baseline, "generated": granule.generated}
        for granule in manifest.granules
        if granule.fate is Fate.USED
    ]
    try:
        request = request_digest(manifest.request)
    except ValueError as error:
        raise DataError(f"the request has no digest: {error}") from error
    sources = sources_digest(used)
    computed = {
        "request_digest": request,
        "sources_digest": sources,
        "fingerprint": fingerprint(request, sources),
    }
    for name, digest in computed.items():
        if digest != getattr(manifest, name):
            raise DataError(f"{name} is {digest} by what the manifest says, and it says {getattr(manifest, name)}")
    return f"fingerprint {manifest.fingerprint} rests on {len(used)} granules"


def succession_of(document: Document, stored: StoredManifest) -> Succession:
    """Read which versions an Item says come before and after it; what is malformed is left out.

    Raises:
        DataError: it is neither the Item of a current version nor that of a superseded one.
    """
    targets = _version_targets(document, stored.manifest.item_id)
    superseded, latest = targets.get("successor-version"), targets.get("latest-version")
    old = document["id"] == version_id(stored)
    if old != (superseded is not None) or old != (latest == stored.manifest.item_id):
        raise DataError(
            f"{document['id']!r:.300} is neither the current version nor one that links its successor and the current"
        )
    return Succession(
        id=version_id(stored) if old else None,
        predecessor=targets.get("predecessor-version"),
        successor=superseded,
        latest=latest,
        superseded=_moment(document) if old else None,
    )


def _version_targets(document: Document, item_id: str) -> dict[str, str]:
    """Ids of the Items of other versions of the same tile-year, by the relation of the link."""
    links = document.get("links")
    entries: list[Any] = links if isinstance(links, list) else []
    targets = {}
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(href := entry.get("href"), str):
            continue
        rel, match = entry.get("rel"), _BESIDE.fullmatch(href)
        if isinstance(rel, str) and match and re.fullmatch(re.escape(item_id) + r"(_[0-9a-f-]+)?", match["id"]):
            targets[rel] = match["id"]
    return targets


def _moment(document: Document) -> datetime | None:
    properties = document.get("properties")
    said = properties.get("updated") if isinstance(properties, dict) else None
    try:
        return datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None

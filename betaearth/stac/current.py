"""Which manifest a tile-year's Item is made of: the newest, of those that say what their key says."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from betaearth.errors import DataError
from betaearth.products.keys import ManifestName, item_id, parse_manifest_key
from betaearth.products.manifest import Manifest
from betaearth.stac.document import to_bytes
from betaearth.stac.item import item_document, item_from_manifest
from betaearth.storage.folder import FolderStore


@dataclass(frozen=True)
class StoredManifest:
    """A manifest as it lies in the store."""

    key: str
    data: bytes
    manifest: Manifest

    @property
    def item_key(self) -> str:
        """Object key of the Item beside it."""
        return f"{posixpath.dirname(self.key)}/{self.manifest.item_id}.json"

    def item_bytes(self) -> bytes:
        """Make the Item.

        Raises:
            DataError: the manifest cannot have one.
        """
        item = item_from_manifest(self.manifest, manifest_key=self.key, manifest_bytes=self.data)
        return to_bytes(item_document(item))


@dataclass(frozen=True)
class Choice:
    """The current manifest of a tile-year."""

    current: StoredManifest | None
    """None where none can be read."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Manifest key to the reason why it was left out of the choice."""


def choose(store: FolderStore, keys: Iterable[str]) -> Choice:
    """Choose among the manifests of one tile-year: the newest by `created`, a tie by key.

    Args:
        store: where they lie.
        keys: their object keys.
    """
    readable: list[StoredManifest] = []
    skipped: dict[str, str] = {}
    for key in keys:
        try:
            readable.append(read_manifest(store, key))
        except DataError as error:
            skipped[key] = str(error)
    newest = max(readable, key=lambda stored: (stored.manifest.created, stored.key), default=None)
    return Choice(newest, skipped)


def newest(store: FolderStore, known: StoredManifest) -> StoredManifest:
    """Choose among a tile-year's manifests anew, by what is stored now.

    Args:
        store: where they lie.
        known: a manifest of the tile-year: the choice where no other can be read.
    """
    keys = store.list(f"{posixpath.dirname(known.key)}/")
    return choose(store, [key for key in keys if parse_manifest_key(key)]).current or known


def read_manifest(store: FolderStore, key: str) -> StoredManifest:
    """Read a manifest.

    Raises:
        DataError: it is no manifest, or it belongs under another key.
    """
    name = parse_manifest_key(key)
    if name is None:
        raise DataError(f"{key} is not the key of a manifest")
    data = store.read(key)
    manifest = Manifest.from_bytes(data, where=key)
    _check_name(manifest, name, key)
    return StoredManifest(key, data, manifest)


def check_files(store: FolderStore, manifest: Manifest) -> None:
    """Check that the files of a product are there, by their sizes; `audit` is who reads them.

    Raises:
        DataError: one is missing, or has another size than the manifest states.
    """
    for name, record in sorted(manifest.files.items()):
        size = store.size(record.key)
        if size is None:
            raise DataError(f"{name} is missing: there is no {record.key}")
        if size != record.size:
            raise DataError(f"{name} has {size} bytes, not the {record.size} of the manifest: {record.key}")


def _check_name(manifest: Manifest, name: ManifestName, key: str) -> None:
    """Refuse a manifest that was copied under another tile-year's or collection's key, or names another Item."""
    collection = name.prefix.partition("/")[0]
    said = (
        manifest.collection,
        manifest.request.year,
        manifest.request.cell.lower(),
        manifest.request_digest[:12],
        manifest.sources_digest[:8],
        manifest.item_id,
    )
    item = item_id(collection, name.cell, name.year)
    named = (collection, name.year, name.cell, name.request12, name.sources8, item)
    if said != named:
        raise DataError(f"{key} holds the manifest of {said}; its key says {named}")
    if manifest.created.tzinfo is None:
        raise DataError(f"{key} was created at {manifest.created}, without a time zone; UTC is +00:00")

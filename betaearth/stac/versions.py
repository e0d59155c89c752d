"""The versions of a tile-year: every product that its manifests tell of, and the Item that each of them has.

The newest product is the current one and has the tile-year's Item. Whatever it superseded stays readable under an
Item of its own, marked as deprecated, before and after which the others are linked.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache

from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.products.fingerprint import product_digest
from betaearth.products.keys import ManifestName, item_id, parse_manifest_key, product_prefix, tile_year_prefix
from betaearth.products.manifest import Manifest
from betaearth.stac import assets
from betaearth.stac.document import to_bytes
from betaearth.stac.item import CURRENT, Succession, item_document, item_from_manifest
from betaearth.storage.store import Store

LARGEST_MANIFEST = 32 << 20
"""Bytes beyond which an object is no manifest of ours; one with 2,000 candidate granules has about 4 MB."""

FILES = frozenset(assets.FILES.values())


@dataclass(frozen=True)
class StoredManifest:
    """A manifest as it lies in the store, under the key that it belongs to."""

    key: str
    data: bytes
    manifest: Manifest

    @property
    def stem(self) -> str:
        """Name of its file without the suffix: which request and which sources."""
        return posixpath.basename(self.key).partition(".")[0]

    @cached_property
    def item(self) -> bytes:
        """Its Item where there is no other version, as it is stored.

        Raises:
            DataError: the manifest cannot have one.
        """
        return item_bytes(self)

    @property
    def order(self) -> tuple[datetime, str]:
        """What says which of two is newer; a tie is decided by key."""
        return self.manifest.created, self.key


@dataclass(frozen=True)
class Versions:
    """The manifests of one tile-year that count."""

    prefix: str
    """Folder of the tile-year, without a final slash."""
    products: tuple[StoredManifest, ...]
    """Oldest first: the last one is current."""
    empties: tuple[StoredManifest, ...]
    """Manifests that say why there is no product, oldest first."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Key of a manifest that does not count to the reason."""

    @property
    def current(self) -> StoredManifest | None:
        """The newest product; None where there is none."""
        return self.products[-1] if self.products else None

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of all manifests that count, sorted."""
        return tuple(sorted(stored.stem for stored in (*self.products, *self.empties)))

    @property
    def reason(self) -> str | None:
        """Why there is no product, by the newest manifest that says so."""
        return (self.empties[-1].manifest.reason or "empty") if self.empties else None

    @cached_property
    def items(self) -> Mapping[str, bytes]:
        """The Items, key to bytes: of the superseded products first, of the current one last.

        Raises:
            DataError: a manifest cannot have one.
        """
        if len(self.products) == 1:
            (only,) = self.products
            return {f"{self.prefix}/{only.manifest.item_id}.json": only.item}
        ids = [version_id(stored) for stored in self.products]
        if ids:
            ids[-1] = self.products[-1].manifest.item_id
        documents = {}
        for index, stored in enumerate(self.products):
            last = index == len(ids) - 1
            succession = Succession(
                id=ids[index],
                predecessor=ids[index - 1] if index else None,
                successor=None if last else ids[index + 1],
                latest=None if last else ids[-1],
                superseded=None if last else self.products[index + 1].manifest.created,
            )
            documents[f"{self.prefix}/{ids[index]}.json"] = item_bytes(stored, succession)
        return documents


def version_id(stored: StoredManifest) -> str:
    """Id of the Item of a product that another one superseded."""
    return f"{stored.manifest.item_id}_{stored.stem}"


def item_bytes(stored: StoredManifest, succession: Succession = CURRENT) -> bytes:
    """Make the Item of one product, as it is stored.

    Raises:
        DataError: the manifest cannot have one.
    """
    item = item_from_manifest(
        stored.manifest, manifest_key=stored.key, manifest_bytes=stored.data, succession=succession
    )
    return to_bytes(item_document(item))


def read_versions(store: Store, keys: Iterable[str], prefix: str) -> Versions:
    """Read the manifests of one tile-year.

    Those that are not what their key says, and those of a product that cannot have an Item, are left out, with the
    reason.

    Args:
        store: where they lie.
        keys: of its manifests.
        prefix: its folder, without a final slash.
    """
    readable: list[StoredManifest] = []
    skipped: dict[str, str] = {}
    for key in keys:
        try:
            stored = read_manifest(store, key)
            if stored.manifest.outcome == "product":
                stored.item  # noqa: B018  -- raises; what is made is kept
            readable.append(stored)
        except DataError as error:
            skipped[key] = str(error)
    readable.sort(key=lambda stored: stored.order)
    products = tuple(stored for stored in readable if stored.manifest.outcome == "product")
    empties = tuple(stored for stored in readable if stored.manifest.outcome == "empty")
    return Versions(prefix, products, empties, skipped)


def manifest_keys(store: Store, prefix: str) -> list[str]:
    """List the keys of a tile-year's manifests, as they are now."""
    return [key for key in store.list(f"{prefix}/") if (name := parse_manifest_key(key)) and name.prefix == prefix]


def read_manifest(store: Store, key: str) -> StoredManifest:
    """Read a manifest, and refuse one that its key or its files belie.

    Raises:
        DataError: it is no manifest, belongs under another key, or names files that are not its product's own.
    """
    name = parse_manifest_key(key)
    if name is None:
        raise DataError(f"{key} is not the key of a manifest")
    data = store.read(key, limit=LARGEST_MANIFEST)
    manifest = Manifest.from_bytes(data, where=key)
    check_name(manifest, name, key)
    check_file_keys(manifest, name.prefix, key)
    return StoredManifest(key, data, manifest)


def check_name(manifest: Manifest, name: ManifestName, key: str) -> None:
    """Refuse a manifest that was copied under another tile-year's or collection's key, or names another Item.

    Raises:
        DataError: it is one, or its moment has no time zone.
    """
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
    check_folder(manifest, name.prefix, key)
    if manifest.created.tzinfo is None:
        raise DataError(f"{key} was created at {manifest.created}, without a time zone; UTC is +00:00")


def check_folder(manifest: Manifest, prefix: str, key: str) -> None:
    """Refuse a manifest in the folder of another block: its tile-year would be in the catalog twice.

    Raises:
        DataError: it is in one, or its cell is none of the grid that it names.
    """
    spacing_m = manifest.request.grid.spacing_m
    if spacing_m is None:
        raise DataError(f"{key} is the manifest of an area; only a cell's belongs into a catalog")
    place = tile_year_prefix(manifest.collection, manifest.request.year, _grid(spacing_m).cell(manifest.request.cell))
    if place != prefix:
        raise DataError(f"{key} lies in {prefix}; the cell {manifest.request.cell} belongs into {place}")


@lru_cache(maxsize=8)
def _grid(spacing_m: float) -> MajorTomGrid:
    return MajorTomGrid(spacing_m)


def check_file_keys(manifest: Manifest, prefix: str, key: str) -> None:
    """Refuse a manifest whose files lie anywhere but in its product's own folder.

    Raises:
        DataError: names the file and where it would have to lie.
    """
    if manifest.outcome == "empty":
        if manifest.files or manifest.product_digest is not None:
            raise DataError(f"{key} says that there is no product, and names files {sorted(manifest.files)}")
        return
    if manifest.product_digest is None or set(manifest.files) != FILES:
        raise DataError(f"{key} names the files {sorted(manifest.files)}; a product has {sorted(FILES)} and a digest")
    digest = product_digest({name: record.sha256 for name, record in manifest.files.items()})
    if digest != manifest.product_digest:
        raise DataError(f"{key} says the product digest {manifest.product_digest}; its files' digests give {digest}")
    folder = product_prefix(prefix, manifest.product_digest)
    for name, record in sorted(manifest.files.items()):
        if record.key != folder + name:
            raise DataError(f"{key} places {name} at {record.key!r}; it belongs at {folder + name}")

"""The publisher: brings the catalog to what the manifests in the store say.

It is a function of what is stored. Items are written first, then the catalogs above them from the bottom
up, so that whoever walks down the catalog never meets a link that leads nowhere; a publisher that dies in between
leaves work that the next one does. Any number may run at once.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path

from betaearth.errors import DataError
from betaearth.events import CatalogPublished, Emit, ignore
from betaearth.stac.current import StoredManifest, check_files, choose, newest
from betaearth.stac.document import from_bytes
from betaearth.stac.facts import Facts, facts_of_manifest
from betaearth.stac.listing import Listing, is_item_key, read_listings
from betaearth.stac.merging import Compose, merge
from betaearth.stac.tree import (
    ROOT_KEY,
    Child,
    Node,
    item_child,
    with_children,
    with_collections,
    with_items,
    with_years,
)
from betaearth.stac.validation import Validator
from betaearth.storage.folder import FolderStore


@dataclass(frozen=True)
class PublishReport:
    """What a publish found and did."""

    items: int
    """Items in the catalog for the collections of this publish."""
    written: int
    """Files that changed."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Manifest key to the reason why it was not published."""
    unchecked: tuple[str, ...] = ()
    """Declared extensions that nothing written was validated against: their schemas are not at hand."""


def publish(
    store: FolderStore, *, collection: str | None = None, schemas: Path | None = None, emit: Emit = ignore
) -> PublishReport:
    """Bring the catalog to what the manifests say; publishing twice writes nothing the second time.

    A manifest that cannot be published is reported, and the Item that its tile-year has stays as it is. So
    does the Item of a tile-year whose newest manifest is empty. Every manifest of the collection is read;
    written is only what changes.

    Args:
        store: where products and catalog live.
        collection: publish this one alone; None publishes all.
        schemas: folder of extension schemas with an `index.json`; None: core and our extension alone.
        emit: told when the catalog is there.

    Raises:
        DataError: a catalog in the store is none of ours, or would not be valid STAC.
        TransientError: other publishers kept changing the same document.
        ConfigError: the schema folder is none.
    """
    publisher = _Publisher(store, Validator(schemas))
    listings = read_listings(store.list(f"{collection}/" if collection else ""))
    items = sum(publisher.publish_collection(listing) for _, listing in sorted(listings.items()))
    report = PublishReport(
        items=items,
        written=publisher.written,
        skipped=dict(sorted(publisher.skipped.items())),
        unchecked=tuple(sorted(publisher.unchecked)),
    )
    emit(CatalogPublished(items=report.items, written=report.written))
    return report


@dataclass
class _Publisher:
    """One publish under way, and what it has to report."""

    store: FolderStore
    validator: Validator
    written: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    unchecked: set[str] = field(default_factory=set)

    def publish_collection(self, listing: Listing) -> int:
        """Write a collection's Items, then everything above them; return how many Items it has."""
        published = [stored for keys in listing.manifests.values() if (stored := self.publish_item(keys))]
        blocks = listing.with_items(stored.item_key for stored in published).blocks
        if published:
            facts = reduce(Facts.joined, (facts_of_manifest(stored.manifest) for stored in published))
            self.publish_tree(facts, blocks)
        return sum(len(items) for items in blocks.values())

    def publish_item(self, keys: Iterable[str]) -> StoredManifest | None:
        """Write the Item of a tile-year; return the manifest that it is made of, None if of none."""
        choice = choose(self.store, keys)
        self.skipped.update(choice.skipped)
        current = choice.current
        if current is None or current.manifest.outcome == "empty":
            return None
        try:
            self.merge(current.item_key, lambda existing: self.item_bytes(current, existing))
        except DataError as error:
            self.skipped[current.key] = str(error)
            return None
        return current

    def item_bytes(self, current: StoredManifest, existing: bytes | None) -> bytes:
        """Compose the Item of a tile-year whose newest manifest was this one when it was listed."""
        data = current.item_bytes()
        if existing == data:
            return data
        if existing is not None:
            # Another publisher may have made this Item of a manifest that came after our listing.
            current = newest(self.store, current)
            if current.manifest.outcome == "empty":
                return existing
        check_files(self.store, current.manifest)
        return current.item_bytes()

    def publish_tree(self, facts: Facts, blocks: Mapping[str, frozenset[str]]) -> None:
        """Write the catalogs above Items from the bottom up, each by what lies below it."""
        for block, items in sorted(blocks.items()):
            self.merge_block(Node(block), items)
        superblocks = self.publish_level(blocks)
        years = self.publish_level(superblocks)
        key = f"{facts.collection}/collection.json"
        children = [Node(year).child for year in years]
        self.merge(key, lambda existing: with_years(existing, facts, children, key=key))
        self.merge(ROOT_KEY, lambda existing: with_collections(existing, [self.collection_child(key)]))

    def publish_level(self, folders: Iterable[str]) -> list[str]:
        """Write the catalogs right above these folders; return the folders of those."""
        below: dict[str, list[Child]] = defaultdict(list)
        for folder in sorted(folders):
            below[posixpath.dirname(folder)].append(Node(folder).child)
        for folder, children in below.items():
            self.merge(f"{folder}/catalog.json", partial(with_children, node=Node(folder), children=children))
        return list(below)

    def merge_block(self, node: Node, items: frozenset[str]) -> None:
        """Write the catalog that links a block's Items."""

        def compose(existing: bytes | None) -> bytes:
            data = with_items(existing, node, map(item_child, items))
            if data == existing:
                return data
            # Other publishers write Items here too: link what is there after the catalog was read.
            present = filter(is_item_key, self.store.list(f"{node.folder}/"))
            return with_items(existing, node, map(item_child, present))

        self.merge(node.key, compose)

    def collection_child(self, key: str) -> Child:
        """Describe a collection as the root links it, by the title that it has now."""
        collection = from_bytes(self.store.read(key), where=key)
        return Child(f"./{key}", collection["title"])

    def merge(self, key: str, compose: Compose) -> None:
        """Bring a document to what it should be, if that is valid STAC."""

        def checked(existing: bytes | None) -> bytes:
            data = compose(existing)
            if data != existing:
                self.unchecked.update(self.validator.check(from_bytes(data, where=key), where=key))
            return data

        self.written += merge(self.store, key, checked)

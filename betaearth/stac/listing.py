"""What a listing of the store tells: block by block, which tile-years have manifests and which have Items."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from betaearth.products.keys import TILE_YEAR_PREFIX, parse_manifest_key
from betaearth.storage.store import Entry, Store

_TILE_YEAR = re.compile(rf"{TILE_YEAR_PREFIX}(?=/)")
_ITEM = re.compile(
    rf"(?P<prefix>{TILE_YEAR_PREFIX})/(?P<name>[a-z0-9_-]+?)(?P<version>_[0-9a-f]{{12}}-[0-9a-f]{{8}})?\.json"
)


@dataclass(frozen=True)
class ItemName:
    """What the key of an Item says."""

    prefix: str
    """Folder of the tile-year, without a final slash."""
    stem: str | None
    """Name of the manifest of a superseded product; None for the current Item."""


@dataclass(frozen=True)
class ListedBlock:
    """Keys of one block."""

    folder: str
    """Without a final slash."""
    manifests: Mapping[str, tuple[str, ...]]
    """Folder of a tile-year to the keys of its manifests, sorted."""
    items: frozenset[str]
    """Folders of the tile-years that have a current Item."""
    sizes: Mapping[str, int]
    """Key of a file of a product to its bytes."""

    @property
    def collection(self) -> str:
        """Id of the collection."""
        return self.folder.partition("/")[0]

    @property
    def year(self) -> int:
        """Calendar year."""
        return int(self.folder.split("/")[1])

    def only(self, prefixes: frozenset[str]) -> ListedBlock:
        """Return the block with these tile-years alone."""
        kept = {prefix: keys for prefix, keys in self.manifests.items() if prefix in prefixes}
        return ListedBlock(self.folder, kept, self.items & prefixes, self.sizes)


def listed_blocks(entries: Iterable[Entry]) -> Iterator[ListedBlock]:
    """Sort what a store lists by block, lazily; what lies outside of tile-years is passed over.

    Args:
        entries: in the order of their keys, as a store lists them.
    """
    placed = ((match[0], entry) for entry in entries if (match := _TILE_YEAR.match(entry.key)))
    for folder, group in itertools.groupby(placed, key=lambda found: posixpath.dirname(found[0])):
        manifests: dict[str, list[str]] = defaultdict(list)
        items: set[str] = set()
        sizes: dict[str, int] = {}
        for prefix, entry in group:
            if parse_manifest_key(entry.key):
                manifests[prefix].append(entry.key)
            elif (name := parse_item_key(entry.key)) and name.stem is None:
                items.add(prefix)
            else:
                sizes[entry.key] = entry.size
        if manifests or items:
            yield ListedBlock(folder, {key: tuple(found) for key, found in manifests.items()}, frozenset(items), sizes)


def blocks_of(store: Store, *, collection: str | None, shard: Iterable[str] | None) -> Iterator[ListedBlock]:
    """List the blocks of a store, of one collection, or those that hold the tile-years of a shard, restricted to them.

    Args:
        store: what to list.
        collection: this one alone; None: all.
        shard: folders of tile-years, without a final slash; None: all.
    """
    if shard is None:
        yield from listed_blocks(store.entries(f"{collection}/" if collection else ""))
        return
    wanted: dict[str, set[str]] = defaultdict(set)
    for prefix in shard:
        if collection in {None, prefix.partition("/")[0]}:
            wanted[posixpath.dirname(prefix)].add(prefix)
    for folder, prefixes in sorted(wanted.items()):
        for block in listed_blocks(store.entries(f"{folder}/")):
            yield block.only(frozenset(prefixes))


def parse_item_key(key: str) -> ItemName | None:
    """Read the key of an Item; None where it is the key of something else."""
    match = _ITEM.fullmatch(key)
    if match is None:
        return None
    collection, year, _, _, cell = match["prefix"].split("/")
    if match["name"] != f"{collection}_{cell}_{year}":
        return None
    return ItemName(match["prefix"], match["version"][1:] if match["version"] else None)

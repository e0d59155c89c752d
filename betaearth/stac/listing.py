"""What a listing of the store tells: which tile-years have manifests, and which blocks have Items."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from betaearth.products.keys import parse_manifest_key

_ITEM = re.compile(
    r"(?P<collection>[a-z0-9_-]+)/(?P<year>\d{4})/r[0-9a-f]+-c[0-9a-f]+/r[0-9a-f]+-c[0-9a-f]+"
    r"/(?P<cell>\d+[ud]_\d+[rl])/(?P=collection)_(?P=cell)_(?P=year)\.json"
)


@dataclass(frozen=True)
class Listing:
    """Keys of one collection."""

    manifests: Mapping[str, tuple[str, ...]]
    """Folder of a tile-year to the keys of its manifests."""
    blocks: Mapping[str, frozenset[str]]
    """Folder of a block to the keys of its Items; a block without Items is not listed."""

    def with_items(self, keys: Iterable[str]) -> Listing:
        """Return the listing as it is once these Items are written."""
        blocks: dict[str, set[str]] = defaultdict(set, {folder: set(items) for folder, items in self.blocks.items()})
        for key in keys:
            blocks[block_folder(key)].add(key)
        return Listing(self.manifests, _frozen(blocks))


def read_listings(keys: Iterable[str]) -> dict[str, Listing]:
    """Sort the keys of a store by collection; keys of anything but manifests and Items are passed over."""
    manifests: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    blocks: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for key in keys:
        collection = key.partition("/")[0]
        if name := parse_manifest_key(key):
            manifests[collection][name.prefix].append(key)
        elif is_item_key(key):
            blocks[collection][block_folder(key)].add(key)
    return {
        collection: Listing(
            {prefix: tuple(sorted(found)) for prefix, found in manifests[collection].items()},
            _frozen(blocks[collection]),
        )
        for collection in {*manifests, *blocks}
    }


def is_item_key(key: str) -> bool:
    """Whether a key is that of an Item, by its place and name."""
    return _ITEM.fullmatch(key) is not None


def block_folder(item_key: str) -> str:
    """Folder of the block that an Item is in, without a final slash."""
    return posixpath.dirname(posixpath.dirname(item_key))


def _frozen(blocks: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {folder: frozenset(items) for folder, items in blocks.items()}

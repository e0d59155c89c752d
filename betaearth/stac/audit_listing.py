"""What an audit sees in a store's listing: every object on its shelf, tile-year by tile-year."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from betaearth.products.keys import TILE_YEAR_PREFIX, parse_manifest_key
from betaearth.stac.listing import ItemName, parse_item_key
from betaearth.stac.tree import Node
from betaearth.stac.versions import FILES
from betaearth.storage.store import Entry

_BLOCK = re.compile(rf"(?P<folder>{TILE_YEAR_PREFIX.rpartition('/')[0]})/(?P<rest>.+)", re.DOTALL)
_CATALOG = re.compile(r"(?P<folder>[a-z0-9_-]{1,200}/[0-9]{4}(/r[0-9a-f]{2,6}-c[0-9a-f]{2,6})?)/catalog\.json")
_COLLECTION = re.compile(r"(?P<collection>[a-z0-9_-]{1,200})/collection\.json")
_PART = re.compile(r"[a-z0-9_-]{1,200}/items/year=[0-9]{4}/part-[0-9a-f]{16}\.parquet")
_COVERAGE = re.compile(r"[a-z0-9_-]{1,200}/coverage/year=[0-9]{4}/(coverage|gaps)-[0-9a-f]{16}\.geojson")
_PRODUCT_FILE = re.compile(rf"(?P<prefix>{TILE_YEAR_PREFIX})/(?P<product>[0-9a-f]{{12}})/(?P<name>[^/]+)")
_WITHDRAWN = re.compile(
    rf"(?P<prefix>{TILE_YEAR_PREFIX})/(?P<stem>[0-9a-f]{{12}}-[0-9a-f]{{8}})\.[0-9a-f]{{8}}\.withdrawn\.json"
)


def withdrawn_key(manifest_key: str, sha256: str) -> str:
    """Key under which a withdrawn manifest with this digest is kept."""
    return f"{posixpath.dirname(manifest_key)}/{stem_of(manifest_key)}.{sha256[:8]}.withdrawn.json"


def stem_of(key: str) -> str:
    """Name of a manifest without its suffix: which request and which sources."""
    return posixpath.basename(key).partition(".")[0]


@dataclass
class TileYearObjects:
    """The objects of one tile-year, as they were listed."""

    prefix: str
    """Folder, without a final slash."""
    manifests: dict[str, Entry] = field(default_factory=dict)
    items: dict[str, tuple[Entry, ItemName]] = field(default_factory=dict)
    withdrawn: dict[str, Entry] = field(default_factory=dict)
    products: dict[str, dict[str, Entry]] = field(default_factory=lambda: defaultdict(dict))
    """First digits of a product digest to the files of that folder, by key."""

    @property
    def files(self) -> dict[str, Entry]:
        """Files of products, by key."""
        return {key: entry for files in self.products.values() for key, entry in files.items()}

    def add(self, entry: Entry) -> bool:
        """Take an object; False where it is none of a tile-year."""
        if parse_manifest_key(entry.key):
            self.manifests[entry.key] = entry
        elif name := parse_item_key(entry.key):
            self.items[entry.key] = (entry, name)
        elif _WITHDRAWN.fullmatch(entry.key):
            self.withdrawn[entry.key] = entry
        elif (match := _PRODUCT_FILE.fullmatch(entry.key)) and match["name"] in FILES:
            self.products[match["product"]][entry.key] = entry
        else:
            return False
        return True


@dataclass
class BlockObjects:
    """The objects of one block, as they were listed."""

    node: Node
    catalog: Entry | None = None
    tile_years: dict[str, TileYearObjects] = field(default_factory=dict)
    """By folder, without a final slash."""
    foreign: list[str] = field(default_factory=list)
    objects: int = 0

    @property
    def year(self) -> int:
        """Calendar year."""
        return int(self.node.folder.split("/")[1])

    @property
    def known(self) -> bool:
        """Whether anything in the folder is ours."""
        return self.catalog is not None or bool(self.tile_years)

    def tile_year(self, cell: str) -> TileYearObjects:
        """Objects of a cell, by its id in lower case; none where nothing of it was listed."""
        prefix = f"{self.node.folder}/{cell}"
        return self.tile_years.get(prefix) or TileYearObjects(prefix)


@dataclass
class CollectionObjects:
    """The objects of one collection that lie above its blocks."""

    collection: str
    document: Entry | None = None
    catalogs: dict[str, Entry] = field(default_factory=dict)
    """Of years, super-blocks and blocks, by key."""
    parts: dict[str, Entry] = field(default_factory=dict)
    """Of the mirror, by key."""
    coverage: dict[str, Entry] = field(default_factory=dict)
    """Files of coverage and gaps, by key."""

    @property
    def known(self) -> bool:
        """Whether there is more than a document, which may be a foreign collection's."""
        return bool(self.catalogs or self.parts or self.coverage)

    def add(self, entry: Entry) -> bool:
        """Take an object; False where it is none of these."""
        if _COLLECTION.fullmatch(entry.key):
            self.document = entry
        elif _CATALOG.fullmatch(entry.key):
            self.catalogs[entry.key] = entry
        elif _PART.fullmatch(entry.key):
            self.parts[entry.key] = entry
        elif _COVERAGE.fullmatch(entry.key):
            self.coverage[entry.key] = entry
        else:
            return False
        return True


def collections_of(entries: Iterable[Entry]) -> Iterator[tuple[str, Iterator[Entry]]]:
    """Split a store's listing at the first part of keys, lazily; an object beside them stands for itself."""
    yield from itertools.groupby(entries, key=lambda entry: entry.key.partition("/")[0])


def blocks_or_entries(entries: Iterable[Entry]) -> Iterator[BlockObjects | Entry]:
    """Gather the objects of each block, lazily; others come as they are."""
    for folder, group in itertools.groupby(entries, key=_block_of):
        if folder is None:
            yield from group
        else:
            yield block_objects(folder, group)


def block_objects(folder: str, entries: Iterable[Entry]) -> BlockObjects:
    """Put the objects of a block on their shelves."""
    block = BlockObjects(Node(folder))
    for entry in entries:
        block.objects += 1
        if entry.key == block.node.key:
            block.catalog = entry
            continue
        prefix = "/".join(entry.key.split("/")[:5])
        held = block.tile_years.get(prefix) or TileYearObjects(prefix)
        if held.add(entry):
            block.tile_years[prefix] = held
        else:
            block.foreign.append(entry.key)
    return block


def newest(entries: Mapping[str, Entry]) -> float:
    """When the youngest of some objects was written, seconds since 1970; 0 where there is none."""
    return max((entry.modified.timestamp() for entry in entries.values()), default=0.0)


def _block_of(entry: Entry) -> str | None:
    match = _BLOCK.fullmatch(entry.key)
    return match["folder"] if match else None

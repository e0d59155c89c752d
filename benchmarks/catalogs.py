"""Catalogs of many Items, made by the real publisher in a folder and copied to S3.

In a folder whose writes are not waited for, publishing takes a few milliseconds an Item. The files of the seeded
products stay behind, since a publish never looks at those of others, with one exception: blocks into which something is
to be published are copied whole, because they are listed. A listing of everything is therefore shorter than that of a
catalog that was made in S3: two keys of a tile-year instead of five.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import batched, islice, product
from unittest.mock import patch

from benchmarks.storm import seed
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.products.keys import collection_id, tile_year_prefix
from betaearth.stac.gate import PublishOptions
from betaearth.stac.publish import publish
from betaearth.storage import folder
from betaearth.storage.folder import FolderStore
from betaearth.storage.store import Store

BLOCK, SUPERBLOCK = 16, 256
"""Cells on an edge."""
SOUTHWEST = (1024, 2048)
"""Index of row and column where the blocks begin, some degrees north of the equator: a corner of a superblock."""
SUPERBLOCKS = 6
"""Of all blocks: as far east as rows of that latitude reach."""
COLLECTION, YEAR = collection_id("robust"), 2024
THREADS = 16
AT_ONCE = 10_000
"""Objects that are queued for copying."""


def blocks(cells: int) -> Iterator[list[str]]:
    """Yield the ids of the first cells of each block, superblock by superblock, west to east."""
    grid = MajorTomGrid()
    rows, columns = grid.rows // 2, grid.columns(0) // 2
    starts = range(0, SUPERBLOCK, BLOCK)
    for superblock, row, column in product(range(SUPERBLOCKS), starts, starts):
        first_row = SOUTHWEST[0] + row - rows
        first_column = SOUTHWEST[1] + superblock * SUPERBLOCK + column - columns
        places = islice(product(range(BLOCK), range(BLOCK)), cells)
        yield [Cell(first_row + down, first_column + right, grid).id for down, right in places]


@dataclass(frozen=True)
class Layout:
    """Which cells are published when: the same in catalogs of any size.

    The first three blocks are those of the measurement. They lie in the first superblock, which all catalogs have.
    """

    batch: int = 250
    """Items of a publish, and of a full block; even."""

    @property
    def fresh(self) -> list[str]:
        """Cells of a block of which nothing is published."""
        return next(blocks(self.batch))

    @property
    def added(self) -> list[str]:
        """The other halves of two blocks of which one half is published."""
        return [cell for block in self._halved for cell in block[self.batch // 2 :]]

    @property
    def listed(self) -> frozenset[str]:
        """Folders of the blocks of which one half is published."""
        return frozenset(posixpath.dirname(prefix_of(block[0])) for block in self._halved)

    def seeds(self) -> Iterator[list[str]]:
        """Yield the cells of one publish after another: two halves, then block after block."""
        yield [cell for block in self._halved for cell in block[: self.batch // 2]]
        yield from islice(blocks(self.batch), 3, None)

    @property
    def _halved(self) -> list[list[str]]:
        return list(islice(blocks(self.batch), 1, 3))


def prefix_of(cell: str) -> str:
    """Folder of a seeded tile-year."""
    return tile_year_prefix(COLLECTION, YEAR, MajorTomGrid().cell(cell))


def grow(store: FolderStore, shards: Iterable[list[str]]) -> None:
    """Make products and publish them, shard by shard, without waiting for the disk."""
    with unsynced():
        for cells in shards:
            # One thread: without a network there is nothing to wait for.
            publish(store, shard=[entry.prefix for entry in seed(store, cells)], options=PublishOptions(workers=1))


def copy(source: Store, target: Store, is_wanted: Callable[[str], bool]) -> int:
    """Copy objects; return how many."""
    copied = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for keys in batched(filter(is_wanted, source.list()), AT_ONCE):
            copied += sum(pool.map(partial(_copy_one, source, target), keys))
    return copied


def is_catalog(key: str) -> bool:
    """Whether an object is none of a product's files."""
    return not key.endswith((".tif", ".png"))


@contextmanager
def unsynced() -> Iterator[None]:
    """Let a folder's writes be as quick as they can be: nothing here is to survive a power cut."""
    with patch.object(folder, "sync", lambda _path: None):
        yield


def _copy_one(source: Store, target: Store, key: str) -> bool:
    return target.create(key, source.read(key))

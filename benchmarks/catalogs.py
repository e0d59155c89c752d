"""Catalogs of many Items, made by the real publisher in a folder and copied to S3.

In a folder whose writes are not waited for, publishing takes a few milliseconds an Item. The files of the seeded
products stay behind, since a publish never looks at those of others, with one exception: blocks into which something is
to be published are copied whole, because they are listed. A listing of everything is therefore shorter than that of a
catalog that was made in S3: two keys of a tile-year instead of five.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from unittest.mock import patch

from benchmarks.publish_report import Catalog, Mirror
from benchmarks.storm import seed
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.products.keys import collection_id, tile_year_prefix
from betaearth.stac.gate import PublishOptions
from betaearth.stac.publish import publish
from betaearth.storage import folder
from betaearth.storage.folder import FolderStore
from betaearth.storage.s3 import S3Store
from betaearth.storage.store import Store
from tests.s3_server import S3Server, new_bucket

BLOCK, SUPERBLOCK = 16, 256
"""Cells on an edge."""
SOUTHWEST = (1024, 2048)
"""Index of row and column where the blocks begin, some degrees north of the equator: a corner of a superblock."""
SUPERBLOCKS = 6
"""Of all blocks: as far east as rows of that latitude reach."""
COLLECTION, YEAR = collection_id("robust"), 2024
THREADS = 16
_IMMUTABLE = re.compile(rf"_{YEAR}\.json$|\.manifest\.json$")
"""Items and manifests."""


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


def prepare(sizes: Sequence[int], layout: Layout, server: S3Server, scratch: Path) -> Iterator[tuple[Catalog, S3Store]]:
    """Make catalogs, each the beginning of the next one, and the products that are to be published into them.

    Args:
        sizes: Items of each, ascending multiples of the layout's batch.
        layout: which cells.
        server: of S3; the environment is that of its owner.
        scratch: an empty folder.
    """
    source, bucket = FolderStore(scratch), new_bucket(server.endpoint)
    shards, items = layout.seeds(), 0
    for size in sizes:
        started = time.perf_counter()
        grow(source, islice(shards, (size - items) // layout.batch))
        seconds, items = time.perf_counter() - started, size
        target, started = S3Store(bucket, f"items-{size}"), time.perf_counter()
        copy(source, target, server, whole=layout.listed)
        catalog = Catalog(
            items=size,
            seconds=seconds,
            copy_seconds=time.perf_counter() - started,
            mirror=mirror_of(source, size),
        )
        seed(target, [*layout.fresh, *layout.added])
        yield catalog, target


def copy(source: FolderStore, target: S3Store, server: S3Server, *, whole: Collection[str]) -> None:
    """Copy a catalog without the files of its products, but for those of some blocks.

    Items and manifests, which are most of it, go by the server's own tool: several times as fast as single requests.
    What publishers change goes by S3, which gives it the mark by which a conditional write knows it.

    Raises:
        CalledProcessError: the tool failed.
        ValueError: something is missing.
    """
    keys = [key for key in source.list() if not key.endswith((".tif", ".png")) or key.rsplit("/", 3)[0] in whole]
    by_tool = [key for key in keys if _IMMUTABLE.search(key)]
    with tempfile.TemporaryDirectory(dir=source.root.parent) as linked:
        for key in by_tool:
            path = Path(linked) / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(source.root / key)
        to = f"http://127.0.0.1:{server.ports['filer.port']}/buckets/{target.bucket}/{target.prefix}/"
        command = [weed(), "filer.copy", "-c", str(THREADS), f"{linked}/{COLLECTION}", to]
        subprocess.run(command, check=True, capture_output=True)

    def copy_one(key: str) -> bool:
        return target.create(key, source.read(key))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(copy_one, sorted(set(keys) - set(by_tool))))
    found = sum(1 for _ in target.list())
    if found != len(keys):
        raise ValueError(f"{target.uri} has {found} objects, not the {len(keys)} of {source.uri}")


def weed() -> str:
    """Path of the server's program, which is beside Python or on the path."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or "weed"


def mirror_of(store: Store, items: int) -> Mirror:
    """Describe the mirror of a catalog, by its parts in the store."""
    collection = json.loads(store.read(f"{COLLECTION}/collection.json"))
    listed = [asset["file:size"] for asset in collection["assets"].values() if "collection-mirror" in asset["roles"]]
    written = sum(entry.size for entry in store.entries(f"{COLLECTION}/items/"))
    return Mirror(parts=len(listed), bytes_per_item=sum(listed) / items, written_per_item=written / items)


@contextmanager
def unsynced() -> Iterator[None]:
    """Let a folder's writes be as quick as they can be: nothing here is to survive a power cut."""
    with patch.object(folder, "sync", lambda _path: None):
        yield

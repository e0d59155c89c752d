"""The publisher: brings the catalog to what the manifests in the store say.

It is a function of what is stored. Items are written first, then the rows of the mirror, then the catalogs above from
the bottom up, so that whoever walks down never meets a link that leads nowhere. A block's catalog marks what is done;
a publisher that dies before leaves work that the next one does. Any number may run at once, and what is marked is not
looked at again: the cost follows what is new.
"""

from __future__ import annotations

import itertools
import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path

from betaearth.errors import DataError
from betaearth.events import CatalogPublished, Emit, ignore
from betaearth.stac.block_work import BlockWork
from betaearth.stac.collection_writer import CollectionWriter
from betaearth.stac.coverage import Asked, Standing, read_asked
from betaearth.stac.documents import Documents
from betaearth.stac.facts import Facts
from betaearth.stac.gate import PublishOptions
from betaearth.stac.leaf import marks_of, with_tile_years
from betaearth.stac.listing import ListedBlock, blocks_of, listed_blocks
from betaearth.stac.merging import LARGEST_DOCUMENT
from betaearth.stac.tile_years import Outcome, TileYears
from betaearth.stac.tree import ROOT_KEY, Child, Node, with_children, with_collections
from betaearth.stac.validation import Validator
from betaearth.storage.store import Store

BATCH = 2_000
"""Tile-years with news that are settled before the catalogs above them."""
AHEAD = 16
"""Blocks whose catalogs are read at once: at most 4,096 tile-years."""
HELD = 20_000
"""Tile-years, with news or without, whose listing and marks a publisher holds in memory at once: some 60 MB."""


@dataclass(frozen=True)
class PublishReport:
    """What a publish found and did."""

    items: int
    """Items in the catalog, of the tile-years that this publish is about."""
    written: int
    """Files that changed."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Manifest key to the reason why it was not published."""
    unchecked: tuple[str, ...] = ()
    """Declared extensions that nothing written was validated against: their schemas are not at hand."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Key of a run's record that is none to the reason: what it asked for is in no gaps."""
    tile_years: int = field(default=0, compare=False)
    """Tile-years that this publish is about."""


def publish(
    store: Store,
    *,
    shard: Iterable[str] | None = None,
    collection: str | None = None,
    schemas: Path | None = None,
    options: PublishOptions | None = None,
    emit: Emit = ignore,
) -> PublishReport:
    """Bring the catalog to what the manifests say; publishing twice writes nothing the second time.

    A manifest that cannot be published is reported, and the Item that its tile-year has stays as it is. So does the
    Item of a tile-year whose newest manifest is empty.

    Args:
        store: where products and catalog live.
        shard: folders of the tile-years to publish, as in a run's shards; None: all, and the year's coverage and gaps
            are written anew, which takes a listing of everything.
        collection: publish this one alone; None publishes all.
        schemas: folder of extension schemas with an `index.json`; None: core and our extension alone.
        options: what a product must be like.
        emit: told when the catalog is there.

    Raises:
        DataError: a catalog in the store is none of ours, or would not be valid STAC.
        TransientError: other publishers kept changing the same document, or the store failed.
        ConfigError: the schema folder is none.
    """
    options = options or PublishOptions()
    shard = None if shard is None else list(shard)
    with ThreadPoolExecutor(options.workers, thread_name_prefix="publish") as pool:
        asked = read_asked(store, pool) if shard is None else None
        publisher = _Publisher(Documents(store, Validator(schemas)), options, asked)
        blocks = blocks_of(store, collection=collection, shard=shard)
        for (name, year), ours in itertools.groupby(blocks, key=lambda block: (block.collection, block.year)):
            publisher.publish_year(name, year, ours, pool)
        if shard is None:
            publisher.publish_unseen(collection)
    report = PublishReport(
        items=publisher.items,
        written=len(publisher.documents.written),
        skipped=dict(sorted(publisher.skipped.items())),
        unchecked=tuple(sorted(publisher.documents.unchecked)),
        unreadable=dict(sorted(asked.unreadable.items())) if asked else {},
        tile_years=len(set(shard)) if shard is not None else publisher.tile_year_count,
    )
    emit(CatalogPublished(items=report.items, written=report.written))
    return report


@dataclass
class _Publisher:
    """One publish under way, and what it has to report."""

    documents: Documents
    options: PublishOptions
    asked: Asked | None
    """What runs were asked for; None where coverage and gaps are none of this publish's business."""
    items: int = 0
    tile_year_count: int = 0
    skipped: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare to settle tile-years."""
        self.store = self.documents.store
        self.tile_years = TileYears(self.documents, self.options)

    def publish_year(self, collection: str, year: int, blocks: Iterable[ListedBlock], pool: ThreadPoolExecutor) -> None:
        """Publish the blocks of a collection's year, batch by batch, then what is there and what is not."""
        writer = CollectionWriter(self.documents, collection)
        standings: dict[str, Standing] = {}
        for batch in self.batches(blocks, writer, pool):
            self.publish_batch(batch, year, writer, pool)
            if self.asked:
                standings.update(entry for work in batch for entry in work.standings(self.skipped))
        self.publish_coverage(writer, year, standings)

    def publish_unseen(self, collection: str | None) -> None:
        """Tell of the years that were asked for and of which there is not a single manifest."""
        for name, year in list(self.asked.tile_years if self.asked else ()):
            if collection in {None, name}:
                self.publish_coverage(CollectionWriter(self.documents, name), year, {})

    def publish_coverage(self, writer: CollectionWriter, year: int, standings: Mapping[str, Standing]) -> None:
        """Write what is there and what is not of a year, if there is a collection to say it."""
        if not self.asked or not writer.exists:
            return
        asked, store = self.asked, self.store
        wanted = asked.tile_years.pop((writer.collection, year), {})

        def complete(found: Mapping[str, Standing]) -> Mapping[str, Standing]:
            return {**found, **{prefix: asked.standing(prefix) for prefix in wanted if prefix not in found}}

        def anew() -> Mapping[str, Standing]:
            blocks = listed_blocks(store.entries(f"{writer.collection}/{year}/"))
            works = (self.work_of(block, trusted=True) for block in blocks)
            return complete(dict(entry for work in works for entry in work.standings(self.skipped)))

        try:
            writer.write_coverage(year, complete(standings), anew)
        except DataError as error:
            self.skipped[writer.key] = str(error)

    def batches(
        self, blocks: Iterable[ListedBlock], writer: CollectionWriter, pool: ThreadPoolExecutor
    ) -> Iterator[list[BlockWork]]:
        """Gather blocks until they have enough news, or are enough to hold; their catalogs are read side by side."""
        batch: list[BlockWork] = []
        news = held = 0
        remaining = iter(blocks)
        while ahead := list(itertools.islice(remaining, AHEAD)):
            trusted = writer.exists
            for work in pool.map(partial(self.work_of, trusted=trusted), ahead):
                batch.append(work)
                news += len(work.news)
                held += len(work.listed.manifests)
            if news >= BATCH or held >= HELD:
                yield batch
                batch, news, held = [], 0, 0
        if batch:
            yield batch

    def work_of(self, block: ListedBlock, *, trusted: bool) -> BlockWork:
        """Compare a block's listing with its marks, which count only where there is a collection that they rest on."""
        stored = self.store.find(Node(block.folder).key, limit=LARGEST_DOCUMENT)
        return BlockWork.of(block, stored.data if stored and trusted else None)

    def publish_batch(
        self, batch: list[BlockWork], year: int, writer: CollectionWriter, pool: ThreadPoolExecutor
    ) -> None:
        """Write Items, then everything above them."""
        tasks = [(work, prefix) for work in batch for prefix in work.news]
        outcomes = pool.map(self.settle, *zip(*tasks, strict=True)) if tasks else ()
        for (work, _), outcome in zip(tasks, outcomes, strict=True):
            work.outcomes.append(outcome)
            self.skipped.update(outcome.skipped)
        self.items += sum(work.items for work in batch)
        self.tile_year_count += sum(len(work.listed.manifests) for work in batch)
        unsaid = [outcome for work in batch for outcome in work.unsaid]
        facts = [outcome.facts for outcome in unsaid if outcome.facts]
        if unsaid and (facts or writer.exists):
            writer.write_rows(year, reduce(Facts.joined, facts) if facts else None, unsaid)
        if writer.exists:
            list(pool.map(self.mark, [work for work in batch if work.unsaid]))
            self.publish_tree([work.node for work in batch if work.has_items], writer)

    def settle(self, work: BlockWork, prefix: str) -> Outcome:
        """Write the Items of one tile-year; where that cannot be, its manifests are reported, and no other's."""
        mark = work.marks.get(posixpath.basename(prefix))
        absent = prefix not in work.listed.items
        try:
            return self.tile_years.settle(prefix, mark, work.news[prefix], work.listed.sizes, absent=absent)
        except DataError as error:
            return Outcome(None, skipped=dict.fromkeys(work.news[prefix], str(error)))

    def mark(self, work: BlockWork) -> None:
        """Say in a block's catalog what its tile-years have come to."""

        def compose(existing: bytes | None) -> bytes:
            marks = marks_of(existing, where=work.node.key)
            settled = []
            for outcome in work.unsaid:
                entry = outcome.settled
                mark = marks.get(entry.cell) if entry else None
                if entry and mark and not mark.stems <= set(entry.stems):
                    # Another publisher knows manifests that came after our listing.
                    entry = self.tile_years.settle(entry.prefix, mark).settled
                if entry:
                    settled.append(entry)
            return with_tile_years(existing, work.node, settled)

        self.documents.merge(work.node.key, compose)

    def publish_tree(self, blocks: Iterable[Node], writer: CollectionWriter) -> None:
        """Write the catalogs above blocks with Items from the bottom up, each by what lies below it."""
        superblocks = self.publish_level(node.folder for node in blocks)
        years = self.publish_level(superblocks)
        if years:
            title = writer.write_years([Node(year) for year in years])
            child = Child(f"./{writer.key}", title)
            self.documents.merge(ROOT_KEY, lambda existing: with_collections(existing, [child]))

    def publish_level(self, folders: Iterable[str]) -> list[str]:
        """Write the catalogs right above these folders; return the folders of those."""
        below: dict[str, list[Child]] = defaultdict(list)
        for folder in sorted(folders):
            below[posixpath.dirname(folder)].append(Node(folder).child)
        for folder, children in below.items():
            self.documents.merge(f"{folder}/catalog.json", partial(with_children, node=Node(folder), children=children))
        return list(below)

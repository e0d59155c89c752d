"""The audit: objects, manifests, Items, catalogs and mirror held against each other, in both directions.

It reads one listing, block by block, and what lies in each; what it keeps in memory is some blocks, a line for each
Item of a collection, and one for each row of a year's mirror. What is younger than the grace may be under way and is
not judged: pods and publishers may work meanwhile. With `repair`, each thing is put right as soon as it is found to be
wrong, from the Items up, so that whatever rests on it is judged by what it is then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from betaearth.errors import DataError
from betaearth.products.runs import RUNS
from betaearth.stac.audit_block import BlockJudgement, again, judge_blocks, readable
from betaearth.stac.audit_collection import (
    CollectionState,
    delete_leftovers,
    is_foreign,
    judge_collection,
    repair_collection,
)
from betaearth.stac.audit_findings import LEFTOVERS, REMARKS, UNOWNED, AuditReport, Finding, Kind, after_repair
from betaearth.stac.audit_listing import BlockObjects, CollectionObjects, blocks_or_entries, collections_of
from betaearth.stac.audit_tile_year import Lens
from betaearth.stac.audit_tree import judge_catalog, judge_root, repair_catalog, repair_root
from betaearth.stac.document import from_bytes
from betaearth.stac.documents import Documents
from betaearth.stac.gate import PublishOptions
from betaearth.stac.publish import publish
from betaearth.stac.repair import BlockRepair
from betaearth.stac.tree import ROOT_KEY, Child
from betaearth.stac.validation import Validator
from betaearth.storage.keys import is_hidden
from betaearth.storage.store import Entry, Store

BATCH = 256
"""Tile-years that are looked at together."""
GRACE = timedelta(hours=24)
"""For how long what belongs to nothing may still be under way."""


def audit(
    store: Store,
    *,
    deep: bool = False,
    repair: bool = False,
    grace: timedelta = GRACE,
    collection: str | None = None,
    schemas: Path | None = None,
    options: PublishOptions | None = None,
) -> AuditReport:
    """Look at everything in a store.

    Args:
        store: where products and catalog live.
        deep: read and hash every file of every product; else sizes are compared, and the digests that the store can
            vouch for: a folder's store reads the files for it, S3 remembers what was uploaded.
        repair: put right what can be derived, remove what belongs to nothing, withdraw products that are damaged.
        grace: what is younger may be under way, and is not judged.
        collection: look at this one alone; None: all.
        schemas: folder of extension schemas with an `index.json`; None: core and our extension alone.
        options: what a product must be like to be published.

    Raises:
        DataError: there is no such collection.
        TransientError: the store failed, or others kept changing a document that was to be repaired.
        ConfigError: the schema folder is none, or the store may not be used so.
    """
    options = options or PublishOptions()
    if collection is not None and next(store.list(f"{collection}/"), None) is None:
        raise DataError(
            f"{store.uri} holds no collection {collection}; `betaearth plan --json` names yours in prefixes"
        )
    lens = Lens(deep, datetime.now(UTC) - grace, options)

    def cover(name: str) -> None:
        publish(store, collection=name, schemas=schemas, options=options)

    with ThreadPoolExecutor(options.workers, thread_name_prefix="audit") as pool:
        auditor = _Auditor(Documents(store, Validator(schemas)), lens, pool, cover, repair=repair)
        auditor.audit(collection)
    return auditor.report()


@dataclass
class _Auditor:
    """One audit under way."""

    documents: Documents
    lens: Lens
    pool: ThreadPoolExecutor
    cover: Callable[[str], None]
    """Writes the coverage of a collection anew."""
    repair: bool = field(kw_only=True)
    findings: list[Finding] = field(default_factory=list)
    objects: int = 0
    tile_years: int = 0
    items: int = 0
    under_way: int = 0
    uncovered: list[str] = field(default_factory=list)
    """Collections whose coverage is not what it should be."""
    roots: dict[str, tuple[Child | None, bool]] = field(default_factory=dict)
    """Key of a collection that has Items to its link in the root, if there is a document to link, and whether all of
    them are young."""

    def report(self) -> AuditReport:
        """Sum up."""
        return AuditReport(
            findings=tuple(sorted(self.findings)),
            objects=self.objects,
            tile_years=self.tile_years,
            items=self.items,
            under_way=self.under_way,
            deep=self.lens.deep,
        )

    def audit(self, collection: str | None) -> None:
        """Look at everything, or at one collection."""
        entries = self.documents.store.entries(f"{collection}/" if collection else "")
        for name, group in collections_of(entry for entry in entries if not is_hidden(entry.key)):
            if name in {ROOT_KEY, RUNS}:
                self.objects += sum(1 for _ in group)
            else:
                self.audit_collection(name, group)
        self.audit_root()
        for name in self.uncovered:
            if readable(self.documents, f"{name}/collection.json").data is not None:
                self.cover(name)

    def audit_collection(self, name: str, entries: Iterable[Entry]) -> None:
        """Look at what lies below one name: a collection from its blocks up."""
        state = CollectionState(name, CollectionObjects(name))
        collected = self.documents.store.exists(state.key)
        lens = replace(self.lens, collected=collected)
        repairer = BlockRepair(self.documents, lens)
        for batch in self.batches(entries, state):
            for block in judge_blocks(self.documents, batch, lens, self.pool):
                self.take_block(block, repairer, state)
        if not (state.tree.catalogs or state.objects.known or state.objects.document):
            return
        if is_foreign(self.documents, state):
            self.findings.append(Finding.of(Kind.FOREIGN, state.key, "it is none of ours"))
            return
        self.audit_catalogs(state)
        self.audit_document(state, withdrawn=bool(repairer.withdrawn))

    def batches(self, entries: Iterable[Entry], state: CollectionState) -> Iterator[list[BlockObjects]]:
        """Gather blocks until they have enough tile-years; what is none goes on its own shelf."""
        batch: list[BlockObjects] = []
        for entry in blocks_or_entries(entries):
            if isinstance(entry, Entry):
                self.objects += 1
                if not state.objects.add(entry):
                    self.findings.append(Finding.of(Kind.FOREIGN, entry.key, "it is none of ours"))
                continue
            self.objects += entry.objects
            batch.append(entry)
            if sum(len(block.tile_years) for block in batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def take_block(self, block: BlockJudgement, repairer: BlockRepair, state: CollectionState) -> None:
        """Report what is wrong with a block, put it right, and take up what it tells."""
        before = block.findings
        if self.repair and any(finding.repairable for finding in block.faults):
            repairer.repair(block, self.pool)
            block = again(self.documents, block, repairer.lens, self.pool)
            # The other files of a product that was withdrawn just now are for the next audit after the grace.
            known = {finding.key for finding in before}
            left = [each for each in block.findings if each.kind not in UNOWNED or each.key in known]
            before = after_repair(before, left)
            block.young = False  # what was written just now is ours: nobody else makes the catalogs above it
        self.findings += before
        self.under_way += block.under_way
        self.tile_years += len(block.objects.tile_years)
        self.items += sum(1 for judged in block.tile_years.values() if judged.digest)
        state.add(block)

    def audit_catalogs(self, state: CollectionState) -> None:
        """Look at years and super-blocks, the lowest first."""
        for node in state.tree.nodes(state.objects.catalogs):
            below = state.tree.below(node.folder)
            found = judge_catalog(self.documents, node, below)
            if found and self.repair:
                repair_catalog(self.documents, node, below)
                found = after_repair(found, judge_catalog(self.documents, node, below))
            self.findings += found

    def audit_document(self, state: CollectionState, *, withdrawn: bool) -> None:
        """Look at a collection's document, and at what it lists."""
        judged = judge_collection(self.documents, state, self.lens)
        found = judged.findings
        if self.repair:
            gone = delete_leftovers(self.documents, state, judged.leftovers) if judged.found.data else []
            if any(finding.kind not in REMARKS for finding in found):
                repair_collection(self.documents, state, judged)
            if withdrawn or judged.coverage or judged.found.data is None:
                self.uncovered.append(state.collection)
            left = judge_collection(self.documents, state, self.lens).findings
            old = {finding.key for finding in found if finding.kind in LEFTOVERS} - set(gone)
            # What a repair has just put out of use stays for readers under way.
            found = after_repair(
                found, [finding for finding in left if finding.kind not in LEFTOVERS or finding.key in old]
            )
        self.findings += found
        self.under_way += judged.under_way
        self.note_root(state)

    def note_root(self, state: CollectionState) -> None:
        """Remember what the root should link."""
        if not state.below.children:
            return
        data = readable(self.documents, state.key).data
        child = Child(f"./{state.key}", str(from_bytes(data, where=state.key).get("title"))) if data else None
        self.roots[state.key] = (child, state.below.young)

    def audit_root(self) -> None:
        """Look at the root."""
        found = judge_root(self.documents, ROOT_KEY, self.roots)
        if found and self.repair:
            repair_root(self.documents, ROOT_KEY, [child for child, _ in self.roots.values() if child])
            found = after_repair(found, judge_root(self.documents, ROOT_KEY, self.roots))
        self.findings += found

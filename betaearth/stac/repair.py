"""Repairing blocks: what is derivable is made anew, what belongs to nothing goes, what is damaged is withdrawn.

Each step reads again what it rests on, and writes on condition: publishers, pods and other audits may be at work. A
withdrawn product's manifest is kept beside it under another name, so that `run` makes the product again.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from betaearth.errors import DataError
from betaearth.products.keys import product_prefix
from betaearth.stac.audit_block import BlockJudgement, is_stray, usable
from betaearth.stac.audit_findings import Kind
from betaearth.stac.audit_listing import stem_of, withdrawn_key
from betaearth.stac.audit_tile_year import Judgement, Lens, digest_of
from betaearth.stac.document import from_bytes, to_bytes
from betaearth.stac.documents import Documents
from betaearth.stac.leaf import Mark, Settled, marks_of, with_tile_years
from betaearth.stac.listing import parse_item_key
from betaearth.stac.tile_years import TileYears
from betaearth.stac.tree import stored_links
from betaearth.stac.versions import StoredManifest, manifest_keys, read_versions

_IN_LEAF = {Kind.UNLINKED_ITEM, Kind.DANGLING_LINK, Kind.WRONG_LINK, Kind.STALE_DOCUMENT}
_IN_ITEMS = {Kind.UNPUBLISHED, Kind.MISSING_ITEM, Kind.STALE_ITEM, Kind.ORPHAN_ITEM}


@dataclass
class BlockRepair:
    """Repairs blocks, one at a time."""

    documents: Documents
    lens: Lens
    withdrawn: set[str] = field(default_factory=set)
    """Folders of the tile-years of which products were withdrawn."""

    def __post_init__(self) -> None:
        """Prepare to settle tile-years."""
        self.store = self.documents.store
        self.tile_years = TileYears(self.documents, self.lens.options)

    def repair(self, block: BlockJudgement, pool: Executor) -> None:
        """Put a block right, as far as it can be derived."""
        for judged in block.tile_years.values():
            self._clear(judged)
        whole = any(found.kind in {Kind.MISSING_DOCUMENT, Kind.BROKEN_DOCUMENT} for found in block.findings)
        leaf = whole or any(found.kind in _IN_LEAF for found in block.findings)
        targets = [
            judged
            for judged in block.tile_years.values()
            if not judged.frozen and (self._outdated(judged) or (leaf and judged.settled))
        ]
        settled = zip(targets, pool.map(self._settle, targets), strict=True)
        entries = {judged.prefix: entry for judged, entry in settled if entry}
        for judged in targets:
            if judged.prefix in entries:
                self._delete_items(judged, entries[judged.prefix])
        if leaf or entries:
            self._write_leaf(block, targets, entries)

    def _outdated(self, judged: Judgement) -> bool:
        """Whether a tile-year's Items have to be made anew."""
        return judged.prefix in self.withdrawn or any(found.kind in _IN_ITEMS for found in judged.findings)

    def _clear(self, judged: Judgement) -> None:
        """Withdraw what is damaged, and remove the files that no manifest tells of."""
        for stored in judged.damaged:
            if self._withdraw(stored):
                self.withdrawn.add(judged.prefix)
        for found in judged.orphans:
            if not self._owned(found.key, judged.prefix) and not self.lens.young(self.store.stat(found.key)):
                self.store.delete(found.key)

    def _withdraw(self, stored: StoredManifest) -> bool:
        """Keep a manifest under another name, and with it gone, remove the files that are not what it said."""
        now = self.store.find(stored.key)
        if now is None or now.data != stored.data:
            return False
        self.store.create(withdrawn_key(stored.key, hashlib.sha256(stored.data).hexdigest()), stored.data)
        self.store.delete(stored.key)
        prefix = posixpath.dirname(stored.key)
        for record in stored.manifest.files.values():
            # A store that finds a file of that name does not take it again from whoever makes the product anew.
            if self._wrong(record.key, record.sha256) and not self._owned(record.key, prefix):
                self.store.delete(record.key)
        return True

    def _wrong(self, key: str, sha256: str) -> bool:
        try:
            return digest_of(self.store, key) != sha256
        except DataError:
            return False

    def _owned(self, key: str, prefix: str) -> bool:
        """Whether a manifest tells of a file, or might."""
        versions = read_versions(self.store, manifest_keys(self.store, prefix), prefix)
        folders = {product_prefix(prefix, each.manifest.product_digest or "") for each in versions.products}
        return bool(versions.skipped) or f"{posixpath.dirname(key)}/" in folders

    def _settle(self, judged: Judgement, mark: Mark | None = None) -> Settled | None:
        """Write the Items of a tile-year; what was published before stays so whatever the thresholds are now.

        Returns:
            What its entry should be; None where that is to stay, since a manifest that it rests on cannot be read.
        """
        stems = judged.stems | (mark.stems if mark else frozenset())
        outcome = self.tile_years.settle(judged.prefix, Mark(stems, None))
        if outcome.settled is None and any(stem_of(key) in stems for key in outcome.skipped):
            return None
        return outcome.settled or Settled(judged.prefix, (), None)

    def _delete_items(self, judged: Judgement, settled: Settled) -> None:
        """Remove Items that no manifest stands for any more."""
        if not judged.orphan_items and judged.prefix not in self.withdrawn:
            return
        versions = read_versions(self.store, manifest_keys(self.store, judged.prefix), judged.prefix)
        counted = tuple(each for each in versions.products if each.stem in settled.stems)
        kept = {f"{judged.prefix}/{settled.item_name}"} if counted else set()
        kept |= {f"{judged.prefix}/{each.manifest.item_id}_{each.stem}.json" for each in counted[:-1]}
        for key in self._listed_items(judged.prefix):
            if key not in kept:
                self.store.delete(key)

    def _listed_items(self, prefix: str) -> list[str]:
        return [key for key in self.store.list(f"{prefix}/") if parse_item_key(key)]

    def _write_leaf(self, block: BlockJudgement, targets: Iterable[Judgement], entries: dict[str, Settled]) -> None:
        key = block.node.key

        def compose(existing: bytes | None) -> bytes:
            base = usable(self.documents, key, existing).data
            marks = marks_of(base, where=key)
            for judged in targets:
                cell = posixpath.basename(judged.prefix)
                if base is not None and marks.get(cell) != block.marks.get(cell):
                    # A publisher was here meanwhile.
                    entry = self._settle(judged, marks.get(cell))
                    entries.pop(judged.prefix, None)
                    entries.update({judged.prefix: entry} if entry else {})
            return with_tile_years(base and _without_strays(base, key), block.node, entries.values())

        if self.store.exists(key) or any(entry.stems for entry in entries.values()):
            self.documents.merge(key, compose)


def _without_strays(data: bytes, where: str) -> bytes:
    document = from_bytes(data, where=where)
    links = stored_links(document, where)
    kept = [link for link in links if not is_stray(link)]
    return data if kept == links else to_bytes({**document, "links": kept})

"""Judging a block: its tile-years, and the catalog that links them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from betaearth.errors import DataError
from betaearth.stac.audit_findings import REMARKS, Finding, Kind
from betaearth.stac.audit_listing import BlockObjects, block_objects
from betaearth.stac.audit_tile_year import Judgement, Lens, judge_tile_year
from betaearth.stac.document import from_bytes
from betaearth.stac.documents import Documents
from betaearth.stac.leaf import Mark, Settled, marks_of, says, with_tile_years
from betaearth.stac.merging import LARGEST_DOCUMENT
from betaearth.stac.tree import Node, stored_links

_CELL = re.compile(r"[0-9]{1,6}[ud]_[0-9]{1,6}[rl]")


@dataclass(frozen=True)
class Readable:
    """A document as it lies in the store, as far as it can be used."""

    data: bytes | None
    """None where it is not there, or cannot be used."""
    fault: str | None = None
    """Why it cannot be used."""


@dataclass
class BlockJudgement:
    """What is to be said of a block."""

    node: Node
    leaf: Readable
    marks: Mapping[str, Mark]
    """Cell id in lower case to what the block's catalog says."""
    tile_years: Mapping[str, Judgement]
    """By folder, without a final slash."""
    objects: BlockObjects
    young: bool
    """Whether all its Items are younger than the grace."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def linked(self) -> dict[str, Judgement]:
        """Tile-years that have an Item which is linked, or should be."""
        return {prefix: each for prefix, each in self.tile_years.items() if self._linked(each)}

    @property
    def under_way(self) -> int:
        """Things that were not judged."""
        return sum(each.under_way for each in self.tile_years.values())

    @property
    def faults(self) -> list[Finding]:
        """Findings that are more than remarks."""
        return [finding for finding in self.findings if finding.kind not in REMARKS]

    def _linked(self, judged: Judgement) -> bool:
        if judged.settled:
            return judged.settled.item is not None
        mark = self.marks.get(posixpath.basename(judged.prefix))
        return mark is not None and mark.link is not None


def readable(documents: Documents, key: str) -> Readable:
    """Read a document of the catalog."""
    try:
        stored = documents.store.find(key, limit=LARGEST_DOCUMENT)
    except DataError as error:
        return Readable(None, str(error))
    return usable(documents, key, stored.data if stored else None)


def usable(documents: Documents, key: str, data: bytes | None) -> Readable:
    """Say whether a document is one: JSON, with links, valid STAC."""
    if data is None:
        return Readable(None)
    try:
        document = from_bytes(data, where=key)
        stored_links(document, key)
        documents.validator.check(document, where=key)
    except DataError as error:
        return Readable(None, str(error))
    return Readable(data)


def judge_blocks(
    documents: Documents, blocks: Sequence[BlockObjects], lens: Lens, pool: Executor
) -> list[BlockJudgement]:
    """Look at some blocks, at many tile-years at once.

    Where something is wrong, the block is listed and looked at anew: what a publisher did meanwhile is no finding.
    """
    judged = _judge(documents, blocks, lens, pool)
    return [again(documents, block, lens, pool) if block.faults else block for block in judged]


def again(documents: Documents, block: BlockJudgement, lens: Lens, pool: Executor) -> BlockJudgement:
    """List a block and look at it anew."""
    folder = block.node.folder
    (judged,) = _judge(documents, [block_objects(folder, documents.store.entries(f"{folder}/"))], lens, pool)
    return judged


def _judge(documents: Documents, blocks: Sequence[BlockObjects], lens: Lens, pool: Executor) -> list[BlockJudgement]:
    leaves = list(pool.map(lambda block: _leaf(documents, block), blocks))
    tasks = [
        (held, marks.get(posixpath.basename(held.prefix)))
        for block, (_, marks) in zip(blocks, leaves, strict=True)
        for held in (block.tile_year(cell) for cell in _cells(block, marks))
    ]
    held, marked = [task[0] for task in tasks], [task[1] for task in tasks]
    judgements = {
        each.prefix: each for each in pool.map(judge_tile_year, repeat(documents), held, marked, repeat(lens))
    }
    return [
        _judged_block(block, leaf, marks, judgements, lens) for block, (leaf, marks) in zip(blocks, leaves, strict=True)
    ]


def _leaf(documents: Documents, block: BlockObjects) -> tuple[Readable, dict[str, Mark]]:
    leaf = readable(documents, block.node.key)
    return leaf, marks_of(leaf.data, where=block.node.key)


def _cells(block: BlockObjects, marks: Iterable[str]) -> list[str]:
    """Cells that a block has anything of, or says to have."""
    listed = {posixpath.basename(prefix) for prefix in block.tile_years}
    return sorted(listed | {cell for cell in marks if _CELL.fullmatch(cell)})


def _judged_block(
    block: BlockObjects,
    leaf: Readable,
    marks: Mapping[str, Mark],
    judgements: Mapping[str, Judgement],
    lens: Lens,
) -> BlockJudgement:
    mine = {f"{block.node.folder}/{cell}": judgements[f"{block.node.folder}/{cell}"] for cell in _cells(block, marks)}
    items = [entry for held in block.tile_years.values() for entry, name in held.items.values() if name.stem is None]
    young = bool(items) and all(lens.young(entry) for entry in items)
    judged = BlockJudgement(block.node, leaf, marks, mine, block, young)
    judged.findings += [finding for each in mine.values() for finding in each.findings]
    judged.findings += [Finding.of(Kind.FOREIGN, key, "it is none of ours") for key in block.foreign]
    judged.findings += _leaf_findings(judged)
    return judged


def _leaf_findings(block: BlockJudgement) -> list[Finding]:
    key = block.node.key
    if block.leaf.fault:
        return [Finding.of(Kind.BROKEN_DOCUMENT, key, block.leaf.fault)]
    if block.leaf.data is None:
        linked = block.linked
        return [Finding.of(Kind.MISSING_DOCUMENT, key, f"{len(linked)} Items belong into it")] if linked else []
    settled = [each.settled for each in block.tile_years.values() if each.settled]
    found = [*_stray_links(block), *(fault for entry in settled if (fault := _mark_fault(block, entry)))]
    if not found and with_tile_years(block.leaf.data, block.node, settled) != block.leaf.data:
        if block.faults:
            return []
        return [Finding.of(Kind.STALE_DOCUMENT, key, "it does not say what it should of itself and its Items")]
    return found


def _mark_fault(block: BlockJudgement, settled: Settled) -> Finding | None:
    """Hold the entry of a tile-year against what it should be."""
    mark = block.marks.get(settled.cell)
    if says(mark, settled):
        return None
    key = f"{settled.prefix}/{settled.item_name}"
    there = key in block.objects.tile_year(settled.cell).items
    if mark is None or mark.link is None:
        if settled.item is None:
            return Finding.of(Kind.WRONG_LINK, block.node.key, f"what it says of {settled.cell} is not so")
        return Finding.of(Kind.UNLINKED_ITEM, key, f"{block.node.key} does not link it") if there else None
    if not there and settled.item is None:
        return Finding.of(Kind.DANGLING_LINK, key, f"{block.node.key} links it, and it is not there")
    return Finding.of(Kind.WRONG_LINK, key, f"{block.node.key} has another size, digest or manifests of it")


def _stray_links(block: BlockJudgement) -> Iterator[Finding]:
    """Report the links to Items that are not of a cell's folder; those that leave the store are none of ours."""
    for link in _item_links(block.leaf.data, block.node.key) if block.leaf.data else []:
        if is_stray(link):
            yield Finding.of(
                Kind.DANGLING_LINK, block.node.key, f"it links {str(link['href'])[:200]!r}: no Item of ours"
            )


def is_stray(link: Mapping[str, Any]) -> bool:
    """Whether a block's link to an Item leads to no cell's folder, nor out of the store."""
    href = str(link["href"])
    cell = href.removeprefix("./").partition("/")[0]
    return link["rel"] == "item" and "://" not in href and not _CELL.fullmatch(cell)


def _item_links(data: bytes, where: str) -> list[dict[str, Any]]:
    return [link for link in stored_links(from_bytes(data, where=where), where) if link["rel"] == "item"]

"""A block that is being published: what its listing shows, what its catalog says, and what is to be done."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from betaearth.stac.coverage import Standing, State
from betaearth.stac.leaf import Mark, marks_of, says
from betaearth.stac.listing import ListedBlock
from betaearth.stac.tile_years import Outcome
from betaearth.stac.tree import Node

_PRODUCT = Standing(State.PRODUCT)


@dataclass
class BlockWork:
    """A block that is being published."""

    node: Node
    listed: ListedBlock
    marks: dict[str, Mark]
    """Cell id in lower case to what the block's catalog says."""
    news: dict[str, tuple[str, ...]]
    """Folder of a tile-year that is not settled to the keys of its manifests."""
    outcomes: list[Outcome] = field(default_factory=list)
    """Of the news that are done."""

    @classmethod
    def of(cls, listed: ListedBlock, catalog: bytes | None) -> BlockWork:
        """Compare a listing with what the block's catalog marks as done.

        Raises:
            DataError: what is stored is no catalog.
        """
        node = Node(listed.folder)
        marks = marks_of(catalog, where=node.key)
        news = {
            prefix: keys
            for prefix, keys in listed.manifests.items()
            if not _settled(keys, marks.get(posixpath.basename(prefix)), has_item=prefix in listed.items)
        }
        return cls(node, listed, marks, news)

    @property
    def has_items(self) -> bool:
        """Whether the block's catalog links an Item, now or in a moment."""
        found = any(mark.link for mark in self.marks.values())
        return found or any(outcome.facts for outcome in self.outcomes)

    @property
    def unsaid(self) -> list[Outcome]:
        """What the block's catalog does not say yet."""
        return [entry for entry in self.outcomes if entry.settled and not says(self._mark(entry), entry.settled)]

    @property
    def items(self) -> int:
        """Tile-years that have an Item in the catalog."""
        linked = {cell for cell, mark in self.marks.items() if mark.link}
        linked |= {outcome.settled.cell for outcome in self.outcomes if outcome.settled and outcome.settled.item}
        return sum(posixpath.basename(prefix) in linked for prefix in self.listed.manifests)

    def standings(self, skipped: Mapping[str, str]) -> Iterator[tuple[str, Standing]]:
        """Yield the folders of tile-years with what they have come to."""
        reasons = {cell: mark.reason for cell, mark in self.marks.items() if mark.link is None}
        linked = {cell for cell, mark in self.marks.items() if mark.link}
        for settled in (outcome.settled for outcome in self.outcomes if outcome.settled):
            (linked.add(settled.cell) if settled.item else reasons.update({settled.cell: settled.reason}))
        for prefix, keys in self.listed.manifests.items():
            cell = posixpath.basename(prefix)
            if cell in linked:
                yield prefix, _PRODUCT
            elif cell in reasons:
                yield prefix, Standing(State.EMPTY, reasons[cell])
            else:
                reason = "; ".join(skipped[key] for key in keys if key in skipped)
                yield prefix, Standing(State.REFUSED, reason or "not published yet")

    def _mark(self, outcome: Outcome) -> Mark | None:
        return self.marks.get(outcome.settled.cell) if outcome.settled else None


def _settled(keys: Iterable[str], mark: Mark | None, *, has_item: bool) -> bool:
    """Whether a mark covers all manifests of a tile-year, and the Item that it tells of is there."""
    if mark is None or (mark.link is not None and not has_item):
        return False
    return {posixpath.basename(key).partition(".")[0] for key in keys} <= mark.stems

"""The mirror of a collection: its current Items as a table, in parts that any number of publishers change at once.

An Item has its row in exactly one of the parts that the Collection lists. A change of the mirror is prepared once and
applied to the Collection as it is read, again for every reading until the conditional write of the Collection succeeds:
then it says which assets the Collection gets, and which parts must be in the store before it is written. Since parts
are named by their content, creating one twice is harmless, and a part whose listing failed is a leftover.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Protocol

from betaearth.stac.document import Document
from betaearth.stac.mirror_listing import Assets, NewPart, Part, PartReader, part_key, parts_of
from betaearth.stac.mirror_parts import compacted, part_bytes
from betaearth.stac.mirror_rows import Row, place_of, row_of
from betaearth.stac.mirror_tables import count_rows

FAN = 16
"""Parts of one tier from which on they are made one."""
TIERS = (1_024, 8_192, 32_768)
"""Rows below which a part belongs to a tier; a larger one is never merged."""
LARGEST = 65_536
"""Rows that a part has at most: some 40 MB. Who gives an Item of it a newer row writes all of it anew, so a larger one
would make a product that supersedes another dear; smaller ones would make many."""


@dataclass(frozen=True)
class MirrorChange:
    """What a change of the mirror makes of the Collection as it was read."""

    assets: Assets
    """All assets of the Collection."""
    new_parts: Mapping[str, bytes] = field(default_factory=dict)
    """Object key to bytes: to be created before the Collection is written."""


class Change(Protocol):
    """A change of the mirror that is under way."""

    def apply(self, assets: Assets) -> MirrorChange:
        """Change the assets of the Collection as it was read; the same assets where nothing changes.

        Raises:
            DataError: a part that is listed is not there or is none.
        """
        ...


class Addition:
    """Gives Items their rows: the newest version of each, once."""

    def __init__(
        self,
        parts: PartReader,
        year: int,
        news: Mapping[str, Document],
        *,
        known_parts: frozenset[str] = frozenset(),
        created: frozenset[str] = frozenset(),
        still: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Prepare.

        Args:
            parts: of the collection.
            year: of all Items.
            news: id to current Item.
            known_parts: keys of the assets that the Collection had before any of the Items was written.
            created: ids of Items that were not there before this publisher wrote them: no known part has their rows,
                so that none is read for them.
            still: asked where a row of the same version says something else: whether the Item of that id is in the
                store as it is here, or another publisher has written it since.
        """
        self._parts, self._year, self._news = parts, year, news
        self._still = still
        self._known_parts, self._created = known_parts, created
        self._versions: dict[str, Row] = {}
        self._edits = _Edits(parts, year)

    def apply(self, assets: Assets) -> MirrorChange:
        """Replace rows of older versions; a row of a newer one, or of the same, stays and ours is left out."""
        found: dict[str, list[tuple[Part, Row]]] = defaultdict(list)
        for part in parts_of(assets, self._year).values():
            if wanted := self._wanted(part):
                for name, row in self._parts.rows(part, wanted).items():
                    found[name].append((part, row))
        keepers = {name: self._keeper(name, entries) for name, entries in found.items()}
        outdated: defaultdict[Part, set[str]] = defaultdict(set)
        for name, entries in found.items():
            for part, _ in entries:
                if part != keepers[name]:
                    outdated[part].add(name)
        news = [self._news[name] for name in sorted(self._news) if keepers.get(name) is None]
        return self._edits.apply(assets, outdated, news)

    def _wanted(self, part: Part) -> frozenset[str]:
        """Items that may have a row in a part."""
        names = frozenset(name for name, item in self._news.items() if part.may_hold(item))
        return names - self._created if part.asset in self._known_parts else names

    def _keeper(self, name: str, found: Sequence[tuple[Part, Row]]) -> Part | None:
        """Choose the part whose row stays; None where ours takes its place.

        Of equal versions the store decides: an Item changes when a manifest from before it turns up.
        """
        ours = self._version(name)
        part, row = max(found, key=lambda entry: (entry[1].order, entry[1].digest == ours.digest, entry[0].asset))
        if row.order == ours.order and row.digest != ours.digest:
            return None if self._still(name) else part
        return part if row.order >= ours.order else None

    def _version(self, name: str) -> Row:
        if name not in self._versions:
            self._versions[name] = row_of(self._news[name])
        return self._versions[name]


class Removal:
    """Takes the rows of Items out of the mirror."""

    def __init__(self, parts: PartReader, year: int, ids: frozenset[str]) -> None:
        """Prepare to remove the rows of Items of a year by their ids."""
        self._parts, self._year, self._ids = parts, year, ids
        self._edits = _Edits(parts, year)

    def apply(self, assets: Assets) -> MirrorChange:
        """Replace the parts that have such rows."""
        held = {part: self._parts.rows(part, self._ids) for part in parts_of(assets, self._year).values()}
        return self._edits.apply(assets, {part: set(rows) for part, rows in held.items() if rows}, [])


class Rebuilding:
    """Makes the mirror of a year anew from its Items."""

    def __init__(
        self, parts: PartReader, year: int, items: Mapping[str, Document], *, known_parts: frozenset[str]
    ) -> None:
        """Prepare.

        Args:
            parts: of the collection.
            year: of all Items.
            items: id to current Item: all that there are.
            known_parts: keys of the assets that the Collection had before the Items were read: these parts are
                dropped unread. What others list meanwhile stays.
        """
        self._year, self._known_parts = year, known_parts
        self._addition = Addition(parts, year, items)

    def apply(self, assets: Assets) -> MirrorChange:
        """Drop the known parts and give all Items their rows."""
        kept = {key: asset for key, asset in assets.items() if not self._is_dropped(key)}
        return self._addition.apply(kept)

    def _is_dropped(self, key: str) -> bool:
        return key in self._known_parts and key.startswith(f"items-{self._year}-")


class Compaction:
    """Makes one part of several."""

    def __init__(self, parts: PartReader, keys: Iterable[str]) -> None:
        """Prepare to merge the parts of these assets, as `compaction_due` names them."""
        self._parts, self._keys = parts, frozenset(keys)
        self._made: NewPart | None = None

    def apply(self, assets: Assets) -> MirrorChange:
        """Replace the parts by one; nothing happens where one of them is no longer listed: others came first."""
        listed = parts_of(assets)
        if len(self._keys) < 2 or not self._keys <= listed.keys():
            return MirrorChange(assets)
        if self._made is None:
            self._made = self._merged([listed[key] for key in sorted(self._keys)])
        kept = {key: asset for key, asset in assets.items() if key not in self._keys}
        return _listed(kept, [self._made], self._parts.collection)

    def _merged(self, parts: Sequence[Part]) -> NewPart:
        data = compacted([self._parts.data(part) for part in parts])
        return NewPart(parts[0].year, data, count_rows(data))


def compaction_due(assets: Assets, year: int) -> list[str]:
    """Name the assets whose parts should become one: where a tier has many, its smallest, up to `LARGEST` rows.

    A row is so written again a few times at most, and a year has some dozens of parts besides one for every 32,768 to
    65,536 Items.

    Returns:
        Keys of assets; none where there is nothing to do.

    Raises:
        DataError: an asset that is called like a part does not describe one.
    """
    parts = sorted(parts_of(assets, year).values(), key=lambda part: (part.rows, part.asset))
    for above, below in zip((0, *TIERS), TIERS, strict=False):
        tier = [part for part in parts if above <= part.rows < below]
        if len(tier) >= FAN:
            return [part.asset for part in _smallest(tier)]
    return []


def _smallest(parts: Sequence[Part]) -> list[Part]:
    """Take parts as long as they have no more than `LARGEST` rows together: at least two of any tier."""
    totals = accumulate(part.rows for part in parts)
    return [part for part, total in zip(parts, totals, strict=True) if total <= LARGEST]


class _Edits:
    """Parts with rows taken out and put in, each made once however often a change is applied."""

    def __init__(self, parts: PartReader, year: int) -> None:
        self._parts, self._year = parts, year
        self._without: dict[tuple[Part, frozenset[str]], NewPart | None] = {}
        self._with: dict[frozenset[str], list[NewPart]] = {}

    def apply(self, assets: Assets, outdated: Mapping[Part, Set[str]], news: Sequence[Document]) -> MirrorChange:
        """Replace parts by ones without some rows, and add parts of new rows."""
        if not outdated and not news:
            return MirrorChange(assets)
        remade = [self._part_without(part, frozenset(ids)) for part, ids in outdated.items()]
        kept = {key: asset for key, asset in assets.items() if key not in {part.asset for part in outdated}}
        made = [*(part for part in remade if part), *self._parts_with(news)]
        return _listed(kept, made, self._parts.collection)

    def _part_without(self, part: Part, ids: frozenset[str]) -> NewPart | None:
        if (part, ids) not in self._without:
            left = part.rows - len(ids)
            data = compacted([self._parts.data(part)], without=ids) if left else None
            self._without[part, ids] = NewPart(part.year, data, left) if data else None
        return self._without[part, ids]

    def _parts_with(self, news: Sequence[Document]) -> list[NewPart]:
        ids = frozenset(item["id"] for item in news)
        if ids not in self._with:
            ordered = iter(sorted(news, key=lambda item: (place_of(item), item["id"])))
            chunks = iter(lambda: list(islice(ordered, LARGEST)), [])
            self._with[ids] = [NewPart(self._year, part_bytes(chunk), len(chunk)) for chunk in chunks]
        return self._with[ids]


def _listed(assets: Assets, made: Iterable[NewPart], collection: str) -> MirrorChange:
    """Add parts to assets."""
    changed = dict(assets)
    new_parts: dict[str, bytes] = {}
    for part in made:
        key, asset = part.listed(changed)
        changed[key] = asset
        new_parts[part_key(collection, part.year, part.sha256)] = part.data
    return MirrorChange(changed, new_parts)

"""Judging a collection's mirror: every current Item has one row in the listed parts, and no row is of anything else."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.products.keys import tile_year_prefix
from betaearth.stac.audit_findings import Finding, Kind
from betaearth.stac.document import Document, from_bytes
from betaearth.stac.mirror import Addition, MirrorChange, Removal
from betaearth.stac.mirror_listing import Assets, Part, PartReader, parts_of
from betaearth.stac.mirror_parts import rows_of
from betaearth.stac.mirror_rows import Row, row_of
from betaearth.storage.store import Store

LARGEST_PART = 4 << 30
"""Bytes beyond which an object is no part of ours."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the mirror should have of a current Item."""

    key: str
    """Of the Item."""
    digest: str | None
    """Of the row; None: any, or none."""


@dataclass
class MirrorJudgement:
    """What is to be said of a mirror, and what a repair has to do."""

    findings: list[Finding] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    """Keys of assets whose parts cannot be used."""
    wrong: dict[str, str] = field(default_factory=dict)
    """Key of a part with other bytes than it should have to the digest that these have."""
    rows: dict[int, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Year to ids whose rows are not as they should be, with the keys of their Items."""
    listed: set[str] = field(default_factory=set)
    """Keys of the parts that are listed."""
    under_way: int = 0


class MirrorJudge:
    """Looks at the mirror of one collection."""

    def __init__(self, store: Store, collection: str, grid: MajorTomGrid | None) -> None:
        """Look at nothing yet.

        Args:
            store: where it lies.
            collection: its id.
            grid: of the cells; None where nothing tells.
        """
        self._store, self._collection, self._grid = store, collection, grid

    def judge(self, assets: Assets, expected: Mapping[int, Mapping[str, Expected]]) -> MirrorJudgement:
        """Compare the listed parts with what should be in them.

        Args:
            assets: of the Collection.
            expected: year to id to what there should be.
        """
        judged = MirrorJudgement()
        parts: dict[int, list[Part]] = defaultdict(list)
        for part in self._parts(assets, judged):
            parts[part.year].append(part)
        for year in sorted(parts.keys() | expected.keys()):
            found: dict[str, list[tuple[str, str]]] = defaultdict(list)  # a year's rows, which may be millions
            for part in parts[year]:
                key = part.key(self._collection)
                for name, row in self._rows(part, judged).items():
                    found[name].append((key, row.digest))
            self._judge_year(year, found, expected.get(year, {}), judged)
        return judged

    def _parts(self, assets: Assets, judged: MirrorJudgement) -> Iterator[Part]:
        for key in sorted(assets):
            try:
                yield from parts_of({key: assets[key]}).values()
            except DataError as error:
                where = f"{self._collection}/collection.json#/assets/{key}"
                judged.findings.append(Finding.of(Kind.WRONG_PART, where, str(error)))
                judged.dropped.add(key)

    def _rows(self, part: Part, judged: MirrorJudgement) -> Mapping[str, Row]:
        key = part.key(self._collection)
        judged.listed.add(key)
        stored = self._store.find(key, limit=LARGEST_PART)
        if stored is None:
            judged.findings.append(Finding.of(Kind.MISSING_PART, key, "the Collection lists it, and it is not there"))
            judged.dropped.add(part.asset)
            return {}
        sha256 = hashlib.sha256(stored.data).hexdigest()
        if sha256 != part.sha256:
            judged.wrong[key] = sha256
            return self._drop(part, judged, f"SHA-256 {sha256}; {part.sha256} says the Collection")
        try:
            rows = rows_of(stored.data, where=key)
        except DataError as error:
            return self._drop(part, judged, str(error))
        if (len(stored.data), len(rows)) != (part.size, part.rows):
            said = f"{part.size} bytes and {part.rows} rows says the Collection"
            return self._drop(part, judged, f"{len(stored.data)} bytes, {len(rows)} rows; {said}")
        return rows

    def _drop(self, part: Part, judged: MirrorJudgement, detail: str) -> dict[str, Row]:
        judged.findings.append(Finding.of(Kind.WRONG_PART, part.key(self._collection), detail))
        judged.dropped.add(part.asset)
        return {}

    def _judge_year(
        self,
        year: int,
        found: Mapping[str, list[tuple[str, str]]],
        expected: Mapping[str, Expected],
        judged: MirrorJudgement,
    ) -> None:
        for name, rows in sorted(found.items()):
            key, digest = rows[0]
            should = expected.get(name) or self._published_since(year, name)
            if len(rows) > 1:
                kind, where, detail = Kind.DUPLICATE_ROW, f"{key}#{name}", f"{len(rows)} listed parts have a row of it"
            elif should is None:
                kind, where, detail = Kind.EXTRA_ROW, f"{key}#{name}", "there is no such Item"
            elif should.digest not in {None, digest} and self._digest_now(should.key) != digest:
                kind, where, detail = Kind.STALE_ROW, f"{key}#{name}", f"it is not the row of {should.key}"
            else:
                continue
            judged.findings.append(Finding.of(kind, where, detail))
            judged.rows[year][name] = should.key if should else ""
        for name in sorted(expected.keys() - found.keys()):
            should = expected[name]
            if should.digest is not None and self._digest_now(should.key) is not None:
                judged.rows[year][name] = should.key
                if not judged.dropped:  # else that is the fault, and these follow from it
                    judged.findings.append(
                        Finding.of(Kind.MISSING_ROW, should.key, "no listed part of the mirror has it")
                    )

    def _published_since(self, year: int, name: str) -> Expected | None:
        """Find an Item that was not there when its block was looked at."""
        cell = name.removeprefix(f"{self._collection}_").removesuffix(f"_{year}").upper()
        try:
            prefix = tile_year_prefix(self._collection, year, self._grid.cell(cell)) if self._grid else None
        except DataError:
            prefix = None
        key = f"{prefix}/{name}.json"
        return Expected(key, None) if prefix and self._digest_now(key) else None

    def _digest_now(self, key: str) -> str | None:
        item = item_now(self._store, key)
        return row_of(item).digest if item else None


def item_now(store: Store, key: str) -> Document | None:
    """Read an Item; None where there is none that could have a row."""
    stored = store.find(key)
    try:
        item = from_bytes(stored.data, where=key) if stored else None
        return item if item and row_of(item) else None
    except DataError:
        return None


def repaired(store: Store, collection: str, assets: Assets, judged: MirrorJudgement) -> MirrorChange:
    """Make the assets of the Collection, as it was read, list one row of every Item that was not as it should be.

    Raises:
        DataError: a part that is listed cannot be used.
    """
    made: dict[str, bytes] = {}
    parts = PartReader(collection, lambda key: made[key] if key in made else store.read(key))
    kept = {key: asset for key, asset in assets.items() if key not in judged.dropped}
    for year, rows in judged.rows.items():
        items = {name: item for name, key in rows.items() if key and (item := item_now(store, key))}
        for change in (Removal(parts, year, frozenset(rows)), Addition(parts, year, items)):
            changed = change.apply(kept)
            kept = dict(changed.assets)
            made |= changed.new_parts
    listed = {part.key(collection) for part in parts_of(kept).values()}
    return MirrorChange(kept, {key: data for key, data in made.items() if key in listed})

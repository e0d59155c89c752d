"""The parts that a Collection lists: assets of its document that name immutable files of rows.

A part's name is the digest of its bytes, so it is never changed, only replaced by others; what no asset names any more
stays for readers under way until an audit clears it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from betaearth.errors import DataError
from betaearth.grid.pixels import Bounds
from betaearth.stac.document import Document
from betaearth.stac.mirror_parts import PARQUET, items_of, rows_of
from betaearth.stac.mirror_rows import Row
from betaearth.stac.mirror_tables import bounds_of

Assets = Mapping[str, Any]
"""Of a Collection, key to asset."""

ROLE = "collection-mirror"
_SLACK_DEG = 1e-5
"""What two computations of a cell's outline may differ by, and more."""
_ASSET = re.compile(r"items-(?P<year>[0-9]{4})-(?P<digest>[0-9a-f]{8}|[0-9a-f]{16})")
_HREF = re.compile(r"\./items/year=(?P<year>[0-9]{4})/part-(?P<digest>[0-9a-f]{16})\.parquet")
_CHECKSUM = re.compile(r"1220(?P<sha256>[0-9a-f]{64})")


@dataclass(frozen=True)
class Part:
    """A part as an asset of the Collection lists it."""

    asset: str
    """Key of the asset: `items-2024-0123abcd`."""
    year: int
    sha256: str
    """Of its bytes."""
    size: int
    """Bytes."""
    rows: int
    bounds: Bounds | None = None
    """(west, south, east, north) degrees around all of its Items; None where the Collection does not say."""

    def may_hold(self, item: Document) -> bool:
        """Whether an Item of that place may have a row in the part."""
        if self.bounds is None:
            return True
        west, south, east, north = item["bbox"]
        spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
        least_x, least_y, most_x, most_y = self.bounds
        beside = all(end < least_x - _SLACK_DEG or start > most_x + _SLACK_DEG for start, end in spans)
        return not (beside or north < least_y - _SLACK_DEG or south > most_y + _SLACK_DEG)

    def key(self, collection: str) -> str:
        """Object key."""
        return part_key(collection, self.year, self.sha256)


@dataclass(frozen=True)
class NewPart:
    """A part that is not listed yet."""

    year: int
    data: bytes
    rows: int

    @cached_property
    def bounds(self) -> Bounds | None:
        """(west, south, east, north) degrees around all of its Items, as its own metadata say."""
        return bounds_of(self.data)

    @cached_property
    def sha256(self) -> str:
        """Digest of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    def listed(self, assets: Assets) -> tuple[str, Document]:
        """Make the asset that lists the part, and its key, which is longer where a short one is another part's."""
        asset: Document = {
            "href": f"./items/year={self.year}/part-{self.sha256[:16]}.parquet",
            "title": f"Items of {self.year} as a table (stac-geoparquet), one of the parts",
            "type": PARQUET,
            "roles": [ROLE],
            "file:size": len(self.data),
            "file:checksum": f"1220{self.sha256}",
            "betaearth:items": self.rows,
            **({"betaearth:bbox": list(self.bounds)} if self.bounds else {}),
        }
        short = f"items-{self.year}-{self.sha256[:8]}"
        return (short if assets.get(short, asset) == asset else f"items-{self.year}-{self.sha256[:16]}"), asset


def part_key(collection: str, year: int, sha256: str) -> str:
    """Object key of the part whose bytes have this digest."""
    return f"{collection}/items/year={year}/part-{sha256[:16]}.parquet"


def parts_of(assets: Assets, year: int | None = None) -> dict[str, Part]:
    """Find the parts that a Collection lists, by their assets' keys; assets of other kinds are passed over.

    Args:
        assets: of the Collection.
        year: of the parts; None: of all years.

    Raises:
        DataError: an asset that is called like a part does not describe one.
    """
    named = {key: match for key in assets if (match := _ASSET.fullmatch(key))}
    parts = {key: _part(key, match, assets[key]) for key, match in sorted(named.items())}
    return {key: part for key, part in parts.items() if year in {None, part.year}}


class PartReader:
    """Reads the parts of one collection's mirror; which versions they have is read once, and remembered."""

    def __init__(self, collection: str, fetch: Callable[[str], bytes]) -> None:
        """Read nothing yet.

        Args:
            collection: its id.
            fetch: reads an object of the store by its key.
        """
        self.collection = collection
        self._fetch = fetch
        self._rows: dict[tuple[str, frozenset[str] | None], dict[str, Row]] = {}

    def rows(self, part: Part, ids: frozenset[str] | None = None) -> Mapping[str, Row]:
        """Tell which versions of which Items a part has, id to row.

        Args:
            part: a listed one.
            ids: of the Items in question; None: all.

        Raises:
            DataError: the part is not there, or is not what the Collection says.
        """
        if (part.sha256, ids) not in self._rows:
            found = rows_of(self.data(part), where=part.key(self.collection), ids=ids)
            self._rows[part.sha256, ids] = found
        return self._rows[part.sha256, ids]

    def items(self, part: Part) -> list[Document]:
        """Read the Items of a part.

        Raises:
            DataError: the part is not there, or is not what the Collection says.
        """
        return items_of(self.data(part), where=part.key(self.collection))

    def data(self, part: Part) -> bytes:
        """Read a part.

        Raises:
            DataError: the part is not there, or is not what the Collection says.
        """
        key = part.key(self.collection)
        data = self._fetch(key)
        found = hashlib.sha256(data).hexdigest()
        if found != part.sha256:
            raise DataError(f"{key} has the SHA-256 {found}; {self.collection}/collection.json says {part.sha256}")
        return data


def _part(key: str, name: re.Match[str], asset: object) -> Part:
    fields = asset if isinstance(asset, dict) else {}
    href = _HREF.fullmatch(str(fields.get("href")))
    checksum = _CHECKSUM.fullmatch(str(fields.get("file:checksum")))
    size, rows = _count(fields.get("file:size")), _count(fields.get("betaearth:items"))
    if not (href and checksum and size and rows):
        raise DataError(f"the asset {key} lists no part of the mirror: {str(asset)[:200]}; repair the collection")
    said = {name["year"], href["year"]}
    if (
        len(said) > 1
        or not checksum["sha256"].startswith(href["digest"])
        or not href["digest"].startswith(name["digest"])
    ):
        raise DataError(f"the asset {key} contradicts itself: {href[0]}, {checksum[0]}; repair the collection")
    return Part(
        bounds=_bounds(fields.get("betaearth:bbox")),
        asset=key,
        year=int(name["year"]),
        sha256=checksum["sha256"],
        size=size,
        rows=rows,
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _bounds(value: object) -> Bounds | None:
    """Take bounds where they are some; without, a part is read where it need not be, and no harm is done."""
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(number, int | float) for number in value):
        return None
    west, south, east, north = map(float, value)
    return west, south, east, north

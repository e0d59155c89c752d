"""A part of the mirror as bytes: stac-geoparquet 1.0, one file of Items.

Geometries are WKB, and the bounding box is a struct that the `geo` metadata names as covering. Rows are sorted by block
of cells, and row groups are small and have statistics, so that a reader reads little more than what lies where it
looks. rustac makes rows of Items, and Items of rows; parts are made of parts in `mirror_tables`, without Items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import islice
from typing import Any

import rustac

from betaearth.errors import DataError
from betaearth.stac.document import Document
from betaearth.stac.mirror_rows import Row, from_row, place_of, to_row
from betaearth.stac.mirror_tables import merged, versions
from betaearth.storage.scratch import scratch_folder

PARQUET = "application/vnd.apache.parquet"
_AT_ONCE = 1_024
"""Items that rustac is given: it takes some 0.2 MB each."""


def part_bytes(items: Iterable[Document]) -> bytes:
    """Make a part.

    Args:
        items: of one collection and year, each id once, in any order; at least one.

    Raises:
        DataError: there is none, one is there twice, or they cannot be rows of one table: a field has values of
            several types.
    """
    ordered = sorted(items, key=lambda item: (place_of(item), item["id"]))
    if len({item["id"] for item in ordered}) < len(ordered):
        raise DataError(f"{len(ordered)} Items have fewer ids; a part has each Item once")
    rows = map(to_row, ordered)
    return compacted([_written(some) for some in iter(lambda: list(islice(rows, _AT_ONCE)), [])])


def items_of(data: bytes, *, where: str = "this") -> list[Document]:
    """Read the Items of a part, in the order of its rows; that takes 0.2 MB a row, so it is not for large parts.

    Args:
        data: a part.
        where: its key, for the message.

    Returns:
        Items that share what they have in common, so not to be changed: the names of 64 bands are most of an Item.

    Raises:
        DataError: it is none.
    """
    items: list[Document] = []
    for item in _items(data, where):
        items.append(_shared(item, items[-1]) if items else item)
    return items


def rows_of(data: bytes, *, where: str = "this", ids: Set[str] | None = None) -> dict[str, Row]:
    """Tell which versions of which Items a part has, id to row.

    Args:
        data: a part.
        where: its key, for the message.
        ids: of the Items in question; None: all.

    Raises:
        DataError: it is no part, or has an id twice.
    """
    return {row.id: row for row in versions(data, where=where, ids=ids)}


def compacted(parts: Sequence[bytes], *, without: Set[str] = frozenset()) -> bytes:
    """Make one part of several, or of one; of an Item that is in two of them, the newest version.

    Memory is bounded by the parts themselves, the new one, and a row group of each.

    Args:
        parts: at least one.
        without: ids of Items that the new one shall not have.

    Raises:
        DataError: one of them is no part, their rows cannot be of one table, or no row is left.
    """
    made = merged(parts, without=without) if parts else None
    if made is None:
        raise DataError("a part of the mirror has at least one Item")
    return made


def _written(rows: list[Document]) -> bytes:
    with scratch_folder() as folder:
        path = folder / "part.parquet"
        try:
            rustac.write_sync(str(path), rows, format="geoparquet", parquet_compression="zstd(1)")
        except rustac.RustacError as error:
            raise DataError(f"{len(rows)} Items from {rows[0]['id']} on cannot be one table: {error}") from error
        return path.read_bytes()


def _items(data: bytes, where: str) -> Iterator[Document]:
    with scratch_folder() as folder:
        path = folder / "part.parquet"
        path.write_bytes(data)
        try:
            found = rustac.read_sync(str(path), format="geoparquet", set_self_link=False)
        except rustac.RustacError as error:
            raise DataError(f"{where} is no part of a mirror: {error}") from error
    # Each row goes when its Item comes: both at once would not fit where one does.
    rows = found["features"][::-1]
    found.clear()
    while rows:
        yield from_row(rows.pop())


def _shared(value: Any, earlier: Any) -> Any:  # noqa: ANN401  -- any JSON value
    if value == earlier:
        return earlier
    if isinstance(value, dict) and isinstance(earlier, dict):
        return {name: _shared(each, earlier.get(name)) for name, each in value.items()}
    return value

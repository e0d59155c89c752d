"""A part of the mirror as bytes: stac-geoparquet 1.0, one file of Items.

rustac makes and reads it: geometries as WKB, the bounding box as a struct that the `geo` metadata names as covering,
columns compressed with ZSTD. The rows are sorted by block of cells, so that a reader can tell by a part's or page's
statistics that nothing in it lies where one looks; a part is a single row group.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import rustac

from betaearth.errors import DataError
from betaearth.stac.document import Document
from betaearth.stac.mirror_rows import Row, from_row, place_of, row_of, to_row

PARQUET = "application/vnd.apache.parquet"
_COMPRESSION = "zstd(3)"


def part_bytes(items: Iterable[Document]) -> bytes:
    """Make a part.

    Args:
        items: of one collection and year, each id once, in any order; at least one.

    Raises:
        DataError: there is none, or they cannot be rows of one table: a field has values of several types.
    """
    rows = [to_row(item) for item in sorted(items, key=lambda item: (place_of(item), item["id"]))]
    if not rows:
        raise DataError("a part of the mirror has at least one Item")
    with tempfile.TemporaryDirectory(prefix="betaearth-mirror-") as folder:
        path = Path(folder) / "part.parquet"
        try:
            rustac.write_sync(str(path), rows, format="geoparquet", parquet_compression=_COMPRESSION)
        except rustac.RustacError as error:
            raise DataError(f"{len(rows)} Items from {rows[0]['id']} on cannot be one table: {error}") from error
        return path.read_bytes()


def items_of(data: bytes, *, where: str = "this") -> list[Document]:
    """Read the Items of a part, in the order of its rows.

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


def rows_of(data: bytes, *, where: str = "this") -> dict[str, Row]:
    """Tell which versions of which Items a part has, id to row.

    Raises:
        DataError: it is no part, or has an id twice.
    """
    rows = [row_of(item) for item in _items(data, where)]
    found = {row.id: row for row in rows}
    if len(found) < len(rows):
        raise DataError(f"{where} has {len(rows)} rows of {len(found)} Items; an Item has one")
    return found


def compacted(parts: Sequence[bytes]) -> bytes:
    """Make one part of several; no Item may be in two of them.

    Raises:
        DataError: one of them is no part, or their Items cannot be rows of one table.
    """
    return part_bytes(chain.from_iterable(map(items_of, parts)))


def _items(data: bytes, where: str) -> Iterator[Document]:
    with tempfile.TemporaryDirectory(prefix="betaearth-mirror-") as folder:
        path = Path(folder) / "part.parquet"
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

"""Parts of the mirror as tables of columns: reading a few columns, and making parts of parts, without Items.

pyarrow reads and writes them without threads of its own and without Python's file objects: its pools, where a process
ends early, abort it (apache/arrow issues 33975 and 34314).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.grid.pixels import Bounds
from betaearth.stac.mirror_rows import DIGEST, PROVENANCE, Row, place_in, stem_of

ROW_GROUP = 2_048
"""Rows: some 8 to 16 blocks of cells, 1.2 MB."""
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_BBOX = tuple(f"bbox.{side}" for side in _SIDES)
_DIGESTS = tuple(f"{PROVENANCE}.{name}" for name in ("request_digest", "sources_digest", "fingerprint"))
_VERSION = ("id", "updated", *_DIGESTS, DIGEST)
_ORDER = ("id", "updated", *_DIGESTS[:2], "collection", "start_datetime", "grid:code", *_BBOX)
_STATISTICS = ("id", "grid:code", "proj:code", "start_datetime", "end_datetime", "created", "updated", *_BBOX)
"""Columns that people search by: statistics of all would be half of a small part."""
_UNIQUE = re.compile(r"^geometry$|^bbox\.|(href|checksum|digest|fingerprint)$")
"""Columns whose values hardly repeat, so that a dictionary of them only costs."""


def versions(data: bytes, *, where: str, ids: Set[str] | None) -> list[Row]:
    """Tell which versions of which Items a part has.

    Args:
        data: a part.
        where: its key, for the message.
        ids: of the Items in question; None: all.

    Raises:
        DataError: it is no part, or has an id twice.
    """
    with _faults(where):
        file = _opened(data)
        names = _columns(file, ["id"])["id"]
        if (count := pc.count_distinct(names).as_py()) < len(names):
            raise DataError(f"{where} has {len(names)} rows of {count} Items; an Item has one")
        found: list[Row] = []
        for group in range(file.metadata.num_row_groups):
            table = _columns(file, _VERSION, [group])
            found += _rows(table if ids is None else table.filter(_among(table["id"], ids)))
        return found


def count_rows(data: bytes) -> int:
    """Count the rows of a part, by what its end says."""
    return int(_opened(data).metadata.num_rows)


def bounds_of(data: bytes) -> Bounds | None:
    """Tell the box in degrees around all rows of a part by its metadata; None where they do not say."""
    metadata = _opened(data).metadata.metadata or {}
    box = json.loads(metadata.get(b"geo", b"{}")).get("columns", {}).get("geometry", {}).get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        return None
    west, south, east, north = map(float, box)
    return west, south, east, north


def merged(parts: Sequence[bytes], *, without: Set[str] = frozenset()) -> bytes | None:
    """Make one part of parts: their rows by place, each Item once, in its newest version; None where no row is left.

    Args:
        parts: as rustac or this makes them.
        without: ids of Items to leave out.

    Raises:
        DataError: one is no part, or they cannot be one table.
    """
    with _faults("one of several"):
        files = [_opened(part) for part in parts]
        order = _order(files, without)
        schema = pa.unify_schemas([_plain_schema(file) for file in files], promote_options="permissive")
    if not order.num_rows:
        return None
    with _faults(f"what {len(parts)} parts are together"):
        readers = [_Reader(file, schema) for file in files]
        sink = pa.BufferOutputStream()
        with _writer(sink, schema) as writer:
            writer.add_key_value_metadata(_metadata(files, order))
            for start in range(0, order.num_rows, ROW_GROUP):
                some = order.slice(start, ROW_GROUP)
                rows = _gathered(readers, some["part"].to_numpy(), some["row"].to_numpy())
                writer.write_table(rows, row_group_size=ROW_GROUP)
        return bytes(sink.getvalue())


def _rows(table: pa.Table) -> Iterator[Row]:
    for name, updated, request, sources, fingerprint, digest in zip(
        *(table[name].to_pylist() for name in _VERSION), strict=True
    ):
        yield Row(id=name, updated=updated, stem=stem_of(request, sources), fingerprint=fingerprint, digest=digest)


class _Reader:
    """Reads rows of a part, holding the row groups of the latest: they are asked for in their order."""

    def __init__(self, file: pq.ParquetFile, schema: pa.Schema) -> None:
        self._file, self._empty = file, schema.empty_table()
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        self._starts = np.cumsum([0, *sizes])
        self._held: dict[int, pa.Table] = {}

    def take(self, rows: NDArray[np.int64]) -> pa.Table:
        """Read rows by their indices, ascending, with the columns of the schema."""
        groups = np.searchsorted(self._starts, rows, side="right") - 1
        wanted = np.unique(groups).tolist()
        self._held = {group: self._held[group] for group in wanted if group in self._held}
        found = [self._group(group).take(rows[groups == group] - self._starts[group]) for group in wanted]
        return pa.concat_tables([self._empty, *found], promote_options="permissive")

    def _group(self, group: int) -> pa.Table:
        if group not in self._held:
            self._held[group] = _plain(self._file.read_row_group(group, use_threads=False))
        return self._held[group]


def _gathered(readers: Sequence[_Reader], parts: NDArray[np.int64], rows: NDArray[np.int64]) -> pa.Table:
    """Make a table of the given rows of the given parts."""
    by_part = np.lexsort((rows, parts))
    pieces = [readers[part].take(np.sort(rows[parts == part])) for part in np.unique(parts)]
    place = np.empty_like(by_part)
    place[by_part] = np.arange(len(by_part))
    return pa.concat_tables(pieces).combine_chunks().take(place)


def _order(files: Sequence[pq.ParquetFile], without: Set[str]) -> pa.Table:
    """Say which row of which part comes when, and how far each reaches: columns part, row, xmin, ymin, xmax, ymax."""
    keys = [("place", "ascending"), ("id", "ascending"), ("updated", "descending"), ("stem", "descending")]
    rows = pa.concat_tables([_sortable(file, part) for part, file in enumerate(files)])
    rows = rows.take(pc.sort_indices(rows, [*keys, ("part", "ascending")]))
    ids = rows["id"].combine_chunks()
    first = pa.concat_arrays([pa.array([True] * min(len(ids), 1), pa.bool_()), pc.not_equal(ids[1:], ids[:-1])])
    kept = pc.and_(first, pc.invert(_among(ids, without)))
    return rows.filter(kept).select(["part", "row", *_BBOX])


def _sortable(file: pq.ParquetFile, part: int) -> pa.Table:
    table = _columns(file, _ORDER)
    digests = [table[name].to_pylist() for name in _DIGESTS[:2]]
    places = zip(
        table["collection"].to_pylist(),
        pc.year(table["start_datetime"]).to_pylist(),
        table["grid:code"].to_pylist(),
        strict=True,
    )
    columns = {
        "part": np.full(table.num_rows, part),
        "row": np.arange(table.num_rows),
        "place": pa.array([place_in(*place) for place in places], pa.string()),
        "id": table["id"],
        "updated": table["updated"],
        "stem": pa.array([stem_of(*pair) for pair in zip(*digests, strict=True)], pa.string()),
        **{name: table[name] for name in _BBOX},
    }
    return pa.table(columns)


def _metadata(files: Sequence[pq.ParquetFile], rows: pa.Table) -> dict[bytes, bytes]:
    """Say of a file of rows what the files say that they come from, but for where they lie."""
    said = [file.metadata.metadata for file in files]
    geos = [json.loads(each[b"geo"]) for each in said]
    types = sorted({name for geo in geos for name in geo["columns"]["geometry"]["geometry_types"]})
    geos[0]["columns"]["geometry"] |= {"geometry_types": types, "bbox": _bounds(rows)}
    return {b"geo": json.dumps(geos[0]).encode(), b"stac-geoparquet": said[0][b"stac-geoparquet"]}


def _bounds(rows: pa.Table) -> list[float]:
    """Find the bounding box of rows; where one crosses the antimeridian, its geometry reaches it from both sides."""
    west, south, east, north = (rows[name] for name in _BBOX)
    if pc.any(pc.greater(west, east)).as_py():
        return [-180.0, pc.min(south).as_py(), 180.0, pc.max(north).as_py()]
    return [pc.min(west).as_py(), pc.min(south).as_py(), pc.max(east).as_py(), pc.max(north).as_py()]


def _writer(sink: pa.NativeFile, schema: pa.Schema) -> pq.ParquetWriter:
    leaves = [leaf for field in schema for leaf in _leaves(field, field.name)]
    return pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=6,
        use_dictionary=[leaf for leaf in leaves if not _UNIQUE.search(leaf)],
        write_statistics=list(_STATISTICS),
        # It says of the types what the file says anyway, in 10 kB.
        store_schema=False,
    )


def _leaves(field: pa.Field, path: str) -> Iterator[str]:
    """Name the columns of a file that a field becomes."""
    if pa.types.is_struct(field.type):
        for child in field.type:
            yield from _leaves(child, f"{path}.{child.name}")
    elif pa.types.is_list(field.type):
        yield from _leaves(field.type.value_field, f"{path}.list.element")
    else:
        yield path


def _opened(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)


def _columns(file: pq.ParquetFile, names: Sequence[str], groups: Sequence[int] | None = None) -> pa.Table:
    """Read columns, of some row groups or of all; those within objects by their paths, and no value is missing."""
    wanted = range(file.metadata.num_row_groups) if groups is None else groups
    table = _plain(file.read_row_groups(list(wanted), columns=list(names), use_threads=False)).flatten()
    missing = [name for name in names if name not in table.column_names or table[name].null_count]
    if missing:
        raise DataError(f"its rows do not all say {', '.join(missing)}")
    return table.select(list(names))


def _plain(table: pa.Table) -> pa.Table:
    """Spell out columns that refer to a dictionary: the dictionaries of two parts differ."""
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            plain = field.with_type(field.type.value_type)
            table = table.set_column(index, plain, table.column(index).cast(plain.type))
    return table


def _plain_schema(file: pq.ParquetFile) -> pa.Schema:
    return _plain(file.schema_arrow.remove_metadata().empty_table()).schema


def _among(ids: Any, wanted: Set[str]) -> Any:  # noqa: ANN401  -- pyarrow says no types
    return pc.is_in(ids, pa.array(sorted(wanted), pa.string()))


@contextmanager
def _faults(where: str) -> Iterator[None]:
    """Say of what pyarrow cannot read, or cannot put together, that it is no part."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where} is no part of a mirror: {error!r:.500}") from error

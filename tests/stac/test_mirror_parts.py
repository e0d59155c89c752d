from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import rustac

from betaearth.errors import DataError
from betaearth.products.manifest import Manifest
from betaearth.stac.document import to_bytes
from betaearth.stac.item import item_document, item_from_manifest
from betaearth.stac.mirror_parts import compacted, items_of, part_bytes, rows_of
from betaearth.stac.mirror_rows import from_row, place_of, row_of, to_row

MakeItem = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def item(make_manifest: Callable[..., Manifest], manifest_key_of: Callable[[Manifest], str]) -> MakeItem:
    def make(*args: Any, **details: Any) -> dict[str, Any]:
        manifest = make_manifest(*args, **details)
        made = item_from_manifest(manifest, manifest_key=manifest_key_of(manifest), manifest_bytes=manifest.to_bytes())
        parsed: dict[str, Any] = json.loads(to_bytes(item_document(made)))
        return parsed

    return make


@pytest.fixture(scope="module")
def variety(item: MakeItem) -> list[dict[str, Any]]:
    """Items as different as they get in one collection and year."""
    plain = item("433U_1046R")
    other = item("434U_1046R")
    other["properties"]["betaearth:provenance"]["selection"] = {"policy": {"x": [1, "a", None]}, "max_cloud": None}
    other["properties"]["betaearth:observations"]["missing"] = ["s1 2024 Q2"]
    other["properties"]["processing:software"] = {"betaearth": "0.2.0", "numpy": "2"}
    other["links"].append({"rel": "predecessor-version", "href": "./a.json", "type": "a/b", "title": "Before"})
    bare = item("435U_1046R")
    bare["properties"]["betaearth:provenance"]["selection"] = {}
    bare["properties"]["betaearth:observations"]["granules"]["rejected"] = []
    return [plain, other, bare, item("188D_1917R"), item("500U_10R", dtype="float32"), item("501U_10R", attribution=())]


def by_id(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in items}


def test_items_come_back_as_they_were(variety: list[dict[str, Any]]) -> None:
    assert by_id(items_of(part_bytes(variety))) == by_id(variety)


@pytest.mark.parametrize("index", range(6))
def test_an_item_alone_comes_back_as_it_was(variety: list[dict[str, Any]], index: int) -> None:
    assert items_of(part_bytes([variety[index]])) == [variety[index]]


def test_rows_lie_by_block_whatever_the_order_of_items(variety: list[dict[str, Any]]) -> None:
    ids = [item["id"] for item in items_of(part_bytes(variety[::-1]))]
    assert ids == [item["id"] for item in items_of(part_bytes(variety))]
    assert ids == [item["id"] for item in sorted(variety, key=lambda each: (place_of(each), each["id"]))]


def test_rows_say_which_versions_a_part_has(variety: list[dict[str, Any]]) -> None:
    rows = rows_of(part_bytes(variety))
    assert rows == {item["id"]: row_of(item) for item in variety}
    first = variety[0]
    provenance = first["properties"]["betaearth:provenance"]
    row = rows[first["id"]]
    assert row.fingerprint == provenance["fingerprint"]
    assert row.updated.isoformat() == "2026-01-02T03:04:05+00:00"
    assert f"./{row.stem}.manifest.json" in [link["href"] for link in first["links"]]


def test_the_digest_of_a_row_is_of_content(item: MakeItem) -> None:
    plain, spelled, other = item(), item(), item()
    spelled["properties"] = dict(reversed(spelled["properties"].items())) | {"gsd": 10}
    other["links"][0]["title"] = "Other"
    assert row_of(plain) == row_of(spelled)
    assert row_of(plain).digest != row_of(other).digest


def test_parts_become_one(variety: list[dict[str, Any]]) -> None:
    whole = compacted([part_bytes(variety[:2]), part_bytes(variety[2:3]), part_bytes(variety[3:])])
    assert by_id(items_of(whole)) == by_id(variety)
    assert [row["id"] for row in items_of(whole)] == [row["id"] for row in items_of(part_bytes(variety))]


def test_parts_become_one_whatever_rows_their_groups_have(
    item: MakeItem, block_of_cells: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("betaearth.stac.mirror_tables.ROW_GROUP", 7)
    items = [item(cell) for cell in block_of_cells(40)]
    whole = compacted([part_bytes(items[start::3]) for start in range(3)])
    assert [row["id"] for row in items_of(whole)] == [each["id"] for each in sorted(items, key=place_of)]
    assert by_id(items_of(whole)) == by_id(items)
    assert groups_of(whole) == [7, 7, 7, 7, 7, 5]
    left = compacted([whole], without={each["id"] for each in items[::2]})
    assert by_id(items_of(left)) == by_id(items[1::2])
    with pytest.raises(DataError, match="at least one Item"):
        compacted([whole], without={each["id"] for each in items})


def test_a_part_does_not_depend_on_the_order_of_what_it_is_made_of(variety: list[dict[str, Any]]) -> None:
    parts = [part_bytes([each]) for each in variety]
    assert by_id(items_of(compacted(parts))) == by_id(items_of(compacted(parts[::-1]))) == by_id(variety)


def test_the_file_says_where_all_rows_lie(item: MakeItem, tmp_path: Path) -> None:
    items = [item("433U_1046R"), item("188D_1917R"), item("500U_10R")]
    crossing = [each for each in items if each["geometry"]["type"] == "MultiPolygon"]
    assert len(crossing) == 1
    for some, west, east, types in (
        (items, -180.0, 180.0, ["MultiPolygon", "Polygon"]),
        (items[::2], items[2]["bbox"][0], items[0]["bbox"][2], ["Polygon"]),
    ):
        whole = compacted([part_bytes([each]) for each in some])
        column = json.loads(pq.ParquetFile(io.BytesIO(whole)).metadata.metadata[b"geo"])["columns"]["geometry"]
        south, north = min(each["bbox"][1] for each in some), max(each["bbox"][3] for each in some)
        assert column["bbox"] == [west, south, east, north]
        assert column["geometry_types"] == types
        path = tmp_path / "part.parquet"
        path.write_bytes(whole)
        assert by_id([from_row(row) for row in rustac.read_sync(str(path))["features"]]) == by_id(some)


def test_row_groups_tell_readers_where_nothing_lies(
    item: MakeItem, block_of_cells: Callable[[int], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("betaearth.stac.mirror_tables.ROW_GROUP", 256)
    plain = item()
    items = [_elsewhere(plain, cell) for cell in block_of_cells(1_024)]
    path = tmp_path / "part.parquet"
    path.write_bytes(part_bytes(items))
    metadata = pq.ParquetFile(path).metadata
    paths = [metadata.row_group(0).column(index).path_in_schema for index in range(metadata.num_columns)]
    souths = []
    for group in range(metadata.num_row_groups):
        low, high = (
            metadata.row_group(group).column(paths.index(side)).statistics for side in ("bbox.ymin", "bbox.ymax")
        )
        souths.append((low.min, high.max))
    assert len(souths) == 4
    assert souths == sorted(souths)
    assert all(below[1] < above[0] for below, above in zip(souths, souths[2:], strict=False))
    south = items[-1]["bbox"][1]
    table = f"select id from read_parquet('{path}')"
    with duckdb.connect() as connection:
        found = connection.execute(f"{table} where bbox.ymin >= {south}").fetchall()
        connection.execute("pragma enable_profiling = 'json'")
        assert _groups_scanned(connection, table) == 4
        assert _groups_scanned(connection, f"{table} where bbox.ymin >= {south}") == 1
    assert len(found) == sum(each["bbox"][1] >= south for each in items) > 0


def _elsewhere(item: dict[str, Any], cell: str) -> dict[str, Any]:
    """Move an Item to another cell, roughly."""
    row, column = (int(number[:-1]) for number in cell.split("_"))
    place = {"id": f"a_{cell.lower()}", "bbox": [column / 10, row / 10, column / 10 + 0.1, row / 10 + 0.1]}
    return {**item, **place, "properties": {**item["properties"], "grid:code": f"MAJORTOM-10-{cell}"}}


def _groups_scanned(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    ((_, plan),) = connection.execute(f"explain (analyze, format json) {query}").fetchall()
    return int(json.loads(plan)["query"]["total_row_groups_scanned"])


def test_no_threads_are_started(item: MakeItem, tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    path.write_bytes(part_bytes([item()]))
    ran = subprocess.run([sys.executable, "-c", THREADS, str(path)], capture_output=True, text=True, check=True)
    before, after = ran.stdout.split()
    assert before == after


THREADS = """
import sys
from pathlib import Path
from betaearth.stac.mirror_parts import compacted, rows_of
count = lambda: len(list(Path("/proc/self/task").iterdir()))
before = count()
data = Path(sys.argv[1]).read_bytes()
rows_of(compacted([data, data]))
print(before, count())
"""
"""A pool of pyarrow may abort a process that ends."""


def groups_of(data: bytes) -> list[int]:
    metadata = pq.ParquetFile(io.BytesIO(data)).metadata
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def test_hrefs_lead_from_the_part_to_the_files(item: MakeItem, tmp_path: Path) -> None:
    plain = item()
    folder = tmp_path / place_of(plain)
    parts = tmp_path / plain["collection"] / "items" / "year=2024"
    parts.mkdir(parents=True)
    folder.mkdir(parents=True)
    row = to_row(plain)
    pairs = [(asset["href"], row["assets"][name]["href"]) for name, asset in plain["assets"].items()]
    pairs += [
        (old["href"], new["href"])
        for old, new in zip(plain["links"], row["links"], strict=False)
        if "://" not in old["href"]
    ]
    assert len(pairs) == 8
    for old, new in pairs:
        assert (parts / new).resolve() == (folder / old).resolve()
    (self,) = (link for link in row["links"] if link["rel"] == "self")
    assert (parts / self["href"]).resolve() == (folder / f"{plain['id']}.json").resolve()
    assert from_row(row) == plain


def test_foreign_readers_see_stac_items(variety: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    path.write_bytes(part_bytes(variety))
    read = rustac.read_sync(str(path))
    assert read["type"] == "FeatureCollection"
    assert by_id([from_row(row) for row in read["features"]]) == by_id(variety)


def test_the_file_says_what_it_is(variety: list[dict[str, Any]]) -> None:
    file = pq.ParquetFile(io.BytesIO(part_bytes(variety)))
    told = {key.decode(): json.loads(value) for key, value in file.metadata.metadata.items() if key != b"ARROW:schema"}
    assert told["stac-geoparquet"]["version"] == "1.0.0"
    geometry = told["geo"]["columns"][told["geo"]["primary_column"]]
    assert geometry["encoding"] == "WKB"
    assert geometry["covering"]["bbox"] == {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}
    group = file.metadata.row_group(0)
    assert {group.column(index).compression for index in range(group.num_columns)} == {"ZSTD"}
    assert {"id", "datetime", "start_datetime", "bbox", "geometry", "links", "assets"} <= set(file.schema_arrow.names)


def test_duckdb_searches_parts_of_different_columns(variety: list[dict[str, Any]], tmp_path: Path) -> None:
    paths = []
    for index, item in enumerate(variety):
        path = tmp_path / "items" / "year=2024" / f"part-{index}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(part_bytes([item]))
        paths.append(str(path))
    west, south, east, north = variety[0]["bbox"]
    for ordered in (paths, paths[::-1]):
        with duckdb.connect() as connection:
            table = connection.read_parquet(ordered, union_by_name=True, hive_partitioning=True)
            assert {row[0]: row for row in table.fetchall()}
            assert len(table.fetchall()) == len(variety)
            found = table.filter(
                f"year = 2024 and bbox.xmin <= {east} and bbox.xmax >= {west} "
                f"and bbox.ymin <= {north - 0.02} and bbox.ymax >= {south + 0.02}"
            ).project('id, assets.embeddings.href, "betaearth:provenance".selection, "proj:code"')
            (row,) = found.fetchall()
    assert row[0] == variety[0]["id"]
    assert row[1].startswith("../../2024/")
    assert json.loads(row[2]) == variety[0]["properties"]["betaearth:provenance"]["selection"]


def test_a_row_takes_a_few_hundred_bytes(item: MakeItem, block_of_cells: Callable[[int], list[str]]) -> None:
    items = [item(cell) for cell in block_of_cells(256)]
    data = part_bytes(items)
    assert len(data) / len(items) < 720
    footer = int.from_bytes(data[-8:-4], "little")
    assert (len(data) - footer) / len(items) < 670


def test_items_that_are_no_table_are_refused(item: MakeItem) -> None:
    wrong = item()
    wrong["properties"]["gsd"] = "ten"
    with pytest.raises(DataError, match="cannot be one table"):
        part_bytes([item("434U_1046R"), wrong])
    with pytest.raises(DataError, match="at least one Item"):
        part_bytes([])


@pytest.mark.parametrize("data", [b"", b"PAR1", b"{}", b"PAR1" + bytes(100) + b"PAR1"])
def test_bytes_that_are_no_part_are_refused(data: bytes) -> None:
    with pytest.raises(DataError, match="here is no part of a mirror"):
        items_of(data, where="here")


def test_a_part_of_foreign_items_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    foreign: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "x",
        "geometry": {"type": "Point", "coordinates": [0.0, 0.0]},
        "bbox": [0.0, 0.0, 0.0, 0.0],
        "properties": {"datetime": "2024-01-01T00:00:00Z"},
        "links": [],
        "assets": {},
    }
    rustac.write_sync(str(path), [foreign])
    with pytest.raises(DataError, match="'x' is no Item of ours"):
        items_of(path.read_bytes())


def test_an_item_twice_is_refused(item: MakeItem, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 Items have fewer ids"):
        part_bytes([item(), item()])
    path = tmp_path / "part.parquet"
    rustac.write_sync(str(path), [to_row(item()), to_row(item())], format="geoparquet")
    with pytest.raises(DataError, match="here has 2 rows of 1 Items"):
        rows_of(path.read_bytes(), where="here")


@pytest.mark.parametrize(
    "change",
    [
        {"collection": None},
        {"properties": None},
        {"properties": {"grid:code": "MGRS-32TQM", "start_datetime": "2024-01-01T00:00:00Z"}},
        {"links": [{}]},
        {"assets": {"a": 3}},
    ],
    ids=str,
)
def test_what_is_no_item_of_ours_has_no_row(item: MakeItem, change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="no Item of ours"):
        to_row({**item(), **change})

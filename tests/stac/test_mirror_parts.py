from __future__ import annotations

import io
import json
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
    assert len(data) / len(items) < 900
    footer = int.from_bytes(data[-8:-4], "little")
    assert (len(data) - footer) / len(items) < 700


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


def test_an_item_twice_is_refused(item: MakeItem) -> None:
    with pytest.raises(DataError, match="2 rows of 1 Items"):
        rows_of(part_bytes([item(), item()]))


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

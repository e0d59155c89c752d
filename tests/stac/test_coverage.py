from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import shapely.geometry

from betaearth.grid.majortom import MajorTomGrid
from betaearth.products.keys import tile_year_prefix
from betaearth.products.runs import RunReport, ShardEntry, report_key, shard_bytes, shard_key
from betaearth.stac.coverage import Standing, State, coverage_files, read_asked
from betaearth.stac.publish import publish
from betaearth.storage.folder import FolderStore

COLLECTION = "betaearth-robust-v1"
GRID = MajorTomGrid(10_000.0)
Add = Callable[..., str]


def prefix(cell: str, year: int = 2024) -> str:
    return tile_year_prefix(COLLECTION, year, GRID.cell(cell))


def ask(store: FolderStore, run: str, *cells: str, failed: dict[str, str] | None = None, year: int = 2024) -> None:
    """Leave the records of a run."""
    entries = [ShardEntry(cell=cell, year=year, prefix=prefix(cell, year)) for cell in cells]
    store.create(shard_key(run, 0), shard_bytes(entries))
    if failed is not None:
        report = RunReport(
            run=run,
            finished=datetime(2026, 1, 1, tzinfo=UTC),
            made=0,
            skipped=0,
            failed={prefix(cell, year): reason for cell, reason in failed.items()},
        )
        store.create(report_key(run), report.model_dump_json().encode())


def asset(store: FolderStore, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An asset of the collection, and the GeoJSON that it leads to, after its size and digest were compared."""
    found = json.loads(store.read(f"{COLLECTION}/collection.json"))["assets"][name]
    data = store.read(f"{COLLECTION}/{found['href'].removeprefix('./')}")
    assert found["file:size"] == len(data)
    assert found["file:checksum"] == "1220" + hashlib.sha256(data).hexdigest()
    return found, json.loads(data)


def gaps(store: FolderStore, year: int = 2024) -> dict[str, tuple[str, str]]:
    _, collection = asset(store, f"gaps-{year}")
    properties = [feature["properties"] for feature in collection["features"]]
    return {entry["cell"]: (entry["state"], entry["reason"]) for entry in properties}


def test_every_gap_has_its_reason(store: FolderStore, add: Add) -> None:
    add("433U_1046R")
    add("434U_1046R", outcome="empty")
    refused = add("435U_1046R")
    for key in store.list(f"{refused.rsplit('/', 1)[0]}/"):
        if key.endswith("quality.tif"):
            assert store.delete(key)
    ask(store, "20260101T000000Z-a", "433U_1046R", "436U_1046R", "437U_1046R", failed={"437U_1046R": "no network"})
    report = publish(store)
    assert list(report.skipped) == [refused]
    found = gaps(store)
    assert found.pop("435U_1046R") == ("refused", report.skipped[refused])
    assert found == {
        "434U_1046R": ("empty", "no scene"),
        "436U_1046R": ("missing", "not made yet"),
        "437U_1046R": ("failed", "no network"),
    }
    described, collection = asset(store, "coverage-2024")
    counts = {"product": 1, "empty": 1, "refused": 1, "failed": 1, "missing": 1}
    assert described["betaearth:tile_years"] == counts
    (block,) = collection["features"]
    assert {state: block["properties"][state] for state in counts} == counts
    outline = shapely.geometry.shape(block["geometry"])
    for cell in ("433U_1046R", "437U_1046R"):
        assert outline.covers(shapely.geometry.box(*GRID.cell(cell).bounds).buffer(-1e-5))


def test_a_gap_that_is_filled_is_none_any_more(store: FolderStore, add: Add) -> None:
    add("433U_1046R")
    ask(store, "20260101T000000Z-a", "434U_1046R", failed={"434U_1046R": "no network"})
    publish(store)
    assert gaps(store) == {"434U_1046R": ("failed", "no network")}
    add("434U_1046R")
    publish(store)
    assert gaps(store) == {}
    assert asset(store, "gaps-2024")[0]["betaearth:tile_years"] == {"product": 2}


def test_a_year_without_a_single_manifest_is_all_gap(store: FolderStore, add: Add) -> None:
    add("433U_1046R", 2023)
    ask(store, "20260101T000000Z-a", "433U_1046R", failed={})
    publish(store)
    assert gaps(store) == {"433U_1046R": ("missing", "not made yet")}
    assert gaps(store, 2023) == {}


def test_a_later_run_has_the_last_word(store: FolderStore) -> None:
    ask(store, "20260101T000000Z-a", "433U_1046R", failed={"433U_1046R": "first"})
    ask(store, "20260102T000000Z-a", "433U_1046R", failed={"433U_1046R": "second"})
    with ThreadPoolExecutor(2) as pool:
        asked = read_asked(store, pool)
    assert asked.standing(prefix("433U_1046R")) == Standing(State.FAILED, "second")
    assert asked.tile_years == {(COLLECTION, 2024): {prefix("433U_1046R"): "20260102T000000Z-a"}}


def test_records_that_are_none_are_reported_and_harm_nothing(store: FolderStore, add: Add) -> None:
    add("433U_1046R")
    spoiled = {
        "runs/a/shards/00000.jsonl": b'{"cell": "433U_1046R", "year": 2024, "prefix": "../../etc"}\n',
        "runs/a/shards/00001.jsonl": shard_bytes(
            [ShardEntry(cell="433U_1046R", year=2024, prefix=prefix("433U_1046R"))]
        ).replace(b'"year":2024', b'"year":2023'),
        "runs/b/report.json": b'{"failed": {"/etc": "x"}}',
        "runs/c/report.json": b"not JSON",
    }
    for key, data in spoiled.items():
        store.create(key, data)
    report = publish(store)
    assert report.skipped == {}
    assert set(report.unreadable) == set(spoiled)
    assert "line 1 is no tile-year (prefix:" in report.unreadable["runs/a/shards/00000.jsonl"]
    assert report.items == 1


@pytest.mark.parametrize("left", ["999999u_0r", "0d_0l"])
def test_cells_that_the_grid_does_not_have_are_gaps_without_a_place(store: FolderStore, add: Add, left: str) -> None:
    add("433U_1046R")
    foreign = f"{COLLECTION}/2024/r00-c00/r000-c000/{left}"
    entry = ShardEntry(cell=left.upper(), year=2024, prefix=foreign)
    store.create(shard_key("20260101T000000Z-a", 0), shard_bytes([entry]))
    assert publish(store).items == 1
    reason = (left.upper(), "the grid has no such cell")
    assert [(cell, why) for cell, (_, why) in gaps(store).items()] == [reason]
    key = f"{foreign}/{'a' * 12}-{'b' * 8}.manifest.json"
    store.create(key, b"foreign")
    report = publish(store)
    assert (report.items, list(report.skipped)) == (1, [key])
    _, gap = asset(store, "gaps-2024")
    _, coverage = asset(store, "coverage-2024")
    assert [feature["geometry"] for feature in gap["features"]] == [None]
    assert [feature["geometry"] is None for feature in coverage["features"]] == [True, False]


def test_what_straddles_180_degrees_is_cut_there() -> None:
    cells = [GRID.cell(cell) for cell in ("935U_209R", "935U_210R")]
    assert cells[1].bounds[0] > cells[1].bounds[2]
    standings = {prefix(cell.id): Standing(State.MISSING, "not made yet") for cell in cells}
    files = coverage_files(COLLECTION, 2024, standings, GRID).files
    shapes = {
        name: [
            shapely.geometry.shape(feature["geometry"])
            for key, data in files.items()
            if f"/{name}-" in key
            for feature in json.loads(data)["features"]
        ]
        for name in ("coverage", "gaps")
    }
    west, _, east, _ = cells[1].bounds
    latitude = sum(cells[0].bounds[1::2]) / 2
    (block,), (_, straddling) = shapes["coverage"], shapes["gaps"]
    for longitude, there in ((179.99, True), (-179.99, True), (0.0, False), (east + 0.1, False)):
        point = shapely.geometry.Point(longitude, latitude)
        assert straddling.covers(point) is there
        assert block.covers(point) is there
    assert straddling.area == pytest.approx((360 + east - west) * (cells[1].bounds[3] - cells[1].bounds[1]), abs=1e-4)


def test_the_same_standings_are_the_same_bytes() -> None:
    standings = {prefix(cell): Standing(State.MISSING, "not made yet") for cell in ("433U_1046R", "434U_1046R")}
    first = coverage_files(COLLECTION, 2024, standings, GRID)
    again = coverage_files(COLLECTION, 2024, dict(reversed(standings.items())), GRID)
    assert first == again
    for key, data in first.files.items():
        assert key.startswith(f"{COLLECTION}/coverage/year=2024/")
        assert hashlib.sha256(data).hexdigest()[:16] in key

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.products.manifest import Manifest
from betaearth.stac.document import to_bytes
from betaearth.stac.item import item_document, item_from_manifest
from betaearth.stac.merging import merge
from betaearth.stac.mirror import (
    FAN,
    LARGEST,
    TIERS,
    Addition,
    Change,
    Compaction,
    MirrorChange,
    Rebuilding,
    Removal,
    compaction_due,
)
from betaearth.stac.mirror_listing import Assets, Part, PartReader, parts_of
from betaearth.stac.mirror_parts import items_of, rows_of
from betaearth.storage.folder import FolderStore

Item = dict[str, Any]
MakeItem = Callable[[int, int], Item]
COLLECTION = "betaearth-robust-v1"
YEAR = 2024


@pytest.fixture(scope="module")
def item(make_manifest: Callable[..., Manifest], manifest_key_of: Callable[[Manifest], str]) -> MakeItem:
    """Make the Item of a cell, by its number, in a version, by its age."""

    @cache
    def document(cell: int, version: int) -> bytes:
        made = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(minutes=version)
        manifest = make_manifest(f"{400 + cell // 16}U_{900 + cell % 16}R", note=f"v{version}", created=made)
        stored = item_from_manifest(manifest, manifest_key=manifest_key_of(manifest), manifest_bytes=b"{}")
        # Fewer bands: the rules are about rows.
        document = item_document(stored)
        for asset in document["assets"].values():
            asset.pop("bands", None)
            asset.pop("eo:bands", None)
        return to_bytes(document)

    return lambda cell, version: json.loads(document(cell, version))


class Catalog:
    """A collection's assets and parts, and who reads them."""

    def __init__(self) -> None:
        self.assets: dict[str, Any] = {"coverage-2024": {"href": "./coverage.geojson"}}
        self.stored: dict[str, bytes] = {}
        self.fetched: list[str] = []

    def fetch(self, key: str) -> bytes:
        self.fetched.append(key)
        return self.stored[key]

    @property
    def reader(self) -> PartReader:
        return PartReader(COLLECTION, self.fetch)

    def do(self, change: Change) -> MirrorChange:
        made = change.apply(self.assets)
        self.stored.update(made.new_parts)
        self.assets = dict(made.assets)
        return made

    def add(
        self,
        *items: Item,
        year: int = YEAR,
        known_parts: frozenset[str] = frozenset(),
        created: frozenset[str] = frozenset(),
        still: Callable[[str], bool] = lambda _: True,
    ) -> MirrorChange:
        addition = Addition(self.reader, year, by_id(items), known_parts=known_parts, created=created, still=still)
        return self.do(addition)

    def listed(self) -> list[Item]:
        """Every row of every listed part."""
        parts = parts_of(self.assets).values()
        found = [items_of(self.stored[part.key(COLLECTION)]) for part in parts]
        assert [len(items) for items in found] == [part.rows for part in parts]
        return [item for items in found for item in items]

    def has(self, *items: Item) -> bool:
        """Whether the rows are these, each once."""
        listed = self.listed()
        return len(listed) == len(items) and by_id(listed) == by_id(items)


def by_id(items: Iterable[Item]) -> dict[str, Item]:
    return {item["id"]: item for item in items}


def ids_of(*items: Item) -> frozenset[str]:
    return frozenset(by_id(items))


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()


def test_a_part_is_listed_with_what_readers_need(catalog: Catalog, item: MakeItem) -> None:
    change = catalog.add(item(0, 0), item(1, 0))
    ((key, data),) = change.new_parts.items()
    (name,) = set(catalog.assets) - {"coverage-2024"}
    asset = catalog.assets[name]
    assert asset["type"] == "application/vnd.apache.parquet"
    assert asset["roles"] == ["collection-mirror"]
    assert asset["file:size"] == len(data)
    assert asset["betaearth:items"] == 2
    assert key == f"{COLLECTION}/{asset['href'].removeprefix('./')}"
    assert name == f"items-2024-{asset['file:checksum'][4:12]}"
    assert key == f"{COLLECTION}/items/year=2024/part-{asset['file:checksum'][4:20]}.parquet"
    assert catalog.assets["coverage-2024"] == {"href": "./coverage.geojson"}
    assert catalog.has(item(0, 0), item(1, 0))


def test_what_was_just_created_costs_no_reading(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0))
    catalog.add(item(1, 0), known_parts=frozenset(catalog.assets), created=ids_of(item(1, 0)))
    assert catalog.fetched == []
    assert catalog.has(item(0, 0), item(1, 0))


def test_a_part_that_another_listed_meanwhile_is_read(catalog: Catalog, item: MakeItem) -> None:
    known = frozenset(catalog.assets)
    catalog.add(item(1, 0))
    change = catalog.add(item(1, 0), known_parts=known, created=ids_of(item(1, 0)))
    assert len(catalog.fetched) == 1
    assert change.new_parts == {}
    assert catalog.has(item(1, 0))


def test_adding_the_same_again_changes_nothing(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0), item(1, 0))
    before = catalog.assets
    change = catalog.add(item(1, 0))
    assert change.assets == before
    assert change.new_parts == {}


def test_a_newer_version_takes_the_place_of_an_older_one(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0), item(1, 0))
    catalog.add(item(1, 5))
    assert catalog.has(item(0, 0), item(1, 5))
    catalog.add(item(0, 5))
    assert catalog.has(item(0, 5), item(1, 5))
    assert len(parts_of(catalog.assets)) == 2


def test_an_older_version_stays_out(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 5))
    change = catalog.add(item(0, 0), item(1, 0))
    assert len(change.new_parts) == 1
    assert catalog.has(item(0, 5), item(1, 0))


def test_of_the_same_version_the_content_that_comes_last_stays(catalog: Catalog, item: MakeItem) -> None:
    other = copy.deepcopy(item(0, 0))
    other["links"].append({"rel": "predecessor-version", "href": "./a.json", "type": "a/b", "title": "Before"})
    catalog.add(item(0, 0))
    catalog.add(other)
    assert catalog.has(other)


def test_rows_are_replaced_and_removed_without_items(
    catalog: Catalog, item: MakeItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cell in range(3):
        catalog.add(item(cell, 0), item(cell + 4, 0))
    monkeypatch.setattr("rustac.read_sync", None)
    catalog.add(item(0, 1), item(1, 0))
    catalog.do(Removal(catalog.reader, YEAR, ids_of(item(2, 0))))
    catalog.do(Compaction(catalog.reader, sorted(parts_of(catalog.assets))))
    monkeypatch.undo()
    assert len(parts_of(catalog.assets)) == 1
    assert catalog.has(item(0, 1), item(1, 0), *(item(cell, 0) for cell in (4, 5, 6)))


def test_parts_of_other_years_are_left_alone(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0), year=2023)
    catalog.add(item(0, 0))
    assert catalog.fetched == []
    assert [part.year for part in parts_of(catalog.assets).values()] == [2023, 2024]
    assert len(parts_of(catalog.assets, 2023)) == 1


def test_a_row_that_is_there_twice_becomes_one(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0), item(1, 0))
    first = dict(catalog.assets)
    catalog.assets = {}
    catalog.add(item(0, 0), item(2, 0))
    catalog.assets |= first
    catalog.add(item(0, 0))
    assert catalog.has(item(0, 0), item(1, 0), item(2, 0))


def test_rows_are_removed_and_an_empty_part_with_them(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0), item(1, 0))
    catalog.add(item(2, 0))
    catalog.do(Removal(catalog.reader, YEAR, ids_of(item(1, 0), item(2, 0), item(3, 0))))
    assert catalog.has(item(0, 0))
    assert len(parts_of(catalog.assets)) == 1


def test_a_year_is_rebuilt_without_reading_what_is_known(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0), item(1, 0))
    catalog.add(item(5, 0), year=2023)
    known = frozenset(catalog.assets)
    catalog.stored = {key: b"damaged" for key in catalog.stored if "year=2024" in key}
    catalog.add(item(2, 1), known_parts=known, created=ids_of(item(2, 1)))
    catalog.do(Rebuilding(catalog.reader, YEAR, by_id([item(0, 1), item(2, 0)]), known_parts=known))
    assert "coverage-2024" in catalog.assets
    assert len(parts_of(catalog.assets, 2023)) == 1
    catalog.assets = {key: asset for key, asset in catalog.assets.items() if not key.startswith("items-2023")}
    assert catalog.has(item(0, 1), item(2, 1))


def assets_of_sizes(*rows: int) -> Assets:
    assets = {}
    for index, count in enumerate(rows):
        digest = f"{index:08x}" * 8
        assets[f"items-2024-{digest[:8]}"] = {
            "href": f"./items/year=2024/part-{digest[:16]}.parquet",
            "file:size": 1,
            "file:checksum": f"1220{digest}",
            "betaearth:items": count,
        }
    return assets


@pytest.mark.parametrize(
    ("rows", "merged"),
    [
        ([250] * (FAN - 1), []),
        ([250] * FAN, [250] * FAN),
        ([250] * (FAN - 1) + [2_000] * (FAN - 1), []),
        ([250] * (FAN - 1) + [2_000] * FAN, [2_000] * FAN),
        ([TIERS[0] - 1] * FAN, [TIERS[0] - 1] * FAN),
        ([TIERS[0]] * FAN, [TIERS[0]] * FAN),
        ([1] * 30, [1] * 30),
        ([TIERS[1]] * FAN, [TIERS[1]] * (LARGEST // TIERS[1])),
        ([20_000] * FAN, [20_000] * 3),
        ([TIERS[2] - 1] * FAN, [TIERS[2] - 1] * 2),
        ([TIERS[2]] * 100, []),
        ([LARGEST] * 100, []),
    ],
)
def test_small_parts_become_one_when_there_are_many(rows: list[int], merged: list[int]) -> None:
    assets = assets_of_sizes(*rows)
    due = compaction_due(assets, YEAR)
    assert [assets[key]["betaearth:items"] for key in due] == merged
    assert compaction_due(assets, 2023) == []


def test_the_parts_of_a_growing_year_stay_few() -> None:
    sizes: list[int] = []
    rewritten = 0
    for _ in range(10_000):
        sizes.append(250)
        if len(sizes) < FAN:
            continue
        assets = assets_of_sizes(*sizes)
        merged = [assets[key]["betaearth:items"] for key in compaction_due(assets, YEAR)]
        for rows in merged:
            sizes.remove(rows)
        if merged:
            sizes.append(sum(merged))
            rewritten += sum(merged)
    assert sum(sizes) == 2_500_000
    assert max(sizes) <= LARGEST
    assert len(sizes) <= len(TIERS) * FAN + 2_500_000 // TIERS[-1]
    assert rewritten <= len(TIERS) * 2_500_000


def test_parts_of_other_places_are_not_read(catalog: Catalog, item: MakeItem) -> None:
    """What supersedes an Item, or may have a row already, is looked for where it could lie."""
    for cell in (0, 4, 8):
        catalog.add(item(cell, 0), created=ids_of(item(cell, 0)), known_parts=frozenset(catalog.assets))
    keys = [part.key(COLLECTION) for part in parts_of(catalog.assets).values()]
    held = {name: key for key in keys for name in rows_of(catalog.stored[key])}
    catalog.fetched.clear()
    catalog.add(item(4, 1))
    assert set(catalog.fetched) == {held[item(4, 0)["id"]]}
    assert catalog.has(item(0, 0), item(4, 1), item(8, 0))


def test_a_part_that_does_not_say_where_its_items_lie_is_read(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0))
    for asset in catalog.assets.values():
        asset.pop("betaearth:bbox", None)
    catalog.add(item(0, 1))
    assert catalog.has(item(0, 1))


@pytest.mark.parametrize(
    ("bbox", "held"),
    [
        ([10.0, 50.0, 11.0, 51.0], True),
        ([11.000001, 50.0, 12.0, 51.0], True),
        ([11.1, 50.0, 12.0, 51.0], False),
        ([10.0, 51.1, 11.0, 52.0], False),
        ([179.0, 50.0, -179.0, 51.0], False),
        ([179.0, 50.0, 10.5, 51.0], True),
    ],
)
def test_where_an_item_could_have_a_row(bbox: list[float], held: bool) -> None:
    part = Part("items-2024-0", 2024, "", 1, 1, bounds=(10.0, 50.0, 11.0, 51.0))
    assert part.may_hold({"bbox": bbox}) is held


def test_a_row_of_the_same_version_gives_way_only_to_what_is_in_the_store(catalog: Catalog, item: MakeItem) -> None:
    """A late manifest changes an Item without a newer version of it: whose Item is stored decides."""
    theirs = item(0, 0)
    ours = theirs | {"links": [*theirs["links"], {"rel": "predecessor-version", "href": "./x.json"}]}
    catalog.add(theirs)
    catalog.add(ours, still=lambda _: False)
    assert catalog.has(theirs)
    catalog.add(ours, still=lambda _: True)
    assert catalog.has(ours)


def test_parts_become_one(catalog: Catalog, item: MakeItem) -> None:
    for cell in range(4):
        catalog.add(item(cell, 0), known_parts=frozenset(catalog.assets), created=ids_of(item(cell, 0)))
    due = sorted(parts_of(catalog.assets))[:3]
    catalog.do(Compaction(catalog.reader, due))
    assert sorted(part.rows for part in parts_of(catalog.assets).values()) == [1, 3]
    assert catalog.has(*(item(cell, 0) for cell in range(4)))


def test_of_an_item_in_two_parts_that_become_one_the_newest_stays(catalog: Catalog, item: MakeItem) -> None:
    for versions in ((0, 3), (2, 1), (1, 2)):
        kept, catalog.assets = catalog.assets, {}
        catalog.add(*(item(cell, version) for cell, version in enumerate(versions)))
        catalog.assets |= kept
    catalog.do(Compaction(catalog.reader, sorted(parts_of(catalog.assets))))
    assert catalog.has(item(0, 2), item(1, 3))


def test_whoever_compacts_second_does_nothing(catalog: Catalog, item: MakeItem) -> None:
    for cell in range(3):
        catalog.add(item(cell, 0))
    due = sorted(parts_of(catalog.assets))
    catalog.do(Compaction(catalog.reader, due[:2]))
    fetched = len(catalog.fetched)
    change = catalog.do(Compaction(catalog.reader, due))
    assert change.new_parts == {}
    assert len(catalog.fetched) == fetched
    assert catalog.has(*(item(cell, 0) for cell in range(3)))


def test_a_change_that_is_applied_again_reads_and_makes_only_what_is_new(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0), item(1, 0))
    change = Addition(catalog.reader, YEAR, by_id([item(0, 1), item(3, 0)]))
    first = change.apply(catalog.assets)
    read = len(catalog.fetched)
    catalog.add(item(2, 0))
    fetched = len(catalog.fetched)
    second = catalog.do(change)
    assert len(catalog.fetched) == fetched + 1
    assert read == 2
    assert second.new_parts.keys() == first.new_parts.keys()
    assert catalog.has(item(0, 1), item(1, 0), item(2, 0), item(3, 0))


WRONG: dict[str, dict[str, Any]] = {
    "elsewhere": {"href": "../../other/part-0000000000000000.parquet"},
    "absolute": {"href": "/items/year=2024/part-0000000000000000.parquet"},
    "another year": {"href": "./items/year=2023/part-0000000000000000.parquet"},
    "another part": {"href": "./items/year=2024/part-0000000000000001.parquet"},
    "no digest": {"file:checksum": "1220"},
    "another digest": {"file:checksum": "1220" + "1" * 64},
    "no rows": {"betaearth:items": 0},
    "rows as text": {"betaearth:items": "many"},
    "rows as truth": {"betaearth:items": True},
    "no size": {"file:size": None},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_asset_that_lists_no_part_is_refused(wrong: str) -> None:
    ((key, asset),) = assets_of_sizes(5).items()
    assert parts_of({key: asset})[key].rows == 5
    with pytest.raises(DataError, match=f"asset {key} "):
        parts_of({key: {**asset, **WRONG[wrong]}})
    with pytest.raises(DataError, match=f"asset {key} "):
        parts_of({key: "text"})


def test_a_part_that_is_not_what_the_collection_says_is_refused(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0))
    catalog.add(item(1, 0), known_parts=frozenset(catalog.assets), created=ids_of(item(1, 0)))
    first, second = catalog.stored
    catalog.stored[first] = catalog.stored[second]
    with pytest.raises(DataError, match=r"part-[0-9a-f]{16}\.parquet has the SHA-256"):
        catalog.add(item(0, 1))


def test_two_parts_with_the_same_short_name_are_both_listed(catalog: Catalog, item: MakeItem) -> None:
    catalog.add(item(0, 0))
    (short,) = parts_of(catalog.assets)
    other = copy.deepcopy(catalog.assets[short])
    other["file:checksum"] = other["file:checksum"][:12] + "0" * 56
    other["href"] = f"./items/year=2024/part-{other['file:checksum'][4:20]}.parquet"
    catalog.assets = {short: other}
    catalog.add(item(0, 0), known_parts=frozenset({short}), created=ids_of(item(0, 0)))
    assert {len(key) for key in catalog.assets} == {len("items-2024-01234567"), len("items-2024-0123456789abcdef")}
    assert len(parts_of(catalog.assets)) == 2


CELLS = st.integers(0, 5)
STEP = st.one_of(
    st.tuples(st.just("add"), st.dictionaries(CELLS, st.integers(0, 3), min_size=1)),
    st.tuples(st.just("remove"), st.sets(CELLS)),
    st.tuples(st.just("compact"), st.sets(st.integers(0, 5), min_size=2)),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=6))
def test_the_mirror_behaves_like_a_mapping(item: MakeItem, steps: list[tuple[str, Any]]) -> None:
    made = Catalog()
    model: dict[int, int] = {}
    reader = made.reader
    for kind, what in steps:
        if kind == "add":
            news = by_id(item(cell, version) for cell, version in what.items())
            unseen = frozenset(item(cell, 0)["id"] for cell in what if cell not in model)
            known = frozenset(made.assets)
            made.do(Addition(reader, YEAR, news, known_parts=known, created=unseen))
            model |= {cell: max(version, model.get(cell, 0)) for cell, version in what.items()}
        elif kind == "remove":
            made.do(Removal(reader, YEAR, ids_of(*(item(cell, 0) for cell in what))))
            model = {cell: version for cell, version in model.items() if cell not in what}
        else:
            listed = sorted(parts_of(made.assets))
            made.do(Compaction(reader, [listed[index] for index in what if index < len(listed)]))
    assert made.has(*(item(cell, version) for cell, version in model.items()))


def test_concurrent_publishers_lose_nothing(store: FolderStore, item: MakeItem) -> None:
    key = f"{COLLECTION}/collection.json"
    assert store.create(key, b"{}")
    start = threading.Barrier(8)

    def write(change: Change) -> dict[str, Any]:
        def compose(existing: bytes | None) -> bytes:
            made = change.apply(json.loads(existing or b"{}"))
            for part, data in made.new_parts.items():
                store.create(part, data)
            return json.dumps(dict(sorted(made.assets.items()))).encode()

        merge(store, key, compose)
        assets: dict[str, Any] = json.loads(store.read(key))
        return assets

    def publish(number: int) -> None:
        reader = PartReader(COLLECTION, store.read)
        start.wait()
        for version in range(3):
            # Two of the cells are everybody's.
            news = by_id([item(0, number), item(1, version), item(10 + 3 * number + version, 0)])
            assets = write(Addition(reader, YEAR, news))
            if len(listed := sorted(parts_of(assets))) > 4:
                write(Compaction(reader, listed[:3]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(8)))
    catalog = Catalog()
    catalog.assets = json.loads(store.read(key))
    catalog.stored = {name: store.read(name) for name in store.list(f"{COLLECTION}/items/")}
    own = [item(10 + index, 0) for index in range(24)]
    assert catalog.has(item(0, 7), item(1, 2), *own)

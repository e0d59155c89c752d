from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pystac
import pytest
from pystac.errors import DeprecatedWarning

from betaearth.errors import DataError
from betaearth.events import CatalogPublished, Event
from betaearth.products.manifest import Manifest
from betaearth.stac import publish as module
from betaearth.stac.document import to_bytes
from betaearth.stac.publish import PublishReport, publish
from betaearth.stac.validation import Validator
from betaearth.storage.folder import FolderStore
from betaearth.storage.store import Entry
from tests.stac.conftest import contents_of

Add = Callable[..., str]
Later = Callable[[int], datetime]
Cells = Callable[[int], list[str]]

COLLECTION = "betaearth-robust-v1"
MAX_CATALOG_BYTES = 1_000_000
MAX_ITEMS = 256


def documents(store: FolderStore) -> dict[str, dict[str, Any]]:
    """Every STAC document of a store, by key."""
    return {
        key: json.loads(store.read(key))
        for key in store.list()
        if key.endswith(".json") and not key.endswith(".manifest.json")
    }


def item_key(store: FolderStore, part: str = "") -> str:
    """Key of the only current Item."""
    (key,) = [
        key
        for key, document in documents(store).items()
        if document["type"] == "Feature" and part in key and "deprecated" not in document["properties"]
    ]
    return key


def linked_items(store: FolderStore) -> list[str]:
    """Ids of the Items that pystac finds from the root, sorted."""
    root = pystac.Catalog.from_file(store.href("catalog.json"))
    return sorted(item.id for item in root.get_items(recursive=True))


def snapshot(store: FolderStore) -> dict[str, bytes]:
    return {key: store.read(key) for key in store.list()}


def test_an_empty_store_has_nothing_to_publish(store: FolderStore) -> None:
    assert publish(store) == PublishReport(items=0, written=0)
    assert list(store.list()) == []


def test_a_first_product_makes_the_whole_tree(store: FolderStore, add: Add) -> None:
    key = add("433U_1046R", 2024)
    events: list[Event] = []
    report = publish(store, emit=events.append)
    assert (report.items, report.written, report.skipped) == (1, 9, {})
    assert events == [CatalogPublished(items=1, written=9)]
    block = key.rsplit("/", 2)[0]
    superblock = block.rsplit("/", 1)[0]
    assert set(documents(store)) == {
        "catalog.json",
        f"{COLLECTION}/collection.json",
        f"{COLLECTION}/2024/catalog.json",
        f"{superblock}/catalog.json",
        f"{block}/catalog.json",
        f"{block}/433u_1046r/{COLLECTION}_433u_1046r_2024.json",
    }
    others = {key.rsplit("-", 1)[0] for key in store.list() if key.endswith((".parquet", ".geojson"))}
    assert others == {
        f"{COLLECTION}/items/year=2024/part",
        f"{COLLECTION}/coverage/year=2024/coverage",
        f"{COLLECTION}/coverage/year=2024/gaps",
    }
    assert linked_items(store) == [f"{COLLECTION}_433u_1046r_2024"]


def test_publishing_twice_writes_nothing(store: FolderStore, add: Add, block_of_cells: Cells) -> None:
    for cell in block_of_cells(20):
        add(cell)
    first = publish(store)
    before = snapshot(store)
    assert publish(store) == PublishReport(items=20, written=0)
    assert snapshot(store) == before
    assert first.items == 20


def test_only_what_is_new_is_written(store: FolderStore, add: Add) -> None:
    add("433U_1046R", 2024)
    publish(store)
    add("434U_1046R", 2024)
    before = snapshot(store)
    report = publish(store)
    changed = {key for key, data in snapshot(store).items() if before.get(key) != data}
    block = f"{item_key(store, '433u').rsplit('/', 2)[0]}"
    # The new Item, its block, its row, the coverage, and the collection, which lists them and whose extent it widens.
    others = {key for key in changed if key.endswith((".parquet", ".geojson"))}
    assert changed - others == {item_key(store, "434u"), f"{block}/catalog.json", f"{COLLECTION}/collection.json"}
    assert len(others) == 2
    assert (report.items, report.written) == (2, 5)


def test_a_dead_publishers_work_is_done_by_the_next(store: FolderStore, add: Add, block_of_cells: Cells) -> None:
    for cell in block_of_cells(40):
        add(cell)
    publish(store)
    whole = snapshot(store)
    # Items are written before catalogs, and catalogs from the bottom up: a dead publisher leaves a start of that.
    order = sorted(documents(store), key=lambda key: (-key.count("/"), key))
    for done in (0, 1, 39, 40, len(order) - 2, len(order) - 1):
        for key in order[done:]:
            Path(store.href(key)).unlink()
        publish(store)
        assert snapshot(store) == whole


class KilledError(Exception):
    """Stands for the end of a publisher."""


def dead_links(store: FolderStore) -> list[str]:
    """Links downwards that lead nowhere, from whichever document."""
    return [
        f"{key}: {link['href']}"
        for key, document in documents(store).items()
        for link in document["links"]
        if link["rel"] in {"child", "item"} and not (Path(store.href(key)).parent / link["href"]).is_file()
    ]


def test_a_publisher_that_dies_after_any_write_leaves_no_dead_link(
    store: FolderStore, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each publisher dies before its second write, until one has nothing left to write."""
    add("433U_1046R", 2023)
    add("433U_1046R", 2024)
    add("188D_1917R", 2024)
    originals = {name: getattr(FolderStore, name) for name in ("create", "update")}
    written: list[str] = []

    def dying(name: str) -> Callable[..., bool]:
        def write(self: FolderStore, key: str, *details: Any) -> bool:
            if written:
                raise KilledError(key)
            done: bool = originals[name](self, key, *details)
            if done:
                written.append(key)
            return done

        return write

    for name in originals:
        monkeypatch.setattr(FolderStore, name, dying(name))
    deaths = 0
    while deaths < 100:
        written.clear()
        try:
            report = publish(store)
        except KilledError:
            deaths += 1
        else:
            break
        assert not dead_links(store)
    assert deaths >= 12
    assert report == PublishReport(items=3, written=len(written), unchecked=report.unchecked)
    assert len(linked_items(store)) == 3


def test_a_lost_link_is_set_again(store: FolderStore, add: Add) -> None:
    add("433U_1046R")
    add("434U_1046R")
    publish(store)
    whole = snapshot(store)
    for key, document in documents(store).items():
        if document["type"] == "Feature":
            continue
        cut = {
            **document,
            "links": [link for link in document["links"] if link["rel"] not in {"child", "item"}],
        }
        stored = store.find(key)
        assert stored
        assert store.update(key, to_bytes(cut), stored.etag)
        assert publish(store).written == 1
        assert snapshot(store) == whole


def test_the_newest_manifest_makes_the_item(store: FolderStore, add: Add, later: Later) -> None:
    add(note="first")
    publish(store)
    old = json.loads(store.read(item_key(store)))
    key = add(note="second", created=later(1))
    add(note="late upload of an older one", created=later(-1))
    report = publish(store)
    new = json.loads(store.read(item_key(store)))
    assert new["assets"]["provenance"]["href"] == f"./{key.rsplit('/', 1)[1]}"
    assert new["properties"]["updated"] > old["properties"]["updated"]
    assert report.items == 1
    assert linked_items(store) == [new["id"]]


def test_what_was_superseded_stays_readable(store: FolderStore, add: Add, later: Later) -> None:
    first = add(note="first")
    publish(store)
    files = {key: data for key, data in snapshot(store).items() if key.startswith(first.rsplit("/", 1)[0])}
    old = json.loads(store.read(item_key(store)))
    add(note="second", created=later(1))
    publish(store)
    item = pystac.Item.from_file(store.href(item_key(store)))
    (link,) = item.get_links("predecessor-version")
    with pytest.warns(DeprecatedWarning, match="is deprecated"):
        before = pystac.Item.from_file(str(link.get_absolute_href()))
    assert before.properties["deprecated"] is True
    assert before.properties["updated"] > old["properties"]["updated"]
    assert {name: asset.href for name, asset in before.assets.items()} == {
        name: asset["href"] for name, asset in old["assets"].items()
    }
    for rel in ("successor-version", "latest-version"):
        (forward,) = before.get_links(rel)
        assert pystac.Item.from_file(str(forward.get_absolute_href())).id == item.id
    kept = {key: data for key, data in snapshot(store).items() if key in files and key != item_key(store)}
    assert kept == {key: data for key, data in files.items() if key != item_key(store)}
    assert publish(store) == PublishReport(items=1, written=0)


def test_a_tie_is_decided_by_key(store: FolderStore, add: Add) -> None:
    keys = [add(note=str(number)) for number in range(5)]
    publish(store)
    item = json.loads(store.read(item_key(store)))
    assert item["assets"]["provenance"]["href"] == f"./{max(keys).rsplit('/', 1)[1]}"


def test_a_shard_publishes_its_own_tile_years_and_no_coverage(store: FolderStore, add: Add) -> None:
    mine, neighbour, far = (add(cell) for cell in ("433U_1046R", "433U_1047R", "460U_1046R"))
    report = publish(store, shard=[mine.rsplit("/", 1)[0], far.rsplit("/", 1)[0]])
    assert report.items == 2
    assert linked_items(store) == [f"{COLLECTION}_433u_1046r_2024", f"{COLLECTION}_460u_1046r_2024"]
    assert not [key for key in store.list() if key.endswith(".geojson")]
    assert publish(store, shard=[neighbour.rsplit("/", 1)[0]]).items == 1
    assert len(linked_items(store)) == 3
    assert publish(store, shard=[]) == PublishReport(items=0, written=0)
    assert publish(store, shard=[mine.rsplit("/", 1)[0]]) == PublishReport(items=1, written=0)


def test_what_is_settled_is_not_read_again(
    store: FolderStore, add: Add, block_of_cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second publish reads catalogs alone: one of each kind, whatever the number of Items."""
    for cell in block_of_cells(30):
        add(cell)
    add("460U_1046R", outcome="empty")
    publish(store)
    reads: list[str] = []
    find = FolderStore.find

    def counted(self: FolderStore, key: str, **details: Any) -> Any:
        reads.append(key)
        return find(self, key, **details)

    monkeypatch.setattr(FolderStore, "find", counted)
    assert publish(store).written == 0
    assert {key.rpartition("/")[2] for key in reads} == {"catalog.json", "collection.json"}
    assert len(reads) < 15


def test_an_empty_tile_year_has_no_item(store: FolderStore, add: Add) -> None:
    add("433U_1046R", outcome="empty")
    assert publish(store) == PublishReport(items=0, written=0)
    add("434U_1046R")
    assert publish(store).items == 1
    assert linked_items(store) == [f"{COLLECTION}_434u_1046r_2024"]


def test_an_empty_refresh_leaves_the_item_of_the_product(store: FolderStore, add: Add, later: Later) -> None:
    add(note="product")
    publish(store)
    before = snapshot(store)
    key = add(note="refresh", outcome="empty", created=later(1))
    report = publish(store)
    changed = {name for name, data in snapshot(store).items() if before.get(name) != data} - {key}
    # The block's catalog alone, which marks the manifest as seen.
    assert changed == {f"{item_key(store).rsplit('/', 2)[0]}/catalog.json"}
    assert (report.items, report.written) == (1, 1)
    assert publish(store) == PublishReport(items=1, written=0)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "quality.tif is missing"),
        (lambda path: path.write_bytes(b"short"), "quality.tif has 5 bytes, not the"),
    ],
)
def test_a_product_without_its_files_is_reported_and_not_published(
    store: FolderStore, add: Add, spoil: Callable[[Path], object], reason: str
) -> None:
    whole = add("433U_1046R")
    key = add("434U_1046R")
    manifest = Manifest.from_bytes(store.read(key), where=key)
    spoil(Path(store.href(manifest.files["quality.tif"].key)))
    report = publish(store)
    assert set(report.skipped) == {key}
    assert reason in report.skipped[key]
    assert report.items == 1
    assert linked_items(store) == [Manifest.from_bytes(store.read(whole), where=whole).item_id]


def test_what_cannot_be_published_leaves_the_item_that_is_there(store: FolderStore, add: Add, later: Later) -> None:
    add(note="good")
    publish(store)
    before = snapshot(store)
    key = add(note="bad", created=later(1))
    for record in Manifest.from_bytes(store.read(key), where=key).files.values():
        Path(store.href(record.key)).unlink()
    report = publish(store)
    assert (report.items, report.written, set(report.skipped)) == (1, 0, {key})
    assert {name: data for name, data in snapshot(store).items() if name != key} == before


def test_an_item_that_would_not_be_valid_is_reported(
    store: FolderStore, make_manifest: Callable[..., Manifest], manifest_key_of: Callable[[Manifest], str]
) -> None:
    manifest = make_manifest()
    assert manifest.statistics
    wrong = manifest.model_copy(update={"statistics": manifest.statistics.model_copy(update={"valid_fraction": 1.5})})
    for name, data in contents_of("433U_1046R", 2024).items():
        store.create(manifest.files[name].key, data)
    key = manifest_key_of(wrong)
    store.create(key, wrong.to_bytes())
    report = publish(store)
    assert report.items == report.written == 0
    assert "valid_fraction" in report.skipped[key]


@pytest.mark.parametrize("data", [b"", b"{}", b"not JSON"])
def test_a_manifest_that_cannot_be_read_is_reported(store: FolderStore, add: Add, data: bytes) -> None:
    good = add("433U_1046R")
    bad = good.rsplit("/", 1)[0] + "/000000000000-00000000.manifest.json"
    store.create(bad, data)
    report = publish(store)
    assert "is not a manifest" in report.skipped[bad]
    assert report.items == 1


def test_a_manifest_under_another_tile_years_key_is_reported(store: FolderStore, add: Add) -> None:
    key = add("433U_1046R")
    folder, name = key.rsplit("/", 1)
    copied = f"{folder.replace('433u', '434u')}/{name}"
    store.create(copied, store.read(key))
    report = publish(store)
    assert "its key says" in report.skipped[copied]
    assert report.items == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"item_id": "../../elsewhere"}, "its key says"),
        ({"created": datetime(2026, 1, 1)}, "without a time zone"),
    ],
)
def test_a_manifest_that_cannot_be_ordered_or_placed_is_reported(
    store: FolderStore,
    add: Add,
    make_manifest: Callable[..., Manifest],
    manifest_key_of: Callable[[Manifest], str],
    change: dict[str, Any],
    reason: str,
) -> None:
    add()
    odd = make_manifest(note="odd").model_copy(update=change)
    key = manifest_key_of(odd)
    store.create(key, odd.to_bytes())
    report = publish(store)
    assert reason in report.skipped[key]
    assert linked_items(store) == [f"{COLLECTION}_433u_1046r_2024"]


def test_one_collection_alone(store: FolderStore, add: Add) -> None:
    add(variant="robust")
    add(variant="demo", trained=False, source="synthetic:v1:seed=0", source_title="Synthetic Earth")
    assert publish(store, collection="betaearth-demo-synthetic-v1").items == 1
    assert linked_items(store) == ["betaearth-demo-synthetic-v1_433u_1046r_2024"]
    assert publish(store).items == 2
    root = json.loads(store.read("catalog.json"))
    titles = [link["title"] for link in root["links"] if link["rel"] == "child"]
    assert titles == [
        "Annual embeddings betaearth-demo-synthetic-v1 (untrained network, synthetic source)",
        "Annual embeddings betaearth-robust-v1",
    ]
    assert publish(store, collection="betaearth-unknown-v1") == PublishReport(items=0, written=0)


def test_a_title_that_grows_a_caveat_reaches_the_root(store: FolderStore, add: Add) -> None:
    add("433U_1046R")
    publish(store)
    add("434U_1046R", trained=False)
    publish(store)
    (child,) = [link for link in json.loads(store.read("catalog.json"))["links"] if link["rel"] == "child"]
    assert child["title"].endswith("(untrained network)")
    assert publish(store).written == 0


def test_a_network_that_learned_meanwhile_joins_its_collection(store: FolderStore, add: Add) -> None:
    """Rows of the mirror with and without the word of its upbringing make one table."""
    made_up = {"variant": "demo", "source": "synthetic:v1:seed=0", "source_title": "Synthetic Earth"}
    add("433U_1046R", trained=False, **made_up)
    publish(store)
    add("434U_1046R", trained_on_synthetic=True, **made_up)
    assert publish(store).items == 2
    (child,) = [link for link in json.loads(store.read("catalog.json"))["links"] if link["rel"] == "child"]
    assert child["title"].endswith("(untrained network, network trained on synthetic data, synthetic source)")
    assert publish(store).written == 0


def test_every_document_is_valid_and_every_link_titled(store: FolderStore, add: Add, spec: Path) -> None:
    add("433U_1046R", 2023)
    add("433U_1046R", 2024, dtype="float32")
    add("188D_1917R", 2024)
    add(variant="demo", trained=False, source="synthetic:v1:seed=0", source_title="Synthetic Earth")
    schemas = spec / "stac_schemas"
    assert publish(store, schemas=schemas).unchecked == ()
    validator = Validator(schemas)
    for key, document in documents(store).items():
        assert validator.check(document, where=key) == ()
        assert all(link["title"] for link in document["links"])
        for link in document["links"]:
            if "://" not in link["href"]:
                assert (Path(store.href(key)).parent / link["href"]).resolve().is_file()


def test_what_could_not_be_checked_is_reported(store: FolderStore, add: Add) -> None:
    add()
    assert "https://stac-extensions.github.io/projection/v2.0.0/schema.json" in publish(store).unchecked


@pytest.mark.parametrize("key", ["catalog.json", f"{COLLECTION}/collection.json", f"{COLLECTION}/2024/catalog.json"])
def test_a_catalog_of_others_is_not_overwritten(store: FolderStore, add: Add, key: str) -> None:
    add()
    store.create(key, b"mine")
    with pytest.raises(DataError, match=key):
        publish(store)
    assert store.read(key) == b"mine"


def test_many_cells_over_several_blocks(store: FolderStore, add: Add, block_of_cells: Cells) -> None:
    for cell in block_of_cells(300):
        add(cell)
    report = publish(store)
    assert report.items == 300
    sizes = {}
    for key, document in documents(store).items():
        assert len(store.read(key)) < MAX_CATALOG_BYTES
        if links := [link for link in document["links"] if link["rel"] == "item"]:
            sizes[key] = len(links)
    assert sum(sizes.values()) == 300
    assert max(sizes.values()) <= MAX_ITEMS
    assert len(sizes) > 1
    assert publish(store).written == 0


PUBLISH = """
import sys
from pathlib import Path
from betaearth.stac.publish import publish
from betaearth.storage.folder import FolderStore

root, staging = map(Path, sys.argv[1:])
store, staged = FolderStore(root), FolderStore(staging)
keys = sorted(staged.list(), key=lambda key: key.endswith(".manifest.json"))
files = [key for key in keys if not key.endswith(".manifest.json")]
for key in files:
    store.create(key, staged.read(key))
for key in keys[len(files):]:
    store.create(key, staged.read(key))
    publish(store)
"""


def test_publishers_at_the_same_time_lose_nothing(
    store: FolderStore, add: Add, block_of_cells: Cells, tmp_path: Path
) -> None:
    """Each process adds products to the same blocks one by one, and publishes after each."""
    cells = block_of_cells(16)
    for cell in cells:
        add(cell)
    staged = snapshot(store)
    for key in staged:
        Path(store.href(key)).unlink()
    processes = []
    for number in range(4):
        staging = tmp_path / f"staging{number}"
        staging.mkdir()
        mine = {cell.lower() for cell in cells[number::4]}
        for key, data in staged.items():
            if key.split("/")[4] in mine:
                FolderStore(staging).create(key, data)
        command = [sys.executable, "-c", PUBLISH, str(store.root), str(staging)]
        processes.append(subprocess.Popen(command, cwd=Path(__file__).parents[2]))
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0, 0]
    assert linked_items(store) == sorted(f"{COLLECTION}_{cell.lower()}_2024" for cell in cells)
    assert publish(store) == PublishReport(items=16, written=0)


@pytest.mark.parametrize("moment", ["find", "update"])
@pytest.mark.parametrize(
    ("key", "other"),
    [
        (f"{COLLECTION}/2024/r05-c0b/r059-c0be/catalog.json", {"cell": "434U_1046R"}),
        (f"{COLLECTION}/2024/r05-c0b/catalog.json", {"cell": "460U_1046R"}),
        (f"{COLLECTION}/2024/catalog.json", {"cell": "15D_409R"}),
        (f"{COLLECTION}/collection.json", {"cell": "433U_1046R", "year": 2020}),
        ("catalog.json", {"cell": "433U_1046R", "variant": "demo", "trained": False}),
    ],
    ids=["block", "superblock", "year", "collection", "root"],
)
def test_what_another_publishes_in_between_is_not_lost(
    store: FolderStore, add: Add, monkeypatch: pytest.MonkeyPatch, moment: str, key: str, other: dict[str, Any]
) -> None:
    """Right before one publisher reads, or writes, a catalog, another one publishes a product that it links."""
    add("433U_1046R")
    publish(store)
    document = json.loads(store.read(key))
    document["links"] = [link for link in document["links"] if link["rel"] not in {"child", "item"}]
    Path(store.href(key)).write_bytes(to_bytes(document))
    original = getattr(FolderStore, moment)
    pending = [key]

    def interrupted(self: FolderStore, asked: str, *details: Any, **more: Any) -> Any:
        if [asked] == pending:
            pending.clear()
            add(**other)
            publish(store)
        return original(self, asked, *details, **more)

    monkeypatch.setattr(FolderStore, moment, interrupted)
    publish(store)
    monkeypatch.undo()
    assert not pending
    assert len(linked_items(store)) == 2
    assert publish(store) == PublishReport(items=2, written=0)


def test_a_publisher_with_an_old_listing_does_not_bring_an_old_item_back(
    store: FolderStore, add: Add, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between one publisher's listing and its writing, another one publishes a newer product."""
    add(note="old")
    listing = FolderStore.entries
    stale = list(store.entries())
    newer = add(note="new", created=later(1))
    publish(store)
    whole = snapshot(store)
    answers: Iterator[Iterator[Entry] | None] = iter([iter(stale)])

    def stale_first(self: FolderStore, prefix: str = "") -> Iterator[Entry]:
        old = None if prefix.startswith("runs") else next(answers, None)
        return old or listing(self, prefix)

    monkeypatch.setattr(FolderStore, "entries", stale_first)
    publish(store)
    assert json.loads(store.read(item_key(store)))["assets"]["provenance"]["href"].endswith(newer.rsplit("/", 1)[1])
    monkeypatch.undo()
    assert snapshot(store) == whole


def test_blocks_without_news_are_not_all_held_at_once(
    store: FolderStore, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large the catalog: a publish of all of it holds some blocks at a time."""
    for row in (400, 430, 460, 490):
        add(f"{row}U_900R")
    publish(store)
    sizes: list[int] = []
    whole = module._Publisher.publish_batch

    def counted(self: Any, batch: list[Any], *details: Any) -> None:
        sizes.append(len(batch))
        whole(self, batch, *details)

    monkeypatch.setattr(module, "HELD", 2)
    monkeypatch.setattr(module, "AHEAD", 2)
    monkeypatch.setattr(module._Publisher, "publish_batch", counted)
    assert publish(store) == PublishReport(items=4, written=0)
    assert sizes == [2, 2]


def test_a_published_manifest_that_was_spoilt_keeps_nothing_else_from_being_published(
    store: FolderStore, add: Add, later: Later
) -> None:
    spoilt = add("433U_1046R", note="old")
    publish(store)
    document = json.loads(store.read(spoilt))
    Path(store.href(spoilt)).write_text(json.dumps({**document, "statistics": None}))
    add("433U_1046R", note="new", created=later(1))
    add("434U_1046R")
    report = publish(store)
    assert set(report.skipped) == {spoilt}
    assert report.items == 2
    assert linked_items(store) == [f"{COLLECTION}_433u_1046r_2024", f"{COLLECTION}_434u_1046r_2024"]


def test_a_version_that_would_not_be_valid_is_reported(
    store: FolderStore, add: Add, later: Later, tmp_path: Path
) -> None:
    """A schema that refuses every deprecated Item stands for one that is stricter than when it was published."""
    first = add("433U_1046R", note="old")
    publish(store)
    before = store.read(item_key(store))
    second = add("433U_1046R", note="new", created=later(1))
    add("434U_1046R")
    properties = {"properties": {"not": {"required": ["deprecated"]}}}
    (tmp_path / "version.json").write_text(json.dumps({"properties": properties}))
    index = {"https://stac-extensions.github.io/version/v1.2.0/schema.json": "version.json"}
    (tmp_path / "index.json").write_text(json.dumps(index))
    report = publish(store, schemas=tmp_path)
    assert set(report.skipped) == {first, second}
    assert store.read(item_key(store, "433u")) == before
    assert len(linked_items(store)) == 2


@pytest.mark.parametrize(
    "links",
    [
        [{"rel": "item", "href": ["a"]}],
        [{"rel": "item", "href": 5}],
        [{"rel": ["item"], "href": "a"}],
        [{"rel": "item"}],
        [5],
        {"rel": "item"},
    ],
)
def test_links_that_are_none_are_refused_by_name(store: FolderStore, add: Add, links: object) -> None:
    leaf = f"{add('433U_1046R').rsplit('/', 2)[0]}/catalog.json"
    publish(store)
    Path(store.href(leaf)).write_text(json.dumps({**json.loads(store.read(leaf)), "links": links}))
    add("433U_1047R")
    with pytest.raises(DataError, match=r"catalog\.json has links that are none"):
        publish(store)


def test_extensions_that_are_none_are_replaced(store: FolderStore, add: Add) -> None:
    leaf = f"{add('433U_1046R').rsplit('/', 2)[0]}/catalog.json"
    publish(store)
    whole = json.loads(store.read(leaf))
    Path(store.href(leaf)).write_text(json.dumps({**whole, "stac_extensions": 5}))
    add("433U_1047R")
    publish(store)
    assert json.loads(store.read(leaf))["stac_extensions"] == whole["stac_extensions"]


def test_a_document_that_is_too_large_is_not_read(
    store: FolderStore, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = f"{add('433U_1046R').rsplit('/', 2)[0]}/catalog.json"
    publish(store)
    monkeypatch.setattr(module, "LARGEST_DOCUMENT", 100)
    with pytest.raises(DataError, match=r"catalog\.json has .* 100"):
        publish(store)
    assert store.size(leaf)

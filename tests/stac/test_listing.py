from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from betaearth.stac.listing import blocks_of, listed_blocks, parse_item_key
from betaearth.storage.folder import FolderStore
from betaearth.storage.store import Entry

BLOCK = "betaearth-robust-v1/2024/r05-c05/r05f-c054"
CELL = f"{BLOCK}/433u_1046r"
ITEM = f"{CELL}/betaearth-robust-v1_433u_1046r_2024.json"
OLD_ITEM = f"{CELL}/betaearth-robust-v1_433u_1046r_2024_0123456789ab-01234567.json"
MANIFEST = f"{CELL}/0123456789ab-01234567.manifest.json"
OTHERS = [
    "catalog.json",
    "betaearth-robust-v1/collection.json",
    "betaearth-robust-v1/2024/catalog.json",
    f"{BLOCK}/catalog.json",
    f"{CELL}/0123456789ab/embeddings.tif",
    f"{CELL}/0123456789ab/notes.json",
    f"{CELL}/broken.manifest.json",
    f"{CELL}/notes.json",
    f"{CELL}/betaearth-robust-v1_433u_1046r_2023.json",
    f"{CELL}/betaearth-robust-v1_433u_1046r_2024_0123456789ab.json",
    "betaearth-robust-v1/items/year=2024/part-0.parquet",
    "runs/20260101/plan.json",
    "runs/2024/r05-c05/r05f-c054/notes/plan.json",
]


def entry(key: str) -> Entry:
    return Entry(key, len(key), datetime(2026, 1, 1, tzinfo=UTC), "1")


def test_items_are_told_from_all_else() -> None:
    current, old = parse_item_key(ITEM), parse_item_key(OLD_ITEM)
    assert current
    assert (current.prefix, current.stem) == (CELL, None)
    assert old
    assert (old.prefix, old.stem) == (CELL, "0123456789ab-01234567")
    assert not [key for key in [*OTHERS, MANIFEST] if parse_item_key(key)]


def test_blocks_hold_manifests_and_the_current_items_alone() -> None:
    (block,) = listed_blocks(map(entry, sorted([*OTHERS, MANIFEST, ITEM, OLD_ITEM])))
    assert block.folder == BLOCK
    assert block.manifests == {CELL: (MANIFEST,)}
    assert block.items == frozenset({CELL})
    assert block.sizes[f"{CELL}/0123456789ab/embeddings.tif"] == len(f"{CELL}/0123456789ab/embeddings.tif")
    assert (block.collection, block.year) == ("betaearth-robust-v1", 2024)
    assert list(listed_blocks(map(entry, OTHERS))) == []


def test_a_block_is_complete_whatever_lies_between(store: FolderStore, add: Callable[..., str]) -> None:
    keys = [add("433U_1046R"), add("433U_1047R"), add("460U_1046R"), add("433U_1046R", note="again")]
    store.create(f"{keys[0].rsplit('/', 2)[0]}/catalog.json", b"{}")
    blocks = list(blocks_of(store, collection=None, shard=None))
    assert len(blocks) == len({block.folder for block in blocks}) == 2
    assert sorted(key for block in blocks for found in block.manifests.values() for key in found) == sorted(keys)


@pytest.mark.parametrize("collection", [None, "betaearth-robust-v1", "betaearth-demo-v1"])
def test_a_shard_lists_its_blocks_and_shows_its_own_tile_years(
    store: FolderStore, add: Callable[..., str], monkeypatch: pytest.MonkeyPatch, collection: str | None
) -> None:
    mine, neighbour, far = (add(cell).rsplit("/", 1)[0] for cell in ("433U_1046R", "433U_1047R", "460U_1046R"))
    asked: list[str] = []
    listing = FolderStore.entries

    def counted(self: FolderStore, prefix: str = "") -> Iterator[Entry]:
        asked.append(prefix)
        return listing(self, prefix)

    monkeypatch.setattr(FolderStore, "entries", counted)
    shown = [
        prefix for block in blocks_of(store, collection=collection, shard=[mine, mine]) for prefix in block.manifests
    ]
    folder = mine.rsplit("/", 1)[0]
    wanted = collection != "betaearth-demo-v1"
    assert shown == ([mine] if wanted else [])
    assert asked == ([f"{folder}/"] if wanted else [])
    assert folder in neighbour
    assert folder not in far

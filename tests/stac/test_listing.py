from __future__ import annotations

from betaearth.stac.listing import block_folder, is_item_key, read_listings

BLOCK = "betaearth-robust-v1/2024/r05-c05/r05f-c054"
CELL = f"{BLOCK}/433u_1046r"
ITEM = f"{CELL}/betaearth-robust-v1_433u_1046r_2024.json"
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
    "betaearth-robust-v1/items/year=2024/part-0.parquet",
    "runs/20260101/plan.json",
    "runs/2024/r05-c05/r05f-c054/notes/plan.json",
]


def test_manifests_and_items_are_told_from_all_else() -> None:
    assert is_item_key(ITEM)
    assert not [key for key in [*OTHERS, MANIFEST] if is_item_key(key)]
    listings = read_listings([*OTHERS, MANIFEST, ITEM])
    assert set(listings) == {"betaearth-robust-v1"}
    assert listings["betaearth-robust-v1"].manifests == {CELL: (MANIFEST,)}
    assert listings["betaearth-robust-v1"].blocks == {BLOCK: {ITEM}}


def test_an_empty_store_has_no_collection() -> None:
    assert read_listings([]) == {}


def test_items_that_are_written_join_what_is_there() -> None:
    listing = read_listings([ITEM, MANIFEST])["betaearth-robust-v1"]
    neighbour = ITEM.replace("433u", "434u")
    elsewhere = ITEM.replace("r05f", "r060")
    assert listing.with_items([neighbour, elsewhere, ITEM]).blocks == {
        BLOCK: {ITEM, neighbour},
        block_folder(elsewhere): {elsewhere},
    }
    assert listing.blocks == {BLOCK: {ITEM}}

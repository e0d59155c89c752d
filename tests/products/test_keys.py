"""Names in a store."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betaearth.grid.majortom import MajorTomGrid
from betaearth.products.keys import (
    ManifestName,
    collection_id,
    item_id,
    manifest_key,
    parse_manifest_key,
    product_prefix,
    tile_year_prefix,
)

COLLECTION = "betaearth-robust-v1"
REQUEST, SOURCES = "0123456789abcdef" * 4, "fedcba9876543210" * 4
GRID = MajorTomGrid()
PLACES = st.tuples(st.floats(-180, 180), st.floats(-84, 84))


def test_the_keys_of_a_tile_year() -> None:
    cell = GRID.cell("433U_1046R")
    prefix = tile_year_prefix(COLLECTION, 2024, cell)
    block = f"r{cell.row_index // 16:03x}-c{cell.column_index // 16:03x}"
    superblock = f"r{cell.row_index // 256:02x}-c{cell.column_index // 256:02x}"
    assert prefix == f"betaearth-robust-v1/2024/{superblock}/{block}/433u_1046r"
    assert manifest_key(prefix, REQUEST, SOURCES) == f"{prefix}/0123456789ab-fedcba98.manifest.json"
    assert product_prefix(prefix, REQUEST) == f"{prefix}/0123456789ab/"
    assert item_id(COLLECTION, cell.id, 2024) == "betaearth-robust-v1_433u_1046r_2024"


@given(PLACES, st.integers(2015, 2100))
@settings(deadline=None)
def test_a_manifest_key_is_read_back(place: tuple[float, float], year: int) -> None:
    cell = GRID.cell_at(*place)
    prefix = tile_year_prefix(COLLECTION, year, cell)
    name = parse_manifest_key(manifest_key(prefix, REQUEST, SOURCES))
    assert name == ManifestName(prefix, REQUEST[:12], SOURCES[:8], year, cell.id.lower())
    assert GRID.cell(name.cell) == cell


@given(PLACES)
@settings(deadline=None)
def test_a_block_lies_in_the_superblock_of_its_name(place: tuple[float, float]) -> None:
    _, _, superblock, block, _ = tile_year_prefix(COLLECTION, 2024, GRID.cell_at(*place)).split("/")
    row, column = block.split("-")
    assert superblock == f"{row[:-1]}-{column[:-1]}"
    assert re.fullmatch(r"r[0-9a-f]{3}-c[0-9a-f]{3}", block)


def test_no_folder_has_more_than_256_entries() -> None:
    """Over a whole continent: cells of a block, blocks of a superblock."""
    below: dict[str, set[str]] = {}
    for cell in GRID.cells_in((-10.0, 35.0, 30.0, 60.0)):
        parts = tile_year_prefix(COLLECTION, 2024, cell).split("/")
        for depth in range(1, len(parts)):
            below.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
    assert max(len(names) for names in below.values()) <= 256


def test_finer_grids_have_longer_names() -> None:
    cell = MajorTomGrid(200.0).cell_at(12.0, 80.0)
    prefix = tile_year_prefix(COLLECTION, 2024, cell)
    name = parse_manifest_key(manifest_key(prefix, REQUEST, SOURCES))
    assert name is not None
    assert name.prefix == prefix


@pytest.mark.parametrize(
    "key",
    [
        "",
        "catalog.json",
        "betaearth-robust-v1/collection.json",
        "betaearth-robust-v1/2024/r05-c05/r05f-c054/433u_1046r/betaearth-robust-v1_433u_1046r_2024.json",
        "betaearth-robust-v1/2024/r05-c05/r05f-c054/433u_1046r/0123456789ab/embeddings.tif",
        "betaearth-robust-v1/2024/r05-c05/r05f-c054/433u_1046r/0123456789ab.manifest.json",
        "betaearth-robust-v1/2024/r05-c05/r05f-c054/433u_1046r/0123456789AB-fedcba98.manifest.json",
        "betaearth-robust-v1/2024/r05-c05/r05f-c054/433u_1046r/0123456789ab-fedcba98.manifest.json.bak",
        "betaearth-robust-v1/2024/r05-c05/r05f-c054/433U_1046R/0123456789ab-fedcba98.manifest.json",
        "betaearth-robust-v1/24/r05-c05/r05f-c054/433u_1046r/0123456789ab-fedcba98.manifest.json",
        "x/betaearth-robust-v1/2024/r05-c05/r05f-c054/433u_1046r/0123456789ab-fedcba98.manifest.json",
        "betaearth-robust-v1/2024/r05-c05/r05f-c054/433u_1046r/0123456789ab-fedcba98.manifest.json\n",
    ],
)
def test_other_keys_are_no_manifests(key: str) -> None:
    assert parse_manifest_key(key) is None


@given(st.text(min_size=1))
@settings(deadline=None)
def test_ids_keep_to_an_alphabet_that_is_safe_in_urls(text: str) -> None:
    assert re.fullmatch(r"betaearth-[a-z0-9_-]+-v1", collection_id(text))
    assert re.fullmatch(r"[a-z0-9_-]+", item_id(COLLECTION, text, 2024))


def test_ids_of_variants_and_areas() -> None:
    assert collection_id("robust") == "betaearth-robust-v1"
    assert collection_id("My.Own", version="v2") == "betaearth-my-own-v2"
    assert collection_id("robust", spacing_m=10_000.0) == "betaearth-robust-v1"
    assert collection_id("robust", spacing_m=2_000.0, synthetic=True) == "betaearth-robust-synthetic-2km-v1"
    assert collection_id("robust", spacing_m=500.0) == "betaearth-robust-0-5km-v1"
    assert item_id("c", "bbox_5.87_49.44_6.53_50.18", 2021) == "c_bbox_5-87_49-44_6-53_50-18_2021"

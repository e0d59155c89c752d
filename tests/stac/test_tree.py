from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.products.manifest import Manifest
from betaearth.stac.document import to_bytes
from betaearth.stac.facts import facts_of_manifest
from betaearth.stac.tree import (
    Child,
    Node,
    with_children,
    with_collections,
    with_years,
)
from betaearth.stac.validation import Validator

YEAR = Node("betaearth-robust-v1/2024")
SUPERBLOCK = Node("betaearth-robust-v1/2024/r05-c05")
BLOCK = Node("betaearth-robust-v1/2024/r05-c05/r05f-c054")

children = st.lists(
    st.integers(0, 15).map(lambda number: Child(f"./r{number:02x}-c00/catalog.json", f"Block {number}")),
    max_size=8,
)


def links(data: bytes, rel: str) -> list[str]:
    return [link["href"] for link in json.loads(data)["links"] if link["rel"] == rel]


def test_nodes_are_named_by_their_place() -> None:
    assert [node.key for node in (YEAR, BLOCK)] == [
        f"{YEAR.folder}/catalog.json",
        f"{BLOCK.folder}/catalog.json",
    ]
    assert [node.id for node in (YEAR, SUPERBLOCK, BLOCK)] == [
        "betaearth-robust-v1_2024",
        "betaearth-robust-v1_2024_r05-c05",
        "betaearth-robust-v1_2024_r05f-c054",
    ]
    assert [node.title for node in (YEAR, SUPERBLOCK, BLOCK)] == [
        "2024",
        "Super-block r05-c05",
        "Block r05f-c054",
    ]
    assert [node.parent_title for node in (YEAR, SUPERBLOCK, BLOCK)] == [
        "betaearth-robust-v1",
        "2024",
        "Super-block r05-c05",
    ]
    assert BLOCK.child == Child("./r05f-c054/catalog.json", "Block r05f-c054")


@pytest.mark.parametrize("node", [YEAR, SUPERBLOCK, BLOCK])
def test_catalogs_are_valid_and_lead_upwards(node: Node) -> None:
    data = with_children(None, node, [Child("./b/catalog.json", "B"), Child("./a/catalog.json", "A")])
    document = json.loads(data)
    assert not Validator().violations(document)
    assert all(link["title"] for link in document["links"])
    assert links(data, "child") == ["./a/catalog.json", "./b/catalog.json"]
    assert links(data, "root") == ["../" * len(node.folder.split("/")) + "catalog.json"]
    assert links(data, "parent") == ["../collection.json" if node is YEAR else "../catalog.json"]


@given(children, children)
def test_children_are_joined_in_any_order(first: list[Child], second: list[Child]) -> None:
    one = with_children(with_children(None, YEAR, first), YEAR, second)
    other = with_children(with_children(None, YEAR, second), YEAR, first)
    assert one == other == with_children(None, YEAR, [*first, *second])
    assert links(one, "child") == sorted({child.href for child in [*first, *second]})
    assert with_children(one, YEAR, first) == one


def test_what_others_wrote_into_a_catalog_stays() -> None:
    document: dict[str, Any] = json.loads(with_children(None, YEAR, [Child("./a/catalog.json", "A")]))
    document["keywords"] = ["mine"]
    document["stac_extensions"] = ["https://example.org/schema.json"]
    document["links"].append({"rel": "about", "href": "https://example.org", "title": "About"})
    merged = json.loads(with_children(to_bytes(document), YEAR, [Child("./b/catalog.json", "B")]))
    assert merged["keywords"] == ["mine"]
    assert merged["stac_extensions"] == ["https://example.org/schema.json"]
    assert [link["href"] for link in merged["links"] if link["rel"] == "about"] == ["https://example.org"]
    assert [link["href"] for link in merged["links"] if link["rel"] == "child"] == [
        "./a/catalog.json",
        "./b/catalog.json",
    ]


def test_a_document_that_says_the_same_in_another_spelling_is_left_alone() -> None:
    child = Child("./a/catalog.json", "A")
    compact = json.dumps(json.loads(with_children(None, YEAR, [child]))).encode()
    assert with_children(compact, YEAR, [child]) is compact


def test_a_new_title_of_a_child_wins() -> None:
    data = with_collections(None, [Child("./c/collection.json", "Old")])
    data = with_collections(data, [Child("./c/collection.json", "New (synthetic source)")])
    titles = [link["title"] for link in json.loads(data)["links"] if link["rel"] == "child"]
    assert titles == ["New (synthetic source)"]


def test_the_root_is_valid_and_keeps_other_collections() -> None:
    data = with_collections(None, [Child("./b/collection.json", "B")])
    data = with_collections(data, [Child("./a/collection.json", "A")])
    assert not Validator().violations(json.loads(data))
    assert links(data, "child") == ["./a/collection.json", "./b/collection.json"]


def test_a_collection_keeps_its_years_its_assets_and_what_it_knew(
    make_manifest: Callable[..., Manifest],
) -> None:
    key = "betaearth-robust-v1/collection.json"
    old = facts_of_manifest(make_manifest(year=2019))
    new = facts_of_manifest(make_manifest(year=2024))
    document = json.loads(with_years(None, old, [Node("betaearth-robust-v1/2019").child], key=key))
    document["assets"] = {"items-2019": {"href": "./items/year=2019/part-0.parquet"}}
    data = with_years(to_bytes(document), new, [Node("betaearth-robust-v1/2024").child], key=key)
    merged = json.loads(data)
    assert merged["assets"] == document["assets"]
    assert merged["extent"]["temporal"]["interval"] == [["2019-01-01T00:00:00Z", "2024-12-31T23:59:59Z"]]
    assert links(data, "child") == ["./2019/catalog.json", "./2024/catalog.json"]
    assert with_years(data, old, [], key=key) == data
    assert with_years(data, None, [], key=key) == data
    replaced = json.loads(with_years(data, None, [], key=key, assets={"items-2024": {"href": "./b.parquet"}}))
    assert replaced["assets"] == {"items-2024": {"href": "./b.parquet"}}


def test_a_collection_needs_facts() -> None:
    with pytest.raises(DataError, match="nothing is known of its Items"):
        with_years(None, None, [], key="c/collection.json")


@pytest.mark.parametrize("data", [b"", b"[]", b'{"links": 1}', b'{"links": [{"rel": "child"}]}', b'{"links": ["a"]}'])
def test_what_is_no_catalog_is_refused_by_its_key(data: bytes) -> None:
    with pytest.raises(DataError, match=YEAR.key):
        with_children(data, YEAR, [])

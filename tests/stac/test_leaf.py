from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.stac.document import to_bytes
from betaearth.stac.leaf import Settled, marks_of, says, with_tile_years
from betaearth.stac.tree import Node
from betaearth.stac.validation import Validator

BLOCK = Node("betaearth-robust-v1/2024/r05-c05/r05f-c054")
ONE, OTHER = "0123456789ab-01234567", "ba9876543210-76543210"


def settled(cell: str, *stems: str, item: bytes | None = b"{}", reason: str | None = None) -> Settled:
    return Settled(f"{BLOCK.folder}/{cell}", stems or (ONE,), item, reason)


def leaf(*entries: Settled, existing: bytes | None = None) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(with_tile_years(existing, BLOCK, entries))
    return document


def items(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [link for link in document["links"] if link["rel"] == "item"]


def test_a_link_tells_the_bytes_of_the_item_and_its_manifests() -> None:
    data = b'{"type": "Feature"}'
    (link,) = items(leaf(settled("433u_1046r", ONE, OTHER, item=data)))
    assert link == {
        "rel": "item",
        "href": "./433u_1046r/betaearth-robust-v1_433u_1046r_2024.json",
        "type": "application/geo+json",
        "title": "433U_1046R 2024",
        "file:size": len(data),
        "file:checksum": "1220" + hashlib.sha256(data).hexdigest(),
        "betaearth:manifests": [ONE, OTHER],
    }


def test_a_tile_year_without_a_product_is_named_with_its_reason() -> None:
    document = leaf(settled("434u_1046r", item=None, reason="no scene"))
    assert document["betaearth:empty"] == [{"cell": "434U_1046R", "manifests": [ONE], "reason": "no scene"}]
    assert items(document) == []


def test_it_is_valid_and_sorted() -> None:
    document = leaf(
        settled("435u_1046r", item=None, reason="sea"),
        settled("434u_1046r"),
        settled("432u_1046r", item=None, reason="sea"),
        settled("433u_1046r"),
    )
    assert not Validator().violations(document)
    assert [link["title"] for link in items(document)] == ["433U_1046R 2024", "434U_1046R 2024"]
    assert [entry["cell"] for entry in document["betaearth:empty"]] == ["432U_1046R", "435U_1046R"]


def test_a_tile_year_is_product_or_empty_and_never_both() -> None:
    first = to_bytes(leaf(settled("433u_1046r", item=None, reason="sea")))
    made = leaf(settled("433u_1046r", ONE, OTHER), existing=first)
    assert made["betaearth:empty"] == []
    assert len(items(made)) == 1
    assert items(leaf(settled("433u_1046r", item=None), existing=to_bytes(made))) == []


entries = st.lists(
    st.builds(
        settled,
        st.sampled_from(["433u_1046r", "434u_1046r", "435u_1046r"]),
        st.sampled_from([ONE, OTHER]),
        item=st.none() | st.binary(min_size=1, max_size=8),
    ),
    max_size=5,
    unique_by=lambda entry: entry.cell,
)


@given(entries, entries)
def test_marks_are_what_was_said_last(first: list[Settled], second: list[Settled]) -> None:
    data = with_tile_years(with_tile_years(None, BLOCK, first), BLOCK, second)
    marks = marks_of(data, where="here")
    last = {entry.cell: entry for entry in [*first, *second]}
    assert set(marks) == set(last)
    for cell, entry in last.items():
        assert says(marks[cell], entry)
        assert marks[cell].stems == set(entry.stems)
    assert with_tile_years(data, BLOCK, last.values()) == data


def test_another_item_or_another_manifest_is_not_said_yet() -> None:
    mark = marks_of(with_tile_years(None, BLOCK, [settled("433u_1046r")]), where="here")["433u_1046r"]
    assert says(mark, settled("433u_1046r"))
    assert not says(mark, settled("433u_1046r", item=b"{} "))
    assert not says(mark, settled("433u_1046r", ONE, OTHER))
    assert not says(mark, settled("433u_1046r", item=None))
    assert not says(None, settled("433u_1046r"))


@pytest.mark.parametrize(
    "spoiled",
    [
        {"betaearth:empty": "433U_1046R"},
        {"betaearth:empty": [1, {"cell": 5}, {"cell": "433U_1046R", "manifests": "all"}]},
        {"links": [{"rel": "item", "href": "./433u_1046r/x.json"}]},
        {"links": [{"rel": "item", "href": "./433u_1046r/x.json", "betaearth:manifests": {"a": 1}}]},
    ],
)
def test_what_has_the_form_of_no_mark_settles_nothing(spoiled: dict[str, Any]) -> None:
    data = json.dumps({"links": [], **spoiled}).encode()
    assert all(mark.stems == frozenset() for mark in marks_of(data, where="here").values())


@pytest.mark.parametrize("data", [b"", b"[]", b'{"links": 1}', b'{"links": ["a"]}'])
def test_what_is_no_catalog_is_refused_by_its_key(data: bytes) -> None:
    with pytest.raises(DataError, match=BLOCK.key):
        with_tile_years(data, BLOCK, [])
    with pytest.raises(DataError, match=BLOCK.key):
        marks_of(data, where=BLOCK.key)

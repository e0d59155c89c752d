"""Digests: equal for what is equal, different for every difference."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from betaearth.products.fingerprint import (
    canonical_json,
    file_digest,
    fingerprint,
    product_digest,
    request_digest,
    sources_digest,
)
from betaearth.products.manifest import GridRecord, Request, VariantRecord

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def shuffled(value: JsonValue) -> JsonValue:
    """The same value with the entries of its mappings in another order."""
    if isinstance(value, dict):
        entries = [(key, shuffled(part)) for key, part in value.items()]
        random.Random(len(entries)).shuffle(entries)
        return dict(entries)
    if isinstance(value, list):
        return [shuffled(part) for part in value]
    return value


def request(**changes: Any) -> Request:
    grid = GridRecord(
        spacing_m=10_000.0,
        epsg=32616,
        west=500_000.0,
        north=4_900_000.0,
        width=1068,
        height=1068,
        resolution=10.0,
        bounds_lonlat=(-87.0, 44.1, -86.8, 44.2),
        footprint=[(-87.0, 44.1), (-86.8, 44.1), (-86.8, 44.2), (-87.0, 44.1)],
    )
    variant = VariantRecord(
        name="robust",
        trained=True,
        weights_sha256="0" * 64,
        weights="hub/robust",
        inputs=["dem", "s1", "s2_l2a"],
    )
    whole = Request(
        cell="433U_1046R",
        year=2024,
        grid=grid,
        variant=variant,
        source="stac:https://example.com",
        options={"product": {"dtype": "int8"}, "selection": {"max_cloud": 20.0}},
    )
    return whole.model_copy(update=changes)


@given(JSON)
@settings(deadline=None)
def test_canonical_json_keeps_the_value_and_forgets_the_order(value: JsonValue) -> None:
    data = canonical_json(value)
    assert json.loads(data.decode("utf-8")) == value
    assert canonical_json(shuffled(value)) == data
    assert canonical_json(json.loads(data)) == data


@given(JSON, JSON)
@settings(deadline=None)
def test_different_values_have_different_json(first: JsonValue, second: JsonValue) -> None:
    if canonical_json(first) == canonical_json(second):
        assert first == second


def test_canonical_json_is_what_it_says() -> None:
    value: JsonValue = {"b": [1, 1.0, None, True], "a": "ü\n", "B": {}}
    assert canonical_json(value) == '{"B":{},"a":"ü\\n","b":[1,1.0,null,true]}'.encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_does_not_know_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"deep": [number]})


def test_every_ingredient_of_a_request_changes_its_digest() -> None:
    base = request()
    grid, variant = base.grid, base.variant
    others = [
        request(cell="433U_1047R"),
        request(year=2023),
        request(source="items:sha256:1"),
        request(algorithm_version="2"),
        request(options={"product": {"dtype": "float32"}, "selection": {"max_cloud": 20.0}}),
        request(options={}),
        *(request(grid=grid.model_copy(update={name: 1.0})) for name in ("spacing_m", "west", "north", "resolution")),
        *(request(grid=grid.model_copy(update={name: 1})) for name in ("epsg", "width", "height")),
        *(request(variant=variant.model_copy(update={name: "1" * 64})) for name in ("name", "weights_sha256")),
    ]
    digests = [request_digest(other) for other in (base, *others)]
    assert len(set(digests)) == len(digests)
    assert {len(digest) for digest in digests} == {64}


def test_what_follows_from_the_rest_does_not_change_it() -> None:
    base = request()
    same = [
        request(grid=base.grid.model_copy(update={"bounds_lonlat": (0.0, 0.0, 1.0, 1.0), "footprint": []})),
        request(variant=base.variant.model_copy(update={"weights": "elsewhere", "trained": False, "inputs": ["s1"]})),
        request(variant=base.variant.model_copy(update={"trained_on_synthetic": True})),
    ]
    assert {request_digest(other) for other in same} == {request_digest(base)}


def test_a_backbone_changes_the_digest_by_its_own_alone() -> None:
    variant = request().variant
    digests = [
        request_digest(request(variant=variant.model_copy(update={"backbone": name, "backbone_sha256": sha256})))
        for name, sha256 in (("a", "0" * 64), ("b", "0" * 64), ("a", "1" * 64), (None, None))
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert digests[3] == request_digest(request())


def test_without_a_backbone_a_digest_is_what_it_was_before_there_were_any() -> None:
    """It names the manifests in stores."""
    digest = "54237cf42238446738df9df8c21245f333cc7a1f82c75d77376809019dab5ae7"
    assert request_digest(request(algorithm_version="1")) == digest


def test_a_request_that_was_stored_has_the_same_digest() -> None:
    stored = Request.model_validate_json(request().model_dump_json())
    assert request_digest(stored) == request_digest(request())


def test_the_order_of_options_does_not_matter() -> None:
    turned = request(options={"selection": {"max_cloud": 20.0}, "product": {"dtype": "int8"}})
    assert request_digest(turned) == request_digest(request())


def test_sources_have_no_order_but_every_field_counts() -> None:
    granules: list[dict[str, str | None]] = [
        {"id": "a", "baseline": "05.00", "generated": "2024-01-01"},
        {"id": "b", "baseline": None, "generated": None},
        {"id": "c", "baseline": "05.10", "generated": None},
    ]
    orders = {sources_digest(order) for order in itertools.permutations(granules)}
    assert len(orders) == 1
    others = [
        [],
        granules[:2],
        [*granules, granules[0]],
        [{**granules[0], "baseline": "05.11"}, *granules[1:]],
        [{**granules[0], "generated": None}, *granules[1:]],
        [{**granules[0], "id": "d"}, *granules[1:]],
    ]
    assert len({sources_digest(other) for other in others} | orders) == len(others) + 1


def test_a_fingerprint_is_of_both_in_their_roles() -> None:
    a, b, c = "a" * 64, "b" * 64, "c" * 64
    assert len({fingerprint(a, b), fingerprint(b, a), fingerprint(a, c), fingerprint(c, b)}) == 4


def test_a_product_digest_is_of_names_and_content() -> None:
    files = {"embeddings.tif": "a" * 64, "quality.tif": "b" * 64}
    turned = dict(reversed(files.items()))
    assert product_digest(files) == product_digest(turned)
    swapped = {"embeddings.tif": "b" * 64, "quality.tif": "a" * 64}
    fewer = {"embeddings.tif": "a" * 64}
    assert len({product_digest(files), product_digest(swapped), product_digest(fewer), product_digest({})}) == 4


def test_digests_stay_what_they_are() -> None:
    """Digests name files in stores: a change of these numbers orphans every product."""
    assert fingerprint("a", "b") == hashlib.sha256(b'{"request":"a","sources":"b"}').hexdigest()
    assert product_digest({"n": "s"}) == hashlib.sha256(b'{"n":"s"}').hexdigest()
    assert sources_digest([{"id": "b"}, {"id": "a"}]) == hashlib.sha256(b'{"id":"a"}\n{"id":"b"}').hexdigest()


def test_a_file_is_digested_by_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    (tmp_path / "file").write_bytes(data)
    assert file_digest(tmp_path / "file") == hashlib.sha256(data).hexdigest()

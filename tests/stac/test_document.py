from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.stac.document import from_bytes, to_bytes

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(), values, max_size=5))
def test_bytes_are_json_that_gives_the_document_back(document: dict[str, Any]) -> None:
    data = to_bytes(document)
    assert json.loads(data) == document
    assert from_bytes(data, where="here") == document
    assert data.endswith(b"}\n")
    assert to_bytes(from_bytes(data, where="here")) == data


def test_order_is_kept_and_text_is_readable() -> None:
    assert to_bytes({"type": "Feature", "id": "é"}) == '{\n  "type": "Feature",\n  "id": "é"\n}\n'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "\ud800"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="'x' cannot be JSON"):
        to_bytes({"id": "x", "nodata": value})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"[1]", "type list"),
        (b"null", "type NoneType"),
    ],
)
def test_what_is_no_document_is_refused_by_its_place(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"^a/catalog\.json is .*{message}"):
        from_bytes(data, where="a/catalog.json")

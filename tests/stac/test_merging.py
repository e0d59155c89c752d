from __future__ import annotations

import json
import time

import pytest

from betaearth.errors import TransientError
from betaearth.stac.merging import TRIES, Change, merge
from betaearth.storage.folder import FolderStore


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


def test_writes_once_and_not_again(store: FolderStore) -> None:
    assert merge(store, "a/catalog.json", lambda _: b"one") == (Change.CREATED, b"one")
    assert merge(store, "a/catalog.json", lambda _: b"one") == (Change.SAME, b"one")
    assert merge(store, "a/catalog.json", lambda existing: (existing or b"") + b" two") == (Change.UPDATED, b"one two")
    assert store.read("a/catalog.json") == b"one two"


def test_a_write_of_another_between_reading_and_writing_is_not_lost(store: FolderStore) -> None:
    interruptions = iter([b"[1]", b"[1, 2]", b"[1, 2, 3]"])

    def add_four(existing: bytes | None) -> bytes:
        if other := next(interruptions, None):
            stored = store.find("list.json")
            assert store.update("list.json", other, stored.etag) if stored else store.create("list.json", other)
        return json.dumps([*json.loads(existing or b"[]"), 4]).encode()

    assert merge(store, "list.json", add_four)[0] is Change.UPDATED
    assert json.loads(store.read("list.json")) == [1, 2, 3, 4]


def test_gives_up_where_others_never_stop(store: FolderStore) -> None:
    calls = []

    def outrun(existing: bytes | None) -> bytes:
        calls.append(existing)
        stored = store.find("list.json")
        other = str(len(calls)).encode()
        assert store.update("list.json", other, stored.etag) if stored else store.create("list.json", other)
        return b"mine"

    with pytest.raises(TransientError, match=f"changed by others {TRIES} times"):
        merge(store, "list.json", outrun)
    assert len(calls) == TRIES
    assert store.read("list.json") == str(TRIES).encode()

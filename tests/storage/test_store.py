"""What every store promises, of a folder and of a bucket of a real server."""

from __future__ import annotations

import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.storage.keys import check_key, is_key
from betaearth.storage.open import existing_store, open_store
from betaearth.storage.s3 import S3Store
from betaearth.storage.store import Store

KEYS = ["a b/1", "a-b/1", "a.json", "a/1", "a/2", "a0", "b", "p+q%20&#?/x", "ü/日本/\U0001d4b3"]
"""In the order of their code points, which is not that of their folders."""


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(str(tmp_path / "store"))
    return open_store(f"{request.getfixturevalue('s3_bucket')}/some/prefix")


@pytest.fixture(params=["folder", "s3"])
def unasked(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store that must refuse before it asks anybody: there is no server."""
    return open_store(str(tmp_path / "store")) if request.param == "folder" else S3Store("bucket", "p")


def test_what_was_created_is_read(store: Store) -> None:
    assert store.create("a/b/c.json", b"data")
    assert store.read("a/b/c.json") == b"data"
    assert store.size("a/b/c.json") == 4
    assert store.exists("a/b/c.json")
    assert b"".join(store.stream("a/b/c.json")) == b"data"
    assert store.sha256("a/b/c.json") == hashlib.sha256(b"data").hexdigest()
    assert existing_store(store.uri).read("a/b/c.json") == b"data"


def test_what_is_there_is_not_created_again(store: Store) -> None:
    assert store.create("key", b"first")
    assert not store.create("key", b"second")
    assert store.read("key") == b"first"


def test_what_is_not_there_says_so(store: Store) -> None:
    store.create("a/b", b"")
    for key in ("none", "a"):
        assert (store.find(key), store.size(key), store.stat(key), store.sha256(key)) == (None, None, None, None)
        assert not store.exists(key)
        assert not store.delete(key)
        assert not store.update(key, b"", "etag")
        with pytest.raises(DataError, match=f"no object '{key}'"):
            store.read(key)
        with pytest.raises(DataError, match=f"no object '{key}'"):
            store.read_range(key, 0, 1)
        with pytest.raises(DataError, match=f"no object '{key}'"):
            list(store.stream(key))


def test_an_update_needs_the_etag_of_what_is_there(store: Store) -> None:
    store.create("key", b"1")
    first = store.find("key")
    assert first is not None
    assert store.update("key", b"2", first.etag)
    assert not store.update("key", b"3", first.etag)
    second = store.find("key")
    assert second is not None
    assert (second.data, second.etag != first.etag) == (b"2", True)


def test_of_many_creators_one_wins(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: store.create("one/key", b"%d" % number * 1000), range(8)))
    assert sorted(won) == [False] * 7 + [True]
    assert store.read("one/key") == b"%d" % won.index(True) * 1000


def test_no_update_is_lost(store: Store) -> None:
    store.create("counter", b"0")

    def add(_: int) -> None:
        while True:
            stored = store.find("counter")
            assert stored is not None
            if store.update("counter", b"%d" % (int(stored.data) + 1), stored.etag):
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(24)))
    assert store.read("counter") == b"24"


def test_a_listing_is_sorted_and_tells_what_is_there(store: Store) -> None:
    for number, key in enumerate(reversed(KEYS)):
        assert store.create(key, b"x" * number)
    assert list(store.list()) == KEYS == sorted(KEYS)
    assert list(store.list("a")) == [key for key in KEYS if key.startswith("a")]
    assert list(store.list("a/")) == ["a/1", "a/2"]
    assert list(store.list("none/")) == []
    entries = list(store.entries())
    assert [(entry.key, entry.size) for entry in entries] == [
        (key, len(KEYS) - 1 - place) for place, key in enumerate(KEYS)
    ]
    assert [store.stat(key) for key in KEYS] == entries
    assert all(entry.modified.utcoffset() is not None for entry in entries)


def test_an_entrys_version_changes_with_the_object(store: Store) -> None:
    store.create("key", b"1")
    before, stored = store.stat("key"), store.find("key")
    assert before is not None
    assert stored is not None
    store.update("key", b"2", stored.etag)
    after = store.stat("key")
    assert after is not None
    assert after.version != before.version


def test_what_is_too_large_is_refused(store: Store) -> None:
    store.create("key", b"12345")
    assert store.read("key", limit=5) == b"12345"
    for read in (store.read, store.find):
        with pytest.raises(DataError, match="more than the 4"):
            read("key", limit=4)


def test_ranges(store: Store) -> None:
    data = bytes(range(256))
    store.create("key", data)
    assert store.read_range("key", 10, 20) == data[10:20]
    assert store.read_range("key", 250, 1000) == data[250:]
    with pytest.raises(DataError, match="ends before"):
        store.read_range("key", 256, 257)
    for start, stop in ((5, 5), (5, 4), (-1, 4)):
        with pytest.raises(DataError, match="are none"):
            store.read_range("key", start, stop)


def test_a_stream_comes_in_pieces_and_may_be_left(store: Store, tmp_path: Path) -> None:
    data = bytes(range(256)) * 12_000
    (tmp_path / "file").write_bytes(data)
    store.put_file("large", tmp_path / "file")
    pieces = list(store.stream("large"))
    assert b"".join(pieces) == data
    assert len(pieces) > 1
    stream = store.stream("large")
    with closing(stream):  # type: ignore[type-var]  # both stores give generators
        assert data.startswith(next(stream))


def test_a_file_is_put_and_put_again(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "embeddings.tif"
    path.write_bytes(bytes(range(256)) * 1000)
    for _ in range(2):
        store.put_file("c/0123/embeddings.tif", path)
        assert store.read("c/0123/embeddings.tif") == path.read_bytes()
    assert store.sha256("c/0123/embeddings.tif") == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_deleted_is_gone_and_may_come_again(store: Store) -> None:
    store.create("a/b", b"1")
    store.create("a/c", b"1")
    assert store.delete("a/b")
    assert not store.delete("a/b")
    assert list(store.list()) == ["a/c"]
    assert store.create("a/b", b"2")


def test_another_process_gets_the_same_store(store: Store) -> None:
    store.create("key", b"data")
    assert pickle.loads(pickle.dumps(store)).read("key") == b"data"


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/etc/passwd", "a//b", "a/", "..", "a/../../b", "./a", "a/.", "a\\b", "a\0b", "a\nb", "\ud800"),
        *(".tmp", ".tmp/x", ".probe/x", "x" * 256, "ü" * 128, "x/" * 500 + "x"),
    ],
)
def test_keys_that_leave_the_store_are_refused(unasked: Store, tmp_path: Path, key: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    for ask in (unasked.read, unasked.find, unasked.stat, unasked.sha256, unasked.href, unasked.delete):
        with pytest.raises(DataError, match="not an object key"):
            ask(key)
    with pytest.raises(DataError, match="not an object key"):
        unasked.create(key, b"")
    with pytest.raises(DataError, match="not an object key"):
        unasked.update(key, b"", "etag")
    with pytest.raises(DataError, match="not an object key"):
        unasked.put_file(key, tmp_path / "file")


@pytest.mark.parametrize("prefix", ["/a", "../a", "a/../b", "a//b", ".tmp/", ".probe/", "a\nb", "\ud800"])
def test_prefixes_that_leave_the_store_are_refused(unasked: Store, prefix: str) -> None:
    with pytest.raises(DataError, match="not an object key"):
        list(unasked.list(prefix))


HOSTILE = st.text(st.sampled_from("a./\\~%ü\0\n\U0001d4b3 ..") | st.characters(), max_size=12)


@given(key=HOSTILE)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_key_that_works_or_is_refused(store: Store, key: str) -> None:
    if not is_key(key):
        with pytest.raises(DataError):
            store.find(key)
        return
    check_key(key)
    try:
        assert store.create(key, key.encode())
    except DataError:
        assert store.uri.startswith("file:")  # a folder cannot hold an object below another
        return
    assert store.read(key) == key.encode()
    assert key in store.list(key)
    assert store.delete(key)

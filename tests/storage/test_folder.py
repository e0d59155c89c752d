"""The folder store, among them what happens when many processes write and when one is killed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betaearth.errors import ConfigError, DataError
from betaearth.storage.folder import FolderStore, folder_errors
from betaearth.storage.keys import TEMPORARY
from betaearth.storage.open import open_folder
from betaearth.storage.store import Stored

NAMES = st.sampled_from(["a", "a-b", "a.json", "a0", "b", "Z", "ü", "r05-c05", ".hidden"])
KEYS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return open_folder(str(tmp_path / "store"))


def start(task: str, store: FolderStore, name: str) -> subprocess.Popen[str]:
    writer = Path(__file__).with_name("writer.py")
    return subprocess.Popen(
        [sys.executable, str(writer), task, str(store.root), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def run_together(task: str, store: FolderStore, count: int) -> list[str]:
    """Start processes, let them loose at once, and return what they say."""
    processes = [start(task, store, str(index)) for index in range(count)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    return said


def leftovers(store: FolderStore) -> set[str]:
    return {path.name for path in (store.root / TEMPORARY).iterdir()} - {"update.lock"}


def test_what_was_created_is_read(store: FolderStore) -> None:
    assert store.create("a/b/c.json", b"data")
    assert store.read("a/b/c.json") == b"data"
    assert store.exists("a/b/c.json")
    assert store.size("a/b/c.json") == 4
    assert Path(store.href("a/b/c.json")).read_bytes() == b"data"
    assert leftovers(store) == set()


def test_what_is_there_is_not_created_again(store: FolderStore) -> None:
    assert store.create("key", b"first")
    assert not store.create("key", b"second")
    assert store.read("key") == b"first"
    assert leftovers(store) == set()


def test_what_is_not_there_says_so(store: FolderStore) -> None:
    store.create("a/b", b"")
    for key in ("none", "a", "a/b/below"):
        assert store.find(key) is None
        assert store.size(key) is None
        assert not store.exists(key)
        with pytest.raises(DataError, match=f"no object '{key}'"):
            store.read(key)


def test_an_update_needs_the_etag_of_what_is_there(store: FolderStore) -> None:
    store.create("key", b"1")
    first = store.find("key")
    assert first is not None
    assert store.update("key", b"2", first.etag)
    assert not store.update("key", b"3", first.etag)
    second = store.find("key")
    assert second is not None
    assert second == Stored(b"2", second.etag)
    assert second.etag != first.etag
    assert not store.update("none", b"", first.etag)
    assert not store.exists("none")
    assert leftovers(store) == set()


def test_a_file_is_put_and_put_again(store: FolderStore, tmp_path: Path) -> None:
    path = tmp_path / "embeddings.tif"
    path.write_bytes(bytes(range(256)) * 10_000)
    for _ in range(2):
        store.put_file("c/0123/embeddings.tif", path)
        assert store.read("c/0123/embeddings.tif") == path.read_bytes()
    assert path.exists()
    assert leftovers(store) == set()


def test_others_may_read_what_was_written(store: FolderStore, tmp_path: Path) -> None:
    """A web server is another user: no private mode of a temporary file may survive."""
    (tmp_path / "file").write_bytes(b"")
    store.create("created", b"")
    store.put_file("put", tmp_path / "file")
    umask = os.umask(0)
    os.umask(umask)
    for key in ("created", "put"):
        assert Path(store.href(key)).stat().st_mode & 0o777 == 0o666 & ~umask


@given(keys=st.sets(KEYS, max_size=12), prefix=KEYS | st.just(""), slash=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_listing_is_what_was_created_in_the_order_of_s3(keys: set[str], prefix: str, slash: bool) -> None:
    prefix += "/" if slash and prefix else ""
    with tempfile.TemporaryDirectory() as folder:
        store = open_folder(folder)
        created = []
        for key in sorted(keys):
            try:
                created.append(key) if store.create(key, b"") else None
            except DataError:
                # One of the keys lies below another, which a folder cannot hold.
                assert any(key.startswith(f"{other}/") or other.startswith(f"{key}/") for other in created)
        expected = sorted((key for key in created if key.startswith(prefix)), key=str.encode)
        assert list(store.list(prefix)) == expected


def test_unfinished_writes_are_not_listed(store: FolderStore) -> None:
    (store.root / TEMPORARY / "left-by-a-dead-process").write_bytes(b"half")
    store.create("key", b"")
    assert list(store.list()) == ["key"]
    assert list(store.list(".t")) == []


def test_a_listing_survives_a_folder_that_vanishes(store: FolderStore) -> None:
    for key in ("a/1", "b/1", "c/1"):
        store.create(key, b"")
    keys = store.list()
    assert next(keys) == "a/1"
    (store.root / "b" / "1").unlink()
    (store.root / "b").rmdir()
    assert list(keys) == ["c/1"]


def test_a_folder_that_may_not_be_listed_is_a_config_error(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("a/1", b"")
    scandir = os.scandir

    def refuse(folder: Path) -> Any:
        if Path(folder).name == "a":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ConfigError, match="/a may not be accessed"):
        list(store.entries())


@pytest.mark.parametrize(
    "key",
    ["", "/", "/etc/passwd", "a//b", "a/", "..", "a/../../b", "./a", "a/.", "a\\b", "a\0b", ".tmp", ".tmp/x"],
)
def test_keys_that_leave_the_store_are_refused(store: FolderStore, tmp_path: Path, key: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="not an object key"):
        store.read(key)
    with pytest.raises(DataError, match="not an object key"):
        store.create(key, b"")
    with pytest.raises(DataError, match="not an object key"):
        store.update(key, b"", "etag")
    with pytest.raises(DataError, match="not an object key"):
        store.put_file(key, tmp_path / "file")
    with pytest.raises(DataError, match="not an object key"):
        store.href(key)


@pytest.mark.parametrize("prefix", ["/a", "../a", "a/../b", "a//b", ".tmp/"])
def test_prefixes_that_leave_the_store_are_refused(store: FolderStore, prefix: str) -> None:
    with pytest.raises(DataError, match="not an object key"):
        list(store.list(prefix))


def test_an_object_cannot_lie_below_another(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store.create("a/b", b"")
    for key in ("a/b/c", "a/b/c/d"):
        with pytest.raises(DataError, match="below another"):
            store.create(key, b"")
        with pytest.raises(DataError, match="below another"):
            store.put_file(key, tmp_path / "file")
    with pytest.raises(DataError, match="folder of objects"):
        store.create("a", b"")
    with pytest.raises(DataError, match="folder of objects"):
        store.put_file("a", tmp_path / "file")
    assert list(store.list()) == ["a/b"]


@pytest.mark.parametrize(
    ("number", "message"), [(13, "right"), (1, "right"), (30, "right"), (28, "space"), (122, "space")]
)
def test_what_the_file_system_says_is_translated(number: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message), folder_errors(Path("/store")):
        raise OSError(number, os.strerror(number))


def test_what_the_file_system_says_else_passes_untouched() -> None:
    with pytest.raises(OSError, match="Input/output error"), folder_errors(Path("/store")):
        raise OSError(5, os.strerror(5))


def test_a_full_disk_is_a_config_error() -> None:
    """/dev/full is a real device that has no space for anything."""
    with pytest.raises(ConfigError, match="space"), folder_errors(Path("/dev/full")):
        Path("/dev/full").write_bytes(b"data")


def test_of_many_creators_one_wins(store: FolderStore) -> None:
    for round_ in range(3):
        said = run_together("create", store, 8)
        assert sorted(said) == ["False"] * 7 + ["True"], f"round {round_}"
        assert store.read("one/key") == str(said.index("True")).encode() * 100_000
        (store.root / "one" / "key").unlink()
    assert leftovers(store) == set()


def test_no_update_is_lost(store: FolderStore) -> None:
    store.create("counter", b"0")
    run_together("update", store, 8)
    assert store.read("counter") == b"200"
    assert leftovers(store) == set()


def test_a_killed_writer_leaves_no_partial_object(store: FolderStore) -> None:
    for round_ in range(6):
        process = start("flood", store, str(round_))
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        time.sleep(0.003 * round_)
        process.kill()
        acknowledged = process.communicate()[0].split()
        keys = list(store.list(f"{round_}/"))
        assert set(acknowledged) <= set(keys)
        for key in keys:
            assert store.read(key) == key.encode().ljust(16, b".") * 187_500


def test_an_object_that_is_put_again_is_whole_at_any_time(store: FolderStore, tmp_path: Path) -> None:
    """A pod that was thought lost puts the files of a product that another one has committed, and is killed."""
    data = bytes(range(256)) * 40_000
    (tmp_path / "file").write_bytes(data)
    store.put_file("put/again", tmp_path / "file")
    process = start("put", store, str(tmp_path / "file"))
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "put\n"
    for _ in range(50):
        assert store.read("put/again") == data
    process.kill()
    process.communicate()
    assert store.read("put/again") == data


@pytest.mark.parametrize("write", ["create", "update", "put_file"])
def test_bytes_are_on_the_disk_before_their_name_and_the_name_before_the_answer(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    """What a power cut would show, seen in what the kernel is asked to sync, and when."""
    key, target = "a/b/key", store.root / "a/b/key"
    (tmp_path / "file").write_bytes(b"new")
    etag = ""
    if write == "update":
        store.create(key, b"old")
        stored = store.find(key)
        assert stored is not None
        etag = stored.etag
    synced: list[tuple[Path, bool]] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        there = target.is_file() and target.read_bytes() == b"new"
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), there))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    if write == "create":
        assert store.create(key, b"new")
    elif write == "update":
        assert store.update(key, b"new", etag)
    else:
        store.put_file(key, tmp_path / "file")
    (first, there), *names = synced
    assert first.parent == store.root / TEMPORARY
    assert not there
    assert names == [(target.parent, True), (target.parent.parent, True), (store.root, True)]


def test_what_lies_behind_a_link_is_not_the_stores(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "store"
    outside.mkdir()
    (outside / "embeddings.tif").write_bytes(b"mine")
    store = open_folder(str(root))
    store.create("a/b.json", b"{}")
    (root / "a" / "link").symlink_to(outside)
    (root / "loop").symlink_to(root)
    assert list(store.list()) == ["a/b.json"]
    for use in (store.read, store.find, store.delete, store.stat, store.exists):
        with pytest.raises(DataError, match="lies behind a link"):
            use("a/link/embeddings.tif")
    with pytest.raises(DataError, match="lies behind a link"):
        store.create("a/link/new.json", b"{}")
    assert [path.name for path in outside.iterdir()] == ["embeddings.tif"]


def test_a_link_to_a_store_is_that_store(tmp_path: Path) -> None:
    open_folder(str(tmp_path / "store")).create("a", b"1")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    assert open_folder(str(tmp_path / "link")).read("a") == b"1"

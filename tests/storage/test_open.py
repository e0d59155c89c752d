"""Opening a store."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from betaearth.errors import ConfigError
from betaearth.storage.folder import FolderStore
from betaearth.storage.open import existing_store, open_store


def test_a_folder_is_made_and_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        open_store(str(tmp_path / "new" / "store"), make=False)
    store = open_store(str(tmp_path / "new" / "store"))
    assert open_store(store.uri, make=False) == store
    assert isinstance(store, FolderStore)
    assert store.root == tmp_path / "new" / "store"
    assert list(store.list()) == []
    assert store.create("key", b"1")


def test_path_and_uri_open_the_same_store(tmp_path: Path) -> None:
    root = tmp_path / "a b#ü"
    store = open_store(str(root))
    store.create("key", b"1")
    assert store.uri == root.as_uri()
    assert open_store(store.uri) == store
    assert open_store(f"file://localhost{root.as_uri()[7:]}").read("key") == b"1"


def test_a_relative_path_is_kept_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("store")
    monkeypatch.chdir("/")
    assert isinstance(store, FolderStore)
    assert store.root == tmp_path / "store"
    assert store.create("key", b"1")


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="not a folder"):
            open_store(str(path))


@pytest.mark.parametrize("uri", ["gs://bucket", "https://host/store"])
def test_other_kinds_are_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="give a path, file:///path or s3://bucket/prefix"):
        open_store(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "https://host/store?sig=SECRET",
        "gs://u:SECRET@bucket",
        "https:/host/store?sig=SECRET",
        "s3://u:SECRET@bucket",
        "file://u:SECRET@host/store",
    ],
)
def test_what_is_refused_is_named_without_its_secrets(uri: str) -> None:
    for opened in (open_store, existing_store):
        with pytest.raises(ConfigError) as refused:
            opened(uri)
        assert "SECRET" not in str(refused.value)


def test_what_no_path_can_be_is_a_matter_of_set_up() -> None:
    for opened in (open_store, existing_store, partial(open_store, make=False)):
        with pytest.raises(ConfigError, match=r"x+ is (no path|not a folder that can be written)"):
            opened("x" * 300)


@pytest.mark.parametrize("uri", ["", "file://otherhost/store", "file://"])
def test_what_names_no_path_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"write file:///folder|give a path"):
        open_store(uri)


def test_a_folder_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a folder"):
        open_store("/proc/betaearth")


OPEN_AS_ANYBODY = """
import os, sys
from betaearth.errors import ConfigError
from betaearth.storage.folder import FolderStore
from betaearth.storage.open import existing_store, local_path, open_store
if os.geteuid() == 0:
    os.setuid(65534)
try:
    open_store(sys.argv[1])
except ConfigError as error:
    print(error)
"""


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.mkdir(mode=0o555)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", OPEN_AS_ANYBODY, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "is not a folder that can be written" in done.stdout


def test_reading_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        existing_store(str(tmp_path / "typo"))
    assert list(existing_store(str(tmp_path / "new"), absent_is_empty=True).list()) == []
    (tmp_path / "file").write_text("x")
    for absent_is_empty in (False, True):
        with pytest.raises(ConfigError, match="no store"):
            existing_store(str(tmp_path / "file"), absent_is_empty=absent_is_empty)
    store = open_store(str(tmp_path / "store"))
    store.create("key", b"data")
    assert existing_store(str(tmp_path / "store")).read("key") == b"data"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "store"]


def test_what_killed_writers_left_goes_after_a_day(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    folder = tmp_path / ".tmp"
    (folder / "scratch").mkdir()
    old = [folder / "scratch" / "probe", folder / "0123", folder / "scratch", folder / "update.lock"]
    for path in (old[0], old[1], old[3], folder / "4567"):
        path.write_bytes(b"half")
    (tmp_path / "outside").write_bytes(b"kept")
    (folder / "link").symlink_to(tmp_path / "outside")
    a_day = time.time() - 25 * 3600
    for path in (*old, folder / "link", tmp_path / "outside"):
        os.utime(path, (a_day, a_day), follow_symlinks=False)
    open_store(store.uri)
    assert sorted(path.name for path in folder.iterdir()) == ["4567", "update.lock"]
    assert (tmp_path / "outside").read_bytes() == b"kept"
    assert store.create("key", b"1")


@pytest.mark.parametrize(("uri", "meant"), [("s3:/bucket/x", "s3://bucket/x"), ("file:/x", "file://x")])
def test_a_lost_slash_is_noticed(uri: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"lacks a slash: write {meant}"):
        existing_store(uri)

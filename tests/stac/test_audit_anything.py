"""The audit of stores that anything may have happened to, in a folder and on S3."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betaearth.stac.audit import audit
from betaearth.stac.audit_findings import Kind
from betaearth.stac.publish import publish
from betaearth.storage.folder import FolderStore
from betaearth.storage.open import open_store
from betaearth.storage.store import Store
from tests.stac.conftest import CREATED, build_manifest, commit, contents_of
from tests.stac.damage import COLLECTION, LEAF, Scene, kinds

NONE = timedelta(0)
KEYS = 36


@pytest.fixture(scope="module")
def origin() -> Iterator[Scene]:
    """A published store that is only copied."""
    with tempfile.TemporaryDirectory() as folder:
        yield scene_in(FolderStore(Path(folder)))


def scene_in(store: FolderStore) -> Scene:
    def add(cell: str, year: int = 2024, **details: object) -> str:
        contents = contents_of(cell, year, str(details.get("note", "")))
        return commit(store, build_manifest(cell, year, files=contents, **details), contents)  # type: ignore[arg-type]

    return Scene(store, add, lambda minutes: CREATED + timedelta(minutes=minutes))


@settings(max_examples=25, deadline=None)
@given(
    damage=st.dictionaries(
        st.integers(0, KEYS - 1), st.sampled_from(["delete", "flip", "cut", "empty"]), min_size=1, max_size=KEYS
    )
)
def test_whatever_is_damaged_is_repaired_or_told_of(origin: Scene, damage: dict[int, str]) -> None:
    keys = list(origin.store.list())
    assert len(keys) == KEYS
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        shutil.copytree(origin.store.root, root)
        scene = Scene.__new__(Scene)
        scene.store = FolderStore(root)
        for index, what in damage.items():
            spoil(scene, keys[index], what)
        audit(scene.store)
        report = audit(scene.store, repair=True)
        remaining = {(found.kind, found.key) for found in report.faults if not found.repaired}
        again = audit(scene.store, repair=True)
        assert {(found.kind, found.key) for found in again.faults} == remaining
        bad = {key for kind, key in remaining if kind is Kind.BAD_MANIFEST}
        spoilt = {keys[index] for index, what in damage.items() if what != "delete"}
        assert bad == {key for key in spoilt if key.endswith(".manifest.json")}
        if not bad:
            assert report.clean
            publish(scene.store)
            assert audit(scene.store).clean


def spoil(scene: Scene, key: str, what: str) -> None:
    data = scene.store.read(key)
    if what == "delete":
        scene.delete(key)
    elif what == "flip":
        scene.flip(key)
    else:
        scene.write(key, data[: len(data) // 2] if what == "cut" else b"")


@pytest.fixture
def bucket(origin: Scene, s3_bucket: str) -> Store:
    """The published store in a bucket."""
    store = open_store(f"{s3_bucket}/store")
    for key in origin.store.list():
        if key.endswith((".tif", ".png")):
            store.put_file(key, Path(origin.store.href(key)))
        else:
            store.create(key, origin.store.read(key))
    return store


def replaced(store: Store, key: str, change: Callable[[bytes], bytes]) -> None:
    stored = store.find(key)
    assert stored
    assert store.update(key, change(stored.data), stored.etag)


def test_a_bucket(origin: Scene, bucket: Store) -> None:
    assert audit(bucket, deep=True, grace=NONE).findings == ()
    half = f"{COLLECTION}/2024/r05-c0b/r059-c0be/440u_1046r/0123456789ab/embeddings.tif"
    damaged, item = origin.file(origin.other), origin.item(origin.newer)
    bucket.create(half, b"half")
    bucket.delete(item)
    bucket.delete(f"{COLLECTION}/2024/catalog.json")
    replaced(bucket, LEAF, lambda data: data[:100])
    replaced(bucket, damaged, lambda data: data[:-1] + b"!")
    bucket.create("mine.txt", b"mine")
    assert audit(bucket).under_way > 0
    found = kinds(audit(bucket, deep=True, grace=NONE))
    assert {
        ("half-product", half),
        ("missing-item", item),
        ("missing-document", f"{COLLECTION}/2024/catalog.json"),
        ("broken-document", LEAF),
        ("wrong-digest", damaged),
    } <= found
    assert audit(bucket, deep=True, grace=NONE, repair=True).clean
    assert bucket.read("mine.txt") == b"mine"
    assert not bucket.exists(half)
    # What was withdrawn without a grace is gone at once.
    assert kinds(audit(bucket, deep=True, grace=NONE, repair=True)) <= {
        ("half-product", record.key) for record in origin.manifest(origin.other).files.values()
    }
    assert kinds(audit(bucket, deep=True, grace=NONE)) == set()
    assert publish(bucket).skipped == {}
    assert audit(bucket, grace=NONE).clean

"""The audit of stores that anything may have happened to, in a folder and on S3."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from betaearth.stac.audit import audit
from betaearth.stac.audit_findings import Kind
from betaearth.stac.publish import publish
from betaearth.storage.open import open_store
from betaearth.storage.store import Store
from tests.stac.damage import COLLECTION, DOCUMENT, LEAF, Scene, kinds

NONE = timedelta(0)
KEYS = 36


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A published store that is only copied."""
    return Scene(tmp_path_factory.mktemp("origin"))


@settings(max_examples=12, deadline=None)
@given(
    damage=st.dictionaries(
        st.integers(0, KEYS - 1), st.sampled_from(["delete", "flip", "cut", "empty"]), min_size=1, max_size=KEYS
    )
)
@example(damage={10: "flip", 11: "delete", 12: "delete", 26: "delete"})  # one manifest lost, another unreadable
@example(damage={10: "flip", 12: "delete", 20: "delete", 27: "delete"})  # nothing left to make the Collection of
def test_whatever_is_damaged_is_repaired_or_told_of(origin: Scene, damage: dict[int, str]) -> None:
    keys = list(origin.store.list())
    assert len(keys) == KEYS
    with tempfile.TemporaryDirectory() as folder:
        scene = origin.copied(Path(folder) / "store")
        for index, what in damage.items():
            spoil(scene, keys[index], what)
        audit(scene.store)
        report = audit(scene.store, repair=True)
        remaining = {(found.kind, found.key) for found in report.faults if not found.repaired}
        assert not [found for found in report.faults if found.repairable and not found.repaired]
        bad = {key for kind, key in remaining if kind is Kind.BAD_MANIFEST}
        spoilt = {keys[index] for index, what in damage.items() if what != "delete"}
        assert bad == {key for key in spoilt if key.endswith(".manifest.json")}
        again = audit(scene.store, repair=True)
        assert {(found.kind, found.key) for found in again.faults if not found.repaired} == remaining
        if not bad:
            assert not [found for found in again.faults if found.repaired]
        if not remaining:
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


def test_audits_and_publishers_at_once_do_no_harm(origin: Scene, tmp_path: Path) -> None:
    scene = origin.copied(tmp_path / "store")
    for number in range(436, 440):
        scene.add(f"{number}U_1046R")
    scene.delete(scene.item(scene.other), scene.part)
    scene.flip(LEAF)
    scene.flip(scene.file(scene.newer))
    scene.edit(DOCUMENT, lambda document: document["links"].clear())
    work = [partial(audit, scene.store, repair=True)] * 3
    with ThreadPoolExecutor(len(work)) as pool:
        for under_way in [pool.submit(each) for each in work]:
            under_way.result()
    with ThreadPoolExecutor(3) as pool:
        published = pool.submit(publish, scene.store)
        audited = [pool.submit(each) for each in work[:2]]
        assert published.result().skipped == {}
        assert [each.result().tile_years for each in audited] == [8, 8]
    publish(scene.store)
    assert {finding.kind for finding in audit(scene.store).faults} == set()
    assert kinds(audit(scene.store, deep=True, grace=NONE)) <= {
        ("half-product", record.key) for record in origin.manifest(origin.newer).files.values()
    }
    assert audit(scene.store).items == 7


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
    report = audit(bucket, deep=True, grace=NONE, repair=True)
    assert [found for found in report.faults if not found.repaired] == []
    assert bucket.read("mine.txt") == b"mine"
    assert not bucket.exists(half)
    # What was withdrawn without a grace is gone at once.
    assert kinds(audit(bucket, deep=True, grace=NONE, repair=True)) <= {
        ("half-product", record.key) for record in origin.manifest(origin.other).files.values()
    }
    assert kinds(audit(bucket, deep=True, grace=NONE)) == set()
    assert publish(bucket).skipped == {}
    assert audit(bucket, grace=NONE).clean

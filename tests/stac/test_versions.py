from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.products.manifest import Manifest
from betaearth.stac.validation import Validator
from betaearth.stac.versions import LARGEST_MANIFEST, manifest_keys, read_manifest, read_versions
from betaearth.storage.folder import FolderStore

Add = Callable[..., str]
Later = Callable[[int], datetime]
KeyOf = Callable[[Manifest], str]

ITEM = "betaearth-robust-v1_433u_1046r_2024"


def prefix_of(key: str) -> str:
    return key.rsplit("/", 1)[0]


def stem_of(key: str) -> str:
    return key.rsplit("/", 1)[1].removesuffix(".manifest.json")


def test_three_versions_and_the_links_between_them(store: FolderStore, add: Add, later: Later) -> None:
    keys = [add(note=note, created=later(minute)) for minute, note in enumerate(["old", "newer", "newest"])]
    empty = add(note="empty", outcome="empty", created=later(9))
    prefix = prefix_of(keys[0])
    versions = read_versions(store, manifest_keys(store, prefix), prefix)
    assert [stored.key for stored in versions.products] == keys
    assert versions.stems == tuple(sorted(map(stem_of, [*keys, empty])))
    assert versions.current
    assert versions.current.key == keys[2]
    items = {key.rsplit("/", 1)[1]: json.loads(data) for key, data in versions.items.items()}
    names = [f"{ITEM}_{stem_of(keys[0])}.json", f"{ITEM}_{stem_of(keys[1])}.json", f"{ITEM}.json"]
    assert list(items) == names
    relations = {
        name: {link["rel"]: link["href"] for link in item["links"] if "version" in link["rel"]}
        for name, item in items.items()
    }
    assert relations == {
        names[0]: {"successor-version": f"./{names[1]}", "latest-version": f"./{names[2]}"},
        names[1]: {
            "predecessor-version": f"./{names[0]}",
            "successor-version": f"./{names[2]}",
            "latest-version": f"./{names[2]}",
        },
        names[2]: {"predecessor-version": f"./{names[1]}"},
    }
    assert [item["properties"].get("deprecated") for item in items.values()] == [True, True, None]
    assert [item["id"] for item in items.values()] == [name.removesuffix(".json") for name in names]
    hrefs = [item["assets"]["provenance"]["href"] for item in items.values()]
    assert hrefs == [f"./{key.rsplit('/', 1)[1]}" for key in keys]
    for item in items.values():
        assert not Validator().violations(item)


def test_empty_manifests_tell_the_newest_reason(store: FolderStore, add: Add, later: Later) -> None:
    keys = [add(note=str(minute), outcome="empty", created=later(minute)) for minute in range(2)]
    versions = read_versions(store, keys, prefix_of(keys[0]))
    assert versions.current is None
    assert versions.items == {}
    assert versions.reason == "no scene"


@pytest.fixture
def put(store: FolderStore, manifest_key_of: KeyOf) -> Callable[..., str]:
    """Store a manifest as if it were the one that its digests say."""

    def put_manifest(manifest: Manifest, **changes: Any) -> str:
        changed = manifest.model_copy(update=changes)
        key = manifest_key_of(manifest)
        store.create(key, changed.to_bytes())
        return key

    return put_manifest


HOSTILE = [
    "../../../../../../etc/passwd",
    "/etc/passwd",
    "s3://elsewhere/embeddings.tif",
    "https://example.org/embeddings.tif",
    "betaearth-robust-v1/2024/r05-c0b/r059-c0be/434u_1046r/0123456789ab/embeddings.tif",
    "embeddings.tif",
    "",
    "ünïcode/embeddings.tif",
]


@pytest.mark.parametrize("key", HOSTILE)
def test_files_anywhere_but_in_the_products_folder_are_refused(
    store: FolderStore, make_manifest: Callable[..., Manifest], put: Callable[..., str], key: str
) -> None:
    manifest = make_manifest()
    record = manifest.files["embeddings.tif"]
    stored = put(manifest, files=manifest.files | {"embeddings.tif": record.model_copy(update={"key": key})})
    with pytest.raises(DataError, match=r"places embeddings\.tif at"):
        read_manifest(store, stored)


def test_files_of_other_names_are_refused(
    store: FolderStore, make_manifest: Callable[..., Manifest], put: Callable[..., str]
) -> None:
    manifest = make_manifest()
    stored = put(manifest, files=manifest.files | {"../../x": manifest.files["quality.tif"]})
    with pytest.raises(DataError, match="names the files"):
        read_manifest(store, stored)


def test_a_product_in_another_blocks_folder_is_refused(
    store: FolderStore, make_manifest: Callable[..., Manifest], manifest_key_of: KeyOf
) -> None:
    """With all keys rewritten: it would have an Item of the same id in two catalogs."""
    manifest = make_manifest()
    key = manifest_key_of(manifest)
    moved = key.replace("/r059-c0be/", "/r058-c0be/")
    assert moved != key
    files = {
        name: record.model_copy(update={"key": record.key.replace("/r059-c0be/", "/r058-c0be/")})
        for name, record in manifest.files.items()
    }
    store.create(moved, manifest.model_copy(update={"files": files}).to_bytes())
    with pytest.raises(DataError, match=r"belongs into .*r059-c0be"):
        read_manifest(store, moved)


def test_an_empty_tile_year_has_no_files(
    store: FolderStore, make_manifest: Callable[..., Manifest], put: Callable[..., str]
) -> None:
    stored = put(make_manifest(outcome="empty"), files=make_manifest().files)
    with pytest.raises(DataError, match="says that there is no product"):
        read_manifest(store, stored)


def test_a_huge_object_is_not_read(
    store: FolderStore, make_manifest: Callable[..., Manifest], manifest_key_of: KeyOf
) -> None:
    key = manifest_key_of(make_manifest())
    store.create(key, b" " * (LARGEST_MANIFEST + 1))
    with pytest.raises(DataError, match=key):
        read_manifest(store, key)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_a_field_is_taken_whole_or_refused_by_name(
    store: FolderStore, make_manifest: Callable[..., Manifest], manifest_key_of: KeyOf, data: st.DataObject
) -> None:
    """Any JSON in any field: the manifest is what its key and its own digests say, or there is a DataError."""
    manifest = make_manifest()
    key = manifest_key_of(manifest)
    document = json.loads(manifest.to_bytes())
    field = data.draw(st.sampled_from(sorted(document)))
    document[field] = data.draw(json_values)
    stored = store.find(key)
    encoded = json.dumps(document).encode()
    assert store.update(key, encoded, stored.etag) if stored else store.create(key, encoded)
    try:
        read = read_manifest(store, key).manifest
    except DataError:
        return
    assert read.item_id == ITEM
    assert {record.key.rsplit("/", 2)[0] for record in read.files.values()} <= {prefix_of(key)}

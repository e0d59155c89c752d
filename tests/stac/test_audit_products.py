from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from betaearth.products.manifest import Manifest
from betaearth.products.product import RenderedFile, RenderedProduct, commit_product
from betaearth.stac.audit import audit
from betaearth.stac.audit_findings import Kind
from betaearth.stac.publish import publish
from tests.stac.damage import BLOCK, LEAF, Scene, kinds, links_of

Damage = Callable[[Scene], None]
Make = Callable[..., Manifest]
FILES = ("embeddings.tif", "preview.png", "quality.tif")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A published store that is only copied."""
    return Scene(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def scene(origin: Scene, tmp_path: Path) -> Scene:
    return origin.copied(tmp_path / "store")


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda s: s.delete(s.file(s.newer)), "missing-file"),
        (lambda s: s.write(s.file(s.newer), b"short"), "wrong-size"),
        (lambda s: s.flip(s.file(s.newer)), "wrong-digest"),
    ],
    ids=["missing", "size", "digest"],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_damaged_product_gives_way_to_the_one_before(scene: Scene, spoil: Damage, kind: str, deep: bool) -> None:
    damaged, manifest, data = scene.file(scene.newer), scene.manifest(scene.newer), scene.store.read(scene.newer)
    item, version = scene.item(scene.newer), scene.version(scene.older)
    spoil(scene)
    before = scene.snapshot()
    assert kinds(audit(scene.store, deep=deep)) == {(kind, damaged)}
    assert scene.snapshot() == before
    report = audit(scene.store, deep=deep, repair=True)
    assert report.clean
    assert (kind, damaged) in kinds(report)
    assert not scene.store.exists(scene.newer)
    assert not scene.store.exists(damaged)
    assert not scene.store.exists(version)
    current = json.loads(scene.store.read(item))
    assert current["assets"]["provenance"]["href"] == "./" + scene.older.rpartition("/")[2]
    assert not links_of(current, "predecessor-version")
    (kept,) = [finding for finding in audit(scene.store).findings if finding.kind is Kind.WITHDRAWN]
    assert scene.store.read(kept.key) == data
    # The other files of the product are left for a grace.
    rest = {record.key for record in manifest.files.values()} - {damaged}
    assert all(scene.store.exists(key) for key in rest)
    assert audit(scene.store).under_way == 1
    scene.age()
    assert kinds(audit(scene.store)) == {("half-product", key) for key in rest}
    assert audit(scene.store, repair=True).clean
    assert not [key for key in rest if scene.store.exists(key)]
    assert {finding.kind for finding in audit(scene.store).findings} == {Kind.WITHDRAWN}


def test_a_withdrawn_product_can_be_made_again(scene: Scene) -> None:
    manifest, data = scene.manifest(scene.other), scene.store.read(scene.other)
    contents = {name: scene.store.read(record.key) for name, record in manifest.files.items()}
    scene.flip(scene.file(scene.other))
    item = scene.item(scene.other)
    assert audit(scene.store, repair=True).clean
    assert not scene.store.exists(item)
    assert item.rpartition("/")[2] not in scene.store.read(LEAF).decode()
    for name, record in manifest.files.items():
        scene.store.create(record.key, contents[name])
    assert scene.store.create(scene.other, data)
    publish(scene.store)
    assert scene.store.exists(item)
    scene.age()
    assert audit(scene.store, deep=True).clean


def test_a_superseded_product_may_be_damaged_too(scene: Scene) -> None:
    version = scene.version(scene.older)
    scene.flip(scene.file(scene.older))
    assert kinds(audit(scene.store)) == {("wrong-digest", scene.file(scene.older))}
    assert audit(scene.store, repair=True).clean
    assert not scene.store.exists(version)
    current = json.loads(scene.store.read(scene.item(scene.newer)))
    assert not links_of(current, "predecessor-version")


def test_the_loser_of_two_pods_is_found(scene: Scene, make_manifest: Make, tmp_path: Path) -> None:
    """Two pods make the same tile-year from the same scenes, with different bytes."""
    manifests = []
    for pod in ("one", "two"):
        contents = {name: f"{name} by {pod}".encode() for name in FILES}
        made = make_manifest("437U_1046R", files=contents)
        files = {}
        for name, data in contents.items():
            (tmp_path / pod).mkdir(exist_ok=True)
            path = tmp_path / pod / name
            path.write_bytes(data)
            record = made.files[name]
            files[name] = RenderedFile(path, record.size, record.sha256)
        assert made.statistics
        rendered = RenderedProduct(files, -128.0, made.statistics)
        manifests.append((made, rendered))
    (winner, first), (loser, second) = manifests
    key = f"{BLOCK}/437u_1046r/{winner.request_digest[:12]}-{winner.sources_digest[:8]}.manifest.json"
    assert commit_product(scene.store, winner, first, key) == winner
    # The second pod looked before the first had written its manifest.
    for name, file in second.files.items():
        scene.store.put_file(loser.files[name].key, file.path)
    assert commit_product(scene.store, loser, second, key) == winner
    publish(scene.store)
    assert audit(scene.store).under_way >= 1
    scene.age()
    lost = {("orphan-file", record.key) for record in loser.files.values()}
    assert kinds(audit(scene.store)) == lost
    before = scene.snapshot()
    assert audit(scene.store, repair=True).clean
    after = scene.snapshot()
    assert {key for key in before.keys() - after.keys() if "/coverage/" not in key} == {key for _, key in lost}
    assert all(before[key] == data for key, data in after.items())


@pytest.mark.parametrize("lost", [("embeddings.tif",), ("embeddings.tif", "preview.png")])
def test_half_a_product_without_manifest(scene: Scene, lost: tuple[str, ...]) -> None:
    manifest = scene.manifest(scene.far)
    item = scene.item(scene.far)
    scene.delete(scene.far, *(manifest.files[name].key for name in lost))
    left = {record.key for name, record in manifest.files.items() if name not in lost}
    report = audit(scene.store)
    assert {("half-product", key) for key in left} | {("orphan-item", item)} <= kinds(report)
    report = audit(scene.store, repair=True)
    assert report.clean
    assert not [key for key in left if scene.store.exists(key)]
    assert kinds(audit(scene.store)) == set()

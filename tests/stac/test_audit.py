from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from betaearth.products.keys import product_prefix
from betaearth.products.manifest import Manifest
from betaearth.products.product import RenderedFile, RenderedProduct, commit_product
from betaearth.products.runs import ShardEntry, shard_bytes, shard_key
from betaearth.stac.audit import audit
from betaearth.stac.audit_findings import REMARKS, AuditReport, Finding, Kind
from betaearth.stac.document import to_bytes
from betaearth.stac.mirror_listing import PartReader, parts_of
from betaearth.stac.mirror_parts import part_bytes
from betaearth.stac.publish import publish
from betaearth.storage.folder import FolderStore

Add = Callable[..., str]
Later = Callable[[int], datetime]
Make = Callable[..., Manifest]
Damage = Callable[["Scene"], None]

COLLECTION = "betaearth-robust-v1"
DOCUMENT = f"{COLLECTION}/collection.json"
BLOCK = f"{COLLECTION}/2024/r05-c0b/r059-c0be"
LEAF = f"{BLOCK}/catalog.json"
OLD = timedelta(days=3)
FILES = ("embeddings.tif", "preview.png", "quality.tif")


class Scene:
    """A published store of four tile-years in two years, one of them made twice and one empty, all of it old."""

    def __init__(self, store: FolderStore, add: Add, later: Later) -> None:
        self.store, self.add = store, add
        self.older = add("433U_1046R", note="old")
        self.newer = add("433U_1046R", note="new", created=later(1))
        self.other = add("434U_1046R")
        self.empty = add("435U_1046R", outcome="empty")
        self.far = add("433U_1046R", 2023)
        store.create(shard_key("run", 0), shard_bytes([ShardEntry(cell="1U_1R", year=2022, prefix=BLOCK + "/1u_1r")]))
        publish(store)
        self.age()

    def age(self, *keys: str) -> None:
        """Make objects, or all, older than the grace."""
        for key in keys or list(self.store.list()):
            path = Path(self.store.href(key))
            moment = path.stat().st_mtime - OLD.total_seconds()
            os.utime(path, (moment, moment))

    def snapshot(self) -> dict[str, bytes]:
        return {key: self.store.read(key) for key in self.store.list()}

    def manifest(self, key: str) -> Manifest:
        return Manifest.from_bytes(self.store.read(key), where=key)

    def file(self, manifest_key: str, name: str = "embeddings.tif") -> str:
        return self.manifest(manifest_key).files[name].key

    def item(self, manifest_key: str) -> str:
        """Key of the current Item of a manifest's tile-year."""
        return f"{manifest_key.rpartition('/')[0]}/{self.manifest(manifest_key).item_id}.json"

    def version(self, manifest_key: str) -> str:
        """Key of the Item of a superseded product."""
        stem = manifest_key.rpartition("/")[2].partition(".")[0]
        return self.item(manifest_key).replace(".json", f"_{stem}.json")

    def delete(self, *keys: str) -> None:
        for key in keys:
            assert self.store.delete(key)

    def write(self, key: str, data: bytes) -> None:
        path = Path(self.store.href(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.age(key)

    def flip(self, key: str) -> None:
        data = bytearray(self.store.read(key))
        data[len(data) // 2] ^= 0x80
        self.write(key, bytes(data))

    def edit(self, key: str, change: Callable[[dict[str, Any]], object]) -> None:
        document = json.loads(self.store.read(key))
        change(document)
        self.write(key, to_bytes(document))

    def parts(self) -> dict[str, str]:
        """Parts of 2024 that are listed: object key to asset key."""
        assets = json.loads(self.store.read(DOCUMENT))["assets"]
        return {part.key(COLLECTION): name for name, part in parts_of(assets, 2024).items()}

    @property
    def part(self) -> str:
        (key,) = self.parts()
        return key

    def coverage(self, name: str) -> str:
        (key,) = [key for key in self.store.list(f"{COLLECTION}/coverage/year=2024/") if name in key]
        return key

    def relist(self, change: Callable[[list[dict[str, Any]]], list[list[dict[str, Any]]]]) -> None:
        """Make the mirror of 2024 consist of other parts: from its Items to the Items of each part."""
        document = json.loads(self.store.read(DOCUMENT))
        (part,) = parts_of(document["assets"], 2024).values()
        items = PartReader(COLLECTION, self.store.read).items(part)
        old = document["assets"].pop(part.asset)
        for rows in change(items):
            from betaearth.stac.mirror_listing import NewPart, part_key

            made = NewPart(2024, part_bytes(rows), len(rows))
            key, asset = made.listed(document["assets"])
            document["assets"][key] = asset
            self.write(part_key(COLLECTION, 2024, made.sha256), made.data)
        assert old
        self.write(DOCUMENT, to_bytes(document))


@pytest.fixture
def scene(store: FolderStore, add: Add, later: Later) -> Scene:
    return Scene(store, add, later)


def kinds(report: AuditReport) -> set[tuple[str, str]]:
    """Kind and key of everything that is more than a remark."""
    return {(finding.kind.value, finding.key) for finding in report.findings if finding.kind not in REMARKS}


def links_of(document: dict[str, Any], rel: str) -> list[dict[str, Any]]:
    return [link for link in document["links"] if link["rel"] == rel]


def unlink(*rels: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["links"] = [link for link in document["links"] if link["rel"] not in rels]

    return change


def dangle(rel: str, href: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["links"].append({"rel": rel, "href": href, "title": "nowhere"})


def test_a_published_store_is_clean(scene: Scene) -> None:
    before = scene.snapshot()
    for report in (audit(scene.store), audit(scene.store, deep=True, repair=True, grace=timedelta(0))):
        assert report.findings == ()
        assert report.clean
        assert (report.tile_years, report.items, report.under_way) == (4, 3, 0)
        assert report.objects == len(before)
    assert scene.snapshot() == before


def test_an_empty_store_is_clean(store: FolderStore) -> None:
    assert audit(store, repair=True) == AuditReport((), objects=0, tile_years=0, items=0, under_way=0, deep=False)
    assert list(store.list()) == []


def test_what_was_never_published_is_found_and_published(store: FolderStore, add: Add) -> None:
    keys = [add("433U_1046R"), add("434U_1046R", 2023)]
    assert audit(store).under_way == 2
    report = audit(store, grace=timedelta(0))
    assert kinds(report) == {("unpublished", key) for key in keys}
    assert audit(store, grace=timedelta(0), repair=True).clean
    assert audit(store, grace=timedelta(0)).findings == ()


# Each damage is done to a scene; what is found, kind and key; all of it is repaired, to what was there before.
DERIVABLE: dict[str, tuple[Damage, Callable[[Scene], set[tuple[str, str]]]]] = {
    "current Item": (lambda s: s.delete(s.item(s.newer)), lambda s: {("missing-item", s.item(s.newer))}),
    "superseded Item": (lambda s: s.delete(s.version(s.older)), lambda s: {("missing-item", s.version(s.older))}),
    "byte of an Item": (lambda s: s.flip(s.item(s.other)), lambda s: {("stale-item", s.item(s.other))}),
    "title of an Item": (
        lambda s: s.edit(s.item(s.other), lambda item: item["properties"].update(title="Other")),
        lambda s: {("stale-item", s.item(s.other))},
    ),
    "orphan Item": (
        lambda s: s.write(f"{BLOCK}/436u_1046r/{COLLECTION}_436u_1046r_2024.json", s.store.read(s.item(s.other))),
        lambda s: {("orphan-item", f"{BLOCK}/436u_1046r/{COLLECTION}_436u_1046r_2024.json")},
    ),
    "orphan version": (
        lambda s: s.write(s.version(s.other), s.store.read(s.item(s.other))),
        lambda s: {("orphan-item", s.version(s.other))},
    ),
    "Item unlinked": (
        lambda s: s.edit(LEAF, unlink("item")),
        lambda s: {("unlinked-item", s.item(s.newer)), ("unlinked-item", s.item(s.other))},
    ),
    "dangling link": (
        lambda s: s.edit(LEAF, dangle("item", f"./440u_1046r/{COLLECTION}_440u_1046r_2024.json")),
        lambda s: {("dangling-link", f"{BLOCK}/440u_1046r/{COLLECTION}_440u_1046r_2024.json")},
    ),
    "stray link": (lambda s: s.edit(LEAF, dangle("item", "../../x.json")), lambda s: {("dangling-link", LEAF)}),
    "checksum in a link": (
        lambda s: s.edit(LEAF, lambda leaf: links_of(leaf, "item")[0].update({"file:checksum": "1220" + "0" * 64})),
        lambda s: {("wrong-link", s.item(s.newer))},
    ),
    "marks in a link": (
        lambda s: s.edit(LEAF, lambda leaf: links_of(leaf, "item")[0]["betaearth:manifests"].pop()),
        lambda s: {("wrong-link", s.item(s.newer))},
    ),
    "title of a leaf": (lambda s: s.edit(LEAF, lambda leaf: leaf.update(title="x")), lambda s: {("stale-document", LEAF)}),
    "leaf": (lambda s: s.delete(LEAF), lambda s: {("missing-document", LEAF), ("unpublished", s.empty)}),
    "half a leaf": (
        lambda s: s.write(LEAF, s.store.read(LEAF)[:200]),
        lambda s: {("broken-document", LEAF), ("unpublished", s.empty)},
    ),
    "super-block": (
        lambda s: s.delete(f"{COLLECTION}/2024/r05-c0b/catalog.json"),
        lambda s: {("missing-document", f"{COLLECTION}/2024/r05-c0b/catalog.json")},
    ),
    "link to a block": (
        lambda s: s.edit(f"{COLLECTION}/2024/r05-c0b/catalog.json", unlink("child")),
        lambda s: {("unlinked-catalog", LEAF)},
    ),
    "link to no block": (
        lambda s: s.edit(f"{COLLECTION}/2024/r05-c0b/catalog.json", dangle("child", "./r059-c000/catalog.json")),
        lambda s: dangling(f"{COLLECTION}/2024/r05-c0b/r059-c000/catalog.json"),
    ),
    "year": (
        lambda s: s.delete(f"{COLLECTION}/2024/catalog.json"),
        lambda s: {("missing-document", f"{COLLECTION}/2024/catalog.json")},
    ),
    "half a year": (
        lambda s: s.write(f"{COLLECTION}/2024/catalog.json", b'{"type": "Cata'),
        lambda s: {("broken-document", f"{COLLECTION}/2024/catalog.json")},
    ),
    "collection": (
        lambda s: s.delete(DOCUMENT), lambda s: {("missing-document", DOCUMENT)}
    ),
    "half a collection": (
        lambda s: s.write(DOCUMENT, s.store.read(DOCUMENT)[:99]), lambda s: {("broken-document", DOCUMENT)}
    ),
    "invalid collection": (
        lambda s: s.edit(DOCUMENT, lambda document: document.update(license=7)),
        lambda s: {("broken-document", DOCUMENT)},
    ),
    "years of a collection": (
        lambda s: s.edit(DOCUMENT, unlink("child")),
        lambda s: {("unlinked-catalog", f"{COLLECTION}/{year}/catalog.json") for year in (2023, 2024)},
    ),
    "extent of a collection": (
        lambda s: s.edit(DOCUMENT, lambda document: document["extent"]["spatial"].update(bbox=[[1, 1, 2, 2]])),
        lambda s: {("narrow-collection", DOCUMENT)},
    ),
    "root": (lambda s: s.delete("catalog.json"), lambda s: {("missing-document", "catalog.json")}),
    "half a root": (
        lambda s: s.write("catalog.json", s.store.read("catalog.json")[:50]),
        lambda s: {("broken-document", "catalog.json")},
    ),
    "links of the root": (
        lambda s: s.edit("catalog.json", unlink("child")), lambda s: {("unlinked-catalog", DOCUMENT)}
    ),
    "links of the root to nowhere": (
        lambda s: s.edit("catalog.json", dangle("child", "./betaearth-none-v1/collection.json")),
        lambda s: dangling("betaearth-none-v1/collection.json"),
    ),
    "coverage": (
        lambda s: s.delete(s.coverage("coverage-")),
        lambda s: {("missing-coverage", key) for key in missing_of(s, "coverage-2024")},
    ),
    "byte of the gaps": (lambda s: s.flip(s.coverage("gaps-")), lambda s: {("wrong-coverage", s.coverage("gaps-"))}),
    "part": (lambda s: s.delete(s.part), lambda s: {("missing-part", s.part)}),
    "byte of a part": (lambda s: s.flip(s.part), lambda s: {("wrong-part", s.part)}),
}


def dangling(key: str) -> set[tuple[str, str]]:
    return {("dangling-link", key)}


def missing_of(scene: Scene, asset: str) -> set[str]:
    href = json.loads(scene.store.read(DOCUMENT))["assets"][asset]["href"]
    return {f"{COLLECTION}/{href.removeprefix('./')}"}


@pytest.mark.parametrize(("damage", "expected"), DERIVABLE.values(), ids=DERIVABLE)
def test_what_is_derivable_is_found_and_made_again(
    scene: Scene, damage: Damage, expected: Callable[[Scene], set[tuple[str, str]]]
) -> None:
    before = scene.snapshot()
    damage(scene)
    damaged = scene.snapshot()
    found = audit(scene.store)
    assert kinds(found) == expected(scene)
    assert not found.clean
    assert scene.snapshot() == damaged
    wanted = expected(scene)
    report = audit(scene.store, repair=True)
    assert report.clean
    assert wanted <= kinds(report)
    assert all(finding.repaired for finding in report.findings if finding.kind not in REMARKS)
    assert kinds(audit(scene.store, deep=True)) == set()
    assert scene.snapshot().keys() >= before.keys() - set(scene.store.list(f"{COLLECTION}/items/"))
    changed = {key for key, data in scene.snapshot().items() if before.get(key) != data}
    # The mirror may be cut into parts in another way, and the Collection names them; all else is what it was.
    assert not {key for key in changed if not key.startswith((DOCUMENT, f"{COLLECTION}/items/"))}
    assert publish(scene.store).written == 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda items: [items[:1]], "missing-row"),
        (lambda items: [items, items[:1]], "duplicate-row"),
        (lambda items: [[{**items[0], "properties": items[0]["properties"] | {"title": "x"}}, *items[1:]]], "stale-row"),
        (lambda items: [[*items, moved(items[0], "440U_1046R")]], "extra-row"),
    ],
    ids=["missing", "duplicate", "stale", "extra"],
)
def test_rows_of_the_mirror(scene: Scene, change: Callable[..., Any], found: str) -> None:
    before = scene.snapshot()
    old = scene.part
    scene.relist(change)
    audited = audit(scene.store)
    assert {kind for kind, _ in kinds(audited)} == {found}
    assert Finding.of(Kind.LEFTOVER_PART, old, "the Collection does not list it") in audited.findings
    assert audit(scene.store, repair=True).clean
    assert kinds(audit(scene.store)) == set()
    parts = [*parts_of(json.loads(scene.store.read(DOCUMENT))["assets"], 2024).values()]
    reader = PartReader(COLLECTION, scene.store.read)
    mirrored = [item["id"] for part in parts for item in reader.items(part)]
    assert sorted(mirrored) == [f"{COLLECTION}_{cell}_1046r_2024" for cell in ("433u", "434u")]
    changed = {key for key, data in scene.snapshot().items() if before.get(key) != data}
    assert all(key.startswith((DOCUMENT, f"{COLLECTION}/items/")) for key in changed)


def moved(item: dict[str, Any], cell: str) -> dict[str, Any]:
    """An Item of another cell that was never there."""
    name = f"{COLLECTION}_{cell.lower()}_2024"
    code = f"MAJORTOM-10-{cell}"
    properties = item["properties"]
    return {**item, "id": name, "properties": {**properties, "grid:code": properties["grid:code"] and code}}


def test_leftovers_are_cleared_after_the_grace_and_are_no_fault(scene: Scene) -> None:
    part, coverage = scene.part, scene.coverage("coverage-")
    scene.add("436U_1046R")
    publish(scene.store)
    # One more part, and another coverage; the part of old is listed as before.
    extra = f"{COLLECTION}/items/year=2024/part-0123456789abcdef.parquet"
    scene.write(extra, scene.store.read(part))
    report = audit(scene.store)
    assert report.clean
    assert {(finding.kind, finding.key) for finding in report.findings} == {
        (Kind.LEFTOVER_PART, extra),
        (Kind.LEFTOVER_COVERAGE, coverage),
    }
    young = part.replace(part[-24:], "part-fedcba9876543210.parquet"[-24:])
    scene.store.create(young, b"new")
    report = audit(scene.store, repair=True)
    assert report.clean
    assert all(finding.repaired for finding in report.findings)
    assert not scene.store.exists(extra)
    assert not scene.store.exists(coverage)
    assert scene.store.exists(young)
    assert audit(scene.store).findings == ()


@pytest.mark.parametrize(
    ("spoil", "kind", "deep_only"),
    [
        (lambda s: s.delete(s.file(s.newer)), "missing-file", False),
        (lambda s: s.write(s.file(s.newer), b"short"), "wrong-size", False),
        (lambda s: s.flip(s.file(s.newer)), "wrong-digest", False),
    ],
    ids=["missing", "size", "digest"],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_damaged_product_gives_way_to_the_one_before(
    scene: Scene, spoil: Damage, kind: str, deep_only: bool, deep: bool
) -> None:
    assert not deep_only
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
    assert before.keys() - after.keys() == {key for _, key in lost}
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


def test_what_is_young_is_under_way(scene: Scene) -> None:
    manifest = scene.manifest(scene.newer)
    folder = product_prefix(f"{BLOCK}/438u_1046r", "0" * 64)
    for name in FILES:
        scene.store.create(folder + name, b"being written")
    scene.add("439U_1046R")
    before = scene.snapshot()
    report = audit(scene.store, repair=True)
    assert report.clean
    assert report.findings == ()
    assert report.under_way == 2
    assert scene.snapshot() == before
    assert {kind for kind, _ in kinds(audit(scene.store, grace=timedelta(0)))} == {"orphan-file", "unpublished"}
    assert manifest


FOREIGN = (
    "readme.txt",
    "photos/holiday.jpg",
    "other/collection.json",
    f"{COLLECTION}/notes.txt",
    f"{COLLECTION}/2024/notes.txt",
    f"{COLLECTION}/items/year=2024/part-1.parquet",
    f"{BLOCK}/notes.txt",
    f"{BLOCK}/433u_1046r/notes.json",
    f"{BLOCK}/433u_1046r/0123456789ab/notes.tif",
    f"{BLOCK}/not a cell/notes.tif",
)


def test_foreign_files_are_told_of_and_never_touched(scene: Scene) -> None:
    for key in FOREIGN:
        scene.write(key, b"mine")
    before = scene.snapshot()
    report = audit(scene.store, repair=True, grace=timedelta(0))
    assert report.clean
    assert {(finding.kind, finding.key) for finding in report.findings} == {(Kind.FOREIGN, key) for key in FOREIGN}
    assert scene.snapshot() == before


def test_a_bad_manifest_is_left_to_people(scene: Scene) -> None:
    scene.flip(scene.newer)
    before = scene.snapshot()
    report = audit(scene.store, repair=True)
    assert kinds(report) == {("bad-manifest", scene.newer)}
    assert not report.clean
    assert not report.findings[0].repairable
    assert scene.snapshot() == before


def test_a_manifest_that_was_altered_is_no_truth(scene: Scene) -> None:
    """It is a manifest still, but the Item that was made of it tells of another one."""
    altered = scene.store.read(scene.newer).replace(b'"valid_fraction": 0.98', b'"valid_fraction": 0.99')
    scene.write(scene.newer, altered)
    before = scene.snapshot()
    assert kinds(audit(scene.store, repair=True)) == {("bad-manifest", scene.newer)}
    assert scene.snapshot() == before


def test_a_product_that_thresholds_keep_out_is_no_fault(scene: Scene) -> None:
    from betaearth.stac.gate import PublishOptions

    strict = PublishOptions(min_observations=100)
    refused = scene.add("436U_1046R")
    scene.age(refused)
    report = audit(scene.store, options=strict, repair=True)
    assert report.clean
    assert {(finding.kind, finding.key) for finding in report.findings} == {(Kind.REFUSED, refused)}
    assert kinds(audit(scene.store)) == {("unpublished", refused)}


def test_one_collection_alone(scene: Scene) -> None:
    scene.add("433U_1046R", variant="demo")
    publish(scene.store)
    scene.age()
    scene.flip(DOCUMENT)
    scene.flip(scene.item(scene.newer).replace("robust", "demo"))
    assert {key.partition("/")[0] for _, key in kinds(audit(scene.store, collection="betaearth-demo-v1"))} == {
        "betaearth-demo-v1"
    }
    assert {key for _, key in kinds(audit(scene.store, collection=COLLECTION))} == {DOCUMENT}
    assert audit(scene.store, repair=True).clean

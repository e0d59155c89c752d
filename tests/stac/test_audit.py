from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from betaearth.errors import DataError
from betaearth.products.keys import product_prefix
from betaearth.stac.audit import audit
from betaearth.stac.audit_findings import REMARKS, AuditReport, Finding, Kind
from betaearth.stac.gate import PublishOptions
from betaearth.stac.mirror_listing import PartReader, parts_of
from betaearth.stac.publish import publish
from betaearth.storage.folder import FolderStore
from tests.stac.damage import BLOCK, COLLECTION, DOCUMENT, LEAF, Scene, kinds, links_of

Add = Callable[..., str]
Damage = Callable[[Scene], None]
Found = set[tuple[str, str]]
Wanted = Found | Callable[[Scene], Found]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A published store that is only copied."""
    return Scene(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def scene(origin: Scene, tmp_path: Path) -> Scene:
    return origin.copied(tmp_path / "store")


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
DERIVABLE: dict[str, tuple[Damage, Wanted]] = {
    "current Item": (lambda s: s.delete(s.item(s.newer)), lambda s: {("missing-item", s.item(s.newer))}),
    "superseded Item": (lambda s: s.delete(s.version(s.older)), lambda s: {("missing-item", s.version(s.older))}),
    "byte of an Item": (lambda s: s.flip(s.item(s.other)), lambda s: {("stale-item", s.item(s.other))}),
    "title of an Item": (
        lambda s: s.edit(s.item(s.other), lambda item: item["properties"].update(title="Other")),
        lambda s: {("stale-item", s.item(s.other))},
    ),
    "orphan Item": (
        lambda s: s.write(f"{BLOCK}/436u_1046r/{COLLECTION}_436u_1046r_2024.json", s.store.read(s.item(s.other))),
        {("orphan-item", f"{BLOCK}/436u_1046r/{COLLECTION}_436u_1046r_2024.json")},
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
        {("dangling-link", f"{BLOCK}/440u_1046r/{COLLECTION}_440u_1046r_2024.json")},
    ),
    "stray link": (lambda s: s.edit(LEAF, dangle("item", "../../x.json")), {("dangling-link", LEAF)}),
    "checksum in a link": (
        lambda s: s.edit(LEAF, lambda leaf: links_of(leaf, "item")[0].update({"file:checksum": "1220" + "0" * 64})),
        lambda s: {("wrong-link", s.item(s.newer))},
    ),
    "marks in a link": (
        lambda s: s.edit(LEAF, lambda leaf: links_of(leaf, "item")[0]["betaearth:manifests"].pop()),
        lambda s: {("wrong-link", s.item(s.newer))},
    ),
    "title of a leaf": (
        lambda s: s.edit(LEAF, lambda leaf: leaf.update(title="x")),
        {("stale-document", LEAF)},
    ),
    "leaf": (lambda s: s.delete(LEAF), lambda s: {("missing-document", LEAF), ("unpublished", s.empty)}),
    "half a leaf": (
        lambda s: s.write(LEAF, s.store.read(LEAF)[:200]),
        lambda s: {("broken-document", LEAF), ("unpublished", s.empty)},
    ),
    "super-block": (
        lambda s: s.delete(f"{COLLECTION}/2024/r05-c0b/catalog.json"),
        {("missing-document", f"{COLLECTION}/2024/r05-c0b/catalog.json")},
    ),
    "link to a block": (
        lambda s: s.edit(f"{COLLECTION}/2024/r05-c0b/catalog.json", unlink("child")),
        {("unlinked-catalog", LEAF)},
    ),
    "link to no block": (
        lambda s: s.edit(f"{COLLECTION}/2024/r05-c0b/catalog.json", dangle("child", "./r059-c000/catalog.json")),
        {("dangling-link", f"{COLLECTION}/2024/r05-c0b/r059-c000/catalog.json")},
    ),
    "year": (
        lambda s: s.delete(f"{COLLECTION}/2024/catalog.json"),
        {("missing-document", f"{COLLECTION}/2024/catalog.json")},
    ),
    "half a year": (
        lambda s: s.write(f"{COLLECTION}/2024/catalog.json", b'{"type": "Cata'),
        {("broken-document", f"{COLLECTION}/2024/catalog.json")},
    ),
    "collection": (lambda s: s.delete(DOCUMENT), {("missing-document", DOCUMENT)}),
    "half a collection": (
        lambda s: s.write(DOCUMENT, s.store.read(DOCUMENT)[:99]),
        {("broken-document", DOCUMENT)},
    ),
    "invalid collection": (
        lambda s: s.edit(DOCUMENT, lambda document: document.update(license=7)),
        {("broken-document", DOCUMENT)},
    ),
    "years of a collection": (
        lambda s: s.edit(DOCUMENT, unlink("child")),
        {("unlinked-catalog", f"{COLLECTION}/{year}/catalog.json") for year in (2023, 2024)},
    ),
    "extent of a collection": (
        lambda s: s.edit(DOCUMENT, lambda document: document["extent"]["spatial"].update(bbox=[[1, 1, 2, 2]])),
        {("narrow-collection", DOCUMENT)},
    ),
    "root": (lambda s: s.delete("catalog.json"), {("missing-document", "catalog.json")}),
    "half a root": (
        lambda s: s.write("catalog.json", s.store.read("catalog.json")[:50]),
        {("broken-document", "catalog.json")},
    ),
    "links of the root": (
        lambda s: s.edit("catalog.json", unlink("child")),
        {("unlinked-catalog", DOCUMENT)},
    ),
    "links of the root to nowhere": (
        lambda s: s.edit("catalog.json", dangle("child", "./betaearth-none-v1/collection.json")),
        {("dangling-link", "betaearth-none-v1/collection.json")},
    ),
    "coverage": (
        lambda s: s.delete(s.coverage("coverage-")),
        lambda s: {("missing-coverage", key) for key in missing_of(s, "coverage-2024")},
    ),
    "byte of the gaps": (lambda s: s.flip(s.coverage("gaps-")), lambda s: {("wrong-coverage", s.coverage("gaps-"))}),
    "part": (lambda s: s.delete(s.part), lambda s: {("missing-part", s.part)}),
    "byte of a part": (lambda s: s.flip(s.part), lambda s: {("wrong-part", s.part)}),
}


def missing_of(scene: Scene, asset: str) -> set[str]:
    href = json.loads(scene.store.read(DOCUMENT))["assets"][asset]["href"]
    return {f"{COLLECTION}/{href.removeprefix('./')}"}


@pytest.mark.parametrize(("damage", "expected"), DERIVABLE.values(), ids=DERIVABLE)
def test_what_is_derivable_is_found_and_made_again(scene: Scene, damage: Damage, expected: Wanted) -> None:
    before = scene.snapshot()
    damage(scene)
    damaged = scene.snapshot()
    wanted = expected if isinstance(expected, set) else expected(scene)
    found = audit(scene.store)
    assert kinds(found) == wanted
    assert not found.clean
    assert scene.snapshot() == damaged
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
        (
            lambda items: [[{**items[0], "properties": items[0]["properties"] | {"title": "x"}}, *items[1:]]],
            "stale-row",
        ),
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


def titled(item: dict[str, Any]) -> dict[str, Any]:
    """An Item of another title."""
    return {**item, "properties": {**item["properties"], "title": "Other"}}


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


FILES = ("embeddings.tif", "preview.png", "quality.tif")
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


def test_hidden_files_are_nobodys_business(scene: Scene) -> None:
    scene.write(".cache/window.bin", b"mine")
    scene.write(f"{BLOCK}/.DS_Store", b"mine")
    before = scene.snapshot()
    assert audit(scene.store, repair=True, grace=timedelta(0)).findings == ()
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


def test_a_collection_that_is_not_there_is_no_clean_one(scene: Scene) -> None:
    with pytest.raises(DataError, match="holds no collection betaearth-none-v1"):
        audit(scene.store, collection="betaearth-none-v1")

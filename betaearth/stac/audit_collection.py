"""Judging and repairing a collection's document: its facts, its years, the mirror and the coverage that it lists."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.stac.audit_block import BlockJudgement, Readable, readable, usable
from betaearth.stac.audit_findings import Finding, Kind
from betaearth.stac.audit_listing import CollectionObjects
from betaearth.stac.audit_mirror import Expected, MirrorJudge, MirrorJudgement, repaired
from betaearth.stac.audit_tile_year import Lens
from betaearth.stac.audit_tree import Below, Tree, dangling, missing, unlinked, without_dangling
from betaearth.stac.document import Document, from_bytes
from betaearth.stac.documents import Documents
from betaearth.stac.facts import Facts, facts_of_collection
from betaearth.stac.tree import with_years
from betaearth.storage.store import Entry

_COVERAGE = re.compile(r"(coverage|gaps)-[0-9]{4}")
_COVERAGE_HREF = re.compile(r"\./(?P<path>coverage/year=[0-9]{4}/(coverage|gaps)-[0-9a-f]{16}\.geojson)")


@dataclass
class CollectionState:
    """What the blocks of a collection have told."""

    collection: str
    objects: CollectionObjects
    tree: Tree = field(default_factory=Tree)
    facts: Facts | None = None
    """Of all current Items that are judged."""
    expected: dict[int, dict[str, Expected]] = field(default_factory=lambda: defaultdict(dict))
    """Year to id to what the mirror should have."""

    @property
    def key(self) -> str:
        """Of the document."""
        return f"{self.collection}/collection.json"

    @property
    def below(self) -> Below:
        """The years that have Items."""
        return self.tree.below(self.collection)

    def add(self, block: BlockJudgement) -> None:
        """Take up what a block tells."""
        self.tree.add(block)
        for prefix, judged in block.tile_years.items():
            cell = prefix.rpartition("/")[2]
            name = f"{self.collection}_{cell}_{block.objects.year}"
            if judged.facts:
                self.facts = self.facts.joined(judged.facts) if self.facts else judged.facts
            if judged.digest or (prefix in block.linked and judged.settled is None):
                self.expected[block.objects.year][name] = Expected(f"{prefix}/{name}.json", judged.digest)


@dataclass
class CollectionJudgement:
    """What is to be said of a collection's document and of what it lists."""

    found: Readable
    findings: list[Finding] = field(default_factory=list)
    mirror: MirrorJudgement = field(default_factory=MirrorJudgement)
    coverage: dict[str, str | None] = field(default_factory=dict)
    """Key of an asset of coverage that cannot be used to the object that has other bytes than it should."""
    unlisted: list[str] = field(default_factory=list)
    """Keys of parts and files of coverage that the document does not list."""
    leftovers: list[str] = field(default_factory=list)
    """Those that nobody can be about to list."""
    under_way: int = 0


def judge_collection(documents: Documents, state: CollectionState, lens: Lens) -> CollectionJudgement:
    """Look at a collection's document, its mirror, and its coverage."""
    judged = CollectionJudgement(_readable(documents, state.key))
    document: Document = {}
    if judged.found.data is None:
        # Without any Item there is nothing to make it of.
        judged.findings += [
            replace(fault, repairable=state.facts is not None) for fault in _absence(state, judged.found)
        ]
    else:
        document = from_bytes(judged.found.data, where=state.key)
        judged.findings += _document_findings(documents, state, judged.found.data)
    assets = assets_of(document)
    judged.mirror = MirrorJudge(documents.store, state.collection, _grid(state, document)).judge(assets, state.expected)
    if document:
        judged.findings += judged.mirror.findings
    listed = judged.mirror.listed | _judge_coverage(documents, state.collection, assets, judged)
    _judge_leftovers(state.objects, listed, lens, judged, certain=bool(document))
    return judged


def repair_collection(documents: Documents, state: CollectionState, judged: CollectionJudgement) -> bool:
    """Bring a collection's document to what it should be; False where too little is known to make it anew."""
    store = documents.store
    for key, sha256 in judged.mirror.wrong.items():
        stored = store.find(key)
        if stored and hashlib.sha256(stored.data).hexdigest() == sha256:
            store.delete(key)  # its key is that of the right bytes, which could not be put there
    for spoilt in filter(None, judged.coverage.values()):
        store.delete(spoilt)
    for key in judged.unlisted:
        stored = store.find(key)
        if stored and hashlib.sha256(stored.data).hexdigest()[:16] not in key:
            store.delete(key)  # likewise

    def compose(existing: bytes | None) -> bytes:
        base = without_dangling(documents, _usable(documents, state.key, existing).data, state.key)
        known = {} if base is None else assets_of(from_bytes(base, where=state.key))
        kept = {key: asset for key, asset in known.items() if key not in judged.coverage}
        change = repaired(store, state.collection, kept, judged.mirror)
        for key, data in change.new_parts.items():
            store.create(key, data)
        years = [node.child for node in state.below.children]
        return with_years(base, state.facts, years, key=state.key, assets=dict(sorted(change.assets.items())))

    if state.facts is None and judged.found.data is None:
        return False
    documents.merge(state.key, compose)
    return True


def delete_leftovers(documents: Documents, state: CollectionState, leftovers: Iterable[str]) -> list[str]:
    """Remove the files that the Collection does not list, now that it is read again; tell which."""
    stored = documents.store.find(state.key)
    text = stored.data.decode(errors="replace") if stored else ""
    gone = [key for key in leftovers if key.removeprefix(f"{state.collection}/") not in text]
    for key in gone:
        documents.store.delete(key)
    return gone


def assets_of(document: Document) -> Mapping[str, Any]:
    """Assets of a Collection; none where it says none that could be."""
    assets = document.get("assets")
    return assets if isinstance(assets, dict) else {}


def is_foreign(documents: Documents, state: CollectionState) -> bool:
    """Whether a collection is none of ours: nothing but a document, which betaearth did not write."""
    return not (state.below.children or state.objects.known) and _readable(documents, state.key).fault is not None


def _readable(documents: Documents, key: str) -> Readable:
    found = readable(documents, key)
    return found if found.data is None else _usable(documents, key, found.data)


def _usable(documents: Documents, key: str, data: bytes | None) -> Readable:
    """Say whether a Collection is one whose facts can be read back."""
    found = usable(documents, key, data)
    try:
        if found.data is not None:
            facts_of_collection(from_bytes(found.data, where=key), where=key)
    except DataError as error:
        return Readable(None, str(error))
    return found


def _document_findings(documents: Documents, state: CollectionState, data: bytes) -> list[Finding]:
    known = facts_of_collection(from_bytes(data, where=state.key), where=state.key)
    years = [node for node, young in state.below.children.items() if not young]
    findings = [
        *unlinked(data, {year.child.href: year.key for year in years}, state.key),
        *dangling(documents.store, data, state.key, {node.key for node in state.below.children}),
    ]
    if state.facts and known.joined(state.facts) != known:
        findings.append(Finding.of(Kind.NARROW_COLLECTION, state.key, _narrow(known, state.facts)))
    if not findings and with_years(data, None, [year.child for year in years], key=state.key) != data:
        findings.append(Finding.of(Kind.STALE_DOCUMENT, state.key, "it does not say what it should of itself"))
    return findings


def _absence(state: CollectionState, found: Readable) -> list[Finding]:
    """Report a document that is not there, or is none."""
    if found.fault:
        return [Finding.of(Kind.BROKEN_DOCUMENT, state.key, found.fault)]
    return missing(state.key, state.below)


def _narrow(known: Facts, told: Facts) -> str:
    joined = known.joined(told)
    fields = [name for name in joined.__dataclass_fields__ if getattr(joined, name) != getattr(known, name)]
    return f"its Items tell more of {', '.join(fields)}"


def _grid(state: CollectionState, document: Document) -> MajorTomGrid | None:
    spacings = set(state.facts.spacings if state.facts else ())
    if not spacings and document:
        spacings = set(facts_of_collection(document, where=state.key).spacings)
    return MajorTomGrid(spacings.pop()) if len(spacings) == 1 else None


def _judge_coverage(
    documents: Documents, collection: str, assets: Mapping[str, Any], judged: CollectionJudgement
) -> set[str]:
    """Look at the files of coverage that are listed; return their keys."""
    listed = set()
    for name in filter(_COVERAGE.fullmatch, sorted(assets)):
        asset = assets[name] if isinstance(assets[name], dict) else {}
        match = _COVERAGE_HREF.fullmatch(str(asset.get("href")))
        find = partial(Finding.of, key=f"{collection}/{match['path']}" if match else f"{collection}/collection.json")
        if match is None:
            judged.findings.append(find(Kind.WRONG_COVERAGE, detail=f"its asset {name} lists no file of coverage"))
            judged.coverage[name] = None
            continue
        key = f"{collection}/{match['path']}"
        listed.add(key)
        stored = documents.store.find(key)
        if stored is None:
            judged.findings.append(find(Kind.MISSING_COVERAGE, detail="the Collection lists it, and it is not there"))
            judged.coverage[name] = None
        elif f"1220{hashlib.sha256(stored.data).hexdigest()}" != asset.get("file:checksum"):
            judged.findings.append(find(Kind.WRONG_COVERAGE, detail="it has other bytes than the Collection says"))
            judged.coverage[name] = key
    return listed


def _judge_leftovers(
    objects: CollectionObjects, listed: set[str], lens: Lens, judged: CollectionJudgement, *, certain: bool
) -> None:
    """Report what is not listed; without a readable document, nothing can be said."""
    shelves: list[tuple[Kind, Mapping[str, Entry]]] = [
        (Kind.LEFTOVER_PART, objects.parts),
        (Kind.LEFTOVER_COVERAGE, objects.coverage),
    ]
    for kind, shelf in shelves:
        for key in sorted(shelf.keys() - listed):
            judged.unlisted.append(key)
            if lens.young(shelf[key]) or not certain:
                judged.under_way += 1
                continue
            judged.findings.append(Finding.of(kind, key, "the Collection does not list it"))
            judged.leftovers.append(key)

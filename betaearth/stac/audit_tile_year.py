"""Judging one tile-year: its files against its manifests, and its Items against both.

A fault is reported once, at its root. Where a manifest is in doubt that an Item rests on, the Items are left alone:
nothing can be derived from it.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from betaearth.errors import DataError
from betaearth.products.manifest import FileRecord, Manifest
from betaearth.stac.audit_findings import Finding, Kind
from betaearth.stac.audit_listing import TileYearObjects, newest, stem_of
from betaearth.stac.document import Document, from_bytes
from betaearth.stac.documents import Documents
from betaearth.stac.facts import Facts, facts_of_manifest
from betaearth.stac.gate import PublishOptions, check_quality
from betaearth.stac.leaf import Mark, Settled, says
from betaearth.stac.mirror_rows import row_of
from betaearth.stac.versions import FILES, LARGEST_MANIFEST, StoredManifest, Versions, item_bytes, read_versions
from betaearth.storage.store import Entry, Store


@dataclass(frozen=True)
class Lens:
    """How closely an audit looks, and at what it does not."""

    deep: bool
    """Whether files are read and hashed."""
    horizon: datetime
    """What was written after it may still be under way, UTC."""
    options: PublishOptions
    """What a product must be like to be published."""
    collected: bool = True
    """Whether there is a Collection: without one, publishing says nothing of empty tile-years."""

    def young(self, entry: Entry | None) -> bool:
        """Whether an object may still be under way."""
        return entry is not None and entry.modified > self.horizon


@dataclass
class Judgement:
    """What is to be said of a tile-year."""

    prefix: str
    findings: list[Finding] = field(default_factory=list)
    under_way: int = 0
    frozen: bool = False
    """Whether its Items rest on a manifest in doubt, so that they are left as they are."""
    settled: Settled | None = None
    """What the block's catalog should say; None where that is not judged."""
    facts: Facts | None = None
    """What the current product tells of the collection; None where there is none, or it is not judged."""
    digest: str | None = None
    """Of the current Item as a row of the mirror; None where there is none, or it is not judged."""
    stems: frozenset[str] = frozenset()
    """Of the manifests that the catalog rests on, as far as it tells."""
    damaged: list[StoredManifest] = field(default_factory=list)
    """Manifests of products that must be made again."""
    orphans: list[Finding] = field(default_factory=list)
    """Files of products without a manifest."""
    orphan_items: list[str] = field(default_factory=list)

    def find(self, kind: Kind, key: str, detail: str) -> Finding:
        """Add a finding."""
        found = Finding.of(kind, key, detail)
        self.findings.append(found)
        return found


def judge_tile_year(documents: Documents, held: TileYearObjects, mark: Mark | None, lens: Lens) -> Judgement:
    """Look at one tile-year.

    Args:
        documents: of the store.
        held: what was listed of it.
        mark: what its block's catalog says; None where that says nothing.
        lens: how closely to look.

    Raises:
        TransientError: the store failed.
    """
    return _Judge(documents, held, mark, lens).judge()


def digest_of(store: Store, key: str) -> str:
    """Read an object and hash it.

    Raises:
        DataError: it is not there.
    """
    digest = hashlib.sha256()
    for piece in store.stream(key):
        digest.update(piece)
    return digest.hexdigest()


class _Judge:
    """One tile-year under judgement."""

    def __init__(self, documents: Documents, held: TileYearObjects, mark: Mark | None, lens: Lens) -> None:
        self.documents, self.store = documents, documents.store
        self.held, self.mark, self.lens = held, mark, lens
        self.result = Judgement(held.prefix)
        self.items = self._read_items()
        self.versions = read_versions(self.store, sorted(held.manifests), held.prefix)

    def judge(self) -> Judgement:
        self.result.stems = (self.mark.stems if self.mark else frozenset()) | frozenset(
            stem for stem, _ in map(_manifest_named, self.items.values()) if stem
        )
        for key in self.held.withdrawn:
            self.result.find(Kind.WITHDRAWN, key, "the manifest of a product that was damaged; `run` makes it again")
        doubtful = self._doubtful_manifests()
        self._judge_files(doubtful)
        if not doubtful:
            self._judge_orphans()
        if self.result.stems & doubtful:
            self.result.frozen = True
            return self.result
        if any(stem not in self.result.stems and self.lens.young(self._entry(stem)) for stem in self.versions.stems):
            self.result.under_way += 1
            return self.result
        self._judge_items(self._counted())
        return self.result

    def _read_items(self) -> dict[str, bytes]:
        """Read the Items; one that is too large to be any is empty."""
        items = {}
        for key in self.held.items:
            items[key] = b""
            with suppress(DataError):
                items[key] = self.store.read(key, limit=LARGEST_MANIFEST)
        return items

    def _doubtful_manifests(self) -> set[str]:
        """Report the manifests that tell nothing, or not what the Item says that they told."""
        for key, reason in self.versions.skipped.items():
            advice = "" if "remove it" in reason else "; remove it, and run again"
            self.result.find(Kind.BAD_MANIFEST, key, f"{reason}{advice}")
        doubtful = {stem_of(key) for key in self.versions.skipped}
        withdrawn = {stem_of(key) for key in self.held.withdrawn}
        vouched = self._vouched()
        for stored in (*self.versions.products, *self.versions.empties):
            said = vouched.get(stored.stem)
            found = f"1220{hashlib.sha256(stored.data).hexdigest()}"
            if said not in {None, found} and stored.stem not in withdrawn:
                self.result.find(
                    Kind.BAD_MANIFEST, stored.key, f"its multihash is {found}; its Item was made of {said}"
                )
                doubtful.add(stored.stem)
        return doubtful

    def _vouched(self) -> dict[str, str]:
        """Give the multihash of the manifest that the current Item was made of, where the catalog vouches for it."""
        link = self.mark.link if self.mark else None
        for key, data in self.items.items():
            if link and self.held.items[key][1].stem is None and _checksum(data) == link.get("file:checksum"):
                stem, checksum = _manifest_named(data)
                return {stem: checksum} if stem and checksum else {}
        return {}

    def _judge_files(self, doubtful: set[str]) -> None:
        """Hold the files of every product against its manifest."""
        listed = self.held.files
        for stored in self.versions.products:
            if stored.stem in doubtful:
                continue
            found = [
                fault for record in stored.manifest.files.values() if (fault := self._fault(record, listed, stored))
            ]
            self.result.findings += found
            if found:
                self.result.damaged.append(stored)

    def _fault(self, record: FileRecord, listed: Mapping[str, Entry], stored: StoredManifest) -> Finding | None:
        entry = listed.get(record.key)
        said = f"says {posixpath.basename(stored.key)}"
        if entry is None:
            return Finding.of(Kind.MISSING_FILE, record.key, f"it is not there; {record.size} bytes {said}")
        if entry.size != record.size:
            return Finding.of(Kind.WRONG_SIZE, record.key, f"{entry.size} bytes; {record.size} {said}")
        digest = digest_of(self.store, record.key) if self.lens.deep else self.store.sha256(record.key)
        if digest not in {None, record.sha256}:
            return Finding.of(Kind.WRONG_DIGEST, record.key, f"SHA-256 {digest}; {record.sha256} {said}")
        return None

    def _judge_orphans(self) -> None:
        """Report the files that no manifest tells of, once nobody can be about to write it."""
        named = {stored.manifest.product_digest for stored in self.versions.products}
        owned = {digest[:12] for digest in named if digest}
        for product, files in sorted(self.held.products.items()):
            if product in owned:
                continue
            if newest(files) > self.lens.horizon.timestamp() or product in self._lately_withdrawn():
                self.result.under_way += 1
                continue
            kind = Kind.ORPHAN_FILE if len(files) == len(FILES) else Kind.HALF_PRODUCT
            for key in sorted(files):
                self.result.orphans.append(self.result.find(kind, key, "no manifest tells of it"))

    def _lately_withdrawn(self) -> set[str]:
        """Name the products that were withdrawn within the grace; their files may be of use to whoever looks."""
        products = set()
        for key, entry in self.held.withdrawn.items():
            with suppress(DataError):
                manifest = Manifest.from_bytes(self.store.read(key, limit=LARGEST_MANIFEST), where=key)
                if self.lens.young(entry) and manifest.product_digest:
                    products.add(manifest.product_digest[:12])
        return products

    def _counted(self) -> Versions:
        """Leave out what was never published, with the reason."""
        products = [stored for stored in self.versions.products if self._counts(stored)]
        empties = []
        for stored in self.versions.empties:
            if stored.stem in self.result.stems:
                empties.append(stored)
            elif self.lens.collected:
                self.result.find(Kind.UNPUBLISHED, stored.key, "the catalog does not know of it")
        return replace(self.versions, products=tuple(products), empties=tuple(empties))

    def _counts(self, stored: StoredManifest) -> bool:
        if stored.stem in self.result.stems:
            return True
        try:
            check_quality(stored.manifest, self.lens.options)
            self.documents.check(stored.key, item_bytes(stored))
        except DataError as error:
            self.result.find(Kind.REFUSED, stored.key, str(error))
            return False
        if stored not in self.result.damaged:
            self.result.find(Kind.UNPUBLISHED, stored.key, "the catalog does not know of it")
        return False

    def _judge_items(self, versions: Versions) -> None:
        expected = versions.items
        for key, data in expected.items():
            if key not in self.items:
                self.result.find(Kind.MISSING_ITEM, key, "there is a manifest for it")
            elif self.items[key] != data:
                self.result.find(Kind.STALE_ITEM, key, "it is not what the manifests make of it")
        stems = {stem_of(key) for key in self.held.manifests}
        for key in sorted(self.items.keys() - expected.keys()):
            entry, _ = self.held.items[key]
            if self.lens.young(entry) and _manifest_named(self.items[key])[0] in stems:
                self.result.under_way += 1
            else:
                self.result.find(Kind.ORPHAN_ITEM, key, "there is no manifest for it")
                self.result.orphan_items.append(key)
        current = list(expected.items())[-1:]
        self._judge_mark(versions, current[0] if current else None)

    def _judge_mark(self, versions: Versions, current: tuple[str, bytes] | None) -> None:
        """Hold the entry in the block's catalog against what it should be."""
        key, item = current or (None, None)
        settled = Settled(versions.prefix, versions.stems, item, versions.reason)
        if key and key in self.held.items and self.lens.young(self.held.items[key][0]) and not says(self.mark, settled):
            self.result.under_way += 1
            return
        self.result.settled = settled
        if item and versions.current:
            self.result.facts = facts_of_manifest(versions.current.manifest)
            self.result.digest = row_of(from_bytes(item, where=versions.prefix)).digest

    def _entry(self, stem: str) -> Entry | None:
        return next((entry for key, entry in self.held.manifests.items() if stem_of(key) == stem), None)


def _checksum(data: bytes) -> str:
    return f"1220{hashlib.sha256(data).hexdigest()}"


def _manifest_named(item: bytes) -> tuple[str | None, str | None]:
    """Name of the manifest that a stored Item was made of, and its multihash; None where it does not say."""
    document: Document = {}
    with suppress(DataError):
        document = from_bytes(item, where="Item")
    assets = document.get("assets")
    provenance: Any = assets.get("provenance") if isinstance(assets, dict) else None
    if not isinstance(provenance, dict):
        return None, None
    href, checksum = provenance.get("href"), provenance.get("file:checksum")
    stem = stem_of(href) if isinstance(href, str) and href.endswith(".manifest.json") else None
    return stem, checksum if isinstance(checksum, str) else None

"""Judging and repairing catalogs above blocks: each links what has Items below it, and nothing that is not there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from betaearth.stac.audit_block import BlockJudgement, readable, usable
from betaearth.stac.audit_findings import Finding, Kind
from betaearth.stac.document import from_bytes, to_bytes
from betaearth.stac.documents import Documents
from betaearth.stac.tree import SUPERBLOCK, YEAR, Child, Node, stored_links, with_children, with_collections
from betaearth.storage.store import Store


@dataclass
class Below:
    """What a document should link: the documents right below it that have Items."""

    children: dict[Node, bool] = field(default_factory=dict)
    """Whether all Items below are younger than the grace."""

    def add(self, node: Node, *, young: bool) -> None:
        """Note a document with Items."""
        self.children[node] = self.children.get(node, True) and young

    @property
    def young(self) -> bool:
        """Whether all Items below are younger than the grace."""
        return all(self.children.values())


@dataclass
class Tree:
    """The catalogs of one collection that have Items below them."""

    catalogs: dict[str, Below] = field(default_factory=dict)
    """Folder of a year or super-block, or the collection's, to what its document should link."""

    def add(self, block: BlockJudgement) -> None:
        """Note a block, if it has Items."""
        node = block.node
        while block.linked and node.depth >= YEAR:
            folder = posixpath.dirname(node.folder)
            self.catalogs.setdefault(folder, Below()).add(node, young=block.young)
            node = Node(folder)

    def below(self, folder: str) -> Below:
        """What the document of a folder should link."""
        return self.catalogs.get(folder, Below())

    def nodes(self, listed: Iterable[str]) -> list[Node]:
        """Super-blocks and years that are listed or should be there, the lowest first."""
        folders = {posixpath.dirname(key) for key in listed} | set(self.catalogs)
        nodes = [Node(folder) for folder in sorted(folders)]
        return [node for depth in (SUPERBLOCK, YEAR) for node in nodes if node.depth == depth]


def judge_catalog(documents: Documents, node: Node, below: Below) -> list[Finding]:
    """Look at the catalog of a year or super-block."""
    found = readable(documents, node.key)
    if found.fault:
        return [Finding.of(Kind.BROKEN_DOCUMENT, node.key, found.fault)]
    if found.data is None:
        return missing(node.key, below)
    children = [child for child, young in below.children.items() if not young or _links(found.data, child, node.key)]
    findings = [
        *unlinked(found.data, {child.child.href: child.key for child in children}, node.key),
        *dangling(documents.store, found.data, node.key, {child.key for child in below.children}),
    ]
    if not findings and with_children(found.data, node, [child.child for child in children]) != found.data:
        findings.append(Finding.of(Kind.STALE_DOCUMENT, node.key, "it does not say what it should of itself"))
    return findings


def repair_catalog(documents: Documents, node: Node, below: Below) -> None:
    """Bring a catalog to what it should be."""

    def compose(existing: bytes | None) -> bytes:
        base = without_dangling(documents, usable(documents, node.key, existing).data, node.key)
        return with_children(base, node, [child.child for child in below.children])

    documents.merge(node.key, compose)


def judge_root(documents: Documents, key: str, children: Mapping[str, tuple[Child | None, bool]]) -> list[Finding]:
    """Look at the root catalog.

    Args:
        documents: of the store.
        key: of the root.
        children: key of a collection that has Items to its link, where its document tells of one, and whether all of
            them are younger than the grace.
    """
    found = readable(documents, key)
    if found.fault:
        return [Finding.of(Kind.BROKEN_DOCUMENT, key, found.fault)]
    old = {target: child for target, (child, young) in children.items() if child and not young}
    if found.data is None:
        return [Finding.of(Kind.MISSING_DOCUMENT, key, f"{len(old)} collections belong into it")] if old else []
    hrefs = {child.href: target for target, child in old.items()}
    findings = [*unlinked(found.data, hrefs, key), *dangling(documents.store, found.data, key, set(children))]
    if not findings and with_collections(found.data, old.values()) != found.data:
        findings.append(Finding.of(Kind.STALE_DOCUMENT, key, "it does not say what it should of itself"))
    return findings


def repair_root(documents: Documents, key: str, children: Iterable[Child]) -> None:
    """Bring the root catalog to what it should be."""
    children = list(children)

    def compose(existing: bytes | None) -> bytes:
        return with_collections(without_dangling(documents, usable(documents, key, existing).data, key), children)

    documents.merge(key, compose)


def missing(key: str, below: Below) -> list[Finding]:
    """Report a document that is not there, if Items are below it that are not under way."""
    if not below.children or below.young:
        return []
    return [Finding.of(Kind.MISSING_DOCUMENT, key, f"{len(below.children)} documents belong into it")]


def unlinked(data: bytes, children: Mapping[str, str], key: str) -> list[Finding]:
    """Report what a document should link, href to key, and does not."""
    hrefs = {link["href"] for link in stored_links(from_bytes(data, where=key), key) if link["rel"] == "child"}
    return [
        Finding.of(Kind.UNLINKED_CATALOG, target, f"{key} does not link it")
        for href, target in children.items()
        if href not in hrefs
    ]


def dangling(store: Store, data: bytes, key: str, expected: Set[str]) -> list[Finding]:
    """Report the links downwards that lead to what is not there; what should be is reported where it lies."""
    targets = {child_key(link, key) for link in stored_links(from_bytes(data, where=key), key)}
    gone = sorted(target for target in targets - expected if target and not store.exists(target))
    return [Finding.of(Kind.DANGLING_LINK, target, f"{key} links it, and it is not there") for target in gone]


def without_dangling(documents: Documents, data: bytes | None, key: str) -> bytes | None:
    """Leave out the links downwards that lead to what is not there."""
    if data is None:
        return None
    document = from_bytes(data, where=key)
    links = stored_links(document, key)
    targets = [child_key(link, key) for link in links]
    kept = [
        link for link, target in zip(links, targets, strict=True) if target is None or documents.store.exists(target)
    ]
    return data if kept == links else to_bytes({**document, "links": kept})


def child_key(link: Mapping[str, Any], key: str) -> str | None:
    """Object key that a link downwards leads to; None where it leads elsewhere, or out of the store."""
    href = str(link["href"])
    if link["rel"] != "child" or "://" in href or href.startswith("/"):
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(key), href))
    return None if target.startswith("..") else target


def _links(data: bytes, child: Node, key: str) -> bool:
    return not unlinked(data, {child.child.href: child.key}, key)

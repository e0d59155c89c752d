"""The catalogs between the root and the Items: where they lie, what they are called, and what they link.

A catalog is merged, not rewritten: links of one kind are set or joined, everything else that it holds
stays. The functions are pure and give the bytes back unchanged where nothing changed, so that nothing is
written then.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from betaearth.errors import DataError
from betaearth.stac.collection import collection_document
from betaearth.stac.document import STAC_VERSION, Document, from_bytes, link, to_bytes
from betaearth.stac.facts import Facts, facts_of_collection
from betaearth.stac.titles import CATALOG_TITLE, block_title, superblock_title
from betaearth.stac.validation import declared

ROOT_KEY = "catalog.json"
CATALOG_ID = "betaearth"

YEAR, SUPERBLOCK, BLOCK = 2, 3, 4
"""Folders between such a catalog and the store."""
_DESCRIPTIONS = {
    YEAR: "A calendar year, by super-blocks of 256 x 256 Major TOM cells.",
    SUPERBLOCK: "256 x 256 Major TOM cells, by blocks of 16 x 16; named by row and column in hexadecimal.",
    BLOCK: "16 x 16 Major TOM cells; an Item is one of them in the year.",
}


@dataclass(frozen=True)
class Child:
    """A document that a catalog links downwards."""

    href: str
    """Relative to the catalog."""
    title: str


@dataclass(frozen=True)
class Node:
    """A catalog below a collection: a year, a super-block or a block."""

    folder: str
    """Folder of the catalog in the store, without a final slash: `betaearth-robust-v1/2024/r05-c05`."""

    @property
    def key(self) -> str:
        """Object key."""
        return f"{self.folder}/catalog.json"

    @property
    def name(self) -> str:
        """Last part of the folder."""
        return posixpath.basename(self.folder)

    @property
    def depth(self) -> int:
        """Folders between the catalog and the store."""
        return self.folder.count("/") + 1

    @property
    def id(self) -> str:
        """Unique in the store: `betaearth-robust-v1_2024_r05-c05`, and the same for a block."""
        collection, year, *blocks = self.folder.split("/")
        return "_".join([collection, year, *blocks[-1:]])

    @property
    def title(self) -> str:
        """What a browser shows."""
        if self.depth == YEAR:
            return self.name
        return superblock_title(self.name) if self.depth == SUPERBLOCK else block_title(self.name)

    @property
    def parent_title(self) -> str:
        """Title of the document above; a collection's own may grow a caveat, its id stays."""
        above = posixpath.dirname(self.folder)
        return above if self.depth == YEAR else Node(above).title

    @property
    def child(self) -> Child:
        """How the document above links this one."""
        return Child(f"./{self.name}/catalog.json", self.title)


def with_children(existing: bytes | None, node: Node, children: Iterable[Child]) -> bytes:
    """Make a year's or super-block's catalog link these catalogs besides those that it links.

    Raises:
        DataError: what is stored is no catalog.
    """
    return merged(existing, catalog_document(node), _joined(existing, children, node.key), where=node.key)


def with_years(
    existing: bytes | None, facts: Facts | None, years: Iterable[Child], *, key: str, assets: Document | None = None
) -> bytes:
    """Make a Collection say these facts and link these years besides what it says and links.

    Args:
        existing: the Collection as it is stored; None where there is none.
        facts: what is known anew; None: nothing, and then there must be a Collection.
        years: what it is to link.
        key: its object key.
        assets: what it is to have as assets from now on; None leaves them as they are.

    Raises:
        DataError: what is stored is no Collection of ours.
    """
    if existing is not None:
        known = facts_of_collection(from_bytes(existing, where=key), where=key)
        facts = known.joined(facts) if facts else known
    if facts is None:
        raise DataError(f"{key} is not there, and nothing is known of its Items")
    ours = collection_document(facts) | ({} if assets is None else {"assets": assets})
    return merged(existing, ours, _joined(existing, years, key), where=key)


def with_collections(existing: bytes | None, collections: Iterable[Child]) -> bytes:
    """Make the root catalog link these collections besides those that it links.

    Raises:
        DataError: what is stored is no catalog.
    """
    return merged(existing, _root(), _joined(existing, collections, ROOT_KEY), where=ROOT_KEY)


def _root() -> Document:
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": CATALOG_ID,
        "title": CATALOG_TITLE,
        "description": "Annual 64-dimensional Earth embeddings: a collection per network and version.",
        "links": [link("root", "./catalog.json", CATALOG_TITLE)],
    }


def catalog_document(node: Node) -> Document:
    """Describe a catalog below a collection, without links downwards."""
    parent = "../collection.json" if node.depth == YEAR else "../catalog.json"
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": node.id,
        "title": node.title,
        "description": _DESCRIPTIONS[node.depth],
        "links": [
            link("root", "../" * node.depth + ROOT_KEY, CATALOG_TITLE),
            link("parent", parent, node.parent_title),
        ],
    }


def _joined(existing: bytes | None, children: Iterable[Child], where: str) -> list[dict[str, Any]]:
    """Link children besides those that a document links; a title that is known anew wins."""
    links = {old["href"]: old for old in stored_links(_stored(existing, where), where) if old["rel"] == "child"}
    return [*(links | {child.href: link("child", child.href, child.title) for child in children}).values()]


def merged(existing: bytes | None, ours: Document, down: list[dict[str, Any]], *, where: str) -> bytes:
    """Lay our fields and links over a stored document; whatever else it holds stays.

    Args:
        existing: the document as it is stored; None where there is none.
        ours: the fields and links that are ours to say.
        down: links downwards, in any order.
        where: key of the document, for messages.

    Returns:
        The stored bytes where they say the same already.

    Raises:
        DataError: what is stored is no STAC document.
    """
    stored = _stored(existing, where)
    own = {link["rel"] for link in ours["links"]} | {"child", "item"}
    foreign = [link for link in stored_links(stored, where) if link["rel"] not in own]
    links = [*ours["links"], *foreign, *sorted(down, key=lambda child: child["href"])]
    document = {**stored, **ours, "links": links}
    ours_declared = declared(ours)
    if added := [uri for uri in declared(stored) if uri not in ours_declared]:
        document["stac_extensions"] = [*ours_declared, *added]
    return existing if existing is not None and document == stored else to_bytes(document)


def _stored(existing: bytes | None, where: str) -> Document:
    return {} if existing is None else from_bytes(existing, where=where)


def stored_links(document: Document, where: str) -> list[dict[str, Any]]:
    """List the links of a stored document.

    Raises:
        DataError: they are none.
    """
    links = document.get("links", [])
    if not isinstance(links, list) or not all(
        isinstance(each, dict) and isinstance(each.get("rel"), str) and isinstance(each.get("href"), str)
        for each in links
    ):
        raise DataError(f"{where} has links that are none: each is an object with the texts rel and href")
    return links

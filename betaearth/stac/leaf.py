"""The catalog of a block, which links Items, and its marks: which manifests each tile-year's entry rests on.

A mark is set last of all that a publish does for a tile-year, so a tile-year whose manifests are all marked is settled:
whoever publishes next need not read them again, and whatever is not marked is done once more.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from betaearth.products.keys import item_id
from betaearth.stac import extension
from betaearth.stac.document import GEOJSON, Document, extension_uri, from_bytes, link
from betaearth.stac.tree import Node, catalog_document, merged, stored_links

MANIFESTS = f"{extension.PREFIX}manifests"
EMPTY = f"{extension.PREFIX}empty"
EXTENSIONS = [extension_uri("file", "v2.1.0"), extension.URI]


@dataclass(frozen=True)
class Settled:
    """A tile-year with everything done but its mark."""

    prefix: str
    """Folder of the tile-year, without a final slash."""
    stems: tuple[str, ...]
    """Names of the manifests that this rests on, sorted."""
    item: bytes | None
    """The current Item as it was stored; None where there is no product."""
    reason: str | None = None
    """Why there is no product."""

    @property
    def cell(self) -> str:
        """Cell id in lower case, as in keys."""
        return posixpath.basename(self.prefix)

    @property
    def item_name(self) -> str:
        """Name of the Item's file."""
        collection, year, _, _, cell = self.prefix.split("/")
        return f"{item_id(collection, cell, int(year))}.json"


@dataclass(frozen=True)
class Mark:
    """What a block's catalog says of a tile-year."""

    stems: frozenset[str]
    link: Mapping[str, Any] | None
    """To the Item; None where there is no product."""
    reason: str | None = None
    """Why there is no product."""


def marks_of(data: bytes | None, *, where: str) -> dict[str, Mark]:
    """Read the marks of a block's catalog: cell id in lower case to mark.

    What has the form of no mark is none, so that it is published anew.

    Raises:
        DataError: what is stored is no catalog.
    """
    if data is None:
        return {}
    document = from_bytes(data, where=where)
    marks = {}
    for entry in _dicts(document.get(EMPTY)):
        if isinstance(cell := entry.get("cell"), str):
            marks[cell.lower()] = Mark(_stems(entry), None, str(entry.get("reason")))
    for entry in stored_links(document, where):
        if entry["rel"] == "item":
            marks[str(entry["href"]).removeprefix("./").partition("/")[0]] = Mark(_stems(entry), entry)
    return marks


def with_tile_years(existing: bytes | None, node: Node, settled: Iterable[Settled]) -> bytes:
    """Make a block's catalog say what these tile-years have come to; the others' entries stay.

    Args:
        existing: the catalog as it is stored; None where there is none.
        node: the block.
        settled: in any order.

    Raises:
        DataError: what is stored is no catalog.
    """
    stored = {} if existing is None else from_bytes(existing, where=node.key)
    settled = list(settled)
    done = {entry.cell for entry in settled}
    links = {
        old["href"]: old
        for old in stored_links(stored, node.key)
        if old["rel"] == "item" and str(old["href"]).removeprefix("./").partition("/")[0] not in done
    }
    links |= {each["href"]: each for each in map(item_link, settled) if each}
    empty = [old for old in _dicts(stored.get(EMPTY)) if str(old.get("cell")).lower() not in done]
    empty += [
        {"cell": entry.cell.upper(), "manifests": list(entry.stems), "reason": entry.reason or "empty"}
        for entry in settled
        if entry.item is None and entry.stems
    ]
    return merged(existing, leaf_document(node, empty), list(links.values()), where=node.key)


def leaf_document(node: Node, empty: Iterable[Mapping[str, Any]] = ()) -> Document:
    """Describe a block without its Items."""
    document = catalog_document(node)
    links = document.pop("links")
    return {
        **document,
        "stac_extensions": EXTENSIONS,
        EMPTY: sorted(empty, key=lambda entry: str(entry["cell"])),
        "links": links,
    }


def item_link(settled: Settled) -> dict[str, Any] | None:
    """Describe the link to a tile-year's Item by the bytes that were written; None where there is none."""
    if settled.item is None:
        return None
    return {
        **link("item", f"./{settled.cell}/{settled.item_name}", f"{settled.cell.upper()} {_year(settled)}", GEOJSON),
        "file:size": len(settled.item),
        "file:checksum": f"1220{hashlib.sha256(settled.item).hexdigest()}",
        MANIFESTS: list(settled.stems),
    }


def says(mark: Mark | None, settled: Settled) -> bool:
    """Whether a mark says already what a tile-year has come to."""
    if mark is None:
        return not settled.stems
    if mark.link is None:
        return settled.item is None and mark.stems == set(settled.stems)
    return dict(mark.link) == item_link(settled)


def _year(settled: Settled) -> str:
    return settled.prefix.split("/")[1]


def _dicts(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _stems(entry: Mapping[str, Any]) -> frozenset[str]:
    stems = entry.get(MANIFESTS, entry.get("manifests"))
    return frozenset(map(str, stems)) if isinstance(stems, list) else frozenset()

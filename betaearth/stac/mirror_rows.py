"""An Item as a row of the mirror, and back.

A row is the Item with four differences. Its relative hrefs count from where the parts of its year lie,
`{collection}/items/year=Y/`, so that a store can still be moved: `../../2024/r05-c05/r05f-c054/433u_1046r/...`, and a
`self` link of that kind leads to the Item. What is free in form (`selection` in `betaearth:provenance`) is JSON text,
since the columns of a table must not depend on what somebody sets. And nulls and empty objects are left out, which no
Item of ours has elsewhere: columns cannot tell them from what is absent. `betaearth:digest` is of the Item's content,
so that a row tells which Item it is without being made one.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from pystac.utils import datetime_to_str, str_to_datetime

from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.products.keys import tile_year_prefix
from betaearth.stac.document import GEOJSON, Document, link

_MOMENTS = ("created", "updated")
_GRID_CODE = re.compile(r"MAJORTOM-(?P<km>[0-9.]{1,20})-(?P<cell>[0-9]{1,6}[UD]_[0-9]{1,6}[RL])")
PROVENANCE = "betaearth:provenance"
DIGEST = "betaearth:digest"
"""Of rows only."""
_SELECTION = "selection"
_DIGITS = 32
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|/", re.IGNORECASE)
"""How an href starts that is not relative."""


@dataclass(frozen=True, slots=True)
class Row:
    """What says which version of which Item a row is."""

    id: str
    updated: datetime
    """UTC, as the Item says; as fine as milliseconds."""
    stem: str
    """Of the manifest: first digits of request and sources digest."""
    fingerprint: str
    """SHA-256 of everything that determines the product."""
    digest: str
    """First 32 digits of the SHA-256 of the Item's content, however it is spelled."""

    @property
    def order(self) -> tuple[datetime, str]:
        """What says which of two versions of an Item is newer; as for the manifests, a tie is decided by name."""
        return self.updated, self.stem


def row_of(item: Document) -> Row:
    """Tell which version of which Item this is.

    Raises:
        DataError: it is no Item of ours.
    """
    try:
        properties = item["properties"]
        provenance = properties[PROVENANCE]
        return Row(
            id=str(item["id"]),
            updated=str_to_datetime(properties["updated"]),
            stem=stem_of(provenance["request_digest"], provenance["sources_digest"]),
            fingerprint=str(provenance["fingerprint"]),
            digest=_digest(item),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _no_item(item, error) from error


def stem_of(request_digest: str, sources_digest: str) -> str:
    """Name a manifest by its digests, as its key does."""
    return f"{request_digest[:12]}-{sources_digest[:8]}"


def place_of(item: Document) -> str:
    """Name the folder that an Item lies in, relative to the store: `{collection}/{year}/.../433u_1046r`.

    Raises:
        DataError: it is no Item of ours.
    """
    try:
        properties = item["properties"]
        return place_in(item["collection"], int(properties["start_datetime"][:4]), properties["grid:code"])
    except (KeyError, TypeError, ValueError) as error:
        raise _no_item(item, error) from error


def place_in(collection: str, year: int, code: str) -> str:
    """Name the folder of a tile-year, relative to the store.

    Args:
        collection: its id.
        year: the calendar year.
        code: `grid:code` of the cell.

    Raises:
        TypeError, ValueError: they are none.
        DataError: there is no such cell.
    """
    match = _GRID_CODE.fullmatch(code)
    if match is None:
        raise ValueError(f"{code!r:.100} is no cell of a Major TOM grid")
    return tile_year_prefix(_text(collection), year, _grid(match["km"]).cell(match["cell"]))


def to_row(item: Document) -> Document:
    """Make the row of an Item.

    Raises:
        DataError: it is no Item of ours.
    """
    place = place_of(item)
    row: Document = _moved(item, place, _parts_of(item, place))
    name = f"{item['id']}.json"
    href = posixpath.relpath(f"{place}/{name}", _parts_of(item, place))
    row["links"].append(link("self", href, f"The Item {item['id']}", GEOJSON))
    row["properties"][DIGEST] = _digest(item)
    provenance = row["properties"].get(PROVENANCE, {})
    row["properties"][PROVENANCE] = {
        **provenance,
        _SELECTION: json.dumps(provenance.get(_SELECTION, {}), ensure_ascii=False, sort_keys=True),
    }
    dense: Document = _dense(row)
    return dense


def from_row(row: Document) -> Document:
    """Make the Item of a row.

    Args:
        row: as rustac reads it: absent fields of an object as nulls, moments with an offset, the bbox as a tuple, and
            a geometry as MultiPolygon where one that it was written with is.

    Raises:
        DataError: it is no row of ours.
    """
    row = _dense(row)
    place = place_of(row)
    item = _moved(row, _parts_of(row, place), place)
    try:
        item["links"] = [each for each in item["links"] if each["rel"] != "self"]
        item["bbox"] = list(item["bbox"])
        item["geometry"] = _geometry(item["geometry"])
        item["properties"].pop(DIGEST, None)
        for name in _MOMENTS:
            item["properties"][name] = datetime_to_str(str_to_datetime(item["properties"][name]))
        provenance = item["properties"][PROVENANCE]
        provenance[_SELECTION] = json.loads(provenance[_SELECTION])
    except (KeyError, TypeError, ValueError) as error:
        raise _no_item(row, error) from error
    return item


def _moved(item: Document, here: str, there: str) -> Document:
    """Copy an Item with hrefs relative to another folder."""
    try:
        return {
            **item,
            "properties": {**item["properties"]},
            "links": [{**each, "href": _href(each["href"], here, there)} for each in item["links"]],
            "assets": {
                name: {**asset, "href": _href(asset["href"], here, there)} for name, asset in item["assets"].items()
            },
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise _no_item(item, error) from error


def _href(href: str, here: str, there: str) -> str:
    """Spell an href of the folder `here` as one of the folder `there`; what is not relative stays."""
    if _OUTSIDE.match(href):
        return href
    moved = posixpath.relpath(posixpath.join("/", here, href), posixpath.join("/", there))
    return moved if moved.startswith("../") else f"./{moved}"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _geometry(geometry: Document) -> Document:
    polygons = geometry["coordinates"]
    if geometry["type"] == "MultiPolygon" and len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return geometry


def _parts_of(item: Document, place: str) -> str:
    return f"{item['collection']}/items/year={place.split('/')[1]}"


def _dense(value: Any) -> Any:  # noqa: ANN401  -- any JSON value
    """Leave out nulls and empty objects, at any depth of objects."""
    if isinstance(value, dict):
        kept = {name: _dense(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each is not None and each != {}}
    if isinstance(value, list):
        return [_dense(each) for each in value] if value and isinstance(value[0], dict) else value
    return value


def _digest(item: Document) -> str:
    """Digest an Item's content: the order of fields does not count, nor whether a number is written 1 or 1.0."""
    numbers = json.loads(json.dumps(_dense(item)), parse_int=float)
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:_DIGITS]


@lru_cache(maxsize=8)
def _grid(km: str) -> MajorTomGrid:
    return MajorTomGrid(float(km) * 1000)


def _no_item(item: Document, error: Exception) -> DataError:
    name = item.get("id") if isinstance(item, dict) else None
    return DataError(f"{name!r:.250} is no Item of ours, so it cannot be a row of the mirror: {error!r:.250}")

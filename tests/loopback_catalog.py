"""The STAC API of a loopback Planetary Computer: documents and searches over the Items of a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry

API = "/api/stac/v1"
MOST = 1000
"""Items a page, as upstream; more are not given."""
CONFORMS_TO = [
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
]
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, other: bool(value == other),
    "neq": lambda value, other: bool(value != other),
    "lt": lambda value, other: value is not None and value < other,
    "lte": lambda value, other: value is not None and value <= other,
    "gt": lambda value, other: value is not None and value > other,
    "gte": lambda value, other: value is not None and value >= other,
    "in": lambda value, other: value in other,
    "startsWith": lambda value, other: isinstance(value, str) and value.startswith(other),
    "endsWith": lambda value, other: isinstance(value, str) and value.endswith(other),
    "contains": lambda value, other: isinstance(value, str) and other in value,
}


@dataclass
class Catalog:
    """Items and where their assets lie on disk. `items` may be changed between requests."""

    url: str
    """Root of the server, without `API`."""
    items: list[dict[str, Any]]
    """With hrefs as they are served."""
    files: dict[str, Path]
    """`container/path` of an asset to its file."""
    page: int = 100
    """Items a page where a search names no limit; `most` of them where it names a larger one."""
    most: int = MOST
    searches: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the searches so far."""

    @property
    def root(self) -> str:
        """Of the STAC API."""
        return self.url + API

    @cached_property
    def collections(self) -> tuple[str, ...]:
        return tuple(sorted({item["collection"] for item in self.items}))

    def document(self, path: str) -> dict[str, Any] | None:
        """The landing page, all collections or one of them; None where there is nothing."""
        if path in {"", "/"}:
            return self._landing()
        if path == "/collections":
            return {"collections": [self._collection(name) for name in self.collections], "links": []}
        name = path.removeprefix("/collections/")
        return self._collection(name) if name in self.collections else None

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer an item search, newest first, as upstream does."""
        self.searches.append(body)
        found = [item for item in self.items if _matches(item, body)]
        found.sort(key=lambda item: (_when(item), item["id"]), reverse=True)
        start = int(str(body.get("token", "next:0")).removeprefix("next:"))
        limit = min(int(body.get("limit", self.page)), self.most)
        links: list[dict[str, Any]] = [{"rel": "root", "href": self.root}]
        if start + limit < len(found):
            following = {**body, "token": f"next:{start + limit}"}
            links.append({"rel": "next", "href": f"{self.root}/search", "method": "POST", "body": following})
        return {"type": "FeatureCollection", "features": found[start : start + limit], "links": links}

    def _landing(self) -> dict[str, Any]:
        search = {"rel": "search", "href": f"{self.root}/search", "type": "application/geo+json"}
        return {
            "type": "Catalog",
            "id": "loopback-planetary-computer",
            "stac_version": "1.0.0",
            "description": "A Planetary Computer on the loopback",
            "conformsTo": CONFORMS_TO,
            "links": [
                {"rel": "self", "href": self.root},
                {"rel": "root", "href": self.root},
                {"rel": "data", "href": f"{self.root}/collections"},
                {**search, "method": "GET"},
                {**search, "method": "POST"},
            ],
        }

    def _collection(self, name: str) -> dict[str, Any]:
        return {
            "type": "Collection",
            "id": name,
            "stac_version": "1.0.0",
            "description": name,
            "license": "proprietary",
            "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
            "links": [
                {"rel": "self", "href": f"{self.root}/collections/{name}"},
                {"rel": "root", "href": self.root},
            ],
        }


def load(items: Path, url: str, host: str) -> Catalog:
    """Read an item collection and serve its assets from `{host}/{collection}/{item}/{file name}`."""
    catalog = Catalog(url, [], {})
    for item in json.loads(items.read_text())["features"]:
        collection, item_id = item["collection"], item["id"]
        for asset in item["assets"].values():
            local = (items.parent / asset["href"]).resolve()
            place = f"{collection}/{item_id}/{local.name}"
            catalog.files[place] = local
            asset["href"] = f"{host}/{place}"
        item["links"] = [
            {"rel": "self", "href": f"{catalog.root}/collections/{collection}/items/{item_id}"},
            {"rel": "collection", "href": f"{catalog.root}/collections/{collection}"},
        ]
        catalog.items.append(item)
    return catalog


def _matches(item: dict[str, Any], body: Mapping[str, Any]) -> bool:
    return (
        item["collection"] in body.get("collections", [item["collection"]])
        and item["id"] in (body.get("ids") or [item["id"]])
        and _in_time(item, body.get("datetime"))
        and _in_place(item, body)
        and all(_satisfies(item["properties"].get(key), test) for key, test in body.get("query", {}).items())
    )


def _satisfies(value: Any, test: Mapping[str, Any]) -> bool:
    return all(_OPERATORS[operator](value, other) for operator, other in test.items())


def _in_place(item: dict[str, Any], body: Mapping[str, Any]) -> bool:
    wanted: BaseGeometry | None = None
    if body.get("intersects") is not None:
        wanted = shape(body["intersects"])
    elif body.get("bbox") is not None:
        wanted = box(*body["bbox"])
    return wanted is None or bool(shape(item["geometry"]).intersects(wanted))


def _in_time(item: dict[str, Any], interval: str | None) -> bool:
    if not interval:
        return True
    begin, _, end = interval.partition("/")
    first = datetime.min.replace(tzinfo=UTC) if begin in {"", ".."} else _parsed(begin)
    last = datetime.max.replace(tzinfo=UTC) if end == ".." else _parsed(end or begin)
    return first <= _when(item) <= last


def _when(item: dict[str, Any]) -> datetime:
    return _parsed(item["properties"].get("datetime") or item["properties"]["start_datetime"])


def _parsed(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time

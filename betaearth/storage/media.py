"""What a web server says of an object besides its bytes: its media type, and how long it may be kept."""

from __future__ import annotations

import re

MEDIA_TYPES = {
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".jsonl": "application/x-ndjson",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".png": "image/png",
    ".parquet": "application/vnd.apache.parquet",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
ANYTHING = "application/octet-stream"
FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
"""May be kept, but not shown before the server has said that it is still the same."""

_NAMED_BY_CONTENT = re.compile(
    r".*/[0-9a-f]{12}/[^/]+\.(tif|png)|.*-[0-9a-f]{8,64}\.(parquet|geojson|manifest\.json)", re.DOTALL
)
_ITEM = re.compile(r".*/[0-9]+[ud]_[0-9]+[rl]/[a-z0-9_-]+\.json", re.DOTALL)
"""Beside the manifests of a cell, whose names have two dots."""


def media_type(key: str) -> str:
    """Media type of an object, by its key; a STAC Item is GeoJSON."""
    if _ITEM.fullmatch(key):
        return MEDIA_TYPES[".geojson"]
    name = key.rpartition("/")[2]
    return MEDIA_TYPES.get(f".{name.rpartition('.')[2].lower()}", ANYTHING)


def cache_control(key: str) -> str:
    """How long an object may be kept: forever where its key names its content, else until the server is asked."""
    return FOREVER if _NAMED_BY_CONTENT.fullmatch(key) else ASK_AGAIN

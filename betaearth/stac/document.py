"""STAC documents as bytes: one spelling, so that equal content is equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from betaearth.errors import DataError

Document = dict[str, Any]
"""A parsed STAC document: JSON values alone."""

STAC_VERSION = "1.1.0"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
GEOJSON = "application/geo+json"
JSON = "application/json"
PNG = "image/png"

LICENSE = "CC-BY-4.0"
LICENSE_HREF = "https://creativecommons.org/licenses/by/4.0/"


def extension_uri(name: str, version: str) -> str:
    """Address of a published STAC extension's schema."""
    return f"https://stac-extensions.github.io/{name}/{version}/schema.json"


def link(rel: str, href: str, title: str, media_type: str = JSON) -> dict[str, str]:
    """Describe a link; browsers list links by their title, so each has one."""
    return {"rel": rel, "href": href, "type": media_type, "title": title}


def license_link() -> dict[str, str]:
    """Describe the link to the licence of products."""
    return link("license", LICENSE_HREF, LICENSE, "text/html")


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Serialise: UTF-8 JSON in the order of the mapping, two spaces, a final newline.

    Raises:
        DataError: it holds what JSON cannot say: a number that is not finite, a lone surrogate.
    """
    try:
        return (json.dumps(document, allow_nan=False, ensure_ascii=False, indent=2) + "\n").encode()
    except ValueError as error:
        raise DataError(f"STAC document {document.get('id')!r} cannot be JSON: {error}") from error


def from_bytes(data: bytes, *, where: str) -> Document:
    """Parse a STAC document that was read from `where`.

    Raises:
        DataError: it is not a JSON object.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON ({error}), and so no STAC document") from error
    if not isinstance(document, dict):
        raise DataError(f"{where} is JSON of type {type(document).__name__}, not a STAC document")
    return document

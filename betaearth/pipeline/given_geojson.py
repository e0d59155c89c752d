"""GeoJSON as somebody gives it, by a word: an address, a path, or the text itself. Nothing is read here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from betaearth.errors import ConfigError, DataError
from betaearth.scenes.hrefs import plain
from betaearth.storage.open import local_path


def is_text(word: str) -> bool:
    """Tell whether a word is the document itself."""
    return word.lstrip().startswith("{")


def scheme_of(word: str) -> str:
    """Scheme of the address that a word is, in small letters; empty where it is a path or the document itself."""
    scheme, colon, _ = word.partition("://")
    return scheme.lower() if colon and not is_text(word) else ""


def path_of(word: str) -> Path:
    """Path of the file that a word names, which may be a `file://` URI.

    Raises:
        ConfigError: it is an address of a kind that nobody reads, or names no path of this machine.
    """
    path = local_path(word)
    if path is None:
        raise ConfigError(
            f"{plain(word)} cannot be read: give a file, https://, s3://bucket/key, or the GeoJSON itself"
        )
    return path


def geojson_name(word: str) -> str:
    """Say how messages name a GeoJSON document: its path, its address without query, or that it was given as text."""
    return "the GeoJSON that was given as text" if is_text(word) else plain(word)


def parsed_geojson(text: str | bytes, where: str) -> Mapping[str, Any]:
    """Parse a document that came from `where`.

    Raises:
        DataError: it is no JSON object.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no JSON: {error}; give a GeoJSON document") from error
    if not isinstance(document, dict):
        raise DataError(f"{where} is no GeoJSON: it is no object with a `type` such as FeatureCollection")
    return document

"""Our provenance extension: where its schema lies, in an installed package as in a checkout."""

from __future__ import annotations

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

from betaearth.errors import ConfigError
from betaearth.stac.document import Document, from_bytes

PREFIX = "betaearth:"
URI = "https://betaearth.github.io/catalog/extension/v1.0.0/schema.json"

_SCHEMA = "v1.0.0/schema.json"


def schema() -> Document:
    """Read the extension's JSON Schema.

    Raises:
        ConfigError: the installation lacks it.
    """
    for folder in schema_folders():
        file = folder.joinpath(_SCHEMA)
        if file.is_file():
            return from_bytes(file.read_bytes(), where=str(file))
    looked = ", ".join(str(folder) for folder in schema_folders())
    raise ConfigError(f"no schema of {URI} in {looked}; reinstall betaearth")


def schema_folders() -> tuple[Traversable, Path]:
    """List where the extension may lie: inside an installed wheel, or beside the package in a checkout."""
    installed = importlib.resources.files("betaearth.stac").joinpath("extension")
    checkout = Path(__file__).resolve().parents[2] / "catalog" / "extension"
    return installed, checkout

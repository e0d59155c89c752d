"""Which source a user means."""

from __future__ import annotations

import re
from pathlib import Path

from betaearth.errors import ConfigError
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import Source
from betaearth.scenes.profile import PLANETARY_COMPUTER
from betaearth.scenes.stac_api import StacApiSource
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.storage.open import local_path

KINDS = (
    "`synthetic`, `synthetic:SEED`, a path or s3:// URI of an item collection (.json), "
    "or the http(s):// root of a STAC API"
)

_SYNTHETIC = re.compile(r"synthetic(?::(?P<seed>\d{1,9}))?")
_FILES = (".json", ".geojson")


def open_source(uri: str, *, cache: Path) -> Source:
    """Open the source that a URI names; nothing is read yet.

    Args:
        uri: `synthetic`, `synthetic:SEED`, a path or `s3://` URI of an item collection, or a STAC API's root.
        cache: folder for what the synthetic source writes.

    Raises:
        ConfigError: the URI names none of these.
    """
    if match := _SYNTHETIC.fullmatch(uri):
        return SyntheticSource(cache, int(match["seed"] or 0))
    if uri.startswith(("http://", "https://")):
        return StacApiSource(uri.rstrip("/"), PLANETARY_COMPUTER)
    if uri.startswith("s3://") and uri.endswith(_FILES):
        return ItemCollectionSource(uri)
    path = local_path(uri)
    if path is None or path.suffix not in _FILES:
        raise ConfigError(f"{uri} is no source: give {KINDS}")
    if not path.is_file():
        raise ConfigError(f"{uri} is not a file that is there: give {KINDS}")
    return ItemCollectionSource(uri)

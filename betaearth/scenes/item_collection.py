"""A source that is one file: a GeoJSON FeatureCollection of STAC Items."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.granules import matching, parse_item, to_granule
from betaearth.scenes.hrefs import plain, recorded
from betaearth.scenes.model import Granule, Sensor
from betaearth.scenes.profile import PLANETARY_COMPUTER_SPELLING, SourceProfile
from betaearth.storage.open import local_path

DIGITS = 12
"""Hexadecimal digits of a profile's digest that stand in an identity."""


@dataclass(frozen=True)
class ItemCollectionSource:
    """A FeatureCollection of Items, on this machine, on a web server or on S3."""

    uri: str
    """A path, or a `file://`, `http(s)://` or `s3://bucket/key` URI. It is read once, at the first need."""
    profile: SourceProfile = PLANETARY_COMPUTER_SPELLING
    """How its Items spell collections and assets."""
    files: Files = field(default_factory=Files, compare=False, repr=False)
    """Opens its assets, and itself."""

    @property
    def identity(self) -> str:
        """The same wherever the same bytes lie; rules that are not the common ones stand in it."""
        rules = "" if self.profile == PLANETARY_COMPUTER_SPELLING else f"{self.profile.digest()[:DIGITS]}:"
        return f"items:{rules}sha256:{hashlib.sha256(self._content).hexdigest()}"

    @property
    def title(self) -> str:
        """The file's name, and the profile's where it has one of its own."""
        name = plain(self.uri).rstrip("/").rsplit("/", 1)[-1]
        own = self.profile.title if self.profile != PLANETARY_COMPUTER_SPELLING else "STAC item collection"
        return f"{own} {name}"

    @property
    def synthetic(self) -> bool:
        """Imagery of an item collection is taken as what it says it is."""
        return False

    def portable(self, href: str) -> str:
        """Spell an asset's href for a manifest: a path on disk relative to the folder, no credentials in any other."""
        folder = Path(self._base).parent
        if Path(href).is_absolute() and folder.is_absolute():
            return os.path.relpath(href, folder)
        return recorded(href)

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        """Find every granule of the sensors that touches the grid in the year, sorted by (sensed, id).

        Raises:
            DataError: the file is not there, or is no collection of STAC Items.
            ConfigError: it may not be read.
            TransientError: the store or the server did not answer.
        """
        return matching(self._granules, grid, year, sensors)

    @cached_property
    def _content(self) -> bytes:
        return self.files.read_bytes(self.uri)

    @cached_property
    def _base(self) -> str:
        """Absolute location, to which relative hrefs are relative."""
        path = local_path(self.uri)
        return self.uri if path is None else str(path.resolve())

    @cached_property
    def _granules(self) -> tuple[Granule, ...]:
        granules = (
            to_granule(parse_item(feature, plain(self.uri)), self.profile, base=self._base)
            for feature in _features(self._content, plain(self.uri))
        )
        return tuple(granule for granule in granules if granule is not None)


def _features(content: bytes, where: str) -> list[object]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: {error}") from error
    kind = document.get("type") if isinstance(document, dict) else type(document).__name__
    if kind != "FeatureCollection" or not isinstance(document.get("features"), list):
        raise DataError(f"{where} is a {kind}; a source is a FeatureCollection whose features are STAC Items")
    features: list[object] = document["features"]
    return features

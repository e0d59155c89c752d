"""A source that is one file: a GeoJSON FeatureCollection of STAC Items."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.granules import matching, parse_item, to_granule
from betaearth.scenes.model import Granule, Sensor
from betaearth.scenes.profile import PLANETARY_COMPUTER
from betaearth.storage.objects import read_object
from betaearth.storage.open import local_path


@dataclass(frozen=True)
class ItemCollectionSource:
    """A FeatureCollection of Items in the spelling of the Planetary Computer, on this machine or on S3."""

    uri: str
    """A path, a `file://` URI or `s3://bucket/key`. It is read once, at the first need."""

    @property
    def identity(self) -> str:
        """The same wherever the same bytes lie."""
        return f"items:sha256:{hashlib.sha256(self._content).hexdigest()}"

    @property
    def title(self) -> str:
        """The file's name."""
        return f"STAC item collection {self.uri.rstrip('/').rsplit('/', 1)[-1]}"

    @property
    def synthetic(self) -> bool:
        """Imagery of an item collection is taken as what it says it is."""
        return False

    def portable(self, href: str) -> str:
        """Spell an asset's href for a manifest: a path on disk relative to the collection's folder."""
        folder = Path(self._base).parent
        return os.path.relpath(href, folder) if Path(href).is_absolute() and folder.is_absolute() else href

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        """Find every granule of the sensors that touches the grid in the year, sorted by (sensed, id).

        Raises:
            DataError: the file is not there, or is no collection of STAC Items.
            ConfigError: it may not be read.
            TransientError: the store did not answer.
        """
        return matching(self._granules, grid, year, sensors)

    @cached_property
    def _content(self) -> bytes:
        return read_object(self.uri)

    @cached_property
    def _base(self) -> str:
        """Absolute location, to which relative hrefs are relative."""
        path = local_path(self.uri)
        return self.uri if path is None else str(path.resolve())

    @cached_property
    def _granules(self) -> tuple[Granule, ...]:
        granules = (
            to_granule(parse_item(feature, self.uri), PLANETARY_COMPUTER, base=self._base)
            for feature in _features(self._content, self.uri)
        )
        return tuple(granule for granule in granules if granule is not None)


def _features(content: bytes, where: str) -> list[object]:
    try:
        document = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{where} is not JSON: {error}") from error
    kind = document.get("type") if isinstance(document, dict) else type(document).__name__
    if kind != "FeatureCollection" or not isinstance(document.get("features"), list):
        raise DataError(f"{where} is a {kind}; a source is a FeatureCollection whose features are STAC Items")
    features: list[object] = document["features"]
    return features

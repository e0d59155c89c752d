"""The granules that a manifest tells of, found again in a source: what is new is not seen, what is gone is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from betaearth.grid.pixels import PixelGrid
from betaearth.products.manifest import Fate, GranuleRecord, Manifest
from betaearth.scenes.files import Files
from betaearth.scenes.model import Granule, Sensor, Source
from betaearth.scenes.profile import SourceProfile
from betaearth.stac.titles import is_synthetic


@dataclass(frozen=True)
class RecalledSource:
    """A source as it was when a product was made; it goes by the name that it had then."""

    source: Source
    """Where the granules are found again."""
    manifest: Manifest
    granules: tuple[Granule, ...] = ()
    """Sorted by (sensed, id)."""

    @property
    def profile(self) -> SourceProfile:
        """Of the source."""
        return self.source.profile

    @property
    def files(self) -> Files:
        """Of the source."""
        return self.source.files

    @property
    def identity(self) -> str:
        """Of the source that the product was made of: the same granules may be found in a copy of it."""
        return self.manifest.request.source

    @property
    def title(self) -> str:
        """Of the source that the product was made of: it is written into the rasters."""
        return self.manifest.source_title

    @property
    def synthetic(self) -> bool:
        """Whether the product was made of made-up imagery."""
        return is_synthetic(self.identity)

    def portable(self, href: str) -> str:
        """Spell an asset's href as the source does."""
        return self.source.portable(href)

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:  # noqa: ARG002
        """Give the granules of some sensors; place and year are the product's."""
        return [granule for granule in self.granules if granule.sensor in sensors]


@dataclass(frozen=True)
class Recall:
    """What a search found of a manifest's candidates."""

    granules: tuple[Granule, ...]
    """Those that are the same as then, sorted by (sensed, id)."""
    gone: tuple[str, ...]
    """What became of granules that were used and are not the same now, a sentence each."""
    passed_over: tuple[str, ...]
    """The same of candidates that were not used."""


def recall(found: list[Granule], manifest: Manifest, nowhere: Path) -> Recall:
    """Find a manifest's candidates among what a search found now.

    Args:
        found: granules of the product's place and year.
        manifest: names the candidates by id and version.
        nowhere: path at which there is no file: what could not be read then is not to be read now.
    """
    now = {granule.id: granule for granule in found}
    same: list[Granule] = []
    lost: dict[Fate, list[str]] = {fate: [] for fate in Fate}
    for record in manifest.granules:
        granule = now.get(record.id)
        if granule is not None and granule.version == _version(record):
            same.append(_as_then(granule, record, nowhere))
        else:
            lost[record.fate].append(_loss(record, granule))
    return Recall(
        granules=tuple(sorted(same, key=lambda granule: (granule.sensed, granule.id))),
        gone=tuple(lost[Fate.USED]),
        passed_over=tuple(lost[Fate.REJECTED] + lost[Fate.UNREADABLE]),
    )


def _version(record: GranuleRecord) -> Mapping[str, str | None]:
    return {"id": record.id, "baseline": record.baseline, "generated": record.generated}


def _loss(record: GranuleRecord, granule: Granule | None) -> str:
    if granule is None:
        return f"granule {record.id} of {record.collection} is gone"
    return (
        f"granule {record.id} has another version: baseline {granule.baseline} generated {granule.generated}, not "
        f"baseline {record.baseline} generated {record.generated}"
    )


def _as_then(granule: Granule, record: GranuleRecord, nowhere: Path) -> Granule:
    """Hide the file that could not be read then: another granule took its place, and must do so again."""
    name, colon, _ = (record.reason or "").partition(": ")
    if record.fate is not Fate.UNREADABLE or not colon or name not in granule.assets:
        return granule
    return replace(granule, assets={**granule.assets, name: str(nowhere)})

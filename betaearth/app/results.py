"""What lies in a visitor's folder: years that are made, their files, and what their manifests say, in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from betaearth.cli.report import size_text
from betaearth.errors import DataError
from betaearth.pipeline.counting import counted
from betaearth.products.caveats import caveats
from betaearth.products.manifest import Fate, Manifest
from betaearth.stac.titles import is_synthetic

WHAT = {
    "embeddings.tif": "Embeddings: 64 bands, GeoTIFF",
    "quality.tif": "Quality: observations and dispersion of each pixel, GeoTIFF",
    "preview.png": "Preview: three principal components, PNG",
}
"""A product's file to what it is."""
NAME = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*)/([0-9]{4})[._]")
"""How the name of a file begins: its area's folder, and its year."""
SENSORS = {"s2_l2a": "Sentinel-2", "s2_l1c": "Sentinel-2 Level-1C", "s1": "Sentinel-1"}


@dataclass(frozen=True)
class Download:
    """A file that a visitor may take."""

    path: Path
    name: str
    """Of the file; of a single scene's with its folders, which say of which scene it is."""
    what: str
    """In words."""
    size: int
    """Bytes."""

    @property
    def label(self) -> str:
        """Name, and size in words."""
        return f"{self.name} ({size_text(self.size)})"


@dataclass(frozen=True)
class MadeYear:
    """A year of an area that is finished."""

    folder: Path
    """Of the area; its name is the area's."""
    manifest: Manifest

    @property
    def year(self) -> int:
        """The calendar year."""
        return self.manifest.request.year

    @property
    def manifest_path(self) -> Path:
        """File of the manifest."""
        return self.folder / f"{self.year}_manifest.json"

    def file(self, name: str) -> Path | None:
        """Return the path of a product's file; None where there is none."""
        record = self.manifest.files.get(name)
        path = self.folder / record.key if record else None
        return path if path is not None and path.is_file() else None

    @property
    def overview(self) -> Path | None:
        """A figure of the year, where one was drawn."""
        path = self.folder / f"{self.year}_overview.png"
        return path if path.is_file() else None

    @property
    def caveats(self) -> list[str]:
        """What keeps it from telling of the real Earth."""
        request = self.manifest.request
        return caveats(request.variant, synthetic=is_synthetic(request.source))

    @property
    def downloads(self) -> list[Download]:
        """Its files, the large ones first."""
        found = [(self.file(name), what) for name, what in WHAT.items()]
        found += [(self.overview, "Overview, PNG"), (self.manifest_path, "Manifest: provenance, JSON")]
        there = [(path, what) for path, what in found if path is not None and path.is_file()]
        return [Download(path, path.name, what, path.stat().st_size) for path, what in there]

    @property
    def scene_downloads(self) -> list[Download]:
        """What is kept of its single scenes."""
        kept = self.folder / f"{self.year}_files"
        there = [(kept / name, name) for name in sorted(self.manifest.scene_files) if (kept / name).is_file()]
        return [Download(path, name, "Of a single scene", path.stat().st_size) for path, name in there]


def made_years(folder: Path) -> list[MadeYear]:
    """Find what is finished below a folder, by area, then by year."""
    return sorted(_found(folder), key=lambda made: (made.folder.name, made.year))


def made_year(folder: Path, name: str) -> MadeYear | None:
    """Find the finished year that a file would be of; None where there is none.

    Args:
        folder: of a visitor.
        name: of the file below it: `{area}/{year}.tif`, `{area}/{year}_files/...`.
    """
    match = NAME.match(name)
    return None if match is None else _read(folder / match[1] / f"{match[2]}_manifest.json")


def _found(folder: Path) -> Iterator[MadeYear]:
    for path in folder.glob("*/*_manifest.json"):
        if made := _read(path):
            yield made


def _read(path: Path) -> MadeYear | None:
    try:
        return MadeYear(path.parent, _manifest(path, path.stat().st_mtime_ns))
    except (DataError, FileNotFoundError):
        # Another version's, or just being replaced: a run that asks for it makes it anew.
        return None


@lru_cache(maxsize=64)
def _manifest(path: Path, changed: int) -> Manifest:  # noqa: ARG001  # one that is replaced is read anew
    return Manifest.from_bytes(path.read_bytes(), where=path.name)


def provenance(manifest: Manifest) -> list[str]:
    """Say where a year comes from, a sentence each."""
    request, variant = manifest.request, manifest.request.variant
    used = Counter(SENSORS[scene.sensor] for scene in manifest.scenes)
    fates = Counter(granule.fate for granule in manifest.granules)
    scenes = " and ".join(f"{count} of {sensor}" for sensor, count in sorted(used.items(), reverse=True))
    weights = f"weights with SHA-256 {variant.weights_sha256[:12]}…"
    said = [
        f"{request.year}, {manifest.source_title}: {counted(len(manifest.scenes), 'scene')}"
        + (f", {scenes}." if scenes else "."),
        f"Of {counted(len(manifest.granules), 'granule')} that were found, {fates[Fate.USED]} are used, "
        f"{fates[Fate.REJECTED]} were not chosen and {fates[Fate.UNREADABLE]} could not be used.",
        f"Network: {variant.name}, {weights}.",
        f"Grid: EPSG:{request.grid.epsg}, {request.grid.width} x {request.grid.height} px of "
        f"{request.grid.resolution:g} m.",
    ]
    if manifest.reason:
        said.append(f"Nothing was made: {manifest.reason}.")
    if manifest.statistics:
        statistics = manifest.statistics
        said.append(
            f"{statistics.valid_fraction:.1%} of the pixels have an embedding, from {statistics.observations_min} to "
            f"{statistics.observations_max} observations each, {statistics.observations_mean:.1f} on average."
        )
    if manifest.missing:
        said.append(f"The source has nothing of: {', '.join(manifest.missing)}.")
    if manifest.computed:
        said.append(f"Computed on {manifest.computed.get('device')} in {manifest.computed.get('precision')}.")
    return [*said, f"Fingerprint: {manifest.fingerprint}."]

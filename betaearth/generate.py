"""The Python API behind `betaearth-generate`.

Example::

    from betaearth.generate import generate

    generate(bbox=(13.2, 48.8, 13.3, 48.9), years=[2024])
    generate(bbox=(13.2, 48.8, 13.3, 48.9), years=[2021], settings={"source": "synthetic", "model": "demo"})
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from betaearth.errors import DataError
from betaearth.events import Emit, ignore
from betaearth.grid.osm import padded
from betaearth.grid.patch import area_pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.pipeline.estimate import Estimate, estimate_year
from betaearth.pipeline.generate import AreaYear, generate_area
from betaearth.pipeline.job import area_year, check_year
from betaearth.pipeline.scene_outputs import SceneFiles
from betaearth.products.options import ProductOptions
from betaearth.settings import Settings, load_settings
from betaearth.wiring import grid_of, open_workshop, region_of


@dataclass(frozen=True, kw_only=True)
class Area:
    """An area of interest, given in one way."""

    bbox: Sequence[float] | None = None
    """(west, south, east, north), degrees."""
    geojson: Path | str | None = None
    """Polygons, whose common bounding box is made: a file, https://, s3://bucket/key, or the GeoJSON itself."""
    osm_relation: int | None = None
    """Id of a relation of OpenStreetMap; its bounding box and a kilometre more is made."""

    def grid(self, settings: Settings) -> PixelGrid:
        """Return its pixel grid."""
        given = {"bbox": self.bbox, "geojson": self.geojson, "osm_relation": self.osm_relation}
        bounds = region_of(grid=grid_of(settings), settings=settings, **given).bounds  # type: ignore[arg-type]
        return area_pixel_grid(bounds if self.osm_relation is None else padded(bounds))

    @property
    def name(self) -> str:
        """Name as the published tool gives it."""
        if self.osm_relation is not None:
            return f"osm_{self.osm_relation}"
        if self.bbox is not None:
            return "bbox_" + "_".join(f"{value:.2f}" for value in self.bbox)
        document = str(self.geojson or "")
        if document.lstrip().startswith("{"):
            return "area"
        path = document.partition("?")[0] if "://" in document else document
        return re.sub(r"[^A-Za-z0-9._-]+", "_", PurePosixPath(path).stem).lstrip(".") or "area"


def generate(
    *,
    years: Iterable[int] | int,
    bbox: Sequence[float] | None = None,
    geojson: Path | str | None = None,
    osm_relation: int | None = None,
    output_dir: Path | str = "outputs",
    name: str | None = None,
    save_scenes: bool = False,
    save_per_timestamp_embedding: bool = False,
    settings: Mapping[str, object] | None = None,
    emit: Emit = ignore,
) -> list[AreaYear]:
    """Make annual embeddings of an area of interest.

    Writes into `{output_dir}/{name}`: `{year}.tif` (64 bands, float32, unit length), `{year}_quality.tif`,
    `{year}_preview_pca.png` and `{year}_manifest.json`. Memory does not grow with the area. A call that was stopped
    goes on where it was when it is repeated.

    Args:
        years: calendar years.
        bbox: (west, south, east, north), degrees.
        geojson: polygons, whose common bounding box is made: a file, https://, s3://bucket/key, or the GeoJSON itself.
        osm_relation: id of a relation of OpenStreetMap; its bounding box and a kilometre more is made.
        output_dir: base folder.
        name: sub-folder; by default `bbox_{w}_{s}_{e}_{n}`, `osm_{id}` or the file's stem.
        save_scenes: keep the pixels of every scene in `{year}_files`.
        save_per_timestamp_embedding: keep the embedding of every scene in `{year}_files`.
        settings: as `betaearth.settings.Settings` names them: `model`, `source`, `device`, `selection`, ...
        emit: called with progress events.

    Raises:
        DataError: the area is impossible, or no imagery of a year can exist.
        ConfigError: weights, source or folder are not what they should be.
        TransientError: the source did not answer.
    """
    return generate_with(
        load_settings(settings or {}),
        years=[years] if isinstance(years, int) else years,
        area=Area(bbox=bbox, geojson=geojson, osm_relation=osm_relation),
        output_dir=output_dir,
        name=name,
        files=SceneFiles(scenes=save_scenes, embeddings=save_per_timestamp_embedding),
        emit=emit,
    )


def generate_with(
    settings: Settings,
    *,
    years: Iterable[int],
    area: Area,
    output_dir: Path | str,
    name: str | None,
    files: SceneFiles,
    emit: Emit,
) -> list[AreaYear]:
    """Make annual embeddings of an area of interest with settings that are loaded; see `generate`."""
    settings = with_plain_vectors(settings)
    years = [check_year(year) for year in years]
    folder_name = check_name(name or area.name)
    grid = area.grid(settings)
    workshop = open_workshop(settings, emit)
    return generate_area(
        folder_name,
        grid,
        years,
        source=workshop.source,
        model=workshop.model,
        options=workshop.options,
        folder=Path(output_dir) / folder_name,
        files=files,
        workers=workshop.workers,
        image=workshop.image,
        emit=emit,
    )


def estimate_with(settings: Settings, *, years: Iterable[int], area: Area, emit: Emit) -> list[Estimate]:
    """Say what `generate_with` would take, and write nothing."""
    settings = with_plain_vectors(settings)
    years = [check_year(year) for year in years]
    grid = area.grid(settings)
    workshop = open_workshop(settings, emit)
    model, source, options = workshop.model, workshop.source, workshop.options
    jobs = [
        area_year(area.name, grid, year, model=model, source=source, options=options) for year in dict.fromkeys(years)
    ]
    return [estimate_year(job, source, model, workers=workshop.workers) for job in jobs]


def with_plain_vectors(settings: Settings) -> Settings:
    """Write float32 unless a dtype is set: AOI mode's users expect the published tool's vectors."""
    if "dtype" in settings.product.model_fields_set:
        return settings
    return settings.model_copy(update={"product": ProductOptions(dtype="float32")})


def check_name(name: str) -> str:
    """Return the name if it can be a folder's.

    Raises:
        DataError: it holds other characters than letters, digits, `.`, `_` and `-`.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise DataError(f"name {name!r}: use letters, digits, '.', '_' and '-' only")
    return name

"""The Python API behind `betaearth-generate`.

Example::

    from betaearth.generate import generate

    generate(bbox=(13.2, 48.8, 13.3, 48.9), years=[2024], settings={"source": "items.json", "model": "demo"})
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from betaearth.errors import DataError
from betaearth.events import Emit, ignore
from betaearth.grid.patch import area_pixel_grid
from betaearth.pipeline.generate import AreaYear, generate_area
from betaearth.products.options import ProductOptions
from betaearth.settings import Settings, load_settings
from betaearth.wiring import grid_of, open_workshop, region_of


def generate(
    *,
    years: Iterable[int],
    bbox: Sequence[float] | None = None,
    geojson: Path | None = None,
    output_dir: Path | str = "outputs",
    name: str | None = None,
    settings: Mapping[str, object] | None = None,
    emit: Emit = ignore,
) -> list[AreaYear]:
    """Make annual embeddings of an area of interest.

    Writes into `{output_dir}/{name}`: `{year}.tif` (64 bands, float32, unit length), `{year}_quality.tif`,
    `{year}_preview_pca.png` and `{year}_manifest.json`.

    Args:
        years: calendar years.
        bbox: (west, south, east, north), degrees.
        geojson: file of polygons; their common bounding box is made.
        output_dir: base folder.
        name: sub-folder; by default `bbox_{w}_{s}_{e}_{n}` or the file's stem.
        settings: as `betaearth.settings.Settings` names them: `model`, `source`, `device`, `selection`, ...
        emit: called with progress events.

    Raises:
        DataError: the area is impossible or too large, or no imagery of a year can exist.
        ConfigError: weights, source or folder are not what they should be.
        TransientError: the source did not answer.
    """
    return generate_with(
        load_settings(settings or {}),
        years=years,
        bbox=bbox,
        geojson=geojson,
        output_dir=output_dir,
        name=name,
        emit=emit,
    )


def generate_with(
    settings: Settings,
    *,
    years: Iterable[int],
    bbox: Sequence[float] | None,
    geojson: Path | None,
    output_dir: Path | str,
    name: str | None,
    emit: Emit,
) -> list[AreaYear]:
    """Make annual embeddings of an area of interest with settings that are loaded; see `generate`."""
    settings = with_plain_vectors(settings)
    region = region_of(bbox=bbox, geojson=geojson, grid=grid_of(settings))
    grid = area_pixel_grid(region.bounds)
    folder_name = check_name(name or default_name(bbox, geojson))
    workshop = open_workshop(settings, emit)
    return generate_area(
        folder_name,
        grid,
        years,
        source=workshop.source,
        model=workshop.model,
        options=workshop.options,
        folder=Path(output_dir) / folder_name,
        emit=emit,
    )


def with_plain_vectors(settings: Settings) -> Settings:
    """Write float32 unless a dtype is set: AOI mode's users expect the published tool's vectors."""
    if "dtype" in settings.product.model_fields_set:
        return settings
    return settings.model_copy(update={"product": ProductOptions(dtype="float32")})


def default_name(bbox: Sequence[float] | None, geojson: Path | None) -> str:
    """Name the area as the published tool does."""
    if bbox is not None:
        return "bbox_" + "_".join(f"{value:.2f}" for value in bbox)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", geojson.stem).lstrip(".") if geojson else "area"


def check_name(name: str) -> str:
    """Return the name if it can be a folder's.

    Raises:
        DataError: it holds other characters than letters, digits, `.`, `_` and `-`.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise DataError(f"name {name!r}: use letters, digits, '.', '_' and '-' only")
    return name

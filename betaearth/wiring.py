"""The only place where settings become objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from betaearth.errors import ConfigError, DataError
from betaearth.events import Emit, Notice
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.region import Region
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.options import ProductionOptions
from betaearth.scenes.model import Source
from betaearth.scenes.sources import open_source
from betaearth.settings import Settings
from betaearth.storage.folder import FolderStore
from betaearth.storage.open import open_store


@dataclass(frozen=True)
class Workshop:
    """What every production needs, made once."""

    model: BetaEarth
    source: Source
    options: ProductionOptions
    grid: MajorTomGrid


def open_workshop(settings: Settings, emit: Emit) -> Workshop:
    """Load the network and open the source.

    Raises:
        ConfigError: weights, source or grid are not what they should be.
    """
    workshop = Workshop(
        model=BetaEarth.from_pretrained(settings.model, device=settings.device),
        source=open_source(settings.source, cache=settings.cache),
        options=settings.production,
        grid=grid_of(settings),
    )
    if not workshop.model.trained:
        emit(Notice(f"variant {workshop.model.variant.name} is UNTRAINED: its embeddings carry no learned meaning"))
    if workshop.source.synthetic:
        emit(Notice(f"imagery is made up: {workshop.source.title}"))
    return workshop


def grid_of(settings: Settings) -> MajorTomGrid:
    """Make the Major TOM grid of the settings' spacing.

    Raises:
        ConfigError: the spacing is impossible.
    """
    try:
        return MajorTomGrid(settings.spacing_km * 1000.0)
    except DataError as error:
        raise ConfigError(f"spacing_km: {error}") from error


def store_of(settings: Settings) -> FolderStore:
    """Open the store.

    Raises:
        ConfigError: none is given, or it is not one.
    """
    if not settings.store:
        raise ConfigError("no store: give --store FOLDER or set BETAEARTH_STORE")
    return open_store(settings.store)


def region_of(
    *, bbox: Sequence[float] | None, geojson: Path | None, cells: Iterable[str] | None, grid: MajorTomGrid
) -> Region:
    """Make the region that a user asks for, which is given in exactly one way.

    Raises:
        ConfigError: no way or several ways are given.
        DataError: the region is impossible.
    """
    cells = list(cells or ())
    given = sum((bbox is not None, geojson is not None, bool(cells)))
    if given != 1:
        raise ConfigError(
            f"{given or 'no'} regions given: give exactly one of --bbox W S E N, --geojson FILE, --cell ID"
        )
    if bbox is not None:
        west, south, east, north = bbox
        return Region.from_bbox((west, south, east, north))
    if geojson is not None:
        return Region.from_geojson(geojson)
    return Region.from_cells(cells, grid)


def cells_of(region: Region, grid: MajorTomGrid) -> list[Cell]:
    """List the region's cells.

    Raises:
        DataError: no cell touches it.
    """
    cells = list(region.cells(grid))
    if not cells:
        raise DataError("the region touches no cell of the grid")
    return cells

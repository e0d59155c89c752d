"""What is to be made: a job is one year of one pixel grid, and it knows its request digest before any search."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from betaearth.errors import DataError
from betaearth.events import Emit, Notice
from betaearth.grid.majortom import Cell
from betaearth.grid.patch import footprint, lonlat_bounds, pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.annual import InferenceOptions, default_together
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.ingredients import outlineless
from betaearth.pipeline.options import ProductionOptions
from betaearth.products.fingerprint import request_digest
from betaearth.products.keys import collection_id, item_id, tile_year_prefix
from betaearth.products.manifest import GridRecord, Request, VariantRecord
from betaearth.scenes.model import FIRST_YEAR, Source
from betaearth.scenes.observations import ObservationOptions, Together


@dataclass(frozen=True)
class Job:
    """One year of one pixel grid."""

    request: Request
    grid: PixelGrid
    options: ProductionOptions
    collection: str
    item_id: str

    @property
    def area(self) -> PixelGrid:
        """The grid with its halo: what is read."""
        return self.grid.grown(self.options.scenes.halo)

    @property
    def name(self) -> str:
        """Cell id, or the area's name."""
        return self.request.cell

    @property
    def year(self) -> int:
        """Calendar year, UTC."""
        return self.request.year

    @property
    def digest(self) -> str:
        """The request digest."""
        return request_digest(self.request)


@dataclass(frozen=True)
class TileYear(Job):
    """One cell in one year, with its place in a store."""

    prefix: str
    """Folder of the tile-year below the store."""


def check_year(year: int, *, today: date | None = None) -> int:
    """Return the year if there can be imagery of it.

    Raises:
        DataError: before 2015 or in the future.
    """
    this_year = (today or datetime.now(UTC).date()).year
    if not isinstance(year, int):
        raise DataError(f"year {year!r} is a {type(year).__name__}; a calendar year such as {this_year} is needed")
    if not FIRST_YEAR <= year <= this_year:
        raise DataError(
            f"year {year}: there is no Sentinel-2 imagery of it; years from {FIRST_YEAR} to {this_year} can be made"
        )
    return year


def warn_unfinished(year: int, emit: Emit, *, today: date | None = None) -> None:
    """Say so where a year is not over: its product holds what was seen so far, and resuming does not renew it."""
    if year == (today or datetime.now(UTC).date()).year:
        emit(Notice(f"{year} is not over: the product holds what was seen until now, and later runs keep it as it is"))


def tile_year(cell: Cell, year: int, *, model: BetaEarth, source: Source, options: ProductionOptions) -> TileYear:
    """Describe the tile-year of a cell.

    Raises:
        DataError: no imagery of that year can exist.
    """
    spacing_m = cell.grid.spacing_m
    job = job_of(cell.id, pixel_grid(cell), year, spacing_m, model=model, source=source, options=options)
    prefix = tile_year_prefix(job.collection, year, cell)
    return TileYear(job.request, job.grid, job.options, job.collection, job.item_id, prefix=prefix)


def area_year(
    name: str, grid: PixelGrid, year: int, *, model: BetaEarth, source: Source, options: ProductionOptions
) -> Job:
    """Describe one year of an area of interest.

    Raises:
        DataError: no imagery of that year can exist.
    """
    return job_of(name, grid, year, None, model=model, source=source, options=options)


def job_of(
    name: str,
    grid: PixelGrid,
    year: int,
    spacing_m: float | None,
    *,
    model: BetaEarth,
    source: Source,
    options: ProductionOptions,
) -> Job:
    """Describe one year of a pixel grid; `spacing_m` is that of the Major TOM grid, None for an area."""
    options = settled(options, model)
    collection = collection_id(model.variant.name, spacing_m=spacing_m, synthetic=source.synthetic)
    request = Request(
        cell=name,
        year=check_year(year),
        grid=grid_record(grid, spacing_m=spacing_m),
        variant=variant_record(model),
        source=source.identity,
        options=options.model_dump(mode="json"),
    )
    return Job(request, grid, options, collection, item_id(collection, name, year))


def settled(options: ProductionOptions, model: BetaEarth) -> ProductionOptions:
    """Settle what the options leave to the variant, so that the request says it."""
    observations, inference = options.observations, options.inference
    together = observations.together or default_together(model.variant)
    observations = observations.model_copy(update={"together": together})
    # What changes no pixel is not part of what was asked.
    if together is Together.SEPARATE and not observations.gap_fill:
        observations = observations.model_copy(update={"s1_within_days": ObservationOptions().s1_within_days})
    if inference.dem_scaling == "cell":
        inference = inference.model_copy(update={"dem_range": InferenceOptions().dem_range})
    return options.model_copy(update={"observations": observations, "inference": inference})


def grid_record(grid: PixelGrid, *, spacing_m: float | None) -> GridRecord:
    """Describe a pixel grid for the manifest."""
    outlines = {"bounds_lonlat": lonlat_bounds(grid), "footprint": footprint(grid)}
    return outlineless(grid, spacing_m=spacing_m).model_copy(update=outlines)


def variant_record(model: BetaEarth) -> VariantRecord:
    """Describe the network for the manifest."""
    backbone = model.backbone
    return VariantRecord(
        name=model.variant.name,
        trained=model.trained,
        trained_on_synthetic=model.variant.trained_on_synthetic,
        weights_sha256=model.weights_sha256,
        weights=model.origin,
        inputs=sorted(model.variant.inputs),
        backbone=backbone.origin if backbone else None,
        backbone_sha256=backbone.sha256 if backbone else None,
        backbone_pretraining=backbone.pretraining if backbone else None,
    )

"""The commands of production: plan, tile, run."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.options import (
    DeviceOption,
    JsonOption,
    ProductionWords,
    RefreshOption,
    RegionWords,
    SchemasOption,
    SpacingOption,
    StoreOption,
    VerboseOption,
    YearsOption,
    settings_from,
    spelled_out,
)
from betaearth.cli.plan_report import forecast_text, plan_row, plan_text
from betaearth.cli.progress import progress
from betaearth.cli.report import raise_worst, run_row, run_text
from betaearth.events import Notice

if TYPE_CHECKING:
    from betaearth.events import Emit
    from betaearth.pipeline.plan import Planned
    from betaearth.settings import Settings
    from betaearth.storage.store import Store
    from betaearth.wiring import Workshop


@dataclass(frozen=True)
class Task:
    """A region's tile-years, and what it takes to make them."""

    workshop: Workshop
    store: Store
    planned: list[Planned]
    schemas: Path | None


def task_of(region: RegionWords, years: list[int], settings: Settings, store: Store, emit: Emit) -> Task:
    """Compare what is asked for with what the store holds; an impossible task is refused before weights are fetched."""
    from betaearth import wiring
    from betaearth.pipeline.job import check_year
    from betaearth.pipeline.plan import plan as plan_region

    for year in years:
        check_year(year)
    grid = wiring.grid_of(settings)
    area = wiring.region_of(
        grid=grid,
        bbox=region.bbox,
        geojson=region.geojson,
        cells=region.cells,
        osm_relation=region.osm_relation,
        settings=settings,
    )
    cells = wiring.cells_of(area, grid)
    bbox = region.bbox
    if bbox and bbox[0] > bbox[2]:
        emit(Notice(f"the bbox runs east from {bbox[0]} across 180 degrees to {bbox[2]}: {len(cells)} cells"))
    workshop = wiring.open_workshop(settings, emit)
    planned = plan_region(
        cells, years, model=workshop.model, source=workshop.source, options=workshop.options, store=store
    )
    return Task(workshop, store, planned, settings.schemas)


@spelled_out
def plan(
    *,
    years: YearsOption,
    region: RegionWords,
    store: StoreOption = None,
    spacing_km: SpacingOption = None,
    production: ProductionWords,
    check_sources: Annotated[
        bool, typer.Option("--check-sources", help="Search upstream, too: is there news for what is there?")
    ] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what the rest would take, by what was measured so far.")
    ] = False,
    hourly_cost: Annotated[
        float | None, typer.Option("--hourly-cost", min=0.0, help="Money for an hour of the device, for --estimate.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which tile-years of a region would run, and why."""
    from betaearth import wiring
    from betaearth.pipeline.plan import check_sources as with_sources
    from betaearth.pipeline.rates import forecast as forecast_of

    if hourly_cost is not None and not (estimate and math.isfinite(hourly_cost)):
        raise typer.BadParameter("--hourly-cost is a price for --estimate: give both, and a finite number")
    settings = settings_from(production, store=store, spacing_km=spacing_km, device="cpu")
    held = wiring.published_store_of(settings, absent_is_empty=True)
    workers = settings.reading.workers
    with progress() as emit:
        planned = task_of(region, years, settings, held, emit).planned
        if check_sources:
            planned = with_sources(planned, store=held, workers=workers)
        forecast = forecast_of(planned, store=held, hourly_cost=hourly_cost, workers=workers) if estimate else None
    if as_json:
        typer.echo(json.dumps(plan_row(planned, forecast), indent=2))
    else:
        typer.echo("\n".join([plan_text(planned), *([forecast_text(forecast)] if forecast else [])]))


@spelled_out
def tile(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Major TOM cell, such as 433U_1046R.")],
    year: Annotated[int, typer.Argument(metavar="YEAR", help="Calendar year.")],
    *,
    store: StoreOption = None,
    spacing_km: SpacingOption = None,
    device: DeviceOption = None,
    production: ProductionWords,
    refresh: RefreshOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make one tile-year and print its manifest. A workflow's pod runs this command."""
    from betaearth import wiring
    from betaearth.pipeline.job import check_year, tile_year
    from betaearth.pipeline.tile_year import run_tile_year

    settings = settings_from(production, store=store, spacing_km=spacing_km, device=device)
    folder = wiring.store_of(settings)
    place = wiring.grid_of(settings).cell(cell)
    check_year(year)
    with progress(verbose=verbose) as emit:
        workshop = wiring.open_workshop(settings, emit)
        job = tile_year(
            place,
            year,
            model=workshop.model,
            source=workshop.source,
            options=workshop.options,
        )
        manifest = run_tile_year(
            job,
            source=workshop.source,
            model=workshop.model,
            store=folder,
            refresh=refresh,
            workers=workshop.workers,
            emit=emit,
        )
    typer.echo(manifest.to_bytes().decode(), nl=False)


@spelled_out
def run(
    *,
    years: YearsOption,
    region: RegionWords,
    store: StoreOption = None,
    spacing_km: SpacingOption = None,
    device: DeviceOption = None,
    production: ProductionWords,
    refresh: RefreshOption = False,
    schemas: SchemasOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make every missing tile-year of a region in this process, then publish the catalog."""
    from betaearth import wiring
    from betaearth.pipeline.local import run_region

    settings = settings_from(production, store=store, spacing_km=spacing_km, device=device, schemas=schemas)
    folder = wiring.store_of(settings)
    with progress(verbose=verbose) as emit:
        task = task_of(region, years, settings, folder, emit)
        report = run_region(
            task.planned,
            source=task.workshop.source,
            model=task.workshop.model,
            store=task.store,
            schemas=task.schemas,
            publishing=settings.publish,
            refresh=refresh,
            workers=task.workshop.workers,
            emit=emit,
        )
    typer.echo(json.dumps(run_row(report), indent=2) if as_json else run_text(report))
    raise_worst(report)

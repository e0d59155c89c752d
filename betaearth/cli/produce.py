"""`betaearth run`: every tile-year of a region in this process; and the task that a plan looks at, too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from betaearth.cli.commands import spelled_out
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
)
from betaearth.cli.progress import progress, remark
from betaearth.cli.report import raise_worst, run_row, run_text, unchecked_text
from betaearth.events import Notice
from betaearth.pipeline.counting import counted

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
        found = counted(len(cells), "cell")
        emit(Notice(f"the bbox runs east from {bbox[0]} across 180 degrees to {bbox[2]}: {found}"))
    workshop = wiring.open_workshop(settings, emit)
    planned = plan_region(
        cells, years, model=workshop.model, source=workshop.source, options=workshop.options, store=store
    )
    return Task(workshop, store, planned, settings.schemas)


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
            image=task.workshop.image,
            emit=emit,
        )
    typer.echo(json.dumps(run_row(report), indent=2) if as_json else run_text(report))
    if unchecked := {uri for published in report.published for uri in published.unchecked}:
        remark("schemas", unchecked_text(unchecked, settings.schemas))
    raise_worst(report)

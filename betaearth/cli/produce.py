"""The commands of production: plan, tile, run, publish."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from betaearth.cli.options import (
    BboxOption,
    CellsOption,
    DeviceOption,
    DtypeOption,
    GeojsonOption,
    JsonOption,
    MaxCloudOption,
    MaxPerQuarterOption,
    ModelOption,
    OverlapOption,
    PrecisionOption,
    SchemasOption,
    SourceOption,
    SpacingOption,
    StoreOption,
    YearsOption,
    settings_from,
)
from betaearth.cli.progress import progress
from betaearth.cli.report import (
    plan_text,
    planned_row,
    publish_row,
    publish_text,
    raise_worst,
    refuse_skipped,
    run_row,
    run_text,
)
from betaearth.events import Notice

if TYPE_CHECKING:
    from betaearth.events import Emit
    from betaearth.pipeline.plan import Planned
    from betaearth.settings import Settings
    from betaearth.storage.folder import FolderStore
    from betaearth.wiring import Workshop


class RegionWords(TypedDict):
    """A region in the one way in which it was given; the others are None."""

    bbox: tuple[float, float, float, float] | None
    geojson: Path | None
    cells: list[str] | None


@dataclass(frozen=True)
class Task:
    """A region's tile-years, and what it takes to make them."""

    workshop: Workshop
    store: FolderStore
    planned: list[Planned]
    schemas: Path | None


def task_of(region: RegionWords, years: list[int], settings: Settings, store: FolderStore, emit: Emit) -> Task:
    """Open model and source, and compare what is asked for with what the store holds."""
    from betaearth import wiring
    from betaearth.pipeline.plan import plan as plan_region

    workshop = wiring.open_workshop(settings, emit)
    cells = wiring.cells_of(wiring.region_of(grid=workshop.grid, **region), workshop.grid)
    bbox = region["bbox"]
    if bbox and bbox[0] > bbox[2]:
        emit(Notice(f"the bbox runs east from {bbox[0]} across 180 degrees to {bbox[2]}: {len(cells)} cells"))
    planned = plan_region(
        cells, years, model=workshop.model, source=workshop.source, options=workshop.options, store=store
    )
    return Task(workshop, store, planned, settings.schemas)


def region_words(
    bbox: tuple[float, float, float, float] | None, geojson: Path | None, cells: list[str] | None
) -> RegionWords:
    """Return the one way in which a region is given.

    Raises:
        typer.BadParameter: none is, or several are.
    """
    given = {"bbox": bbox, "geojson": geojson, "cells": cells or None}
    if sum(value is not None for value in given.values()) != 1:
        raise typer.BadParameter("give exactly one of --bbox W S E N, --geojson FILE, --cells ID ...")
    return {"bbox": bbox, "geojson": geojson, "cells": cells}


def plan(
    *,
    years: YearsOption,
    bbox: BboxOption = None,
    geojson: GeojsonOption = None,
    cells: CellsOption = None,
    store: StoreOption = None,
    source: SourceOption = None,
    model: ModelOption = None,
    spacing_km: SpacingOption = None,
    max_cloud: MaxCloudOption = None,
    max_per_quarter: MaxPerQuarterOption = None,
    overlap: OverlapOption = None,
    precision: PrecisionOption = None,
    dtype: DtypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which tile-years of a region would run, and why."""
    from betaearth import wiring

    region = region_words(bbox, geojson, cells)
    settings = settings_from(
        store=store,
        source=source,
        model=model,
        device="cpu",
        spacing_km=spacing_km,
        max_cloud=max_cloud,
        max_per_quarter=max_per_quarter,
        overlap=overlap,
        precision=precision,
        dtype=dtype,
    )
    held = wiring.published_store_of(settings, absent_is_empty=True)
    with progress() as emit:
        planned = task_of(region, years, settings, held, emit).planned
    typer.echo(json.dumps([planned_row(entry) for entry in planned], indent=2) if as_json else plan_text(planned))


def tile(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Major TOM cell, such as 433U_1046R.")],
    year: Annotated[int, typer.Argument(metavar="YEAR", help="Calendar year.")],
    *,
    store: StoreOption = None,
    source: SourceOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    spacing_km: SpacingOption = None,
    max_cloud: MaxCloudOption = None,
    max_per_quarter: MaxPerQuarterOption = None,
    overlap: OverlapOption = None,
    precision: PrecisionOption = None,
    dtype: DtypeOption = None,
) -> None:
    """Make one tile-year and print its manifest. A workflow's pod runs this command."""
    from betaearth import wiring
    from betaearth.pipeline.job import tile_year
    from betaearth.pipeline.tile_year import run_tile_year

    settings = settings_from(
        store=store,
        source=source,
        model=model,
        device=device,
        spacing_km=spacing_km,
        max_cloud=max_cloud,
        max_per_quarter=max_per_quarter,
        overlap=overlap,
        precision=precision,
        dtype=dtype,
    )
    folder = wiring.store_of(settings)
    with progress() as emit:
        workshop = wiring.open_workshop(settings, emit)
        job = tile_year(
            workshop.grid.cell(cell),
            year,
            model=workshop.model,
            source=workshop.source,
            options=workshop.options,
        )
        manifest = run_tile_year(job, source=workshop.source, model=workshop.model, store=folder, emit=emit)
    typer.echo(manifest.to_bytes().decode(), nl=False)


def run(
    *,
    years: YearsOption,
    bbox: BboxOption = None,
    geojson: GeojsonOption = None,
    cells: CellsOption = None,
    store: StoreOption = None,
    source: SourceOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    spacing_km: SpacingOption = None,
    max_cloud: MaxCloudOption = None,
    max_per_quarter: MaxPerQuarterOption = None,
    overlap: OverlapOption = None,
    precision: PrecisionOption = None,
    dtype: DtypeOption = None,
    schemas: SchemasOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make every missing tile-year of a region in this process, then publish the catalog."""
    from betaearth import wiring
    from betaearth.pipeline.local import run_region

    region = region_words(bbox, geojson, cells)
    settings = settings_from(
        store=store,
        source=source,
        model=model,
        device=device,
        spacing_km=spacing_km,
        max_cloud=max_cloud,
        max_per_quarter=max_per_quarter,
        overlap=overlap,
        precision=precision,
        dtype=dtype,
        schemas=schemas,
    )
    folder = wiring.store_of(settings)
    with progress() as emit:
        task = task_of(region, years, settings, folder, emit)
        report = run_region(
            task.planned,
            source=task.workshop.source,
            model=task.workshop.model,
            store=task.store,
            schemas=task.schemas,
            emit=emit,
        )
    typer.echo(json.dumps(run_row(report), indent=2) if as_json else run_text(report))
    raise_worst(report)


def publish(store: StoreOption = None, schemas: SchemasOption = None, as_json: JsonOption = False) -> None:
    """Register finished tile-years in the static catalog; publishing twice changes nothing."""
    from betaearth import wiring
    from betaearth.stac.publish import publish as publish_store

    settings = settings_from(store=store, schemas=schemas)
    with progress() as emit:
        report = publish_store(wiring.published_store_of(settings), schemas=settings.schemas, emit=emit)
    row = publish_row(report)
    typer.echo(json.dumps(row, indent=2) if as_json else publish_text(report))
    refuse_skipped(report)

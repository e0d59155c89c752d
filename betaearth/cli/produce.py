"""The commands of production: plan, tile, run, publish."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

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
    SchemasOption,
    SourceOption,
    SpacingOption,
    StoreOption,
    YearsOption,
    settings_from,
)
from betaearth.cli.progress import progress

if TYPE_CHECKING:
    from betaearth.pipeline.local import RunReport
    from betaearth.pipeline.plan import Planned
    from betaearth.stac.publish import PublishReport


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
    dtype: DtypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which tile-years of a region would run, and why."""
    from betaearth import wiring
    from betaearth.pipeline.plan import plan as plan_region

    settings = settings_from(
        store=store,
        source=source,
        model=model,
        device="cpu",
        spacing_km=spacing_km,
        max_cloud=max_cloud,
        max_per_quarter=max_per_quarter,
        overlap=overlap,
        dtype=dtype,
    )
    with progress() as emit:
        workshop = wiring.open_workshop(settings, emit)
        region = wiring.region_of(bbox=bbox, geojson=geojson, cells=cells, grid=workshop.grid)
        planned = plan_region(
            wiring.cells_of(region, workshop.grid),
            years,
            model=workshop.model,
            source=workshop.source,
            options=workshop.options,
            store=wiring.store_of(settings),
        )
    typer.echo(json.dumps([planned_row(entry) for entry in planned], indent=2) if as_json else plan_text(planned))


def planned_row(entry: Planned) -> dict[str, Any]:
    """Describe a planned tile-year as plain values."""
    return {
        "cell": entry.job.name,
        "year": entry.job.year,
        "state": entry.state.value,
        "request_digest": entry.job.digest,
        "prefix": entry.job.prefix,
    }


def plan_text(planned: list[Planned]) -> str:
    """Render a plan for people: a line a tile-year, and the sums."""
    lines = [f"{entry.job.name:>14} {entry.job.year}  {entry.state.value}" for entry in planned]
    states = [entry.state.value for entry in planned]
    sums = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    return "\n".join([*lines, f"{len(planned)} tile-years: {sums}"])


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
    dtype: DtypeOption = None,
    schemas: SchemasOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make every missing tile-year of a region in this process, then publish the catalog."""
    from betaearth import wiring
    from betaearth.pipeline.local import run_region
    from betaearth.pipeline.plan import plan as plan_region

    settings = settings_from(
        store=store,
        source=source,
        model=model,
        device=device,
        spacing_km=spacing_km,
        max_cloud=max_cloud,
        max_per_quarter=max_per_quarter,
        overlap=overlap,
        dtype=dtype,
        schemas=schemas,
    )
    folder = wiring.store_of(settings)
    with progress() as emit:
        workshop = wiring.open_workshop(settings, emit)
        region = wiring.region_of(bbox=bbox, geojson=geojson, cells=cells, grid=workshop.grid)
        planned = plan_region(
            wiring.cells_of(region, workshop.grid),
            years,
            model=workshop.model,
            source=workshop.source,
            options=workshop.options,
            store=folder,
        )
        report = run_region(
            planned,
            source=workshop.source,
            model=workshop.model,
            store=folder,
            schemas=settings.schemas,
            emit=emit,
        )
    typer.echo(json.dumps(run_row(report), indent=2) if as_json else run_text(report))
    raise_worst(report)


def run_row(report: RunReport) -> dict[str, Any]:
    """Describe a run as plain values."""
    return {
        "made": [
            {
                "cell": made.request.cell,
                "year": made.request.year,
                "outcome": made.outcome,
                "item": made.item_id,
            }
            for made in report.made
        ],
        "skipped": report.skipped,
        "failed": {name: str(error) for name, error in report.failed.items()},
        "published": [publish_row(published) for published in report.published],
    }


def run_text(report: RunReport) -> str:
    """Render a run for people."""
    if not report.made and not report.failed:
        return f"nothing to do: all {len(report.skipped)} tile-years are there already"
    products = sum(made.outcome == "product" for made in report.made)
    empty = len(report.made) - products
    return f"{products} made, {empty} empty, {len(report.skipped)} there already, {len(report.failed)} failed"


def raise_worst(report: RunReport) -> None:
    """End the command with the failure that decides its exit code: what can pass comes first, so that it is retried.

    Raises:
        TransientError: one of the tile-years failed in a way that passes.
        DataError: one of them can never work, or a product was not published.
    """
    from betaearth.errors import DataError, TransientError

    failures = report.failed
    transient = [name for name, error in failures.items() if isinstance(error, TransientError)]
    if transient:
        raise TransientError(f"{len(failures)} tile-years failed; try again: {', '.join(transient)}")
    if failures:
        raise DataError(f"{len(failures)} tile-years failed: " + "; ".join(f"{k}: {v}" for k, v in failures.items()))
    for published in report.published:
        refuse_skipped(published)


def publish(store: StoreOption = None, schemas: SchemasOption = None, as_json: JsonOption = False) -> None:
    """Register finished tile-years in the static catalog; publishing twice changes nothing."""
    from betaearth import wiring
    from betaearth.stac.publish import publish as publish_store

    settings = settings_from(store=store, schemas=schemas)
    with progress() as emit:
        report = publish_store(wiring.store_of(settings), schemas=settings.schemas, emit=emit)
    row = publish_row(report)
    typer.echo(
        json.dumps(row, indent=2) if as_json else f"{report.items} items in the catalog, {report.written} files written"
    )
    refuse_skipped(report)


def publish_row(report: PublishReport) -> dict[str, Any]:
    """Describe a publish as plain values."""
    return {"items": report.items, "written": report.written, "skipped": dict(report.skipped)}


def refuse_skipped(report: PublishReport) -> None:
    """End the command with an error where finished tile-years could not be published.

    Raises:
        DataError: names them with their reasons.
    """
    from betaearth.errors import DataError

    if report.skipped:
        reasons = "; ".join(f"{key}: {reason}" for key, reason in sorted(report.skipped.items()))
        raise DataError(f"{len(report.skipped)} products were not published: {reasons}")

"""`betaearth plan`: what would run, and why; and a workflow's run written down for its pods."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from betaearth.cli.commands import spelled_out
from betaearth.cli.options import (
    JsonOption,
    ProductionWords,
    RegionWords,
    SpacingOption,
    StoreOption,
    YearsOption,
    settings_from,
)
from betaearth.cli.plan_report import forecast_text, plan_row, plan_text
from betaearth.cli.produce import task_of
from betaearth.cli.progress import progress
from betaearth.cli.report import check_place, write_result
from betaearth.events import Notice
from betaearth.pipeline.counting import counted
from betaearth.pipeline.limits import LARGEST_SHARD
from betaearth.products.manifest import ALGORITHM_VERSION
from betaearth.products.runs import SHARD_SIZE

if TYPE_CHECKING:
    from betaearth.products.runs import RunPlan
    from betaearth.settings import Settings


@dataclass(frozen=True)
class RunWords:
    """A workflow's run that is to be planned, as it was given."""

    run: Annotated[
        str | None,
        typer.Option("--run", metavar="NAME", help="Write the plan down as that of a run, for pods to carry out."),
    ] = None
    shard_size: Annotated[
        int,
        typer.Option("--shard-size", metavar="N", min=1, max=LARGEST_SHARD, help="Tile-years of a shard, for --run."),
    ] = SHARD_SIZE
    shards_file: Annotated[
        Path | None,
        typer.Option("--shards-file", metavar="FILE", help="Where the ids of the run's shards go, as a JSON list."),
    ] = None
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Write down what is there, too, for --run: its pods search again.")
    ] = False

    def __post_init__(self) -> None:
        """Check that there is a run to speak of.

        Raises:
            typer.BadParameter: there is none.
        """
        if self.run is None and (self.shards_file or self.refresh):
            raise typer.BadParameter("--shards-file and --refresh are for --run: give its name, too")


@spelled_out
def plan(
    *,
    years: YearsOption,
    region: RegionWords,
    store: StoreOption = None,
    spacing_km: SpacingOption = None,
    production: ProductionWords,
    words: RunWords,
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
    """Show which tile-years of a region would run, and why. A workflow's first pod writes that down with --run."""
    from betaearth import wiring
    from betaearth.pipeline.plan import check_sources as with_sources
    from betaearth.pipeline.rates import forecast as forecast_of

    if hourly_cost is not None and not (estimate and math.isfinite(hourly_cost)):
        raise typer.BadParameter("--hourly-cost is a price for --estimate: give both, and a finite number")
    settings = settings_from(production, store=store, spacing_km=spacing_km, device="cpu")
    if words.run is not None:
        if check_sources or estimate:
            raise typer.BadParameter("--run writes a plan down: leave out --check-sources and --estimate")
        plan_run(words.run, words, region, years, settings, as_json=as_json)
        return
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


def plan_run(
    run: str, words: RunWords, region: RegionWords, years: list[int], settings: Settings, *, as_json: bool
) -> None:
    """Plan a workflow's run, or find it planned by an attempt before this one, and print it."""
    from betaearth import wiring
    from betaearth.pipeline.plan import State
    from betaearth.pipeline.workflow_runs import find_plan, same_plan, shard_ids, write_run

    if words.shards_file:
        check_place(words.shards_file)
    asked = words_digest(words, region, years, settings)
    store = wiring.store_of(settings)
    with progress() as emit:
        plan = find_plan(store, run)
        planned = None
        if plan is not None:
            same_plan(plan, asked)
            emit(Notice(f"the run {run} is planned already"))
        else:
            planned = task_of(region, years, settings, store, emit).planned
            due = [entry for entry in planned if words.refresh or entry.state is not State.CURRENT]
            plan = write_run(store, run, due, asked=asked, shard_size=words.shard_size, refresh=words.refresh)
    shards = shard_ids(plan)
    if words.shards_file:
        write_result(words.shards_file, json.dumps(shards))
    if as_json:
        row = {} if planned is None else plan_row(planned, None)
        typer.echo(json.dumps({**row, "run": run_row_of(plan, shards)}, indent=2))
    else:
        said = f"run {run}: {counted(plan.tile_years, 'tile-year')} in {counted(plan.shards, 'shard')}"
        typer.echo(said if planned is None else f"{plan_text(planned)}\n{said}")


def run_row_of(plan: RunPlan, shards: list[str]) -> dict[str, Any]:
    """Describe a planned run as plain values."""
    return {"name": plan.run, "tile_years": plan.tile_years, "shards": shards}


def words_digest(words: RunWords, region: RegionWords, years: list[int], settings: Settings) -> str:
    """Take the digest of what a run is asked for: a repeated attempt says the same words."""
    asked = {
        "region": asdict(region),
        "years": sorted(set(years)),
        "shard_size": words.shard_size,
        "refresh": words.refresh,
        "source": settings.source,
        "model": settings.model,
        "weights": settings.weights.model_dump(mode="json"),
        "spacing_km": settings.spacing_km,
        "options": settings.production.model_dump(mode="json"),
        "algorithm": ALGORITHM_VERSION,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

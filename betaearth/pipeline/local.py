"""The local runner: plan, tile-years one after the other with the weights loaded once, publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from betaearth.errors import DataError, TransientError
from betaearth.events import Emit, Notice, RunPlanned, TileYearFailed, TileYearSkipped, ignore
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.plan import Planned, State
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.products.manifest import Manifest
from betaearth.scenes.model import Source
from betaearth.scenes.options import DEFAULT_WORKERS
from betaearth.stac.publish import PublishReport, publish
from betaearth.storage.folder import FolderStore

PATIENCE = 3
"""Passing failures in a row after which a run leaves the rest for later."""


@dataclass
class RunReport:
    """What a run did."""

    made: list[Manifest] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """`cell year` of each tile-year that was there already."""
    failed: dict[str, DataError | TransientError] = field(default_factory=dict)
    """`cell year` to its error."""
    published: list[PublishReport] = field(default_factory=list)


def gave_up(failures: Sequence[Exception]) -> bool:
    """Tell whether the last failures were all of the kind that waiting mends, and there were enough of them."""
    last = failures[-PATIENCE:]
    return len(last) == PATIENCE and all(isinstance(error, TransientError) for error in last)


def run_region(
    planned: Sequence[Planned],
    *,
    source: Source,
    model: BetaEarth,
    store: FolderStore,
    schemas: Path | None = None,
    workers: int = DEFAULT_WORKERS,
    emit: Emit = ignore,
) -> RunReport:
    """Make what is missing, then publish.

    A tile-year that fails does not stop the others: its error is in the report, and whoever called decides the
    exit code. A wrong set-up stops the run, since every later tile-year would fail alike; so do failures of network or
    store that follow each other, each of which has cost minutes of retries.

    Raises:
        ConfigError: variant, source or store are not what the jobs need.
    """
    report = RunReport()
    missing = [entry for entry in planned if entry.state is not State.CURRENT]
    emit(RunPlanned(tile_years=len(planned), missing=len(missing)))
    streak: list[Exception] = []
    for entry in planned:
        job = entry.job
        name = f"{job.name} {job.year}"
        if entry.state is State.CURRENT:
            emit(TileYearSkipped(job.name, job.year))
            report.skipped.append(name)
            continue
        try:
            report.made.append(run_tile_year(job, source=source, model=model, store=store, workers=workers, emit=emit))
            streak.clear()
        except (DataError, TransientError) as error:
            emit(TileYearFailed(job.name, job.year, error=str(error)))
            report.failed[name] = error
            streak.append(error)
            if gave_up(streak):
                emit(Notice(f"{PATIENCE} tile-years failed alike, one after the other: the others are left for later"))
                break
    for collection in sorted({entry.job.collection for entry in planned}):
        report.published.append(publish(store, collection=collection, schemas=schemas, emit=emit))
    return report

"""The local runner: plan, tile-years one after the other with the weights loaded once, publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from betaearth.errors import DataError, TransientError
from betaearth.events import Emit, Event, Notice, RunPlanned, TileYearFailed, TileYearSkipped, ignore
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.figure import Story, run_figure
from betaearth.pipeline.plan import Planned, State
from betaearth.pipeline.runs import Tally, recorded
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.products.manifest import Manifest
from betaearth.scenes.model import Source
from betaearth.scenes.options import DEFAULT_WORKERS
from betaearth.stac.gate import PublishOptions
from betaearth.stac.publish import PublishReport, publish
from betaearth.storage.store import Store

PATIENCE = 3
"""Passing failures in a row after which a run leaves the rest for later."""


@dataclass
class RunReport:
    """What a run did."""

    run: str | None = None
    """Its name: its records lie under `runs/{run}/`; None where nothing had to be made."""
    made: list[Manifest] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """`cell year` of each tile-year that was there already."""
    failed: dict[str, DataError | TransientError] = field(default_factory=dict)
    """`cell year` to its error."""
    published: list[PublishReport] = field(default_factory=list)
    overview: str | None = None
    """Key of its picture; None where nothing had to be made, or it could not be drawn."""


def gave_up(failures: Sequence[Exception]) -> bool:
    """Tell whether the last failures were all of the kind that waiting mends, and there were enough of them."""
    last = failures[-PATIENCE:]
    return len(last) == PATIENCE and all(isinstance(error, TransientError) for error in last)


@dataclass(frozen=True)
class Runner:
    """Makes tile-years, and keeps account of them."""

    source: Source
    model: BetaEarth
    store: Store
    refresh: bool
    workers: int
    emit: Emit
    report: RunReport
    tally: Tally
    image: str | None = None

    def make(self, planned: Sequence[Planned]) -> None:
        """Make one tile-year after the other, until passing failures follow each other.

        Raises:
            ConfigError: the set-up is wrong; no later tile-year would fare better.
        """
        streak: list[Exception] = []
        for entry in planned:
            if entry.state is State.CURRENT and not self.refresh:
                self.emit(TileYearSkipped(entry.name, entry.year))
                self._skip(entry)
                continue
            try:
                self._make(entry)
                streak.clear()
            except (DataError, TransientError) as error:
                self._fail(entry, error)
                streak.append(error)
                if gave_up(streak):
                    message = f"{PATIENCE} tile-years failed alike, one after the other: the others are left for later"
                    self.emit(Notice(message))
                    return

    def _make(self, entry: Planned) -> None:
        told: list[Event] = []

        def emit(event: Event) -> None:
            told.append(event)
            self.emit(event)

        manifest = run_tile_year(
            entry.job,
            source=self.source,
            model=self.model,
            store=self.store,
            refresh=self.refresh,
            workers=self.workers,
            image=self.image,
            emit=emit,
        )
        if any(isinstance(event, TileYearSkipped) for event in told):
            self._skip(entry)
        else:
            self.report.made.append(manifest)
            self.tally.made.add(entry.prefix)

    def _skip(self, entry: Planned) -> None:
        self.report.skipped.append(f"{entry.name} {entry.year}")
        self.tally.skipped.add(entry.prefix)

    def _fail(self, entry: Planned, error: DataError | TransientError) -> None:
        self.emit(TileYearFailed(entry.name, entry.year, error=str(error)))
        self.report.failed[f"{entry.name} {entry.year}"] = error
        self.tally.failed[entry.prefix] = str(error)


def run_region(
    planned: Sequence[Planned],
    *,
    source: Source,
    model: BetaEarth,
    store: Store,
    schemas: Path | None = None,
    publishing: PublishOptions | None = None,
    refresh: bool = False,
    workers: int = DEFAULT_WORKERS,
    image: str | None = None,
    emit: Emit = ignore,
) -> RunReport:
    """Make what is missing, then publish.

    A tile-year that fails does not stop the others: its error is in the report, and whoever called decides the
    exit code. A wrong set-up stops the run, since every later tile-year would fail alike; so do failures of network or
    store that follow each other, each of which has cost minutes of retries. What was to be made, and what became of
    it, is written down in the store, with a picture of it for people.

    Args:
        planned: what was asked for, and what of it is there.
        source: of imagery.
        model: network and weights.
        store: where products lie.
        schemas: folder of STAC extension schemas.
        publishing: what a product must be like to be published.
        refresh: search again for what is there, and make it anew where the source has news.
        workers: files read at once.
        image: container image that this runs in; recorded.
        emit: told of progress.

    Raises:
        ConfigError: variant, source or store are not what the jobs need.
        TransientError: the store did not answer.
    """
    report = RunReport()
    missing = [entry for entry in planned if entry.state is not State.CURRENT]
    emit(RunPlanned(tile_years=len(planned), missing=len(missing)))
    with recorded(store, planned, refresh=refresh) as tally:
        Runner(source, model, store, refresh, workers, emit, report, tally, image).make(planned)
        report.run = tally.run
    for collection in sorted({entry.collection for entry in planned}):
        report.published.append(publish(store, collection=collection, schemas=schemas, options=publishing, emit=emit))
    if report.run:
        story = Story(report.made, report.skipped, report.failed)
        report.overview = run_figure(report.run, planned, story, source=source, store=store, emit=emit)
    return report

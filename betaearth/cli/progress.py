"""Where progress goes: rich bars on a terminal, one JSON object a line elsewhere. Always on stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import structlog
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import (
    CatalogPublished,
    Downloading,
    Emit,
    Event,
    GranuleDropped,
    Notice,
    RunPlanned,
    SceneEncoded,
    ScenesSelected,
    TileYearFailed,
    TileYearFinished,
    TileYearSkipped,
    TileYearStarted,
)

WARNINGS = (GranuleDropped, Notice, TileYearFailed)
"""Events that a log marks as warnings."""
MEGABYTE = 1e6


@contextmanager
def progress(*, verbose: bool = False) -> Iterator[Emit]:
    """Give a sink for events that suits where stderr goes.

    Args:
        verbose: say each scene that is done; on a terminal its bar moves anyway.
    """
    if sys.stderr.isatty():
        with TerminalSink(verbose=verbose) as sink:
            yield sink
    else:
        log = json_log()

        def write(event: Event) -> None:
            if not isinstance(event, Downloading) and (verbose or not isinstance(event, SceneEncoded)):
                write_event = log.warning if isinstance(event, WARNINGS) else log.info
                write_event(event_name(event), **asdict(event))

        yield write


def json_log() -> structlog.typing.FilteringBoundLogger:
    """Make the logger of JSON lines; nothing global is configured, so two in one process do not meet."""
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
    )
    return logger


def event_name(event: Event) -> str:
    """Spell an event's class as a log line names it: `SceneEncoded` is `scene_encoded`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()


def report_error(error: DataError | TransientError | ConfigError, code: int) -> None:
    """Show one of our errors: a sentence on a terminal, a JSON line elsewhere."""
    kind = type(error).__name__
    if sys.stderr.isatty():
        Console(stderr=True).print(f"[bold red]{kind}[/]: {escape(str(error))}", highlight=False, soft_wrap=True)
    else:
        json_log().error("failed", kind=kind, message=str(error), exit_code=code)


class TerminalSink:
    """Bars for people: tile-years of the run, scenes of the tile-year at work."""

    def __init__(self, *, verbose: bool) -> None:
        self.verbose = verbose
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self.run: TaskID | None = None
        self.scenes: TaskID | None = None
        self.downloads: dict[str, TaskID] = {}

    def __enter__(self) -> TerminalSink:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Notice():
                self.line(f"[yellow]{escape(event.message)}[/]")
            case Downloading():
                self.download(event)
            case RunPlanned():
                self.run = self.progress.add_task("tile-years", total=event.tile_years)
            case TileYearStarted():
                self.end_scenes()
                self.scenes = self.progress.add_task(f"{event.cell} {event.year}: searching", total=None)
            case ScenesSelected():
                self.update_scenes(f"{event.cell} {event.year}", total=event.scenes, completed=0)
            case SceneEncoded():
                self.update_scenes(f"{event.cell} {event.year}", total=event.total, completed=event.index)
                if self.verbose:
                    self.line(f"{event.cell} {event.year}: {event.scene}")
            case GranuleDropped():
                self.line(f"[yellow]{escape(event.granule)} left out: {escape(event.reason)}[/]")
            case TileYearFinished():
                self.line(f"{event.cell} {event.year}: {event.outcome} in {event.seconds:.1f} s")
                self.advance()
            case TileYearSkipped():
                self.line(f"{event.cell} {event.year}: there already, skipped")
                self.advance()
            case TileYearFailed():
                self.line(f"[red]{event.cell} {event.year}: {escape(event.error)}[/]")
                self.advance()
            case CatalogPublished():
                self.line(f"catalog: {event.items} items, {event.written} files written")

    def line(self, text: str) -> None:
        """Print a line above the bars."""
        self.progress.console.print(text, highlight=False)

    def download(self, event: Downloading) -> None:
        """Move a file's bar, in megabytes."""
        if event.file not in self.downloads:
            self.downloads[event.file] = self.progress.add_task(f"{event.file}, MB", total=None)
        # Head and backbone of a DINOv3 variant have files of one name and of different sizes.
        total = None if event.total is None else round(event.total / MEGABYTE)
        task = self.downloads[event.file]
        self.progress.update(task, total=total, completed=round(event.arrived / MEGABYTE))

    def update_scenes(self, description: str, *, total: int, completed: int) -> None:
        """Move the bar of the tile-year at work."""
        if self.scenes is not None:
            self.progress.update(self.scenes, description=description, total=total, completed=completed)

    def end_scenes(self) -> None:
        """Take the bar of the last tile-year away."""
        if self.scenes is not None:
            self.progress.remove_task(self.scenes)
            self.scenes = None

    def advance(self) -> None:
        """Count a tile-year as dealt with."""
        self.end_scenes()
        if self.run is not None:
            self.progress.advance(self.run)

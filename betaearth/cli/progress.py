"""Where progress goes: rich bars on a terminal, one JSON object a line elsewhere. Always on stderr."""

from __future__ import annotations

import re
import sys
import threading
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
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from betaearth.cli.report import MEGABYTE, duration_text
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import (
    BlockStarted,
    CatalogPublished,
    CellWritten,
    CheckpointWritten,
    Downloading,
    Emit,
    Event,
    GranuleDropped,
    Notice,
    Resumed,
    RunPlanned,
    SceneEncoded,
    ScenesSelected,
    TileYearEvent,
    TileYearFailed,
    TileYearFinished,
    TileYearSkipped,
    TileYearStarted,
    TrainingStarted,
    TrainingStep,
    Validated,
)
from betaearth.pipeline.counting import counted
from betaearth.storage.discretion import printable

WARNINGS = (GranuleDropped, Notice, TileYearFailed)
"""Events that a log marks as warnings."""
WHOLE = "nothing is left half-written"
"""What holds of any command that is interrupted."""
GOES_ON = "what is finished is kept, and the same command makes the rest"
"""What holds of one that makes something, also of a tile-year, which begins anew."""

_making = threading.Event()
"""Set once this process has begun to make something that the same command would go on with: an interruption is told of
when all of that is unwound."""


@contextmanager
def progress(*, verbose: bool = False, goes_on: bool = True) -> Iterator[Emit]:
    """Give a sink for events that suits where stderr goes; for commands that make something.

    Args:
        verbose: say each scene that is done, with the seconds left; on a terminal its bar moves anyway.
        goes_on: whether the same command, once interrupted, would make the rest.
    """
    if goes_on:
        _making.set()
    if sys.stderr.isatty():
        with TerminalSink(verbose=verbose) as sink:
            yield sink
    else:
        log = json_log()

        def write(event: Event) -> None:
            if not isinstance(event, Downloading) and (verbose or not detailed(event)):
                write_event = log.warning if isinstance(event, WARNINGS) else log.info
                write_event(event_name(event), **asdict(event))

        yield write


def detailed(event: Event) -> bool:
    """Tell whether an event is one of so many that a log leaves it out unless asked for."""
    return isinstance(event, SceneEncoded) or (isinstance(event, TrainingStep) and not event.logged)


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
        Console(stderr=True).print(f"[bold red]{kind}[/]: {shown(str(error))}", highlight=False, soft_wrap=True)
    else:
        json_log().error("failed", kind=kind, message=str(error), exit_code=code)


def report_interruption(code: int) -> None:
    """Say what remains of the work of a process that was ended: a sentence on a terminal, a JSON line elsewhere."""
    message = GOES_ON if _making.is_set() else WHOLE
    if sys.stderr.isatty():
        sys.stderr.write(f"interrupted: {message}\n")
    else:
        json_log().warning("interrupted", message=message, exit_code=code)


def remark(event: str, message: str) -> None:
    """Say something that is good to know and asks for nothing: a sentence on a terminal, a JSON line elsewhere."""
    if sys.stderr.isatty():
        Console(stderr=True).print(shown(message), highlight=False, soft_wrap=True)
    else:
        json_log().info(event, message=message)


def shown(said: str) -> str:
    """Spell words that may quote a stranger's document, in rich's markup: they steer nothing, and begin no line."""
    return escape(printable(said)).replace("\n", "\n  ")


def reading(requests: int, size: int) -> str:
    """Spell what was asked of servers, to follow other words; nothing where nothing was."""
    return f", {counted(requests, 'request')}, {size / MEGABYTE:.1f} MB read" if requests else ""


class TimeLeftColumn(ProgressColumn):
    """The time left: what the work itself has estimated, counted down, or else the pace of the bar so far."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Show it; nothing where nobody knows."""
        if task.finished:
            return Text("")
        ends = task.fields.get("ends")
        seconds = task.time_remaining if ends is None else max(0.0, ends - task.get_time())
        return Text("" if seconds is None else f"{duration_text(seconds)} left", style="progress.remaining")


def line_of(event: Event, *, verbose: bool) -> str | None:
    """Spell an event as a line for people, in rich's markup; None for one that only moves a bar."""
    of = shown(f"{event.cell} {event.year}") if isinstance(event, TileYearEvent) else ""
    line = None
    match event:
        case Notice():
            line = f"[yellow]{shown(event.message)}[/]"
        case Resumed():
            line = f"{of}: goes on after {counted(event.scenes, 'scene')} that an earlier run had finished"
        case SceneEncoded() if verbose:
            line = f"{of}: {shown(event.scene)}"
        case GranuleDropped():
            line = f"[yellow]{shown(event.granule)} left out: {shown(event.reason)}[/]"
        case TileYearFinished():
            line = f"{of}: {event.outcome} in {event.seconds:.1f} s{reading(event.requests, event.bytes_read)}"
        case TileYearSkipped():
            line = f"{of}: there already, skipped"
        case TileYearFailed():
            line = f"[red]{of}: {shown(event.error)}[/]"
        case TrainingStarted(done=done) if done:
            line = f"goes on after {counted(done, 'step')} that an earlier run has done"
        case Validated():
            scores = ", ".join(f"{name} {cosine:.4f}" for name, cosine in event.cosines.items())
            line = (
                f"epoch {event.epoch} of {event.epochs}: cosine {shown(scores)} (constant answer {event.constant:.4f})"
            )
        case CheckpointWritten() if verbose:
            line = f"checkpoint after {counted(event.epoch, 'epoch')}, {counted(event.step, 'step')}"
        case CatalogPublished():
            line = f"catalog: {counted(event.items, 'item')}, {counted(event.written, 'file')} written"
    return line


class TerminalSink:
    """Bars for people: tile-years of the run, scenes of the tile-year at work."""

    def __init__(self, *, verbose: bool) -> None:
        self.verbose = verbose
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeLeftColumn(),
            console=Console(stderr=True),
        )
        self.run: TaskID | None = None
        self.scenes: TaskID | None = None
        self.block = ""
        self.downloads: dict[str, TaskID] = {}

    def __enter__(self) -> TerminalSink:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        """Show an event: move its bar, and print its line."""
        if line := line_of(event, verbose=self.verbose):
            self.progress.console.print(line, highlight=False)
        match event:
            case Downloading():
                self.download(event)
            case TrainingStarted():
                total = event.epochs * event.steps
                self.run = self.progress.add_task("training", total=total, completed=event.done)
            case TrainingStep() if self.run is not None:
                ends = self.progress.get_time() + event.seconds_left
                self.progress.update(self.run, description=f"epoch {event.epoch}", completed=event.step, ends=ends)
            case RunPlanned():
                self.run = self.progress.add_task("tile-years", total=event.tile_years)
            case TileYearStarted():
                self.end_scenes()
                self.scenes = self.progress.add_task(f"{event.cell} {event.year}: searching", total=None)
            case ScenesSelected():
                self.update_scenes(event, total=event.scenes, completed=0)
            case BlockStarted():
                self.block = f", block {event.index} of {event.total}"
                self.update_scenes(event)
            case SceneEncoded():
                self.update_scenes(event, total=event.total, completed=event.index, left=event.seconds_left)
            case TileYearFinished() | TileYearSkipped() | TileYearFailed() | CellWritten():
                self.advance()

    def download(self, event: Downloading) -> None:
        """Move a file's bar, in megabytes."""
        if event.file not in self.downloads:
            self.downloads[event.file] = self.progress.add_task(f"{event.file}, MB", total=None)
        # Head and backbone of a DINOv3 variant have files of one name and of different sizes.
        total = None if event.total is None else round(event.total / MEGABYTE)
        task = self.downloads[event.file]
        self.progress.update(task, total=total, completed=round(event.arrived / MEGABYTE))

    def update_scenes(
        self, event: TileYearEvent, *, total: int | None = None, completed: int | None = None, left: float | None = None
    ) -> None:
        """Move the bar of the tile-year at work; None leaves a figure as it is."""
        if self.scenes is not None:
            self.progress.update(
                self.scenes,
                description=f"{event.cell} {event.year}{self.block}",
                total=total,
                completed=completed,
                ends=None if left is None else self.progress.get_time() + left,
            )

    def end_scenes(self) -> None:
        """Take the bar of the last tile-year away."""
        if self.scenes is not None:
            self.progress.remove_task(self.scenes)
            self.scenes = None
            self.block = ""

    def advance(self) -> None:
        """Count a tile-year as dealt with."""
        self.end_scenes()
        if self.run is not None:
            self.progress.advance(self.run)

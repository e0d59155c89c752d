"""What the benchmark of publishing found: kept as JSON, shown as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from benchmarks.machine import Machine
from benchmarks.s3_traffic import Traffic

MOST_REQUESTS_RATIO = 1.05
"""Of the catalog with most to that with fewest."""
MOST_SECONDS_RATIO = 1.3
"""Of the largest catalog to the smallest, best rounds."""

Kind = Literal["fresh", "halves", "nothing new"]
FLAT: tuple[Kind, ...] = ("fresh", "halves")
"""What must not grow with the catalog."""
TITLES: dict[Kind, str] = {
    "fresh": "{} new Items in a fresh block",
    "halves": "{} new Items in two half-filled blocks",
    "nothing new": "all of the store, nothing new: it is listed, so this grows",
}


class Part(BaseModel):
    """A part of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Mirror(Part):
    """The rows of a catalog as it was seeded."""

    parts: int
    """That the Collection lists."""
    bytes_per_item: float
    """Of those."""
    written_per_item: float
    """Bytes of all that were ever made: rows are written again when parts are merged."""


class Catalog(Part):
    """A catalog before anything was measured."""

    items: int
    seconds: float
    """It took to make what the next smaller one has not."""
    copy_seconds: float
    """It took to copy all of it to S3."""
    mirror: Mirror


class Turn(Part):
    """One publish."""

    items: int
    """Of the catalog as it was seeded."""
    kind: Kind
    round: int
    seconds: float
    cpu_seconds: float
    """Of the publisher."""
    traffic: Traffic


class PublishBenchmark(Part):
    """A whole run."""

    schema_version: Literal[1] = 1
    date: datetime
    machine: Machine
    batch: int
    """New Items of a publish."""
    catalogs: tuple[Catalog, ...]
    """Smallest first."""
    turns: tuple[Turn, ...]
    """In the order in which they were run."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Items of the catalogs, smallest first."""
        return tuple(catalog.items for catalog in self.catalogs)

    def best(self, kind: Kind, items: int) -> Turn:
        """Return the quickest publish of a kind."""
        turns = (turn for turn in self.turns if (turn.kind, turn.items) == (kind, items))
        return min(turns, key=lambda turn: turn.seconds)

    def figures(self, kind: Kind, figure: Callable[[Turn], float]) -> list[float]:
        """Return a figure of the quickest publish in each catalog."""
        return [figure(self.best(kind, items)) for items in self.sizes]

    def requests_ratio(self, kind: Kind) -> float:
        """Requests of the catalog with most to those of the one with fewest."""
        figures = self.figures(kind, lambda turn: turn.traffic.total)
        return max(figures) / min(figures)

    def seconds_ratio(self, kind: Kind) -> float:
        """Seconds in the largest catalog to those in the smallest."""
        figures = self.figures(kind, lambda turn: turn.seconds)
        return figures[-1] / figures[0]


def table(report: PublishBenchmark) -> str:
    """Show a report."""
    lines = [
        f"{report.machine.cpu}, {report.machine.cores} cores; {report.date:%Y-%m-%d}; SeaweedFS on the loopback",
        _line("catalog of Items", [f"{items:,}" for items in report.sizes], "ratio"),
    ]
    for kind in (*FLAT, *({turn.kind for turn in report.turns} - set(FLAT))):
        lines += ["", TITLES[kind].format(report.batch), *_lines_of(report, kind)]
    mirrors = [catalog.mirror for catalog in report.catalogs]
    lines += [
        "",
        "mirror",
        _line("parts", [f"{mirror.parts}" for mirror in mirrors]),
        _line("parquet, bytes per Item", [f"{mirror.bytes_per_item:,.0f}" for mirror in mirrors]),
        _line("ever written", [f"{mirror.written_per_item:,.0f}" for mirror in mirrors]),
        "",
        f"required of new Items: requests <= {MOST_REQUESTS_RATIO:g} x most to fewest, "
        f"seconds <= {MOST_SECONDS_RATIO:g} x largest to smallest catalog, best of rounds",
    ]
    return "\n".join(lines)


def exit_status(report: PublishBenchmark) -> int:
    """Return 1 where publishing what is new costs more in a larger catalog."""
    is_flat = all(
        report.requests_ratio(kind) <= MOST_REQUESTS_RATIO and report.seconds_ratio(kind) <= MOST_SECONDS_RATIO
        for kind in FLAT
    )
    return int(not is_flat)


def _lines_of(report: PublishBenchmark, kind: Kind) -> Iterator[str]:
    names = sorted({name for items in report.sizes for name in report.best(kind, items).traffic.requests})
    for name in names:
        yield _numbers(name, report.figures(kind, lambda turn, name=name: turn.traffic.requests.get(name, 0)))  # type: ignore[misc]
    total = report.figures(kind, lambda turn: turn.traffic.total)
    yield _numbers("requests", total, f"{report.requests_ratio(kind):.3f}")
    yield _numbers("kB sent", report.figures(kind, lambda turn: turn.traffic.sent / 1e3))
    yield _numbers("kB of them parquet", report.figures(kind, lambda turn: turn.traffic.parquet_sent / 1e3))
    yield _numbers("kB received", report.figures(kind, lambda turn: turn.traffic.received / 1e3))
    seconds = report.figures(kind, lambda turn: turn.seconds)
    yield _line("seconds", [f"{value:.2f}" for value in seconds], f"{report.seconds_ratio(kind):.2f}")
    yield _line("CPU seconds", [f"{value:.2f}" for value in report.figures(kind, lambda turn: turn.cpu_seconds)])


def _numbers(what: str, values: list[float], ratio: str = "") -> str:
    return _line(what, [f"{value:,.0f}" for value in values], ratio)


def _line(what: str, values: list[str], ratio: str = "") -> str:
    return f"  {what:<26}{''.join(f'{value:>11}' for value in values)}{ratio:>9}".rstrip()

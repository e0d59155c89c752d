"""What a comparison of two packages found: kept as JSON, shown as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from benchmarks.machine import Machine
from benchmarks.session import Package, Task
from betaearth.inference.precision import Precision
from betaearth.inference.windows import DEFAULT_OVERLAP, DEFAULT_TILE_SIZE

LEAST_YEAR_RATIO = 7.0
LEAST_BF16_RATIO = 9.0
MOST_SCENE_BYTES = 1.3 * 2**30
MOST_TILE_YEAR_FLOP = 24.6e12
MOST_DIFFERENCE = 5e-6
GIB = 2**30
RIM = 1
"""Pixels left out of a comparison on every side: the published package leaves the outermost ring zero."""
HEADINGS = ("what", "ratio", "ours", "published", "required", "held")


class Finding(BaseModel):
    """A part of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Plan(Finding):
    """What is run."""

    scene_size: int = 448
    """Edge in pixels of the scene."""
    year_size: int = 336
    """Edge in pixels of the year."""
    s2: int = 24
    """Sentinel-2 scenes of the year."""
    s1: int = 4
    """Sentinel-1 scenes of the year."""
    tile_size: int = DEFAULT_TILE_SIZE
    """Edge of a window in pixels."""
    overlap: int = DEFAULT_OVERLAP
    """Pixels that neighbouring windows share."""
    rounds: int = Field(3, ge=1)
    """How often each package has its turn."""
    threads: int
    """Of each package."""
    bf16: bool = False
    """Whether ours runs the year in bfloat16 too."""


class Turn(Finding):
    """One measured run; a report lists them in the order in which they were run."""

    package: Package
    do: Task
    precision: Precision
    round: int
    seconds: float


class Difference(Finding):
    """How far two embeddings of unit length are apart, pixel by pixel, without their rim."""

    max_abs: float
    min_cosine: float


class Comparison(Finding):
    """One case, run by both packages; the published one always runs in float32."""

    do: Task
    precision: Precision
    """Of ours."""
    ours_seconds: tuple[float, ...]
    published_seconds: tuple[float, ...]
    ratios: tuple[float, ...]
    """Published by ours, round by round."""
    ratio: float
    """Their median."""
    difference: Difference


class Memory(Finding):
    """Peak memory of one scene, in a process that does nothing else."""

    baseline_bytes: int
    """Most that was held when the weights were loaded."""
    peak_bytes: int


class Report(Finding):
    """A whole run."""

    schema_version: Literal[1] = 1
    date: datetime
    machine: Machine
    plan: Plan
    versions: Mapping[Package, Mapping[str, str]]
    """Package to what its environment holds."""
    turns: tuple[Turn, ...]
    comparisons: tuple[Comparison, ...]
    memory: Mapping[Package, Memory]
    """Package to memory."""
    flop_per_tile_year: Mapping[Package, int]
    """Package to FLOP; see `benchmarks.flops`."""


class Row(NamedTuple):
    """A line of the table."""

    what: str
    ratio: str
    ours: str
    published: str
    required: str = ""
    held: str = ""


def difference(ours: NDArray[np.float32], published: NDArray[np.float32]) -> Difference:
    """Compare embeddings (y, x, 64) of unit length."""
    inner = (slice(RIM, -RIM), slice(RIM, -RIM))
    a, b = ours[inner].astype(np.float64), published[inner].astype(np.float64)
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosine = np.einsum("yxc,yxc->yx", a, b) / np.maximum(lengths, np.finfo(np.float64).tiny)
    return Difference(max_abs=float(np.abs(a - b).max()), min_cosine=float(cosine.min()))


def compare(turns: Sequence[Turn], do: Task, precision: Precision, apart: Difference) -> Comparison:
    """Set the turns of a case side by side, those of the same round against each other."""
    ours = _seconds(turns, "ours", do, precision)
    published = _seconds(turns, "published", do, Precision.FLOAT32)
    ratios = tuple(theirs / own for theirs, own in zip(published, ours, strict=True))
    return Comparison(
        do=do,
        precision=precision,
        ours_seconds=ours,
        published_seconds=published,
        ratios=ratios,
        ratio=median(ratios),
        difference=apart,
    )


def table(report: Report) -> str:
    """Lay a report out for people, the ratios first."""
    rows = [HEADINGS, *_rows(report)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    machine, plan = report.machine, report.plan
    lines += [
        "",
        f"{machine.cpu}, {plan.threads} of {machine.cores} cores; medians of {plan.rounds} rounds, packages by turns",
        *(f"{name}: {', '.join(f'{k} {v}' for k, v in held.items())}" for name, held in report.versions.items()),
    ]
    return "\n".join(lines)


def _rows(report: Report) -> Iterator[Row]:
    plan = report.plan
    names = {
        "scene": f"one scene, {plan.scene_size} px: S2 + DEM",
        "year": f"one year, {plan.year_size} px: {plan.s2} S2 + {plan.s1} S1 + DEM",
    }
    least = {("year", Precision.FLOAT32): LEAST_YEAR_RATIO, ("year", Precision.BF16): LEAST_BF16_RATIO}
    for case in report.comparisons:
        bound = least.get((case.do, case.precision))
        yield Row(
            f"seconds, {names[case.do]}, {case.precision}",
            f"{case.ratio:.2f} x",
            f"{median(case.ours_seconds):.2f}",
            f"{median(case.published_seconds):.2f}",
            *(_held(case.ratio >= bound, f">= {bound:g} x") if bound else ()),
        )
    memory = {name: held.peak_bytes for name, held in report.memory.items()}
    yield _ratio_row(
        f"GiB at peak, {names['scene']}", memory, GIB, _held(memory["ours"] <= MOST_SCENE_BYTES, "<= 1.3 GiB")
    )
    loaded = {name: held.baseline_bytes for name, held in report.memory.items()}
    yield _ratio_row("GiB of that before the scene", loaded, GIB, ())
    flop = report.flop_per_tile_year
    yield _ratio_row("TFLOP per tile-year", flop, 1e12, _held(flop["ours"] <= MOST_TILE_YEAR_FLOP, "<= 24.6 TFLOP"))
    for case in report.comparisons:
        apart, exact = case.difference, case.precision is Precision.FLOAT32
        yield Row(
            f"largest difference, {case.do}, {case.precision}",
            "",
            f"{apart.max_abs:.1e}",
            f"cosine >= {apart.min_cosine:.7f}",
            *(_held(apart.max_abs <= MOST_DIFFERENCE, f"<= {MOST_DIFFERENCE:g}") if exact else ()),
        )


def _ratio_row(what: str, values: Mapping[Package, int], unit: float, held: tuple[str, ...]) -> Row:
    ours, published = values["ours"], values["published"]
    return Row(what, f"{published / ours:.2f} x", f"{ours / unit:.2f}", f"{published / unit:.2f}", *held)


def _held(holds: bool, required: str) -> tuple[str, str]:
    return (required, "yes" if holds else "NO")


def _seconds(turns: Sequence[Turn], package: Package, do: Task, precision: Precision) -> tuple[float, ...]:
    return tuple(turn.seconds for turn in turns if (turn.package, turn.do, turn.precision) == (package, do, precision))

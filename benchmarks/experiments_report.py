"""What the synthetic benchmark was expected to show, beside what it did, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict

from benchmarks.machine import Machine
from betaearth.evaluation.cosine import CosineScore, Interval
from betaearth.evaluation.embedder import DateMode
from betaearth.evaluation.markdown import cosine_text, table
from betaearth.evaluation.results import ModelDifference, ModelResults, ProbeResult, Results
from betaearth.evaluation.temporal import Arm, Pixels

FINDINGS = "findings.md"
PLAIN, CURRICULUM, UNDATED, RGB = "tiny-plain", "tiny-curriculum", "tiny-undated", "tiny-rgb"
LEAST_LEAD = 0.1
"""Cosine that a model must be above the constant answer."""
MOST_COST = 0.02
"""Cosine that the curriculum may cost where nothing is missing."""


class Part(BaseModel):
    """A part of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(Part):
    """A command that was run."""

    command: str
    seconds: float


class Benchmark(Part):
    """How the committed figures came about."""

    schema_version: Literal[1] = 1
    date: datetime
    version: str
    """Of betaearth."""
    machine: Machine
    threads: int | None
    """That OMP_NUM_THREADS allowed; None for as many as there are cores."""
    steps: tuple[Step, ...]

    def times(self) -> str:
        """Lay out what each command took, as a block of text."""
        total = sum(step.seconds for step in self.steps)
        lines = [f"{step.seconds:5.0f} s  {step.command}" for step in self.steps]
        return "\n".join(["```text", *lines, f"{total:5.0f} s  all", "```"])


@dataclass(frozen=True)
class Expectation:
    """Something that should be so if the mechanisms work as designed."""

    what: str
    found: str
    held: bool


def findings(results: Results) -> str:
    """Lay out every expectation."""
    rows = [(each.what, each.found, "yes" if each.held else "**no**") for each in expectations(results)]
    return table(("expected", "found", "held"), rows)


def expectations(results: Results) -> Iterator[Expectation]:
    """Judge the results of the four networks."""
    yield beats_constant(results)
    yield curriculum_without_inputs(results)
    yield curriculum_with_any_part(results)
    yield curriculum_with_all(results)
    yield from more_dates(results.model(CURRICULUM))
    yield rgb_is_last(results)
    yield date_matters(results)
    yield teacher_is_the_ceiling(results)
    yield beats_reflectance(results)


def beats_constant(results: Results) -> Expectation:
    """Every network is above the constant answer."""
    leads = {model.name: model.cosine.mean - (model.cosine.constant or 0.0) for model in results.models}
    least = min(leads, key=lambda name: leads[name])
    return Expectation(
        f"every network is above the constant answer by at least {LEAST_LEAD:g}",
        f"{versus(results.model(least).cosine)} ({least}, which leads by least)",
        leads[least] >= LEAST_LEAD,
    )


def curriculum_without_inputs(results: Results) -> Expectation:
    """The curriculum helps where inputs are missing."""
    found = difference(results, CURRICULUM, ("s1",))
    scores = [alone(results.model(name), ("s1",)) for name in (CURRICULUM, PLAIN)]
    return Expectation(
        "given Sentinel-1 alone, the curriculum beats plain training",
        f"{scores[0].mean:.3f} against {scores[1].mean:.3f}: {signed(found)}",
        found.interval is not None and found.interval.low > 0,
    )


def curriculum_with_any_part(results: Results) -> Expectation:
    """The curriculum helps whatever is missing."""
    pairs = [each for each in results.differences if (each.model, each.against) == (CURRICULUM, PLAIN) and each.inputs]
    every = max(len(each.inputs or ()) for each in pairs)
    parts = [each for each in pairs if len(each.inputs or ()) < every]
    above = [each for each in parts if each.interval and each.interval.low > 0]
    below = [" + ".join(each.inputs or ()) for each in parts if each.interval and each.interval.high < 0]
    return Expectation(
        "given any part of the inputs, the curriculum beats plain training",
        f"the interval is above 0 with {len(above)} of {len(parts)} parts, below 0 with "
        f"{' and '.join(below) if below else 'none'}; all parts: {fmean(each.mean for each in parts):+.3f} in the mean",
        len(above) == len(parts),
    )


def curriculum_with_all(results: Results) -> Expectation:
    """The curriculum costs little where nothing is missing."""
    found = difference(results, CURRICULUM, None)
    scores = [results.model(name).cosine.mean for name in (CURRICULUM, PLAIN)]
    return Expectation(
        f"given everything, it costs at most {MOST_COST:g}",
        f"{scores[0]:.3f} against {scores[1]:.3f}: {signed(found)}",
        found.mean >= -MOST_COST,
    )


def more_dates(model: ModelResults) -> Iterator[Expectation]:
    """Means over dates come nearer to an annual target, ever less so."""
    means = {
        entry.dates: entry.score
        for entry in model.temporal
        if (entry.arm, entry.pixels, entry.stratum) == (Arm.PLAIN, Pixels.EVERY, None)
    }
    counts = sorted(means)
    listed = " / ".join(f"{means[count].mean:.3f}" for count in counts)
    ordered = all(means[few].mean < means[many].mean for few, many in pairwise(counts))
    yield Expectation(f"{' / '.join(map(str, counts))} dates are ever better ({model.name})", listed, ordered)
    gains = means[4].mean - means[1].mean, means[8].mean - means[4].mean
    yield Expectation(
        "the first four dates bring more than the next four",
        f"{gains[0]:+.3f}, then {gains[1]:+.3f}",
        gains[0] > gains[1],
    )


def rgb_is_last(results: Results) -> Expectation:
    """Who sees less knows less."""
    others = {model.name: model.cosine.mean for model in results.models if model.name != RGB}
    least = min(others, key=lambda name: others[name])
    found = results.model(RGB).cosine
    return Expectation(
        "red, green and blue alone are below every other network",
        f"{cosine_text(found)} against {others[least]:.3f} ({least})",
        found.mean < others[least],
    )


def date_matters(results: Results) -> Expectation:
    """A network that learned with the date is worse off with a wrong one."""
    drops = {model.name: model.date_importance for model in results.models if model.date_importance}
    said = [
        f"{name} {found.drop_zero:+.3f}{spread(found.drop_zero_interval)} at day 0, {found.drop_none:+.3f} without"
        for name, found in drops.items()
    ]
    return Expectation(
        "day 0 costs every network that learned with the date",
        "; ".join(said),
        all(found.drop_zero_interval is not None and found.drop_zero_interval.low > 0 for found in drops.values()),
    )


def teacher_is_the_ceiling(results: Results) -> Expectation:
    """No network's vectors tell land cover better than those that it learned from."""
    teacher = balanced(results.baselines.teacher)
    found = {model.name: balanced(model.probes) for model in results.models}
    best = max(found, key=lambda name: found[name])
    return Expectation(
        "land cover: the teacher's own vectors are the ceiling (linear probe, balanced accuracy)",
        f"{teacher:.3f} against {found[best]:.3f} ({best})",
        teacher > found[best],
    )


def beats_reflectance(results: Results) -> Expectation:
    """What is learned is more than what a pixel of the inputs says."""
    raw = balanced(results.baselines.raw)
    found = {name: balanced(results.model(name).probes) for name in (PLAIN, CURRICULUM)}
    said = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    return Expectation(
        "land cover: vectors tell more than the inputs of the same pixel do",
        f"{said}; inputs {raw:.3f}",
        min(found.values()) > raw,
    )


def balanced(probes: tuple[ProbeResult, ...]) -> float:
    """Return the linear probe's balanced accuracy in the data set's own split."""
    return probes[0].scores.linear.balanced_accuracy


def alone(model: ModelResults, inputs: tuple[str, ...]) -> CosineScore:
    """Return the score with these inputs and the day."""
    return next(entry.score for entry in model.subsets if (entry.inputs, entry.dates) == (inputs, DateMode.DAY))


def difference(results: Results, name: str, inputs: tuple[str, ...] | None) -> ModelDifference:
    """Return the paired difference of a network to plain training."""
    return next(
        found for found in results.differences if (found.model, found.against, found.inputs) == (name, PLAIN, inputs)
    )


def versus(score: CosineScore) -> str:
    """Spell a score beside the constant's."""
    return f"{cosine_text(score)} against {score.constant or 0.0:.3f}"


def signed(found: ModelDifference) -> str:
    """Spell a difference."""
    return f"{found.mean:+.3f}{spread(found.interval)}"


def spread(interval: Interval | None) -> str:
    """Spell an interval."""
    return f" ({interval.low:+.3f} to {interval.high:+.3f})" if interval else ""

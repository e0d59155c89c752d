"""All figures of an evaluation or a training run; what cannot be drawn is told with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from betaearth.errors import DataError
from betaearth.evaluation.figures.ablation import draw_ablation
from betaearth.evaluation.figures.confusion_matrix import draw_confusion
from betaearth.evaluation.figures.journals import read_curves, read_facts
from betaearth.evaluation.figures.map_files import read_maps
from betaearth.evaluation.figures.maps import draw_maps, fit_to_chips
from betaearth.evaluation.figures.paper import Footer, footer_of
from betaearth.evaluation.figures.saturation import Panel, draw_saturation, panels_by_stratum, panels_of, strata_of
from betaearth.evaluation.figures.training_curves import draw_curves
from betaearth.evaluation.results import DataFacts, ModelResults, ProbeResult, Results, read_results

FIRST_SPLIT = "train to test"
"""The split of which confusion matrices are drawn."""

TEACHER = "teacher"
"""What the figures of the target's own vectors are called: a network's teacher, be it AlphaEarth or a synthetic one."""


@dataclass(frozen=True)
class Drawn:
    """A figure."""

    name: str
    """Of its files, without suffix."""
    figure: Figure


@dataclass(frozen=True)
class Missing:
    """A figure that cannot be drawn."""

    name: str
    reason: str


Entry = Drawn | Missing


def figures_of_results(folder: Path) -> Iterator[Entry]:
    """Draw an evaluation: of each model its maps, ablation, means over dates and confusion; the teacher's confusion.

    Args:
        folder: that `betaearth evaluate` wrote to.

    Raises:
        DataError: it holds no results, a file of it is damaged, or two figures would have one name.
        ConfigError: it may not be read.
    """
    results = read_results(folder)
    _check_names([model.name for model in results.models])
    yield from _maps(folder, results)
    for model in results.models:
        yield _ablation(model, results.data)
        yield from _temporal(model, results.data)
        reason = model.not_run.get("probes", "the evaluation has no probes")
        yield _confusion(model.name, model.probes, reason, results.data)
    reason = next((m.not_run["probes"] for m in results.models if "probes" in m.not_run), "there are no probes")
    yield _confusion(TEACHER, results.baselines.teacher, reason, results.data)


def figures_of_run(folder: Path) -> Iterator[Entry]:
    """Draw a training run: its curves.

    Args:
        folder: that `betaearth train` wrote to.

    Raises:
        DataError: it holds no run, or a file of it is damaged.
        ConfigError: it may not be read.
    """
    curves, facts = read_curves(folder), read_facts(folder)
    if not curves.cosine:
        yield Missing("validation-curves", "the run has validated nothing yet, or its validation split is empty")
    count = f"{curves.tiles} validation tiles" if curves.tiles else "no validation tile"
    footer = Footer(facts.data, facts.synthetic, count, facts.digest)
    yield Drawn("training-curves", draw_curves(curves, footer))


def file_name(text: str) -> str:
    """Spell a name so that it is one file's on every system."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).lstrip(".") or "_"


def _check_names(models: Sequence[str]) -> None:
    taken = {TEACHER: "the teacher"}
    for model in models:
        key = file_name(model)
        if key in taken:
            raise DataError(f"the figures of model {model!r} and of {taken[key]} would have one name, {key}: rename it")
        taken[key] = f"model {model!r}"


def _maps(folder: Path, results: Results) -> Iterator[Entry]:
    """Draw the maps of all models in the same colours."""
    chips = {model.name: read_maps(folder, model.name) for model in results.models}
    shown = [chip for held in chips.values() for chip in held if chip.valid.any()]
    palette = fit_to_chips(shown) if shown else None
    for name, held in chips.items():
        if palette is None or not held:
            yield Missing(_name(name, "maps"), "the evaluation kept no maps of it: `maps` of its configuration")
            continue
        footer = footer_of(results.data, f"{len(held)} chips")
        yield Drawn(_name(name, "maps"), draw_maps(held, palette, footer, model=name))


def _ablation(model: ModelResults, data: DataFacts) -> Entry:
    name = _name(model.name, "ablation")
    if not model.subsets:
        return Missing(name, model.not_run.get("subsets", "the evaluation has no subsets"))
    tiles = max(entry.score.tiles for entry in model.subsets)
    return Drawn(name, draw_ablation(model.subsets, footer_of(data, f"{tiles} tiles"), model=model.name))


def _temporal(model: ModelResults, data: DataFacts) -> Iterator[Entry]:
    name = _name(model.name, "temporal")
    if not model.temporal:
        yield Missing(name, model.not_run.get("temporal", "the evaluation has no means over dates"))
        return
    panels = {name: panels_of(model.temporal)}
    for stratum in strata_of(model.temporal):
        panels[f"{name}-{file_name(stratum)}"] = panels_by_stratum(model.temporal, stratum)
    for key, held in panels.items():
        if held:
            footer = footer_of(data, f"{_tiles(held)} tiles")
            yield Drawn(key, draw_saturation(held, footer, model=model.name, fill=model.fill(data)))


def _tiles(panels: tuple[Panel, ...]) -> str:
    counts = sorted({score.score.tiles for panel in panels for score in panel.scores})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _confusion(name: str, probes: tuple[ProbeResult, ...], reason: str, data: DataFacts) -> Entry:
    key = _name(name, "confusion")
    first = next((probe for probe in probes if probe.split == FIRST_SPLIT), None)
    if first is None:
        return Missing(key, reason)
    score = first.scores.linear
    footer = footer_of(data, f"{score.samples} pixels of {score.groups} cells")
    return Drawn(key, draw_confusion(score, footer, title=f"{name}: linear probe"))


def _name(model: str, figure: str) -> str:
    return f"{file_name(model)}-{figure}"

"""What more dates bring: the cosine of the mean over 1, 2, 4, 8 dates, by the way that clouds are dealt with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from betaearth.errors import DataError
from betaearth.evaluation.figures.ablation import SHORT, reaches
from betaearth.evaluation.figures.paper import COLOURS, COLUMN, MARKERS, PAGE, Footer, new_figure, paper_style
from betaearth.evaluation.results import TemporalScore
from betaearth.evaluation.temporal import Arm, Pixels
from betaearth.scenes.model import Sensor

WORDS = {Arm.PLAIN: "all pixels", Arm.MASKED: "clear pixels only"}
SCORED = {Pixels.COMMON: "pixels that every arm can score", Pixels.EVERY: "every pixel with a target"}
_ABREAST = 4
"""Panels in a row, at most."""
_SHIFT = 1.03
"""Factor between the arms' places, so that their intervals do not hide each other."""


@dataclass(frozen=True)
class Panel:
    """The scores of one plot."""

    title: str
    scores: tuple[TemporalScore, ...]


def panels_of(scores: Sequence[TemporalScore]) -> tuple[Panel, ...]:
    """Put scores of all cells into a panel for each choice of pixels."""
    whole = [score for score in scores if score.stratum is None]
    kinds = {pixels: tuple(score for score in whole if score.pixels == pixels) for pixels in Pixels}
    return tuple(Panel(SCORED[pixels], found) for pixels, found in kinds.items() if found)


def panels_by_stratum(scores: Sequence[TemporalScore], name: str) -> tuple[Panel, ...]:
    """Put scores on common pixels into a panel for each word of a stratum.

    Args:
        scores: of one model.
        name: of the stratum, such as `biome`.
    """
    lead = f"{name}: "
    words = sorted({score.stratum for score in scores if score.stratum and score.stratum.startswith(lead)})
    found = {
        word: tuple(score for score in scores if score.stratum == word and score.pixels == Pixels.COMMON)
        for word in words
    }
    return tuple(
        Panel(f"{word} ({max(score.score.tiles for score in held)} tiles)", held)
        for word, held in found.items()
        if held
    )


def strata_of(scores: Sequence[TemporalScore]) -> tuple[str, ...]:
    """Name the strata of which there are scores."""
    return tuple(sorted({score.stratum.partition(": ")[0] for score in scores if score.stratum}))


@paper_style()
def draw_saturation(panels: Sequence[Panel], footer: Footer, *, model: str, fill: Sequence[str]) -> Figure:
    """Draw a line an arm, with its interval of 95 % over cells.

    Args:
        panels: at least one; they share their axes.
        footer: on which data it rests.
        model: whose embeddings were averaged.
        fill: inputs that say what clouds hide; none where nothing fills gaps.

    Raises:
        DataError: there is no panel.
    """
    if not panels:
        raise DataError(f"{model} has no means over dates to draw")
    abreast = min(len(panels), _ABREAST)
    rows = -(-len(panels) // abreast)
    width = COLUMN if abreast == 1 else PAGE * min(1, 0.32 * abreast + 0.2)
    figure = new_figure(width, 0.5 + 1.9 * rows, footer)
    grid = figure.subplots(rows, abreast, squeeze=False, sharex=True, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, panel, {**WORDS, Arm.GAP_FILL: gap_words(fill)})
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    known = [axes.get_legend_handles_labels() for axes in grid.flat]
    named = {label: handle for handles, labels in known for handle, label in zip(handles, labels, strict=True)}
    figure.legend(list(named.values()), list(named), loc="outside upper center", ncols=3 if abreast > 1 else 2)
    for axes in grid[-1]:
        axes.set_xlabel("dates averaged")
    for axes in grid[:, 0]:
        axes.set_ylabel(f"cosine of {model}\nwith the target, mean over tiles")
    return figure


def gap_words(fill: Sequence[str]) -> str:
    """Say from what clouds are filled."""
    return f"clouds filled from {' + '.join(SHORT[Sensor(name)] for name in fill)}"


def _draw(axes: Axes, panel: Panel, words: Mapping[Arm, str]) -> None:
    arms = [arm for arm in Arm if any(score.arm == arm for score in panel.scores)]
    for number, arm in enumerate(Arm):
        if arm not in arms:
            continue
        found = sorted((score for score in panel.scores if score.arm == arm), key=lambda score: score.dates)
        axes.errorbar(
            [score.dates * _SHIFT ** (number - 1) for score in found],
            [score.score.mean for score in found],
            yerr=reaches([score.score for score in found]),
            color=COLOURS[number],
            marker=MARKERS[number],
            elinewidth=0.6,
            capsize=1.5,
            label=words[arm],
        )
    dates = sorted({score.dates for score in panel.scores})
    axes.set_xscale("log", base=2)
    axes.set_xticks(dates, [str(count) for count in dates])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(panel.title)

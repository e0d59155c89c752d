"""The ablation of inputs and date as bars: every subset, told the day, day 0, or nothing of the date."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from betaearth.errors import DataError
from betaearth.evaluation.cosine import CosineScore
from betaearth.evaluation.embedder import DateMode
from betaearth.evaluation.figures.paper import COLOURS, COLUMN, GREY, Footer, new_figure, paper_style
from betaearth.evaluation.results import SubsetCosine
from betaearth.scenes.model import Sensor

SHORT = {Sensor.S2_L2A: "L2A", Sensor.S2_L1C: "L1C", Sensor.S1: "S1", Sensor.DEM: "DEM"}
TOLD = {DateMode.DAY: "day of the year", DateMode.ZERO: "day 0", DateMode.NONE: "no date"}
_HATCHES = {DateMode.DAY: "", DateMode.ZERO: "////", DateMode.NONE: "...."}
"""So that the bars can be told apart in print without colour."""
_GROUP = 0.8
"""Share of a subset's row that its bars fill."""


@paper_style()
def draw_ablation(subsets: Sequence[SubsetCosine], footer: Footer, *, model: str) -> Figure:
    """Draw a row a subset of the inputs, a bar a treatment of the date, with its interval of 95 %.

    Args:
        subsets: in any order.
        footer: on which data it rests.
        model: that was ablated.

    Raises:
        DataError: there is no subset.
    """
    if not subsets:
        raise DataError(f"{model} has no subset to draw")
    found = {(entry.inputs, entry.dates): entry.score for entry in subsets}
    rows = sorted({inputs for inputs, _ in found}, key=lambda inputs: (-len(inputs), _place(inputs)))
    modes = [mode for mode in DateMode if any(dates == mode for _, dates in found)]
    figure = new_figure(COLUMN, 0.9 + 0.105 * len(rows) * (len(modes) + 0.6), footer)
    axes, high = figure.add_subplot(), _GROUP / len(modes)
    for number, mode in enumerate(modes):
        places = [place for place, inputs in enumerate(rows) if (inputs, mode) in found]
        scores = [found[rows[place], mode] for place in places]
        axes.barh(
            np.array(places) + (number - (len(modes) - 1) / 2) * high,
            [score.mean for score in scores],
            height=high,
            xerr=reaches(scores),
            color=COLOURS[number],
            hatch=_HATCHES[mode],
            edgecolor="white",
            linewidth=0.3,
            error_kw={"elinewidth": 0.6, "capsize": 1},
            label=TOLD[mode],
        )
    constant = constant_of(list(found.values()))
    if constant is not None:
        axes.axvline(constant, color=GREY, linestyle="--", linewidth=0.8, label="constant mean vector")
    axes.set_yticks(range(len(rows)), [" + ".join(SHORT[Sensor(name)] for name in inputs) for inputs in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set(xlabel="cosine with the target,\nmean over tiles with 95 % interval", ylabel="inputs", title=model)
    axes.set_xlim(min(0.0, *(score.mean - 0.02 for score in found.values())), 1)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def reaches(scores: Sequence[CosineScore]) -> tuple[list[float], list[float]]:
    """Return how far each score's interval reaches below and above its mean; 0 where it has none."""
    below = [score.mean - score.interval.low if score.interval else 0.0 for score in scores]
    above = [score.interval.high - score.mean if score.interval else 0.0 for score in scores]
    # A percentile interval need not hold the mean; matplotlib refuses a negative reach.
    return [max(0.0, reach) for reach in below], [max(0.0, reach) for reach in above]


def constant_of(scores: Sequence[CosineScore]) -> float | None:
    """Return the constant baseline of scores on the same tiles; None where they have none."""
    known = [score.constant for score in scores if score.constant is not None]
    return float(np.mean(known)) if known else None


def _place(inputs: Sequence[str]) -> list[int]:
    order = [Sensor.S2_L2A, Sensor.S2_L1C, Sensor.S1, Sensor.DEM]
    return [order.index(Sensor(name)) for name in inputs]

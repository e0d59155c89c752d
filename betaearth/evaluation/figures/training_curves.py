"""The course of a training run: loss, cosine on the validation tiles beside its baseline, learning rate."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from betaearth.errors import DataError
from betaearth.evaluation.figures.journals import Curves, Point
from betaearth.evaluation.figures.paper import COLOURS, COLUMN, GREY, MARKERS, Footer, new_figure, paper_style

_LINES = ("-", "--", "-.", ":")
_DENSE = 30
"""Points from which on markers would hide the line."""


@paper_style()
def draw_curves(curves: Curves, footer: Footer) -> Figure:
    """Draw a line a model; without validation its panel is left out.

    Args:
        curves: of a run.
        footer: on which data it rests.

    Raises:
        DataError: there is nothing to draw.
    """
    if not any(curves.loss.values()) and not curves.cosine:
        raise DataError("the run has measured nothing yet")
    panels = 3 if curves.cosine else 2
    figure = new_figure(COLUMN, 0.4 + 1.25 * panels, footer)
    column = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    order = {name: number for number, name in enumerate(curves.loss)}
    _lines(column[0], curves.loss, order)
    column[0].set_ylabel("training loss")
    if curves.cosine:
        _lines(column[1], curves.cosine, order)
        column[1].set_ylabel("cosine with the target,\nvalidation tiles")
        if curves.constant is not None:
            column[1].axhline(curves.constant, color=GREY, linestyle=":", linewidth=0.8, label="constant mean vector")
    _lines(column[-1], curves.rate, order)
    column[-1].set(ylabel="learning rate", xlabel="epochs")
    column[-1].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for axes in column:
        axes.set_xlim(left=0)
    known = [axes.get_legend_handles_labels() for axes in column]
    named = {label: handle for handles, labels in known for handle, label in zip(handles, labels, strict=True)}
    figure.legend(list(named.values()), list(named), loc="outside upper center", ncols=2)
    return figure


def _lines(axes: Axes, lines: Mapping[str, tuple[Point, ...]], order: Mapping[str, int]) -> None:
    for name, points in lines.items():
        number = order[name]
        axes.plot(
            [point.epoch for point in points],
            [point.value for point in points],
            color=COLOURS[number % len(COLOURS)],
            linestyle=_LINES[number % len(_LINES)],
            marker=MARKERS[number % len(MARKERS)] if len(points) < _DENSE else "",
            label=name,
        )

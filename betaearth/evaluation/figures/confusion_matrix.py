"""What a probe mistook for what: shares of each true class, with the counts."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from betaearth.errors import DataError
from betaearth.evaluation.confusion import ClassScore
from betaearth.evaluation.figures.paper import COLUMN, SMALL, Footer, new_figure, paper_style

_DARK = 0.55
"""Share above which a number is written in the light colour."""
_CELL = 0.36
"""Inches."""


@paper_style()
def draw_confusion(score: ClassScore, footer: Footer, *, title: str) -> Figure:
    """Draw the matrix, a row a true class; the colour and the upper number of a cell are its share of the row.

    Args:
        score: of a probe.
        footer: on which data it rests.
        title: whose vectors were probed, and how.

    Raises:
        DataError: the matrix has no class.
    """
    labels, counts = score.confusion.labels, np.array(score.confusion.counts, dtype=np.int64)
    if not labels:
        raise DataError(f"{title}: the confusion matrix has no class")
    true = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, true, out=np.zeros(counts.shape), where=true > 0)
    edge = max(COLUMN, 1.3 + _CELL * len(labels))
    figure = new_figure(edge, edge + 0.1, footer)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if counts[row, column]:
            colour = "white" if share > _DARK else "black"
            said = f"{share:.2f}\n{counts[row, column]}"
            axes.text(column, row, said, ha="center", va="center", fontsize=SMALL, color=colour)
    words = [str(label) for label in labels]
    rows = [f"{word}\n(n = {count})" for word, count in zip(words, true[:, 0], strict=True)]
    axes.set_xticks(range(len(labels)), words, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), rows)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set(xlabel="said by the probe", ylabel="true land cover")
    interval = f" [{score.interval.low:.3f}, {score.interval.high:.3f}]" if score.interval else ""
    # In lines short enough for the matrix of two classes, beside which the scale of colours stands.
    balanced = f"balanced accuracy\n{score.balanced_accuracy:.3f}{interval}"
    axes.set_title(f"{title}\n{balanced}\naccuracy {score.accuracy:.3f}")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure

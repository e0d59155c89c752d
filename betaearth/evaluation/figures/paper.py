"""What all figures have in common: a paper's widths and fonts, colours for every eye, a footer that names the data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from betaearth.evaluation.results import DataFacts

COLUMN = 3.4
"""Width of a column, inches."""
PAGE = 7.0
"""Width of both columns, inches."""
FONT = 7.0
"""Points."""
SMALL = 5.5
"""Points of footers and of counts in cells."""
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
"""Of Okabe and Ito, who chose them so that people with any colour vision can tell them apart."""
MARKERS = "osD^vPX"
GREY = "#666666"
FOOTER = 0.16
"""Inches that a line of the footer takes."""

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: no figure depends on what a machine has
    "font.size": FONT,
    "axes.titlesize": FONT,
    "figure.titlesize": FONT,
    "axes.labelsize": FONT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": FONT,
    "ytick.labelsize": FONT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": FONT,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,  # publishers refuse Type 3 fonts
    "text.parse_math": False,  # a name with dollar signs is a name
}


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw in our style, whatever a user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()  # leaves the backend alone
        mpl.rcParams.update(_STYLE)
        yield


@dataclass(frozen=True)
class Footer:
    """On which data a figure rests."""

    data: str
    """Name of the data set."""
    synthetic: bool | None
    """True where imagery and targets are made up; None where nobody says."""
    count: str
    """How many, and of what: `24 tiles`."""
    digest: str = ""
    """sha256 of the data set's description."""

    @property
    def kind(self) -> str:
        """What the data are, in words."""
        if self.synthetic is None:
            return "not known whether real or synthetic"
        return "SYNTHETIC: says nothing about the real Earth" if self.synthetic else "real"

    @property
    def text(self) -> str:
        """The footer in one line."""
        named = f"{self.data} ({self.digest[:12]})" if self.digest else self.data
        return f"Data: {named}, {self.kind}. n = {self.count}."


def footer_of(data: DataFacts, count: str) -> Footer:
    """Say on which data of an evaluation a figure rests.

    Args:
        data: of the evaluation.
        count: how many, and of what.
    """
    return Footer(data.name, data.synthetic, f"{count}, split {data.split}", data.digest)


def new_figure(width: float, height: float, footer: Footer) -> Figure:
    """Begin a figure, with the footer below what is drawn in it.

    Args:
        width: inches.
        height: inches of what is drawn; the footer's lines come on top.
        footer: what to say there.
    """
    wrapped = textwrap.wrap(footer.text, int(width * 24))
    below = FOOTER * len(wrapped)
    share = below / (height + below)
    layout = ConstrainedLayoutEngine(rect=(0, share, 1, 1 - share))
    figure = Figure(figsize=(width, height + below), layout=layout)
    figure.text(0.01, 0.02 * share, "\n".join(wrapped), fontsize=SMALL, color=GREY, va="bottom", ha="left")
    return figure

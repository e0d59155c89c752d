"""Figures as files: PNG for screens, PDF for papers; the same figure gives the same bytes."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from betaearth.evaluation.figures.paper import paper_style
from betaearth.storage.files import folder_errors, replace_file

DPI = 200
"""Of the PNG."""


def write_figure(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a figure as PNG and as PDF.

    Args:
        figure: to write.
        folder: that is there.
        name: of the files, without suffix.

    Returns:
        The PNG and the PDF.

    Raises:
        ConfigError: the folder cannot be written.
    """
    paths = folder / f"{name}.png", folder / f"{name}.pdf"
    for path, data in zip(paths, (png_of(figure), pdf_of(figure)), strict=True):
        with folder_errors(path):
            replace_file(path, data)
    return paths


@paper_style()
def png_of(figure: Figure) -> bytes:
    """Render a PNG that says neither when nor by which software it was made."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=DPI, metadata={"Software": None})
    return held.getvalue()


@paper_style()
def pdf_of(figure: Figure) -> bytes:
    """Render a PDF without date or software."""
    held = io.BytesIO()
    none = {"CreationDate": None, "Creator": None, "Producer": None}
    figure.savefig(held, format="pdf", metadata=none)
    return held.getvalue()

"""The picture of how often each pixel of a year was observed, in the colours of its overview."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from betaearth.analysis.coarse import coarse_quality
from betaearth.products.pictures import graded


@dataclass(frozen=True)
class Picture:
    """A picture and what its colours say."""

    png: bytes
    least: int
    """Observations of the darkest pixel."""
    most: int
    """Observations of the lightest pixel."""


def observations_picture(path: Path) -> Picture:
    """Draw how often each pixel was observed, at a resolution that is coarser where the area is large.

    Args:
        path: a quality raster.

    Raises:
        DataError: it is none, or cannot be read.
    """
    raster = coarse_quality(str(path))
    rows, columns = slice(0, raster.canvas.height), slice(0, raster.canvas.width)
    return drawn(raster.read((rows, columns), 0))


def drawn(counts: NDArray[np.float32]) -> Picture:
    """Draw counts: dark is few, light is many, grey is never.

    Args:
        counts: (y, x); NaN where there was no observation.
    """
    seen = counts[np.isfinite(counts)]
    least, most = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    held = io.BytesIO()
    graded(counts, least, most).save(held, format="PNG")
    return Picture(held.getvalue(), round(least), round(most))

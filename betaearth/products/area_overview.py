"""The overview of an area's year: what is covered, how often it was observed, and what the embeddings look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from betaearth.errors import DataError
from betaearth.products.manifest import Manifest, Statistics
from betaearth.products.pictures import fitted, graded, on_paper, two_colours
from betaearth.products.sheet import (
    FAINT,
    HEADING_SIZE,
    NOTHING,
    PANEL,
    TITLE_SIZE,
    WARNING,
    Colour,
    Panel,
    Ramp,
    Swatch,
    row,
    space,
    stacked,
    words,
)

OBSERVED: Colour = (0, 114, 178)
TALLEST = 900
"""Height of a picture, pixels: an area that is narrow and long stays on the sheet."""


@dataclass(frozen=True)
class AreaPictures:
    """What is drawn of an area's year, at whatever resolution."""

    counts: NDArray[np.floating]
    """(y, x); observations of a pixel, NaN where there are none."""
    preview: Image.Image
    """RGBA; three principal components, transparent where nothing was observed."""


def draw_area(manifest: Manifest, pictures: AreaPictures, caveats: Sequence[str]) -> bytes:
    """Draw the overview of an area's year as a PNG; the same content gives the same bytes.

    Args:
        manifest: of a product.
        pictures: of it.
        caveats: sentences that nobody may overlook.

    Raises:
        DataError: the manifest is of no product.
    """
    request, statistics = manifest.request, manifest.statistics
    if statistics is None:
        raise DataError(f"{manifest.item_id} has no product, so there is nothing to draw")
    panels = (coverage_panel(statistics, pictures), observations_panel(statistics, pictures), preview_panel(pictures))
    return stacked(
        [
            words(f"{request.cell}, {request.year}", TITLE_SIZE),
            words(f"{request.variant.name} on {manifest.source_title}", HEADING_SIZE),
            *(words(caveat, behind=WARNING) for caveat in caveats),
            space(12),
            row(panels),
            words(place_text(manifest), colour=FAINT),
            *(words(sentence, colour=FAINT) for sentence in manifest.attribution),
        ]
    )


def coverage_panel(statistics: Statistics, pictures: AreaPictures) -> Panel:
    """Show where there is an embedding."""
    there = np.isfinite(pictures.counts)
    return Panel(
        title="Coverage",
        picture=_framed(two_colours(there, OBSERVED)),
        swatches=(Swatch(OBSERVED, "observed"), Swatch(NOTHING, "not observed")),
        note=f"{statistics.valid_fraction:.1%} of the pixels have an embedding",
    )


def observations_panel(statistics: Statistics, pictures: AreaPictures) -> Panel:
    """Show how often each pixel was observed."""
    seen = pictures.counts[np.isfinite(pictures.counts)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    ramp = Ramp(f"{low:.0f}", f"{high:.0f}")
    if ramp.low == ramp.high:
        low = high  # what is said in the same words has one colour
    ends = f"from {statistics.observations_min} to {statistics.observations_max}"
    return Panel(
        title="Observations of a pixel",
        picture=_framed(graded(pictures.counts, low, high)),
        ramp=ramp if seen.size else None,
        note=f"mean {statistics.observations_mean:.1f}, {ends}; where the file is larger, the picture is coarser",
    )


def preview_panel(pictures: AreaPictures) -> Panel:
    """Show what the embeddings look like."""
    return Panel(
        title="Embeddings: three principal components",
        picture=fitted(on_paper(pictures.preview), PANEL, TALLEST),
        note="as red, green and blue, each stretched from its 2nd to its 98th percentile",
    )


def place_text(manifest: Manifest) -> str:
    """Say how large the area is, and where."""
    grid, kilometre = manifest.request.grid, 1000
    west, south, east, north = grid.bounds_lonlat
    across, along = (edge * grid.resolution / kilometre for edge in (grid.width, grid.height))
    scenes = len(manifest.scenes)
    return (
        f"{grid.width:,} x {grid.height:,} pixels of {grid.resolution:g} m, {across:.2f} x {along:.2f} km in "
        f"EPSG:{grid.epsg}; longitude {west:.3f} to {east:.3f}, latitude {south:.3f} to {north:.3f}; "
        f"scenes: {scenes:,}"
    )


def _framed(picture: Image.Image) -> Image.Image:
    return fitted(picture, PANEL, TALLEST)

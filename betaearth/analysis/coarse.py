"""Large rasters for small pictures: a coarse level is read, never all of it."""

from __future__ import annotations

from betaearth.analysis.rasters import RasterFile, quality_file

COARSE = 1024
"""Longest edge, pixels, at which a raster of quality is read."""


def coarse_quality(href: str) -> RasterFile:
    """Look at the finest level of a raster of quality that is small enough to be held.

    Raises:
        DataError: it is none, or cannot be read.
    """
    whole = quality_file(href)
    edge = max(whole.canvas.height, whole.canvas.width)
    level = next((index for index, factor in enumerate(whole.factors) if edge / factor <= COARSE), None)
    return whole if edge <= COARSE else quality_file(href, overview=level)

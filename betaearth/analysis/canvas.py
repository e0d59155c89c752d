"""Where pixels lie on the ground, in any projection, and which of them a box touches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from betaearth.errors import DataError
from betaearth.grid.bounds import checked_bounds
from betaearth.grid.pixels import Bounds
from betaearth.products.pyramid import Place
from betaearth.scenes.raster import moved

WGS84 = CRS.from_epsg(4326)
EDGE_PX = 1e-6
"""Share of a pixel by which a box may reach into it without touching it: rounding, not meaning."""
Centres = NDArray[np.float64]
"""Of pixels along an axis, in units of the projection."""

_STEPS = 32
"""Points along each axis of a box when it is projected."""


@dataclass(frozen=True)
class Canvas:
    """North-up pixels in one projection."""

    crs: CRS
    transform: Affine
    """Of the upper-left corner; north-up."""
    height: int
    """Rows."""
    width: int
    """Columns."""

    @property
    def bounds(self) -> Bounds:
        """(west, south, east, north) in units of the projection."""
        west, north = self.transform.c, self.transform.f
        return (west, north + self.height * self.transform.e, west + self.width * self.transform.a, north)

    @property
    def xs(self) -> Centres:
        """Centres of the columns."""
        return _centres(self.transform.c, self.transform.a, self.width)

    @property
    def ys(self) -> Centres:
        """Centres of the rows, falling."""
        return _centres(self.transform.f, self.transform.e, self.height)

    def pixel_in(self, target: CRS) -> float:
        """Edge of a pixel in units of a projection; its own where that is of the same kind: metres stay metres."""
        if self.crs.is_projected == target.is_projected:
            return float(self.transform.a)
        west, south, east, north = projected(self.bounds, self.crs, target)
        return min((east - west) / self.width, (north - south) / self.height)

    def part(self, place: Place) -> Canvas:
        """Cut out some rows and columns, which may reach beyond it."""
        rows, columns = place
        origin = moved(self.transform, rows.start, columns.start)
        return Canvas(self.crs, origin, rows.stop - rows.start, columns.stop - columns.start)

    def place(self, bounds: Bounds, *, margin: int = 0) -> Place | None:
        """Rows and columns that bounds in this projection touch; None where they touch none.

        Args:
            bounds: (west, south, east, north).
            margin: pixels more on each side, as far as there are any.
        """
        west, south, east, north = bounds
        left, top = self.transform.c, self.transform.f
        rows = _span((top - north) / -self.transform.e, (top - south) / -self.transform.e, self.height, margin)
        columns = _span((west - left) / self.transform.a, (east - left) / self.transform.a, self.width, margin)
        return None if rows is None or columns is None else (rows, columns)


def _centres(origin: float, step: float, size: int) -> Centres:
    return np.asarray(origin + (np.arange(size) + 0.5) * step, np.float64)


def _span(low: float, high: float, size: int, margin: int) -> slice | None:
    """Pixels between two places along an axis, in pixels from its beginning."""
    start, stop = math.floor(low + EDGE_PX), math.ceil(high - EDGE_PX)
    stop = max(stop, start + 1)
    if start >= size or stop <= 0:
        return None
    return slice(max(start - margin, 0), min(stop + margin, size))


def asked_bounds(bbox: Sequence[float] | None, bounds: Sequence[float] | None, crs: CRS) -> Bounds | None:
    """Return what is asked for, in units of a projection; None where nothing was said.

    Args:
        bbox: west, south, east, north, degrees; west > east crosses the antimeridian.
        bounds: the same in units of the projection.
        crs: the projection.

    Raises:
        DataError: both are given, or one is impossible.
    """
    if bbox is not None and bounds is not None:
        raise DataError("bbox (degrees) and bounds (units of the raster's projection) are both given: one is enough")
    if bbox is not None:
        return projected(checked_bounds(bbox), WGS84, crs)
    if bounds is None:
        return None
    text = f"bounds ({', '.join(str(value) for value in bounds)})"
    if len(bounds) != 4 or not all(math.isfinite(value) for value in bounds):
        raise DataError(f"{text} are not four finite numbers: west south east north")
    west, south, east, north = (float(value) for value in bounds)
    if west >= east or south >= north:
        raise DataError(f"{text} enclose nothing: the order is west south east north, in units of {named(crs)}")
    return (west, south, east, north)


def projected(bounds: Bounds, crs: CRS, target: CRS) -> Bounds:
    """Return bounds in another projection that hold all of the box; west > east only of degrees."""
    west, south, east, north = bounds
    if crs == target:
        return bounds
    if crs.is_geographic and east < west:
        east += 360.0
    # Within the box too: where it is wide, its rim may be beyond what the projection can show.
    xs, ys = np.meshgrid(np.linspace(west, east, _STEPS), np.linspace(south, north, _STEPS))
    out_x, out_y = _transformer(crs.to_wkt(), target.to_wkt()).transform(xs.ravel(), ys.ravel())
    shown = np.isfinite(out_x) & np.isfinite(out_y)
    if not shown.any():
        raise DataError(f"{bounds} in {named(crs)} lie beyond what {named(target)} can show")
    out_x, out_y = out_x[shown], out_y[shown]
    if target.is_geographic and not crs.is_geographic and np.ptp(out_x) > 180:
        raise DataError(
            f"the box crosses 180 degrees, where {named(target)} begins anew: give a UTM crs, such as its own"
        )
    return (float(out_x.min()), float(out_y.min()), float(out_x.max()), float(out_y.max()))


@lru_cache(maxsize=64)
def _transformer(crs: str, target: str) -> Transformer:
    """Points from one projection to another, x or longitude first; pyproj keeps one object per thread."""
    try:
        return Transformer.from_crs(crs, target, always_xy=True)
    except ProjError as error:
        raise DataError(f"no way is known from one projection to the other: {error}") from error


def named(crs: CRS) -> str:
    """Call a projection by its EPSG code where it has one."""
    return str(crs.to_string()) if crs.to_epsg() else str(crs.to_dict().get("proj", "a projection without a code"))

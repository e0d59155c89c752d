"""Footprints: where a granule has data, as GeoJSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.lattice import Box, Lattice, outline, to_lonlat

Ring = Sequence[tuple[float, float]]
"""Corners of a convex polygon, counter-clockwise, not closed."""


@dataclass(frozen=True)
class HalfPlane:
    """The side of a line where a * x + b * y <= c."""

    a: float
    b: float
    c: float

    def contains(self, lattice: Lattice) -> NDArray[np.bool_]:
        """Tell which pixels' centres lie on this side: (y, x)."""
        across = self.a * lattice.eastings()[np.newaxis, :] + self.b * lattice.northings()[:, np.newaxis]
        return across <= self.c

    def clip(self, ring: Ring) -> Ring:
        """Cut off what lies beyond the line (Sutherland and Hodgman 1974)."""
        kept: list[tuple[float, float]] = []
        for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
            before, after = (self.a * x + self.b * y - self.c for x, y in ((x0, y0), (x1, y1)))
            if before <= 0:
                kept.append((x0, y0))
            if (before < 0 < after) or (after < 0 < before):
                t = before / (before - after)
                kept.append((x0 + t * (x1 - x0), y0 + t * (y1 - y0)))
        return kept


@dataclass(frozen=True)
class Footprint:
    """Where a granule has data, in longitude and latitude."""

    geometry: dict[str, object]
    """GeoJSON Polygon; a MultiPolygon split at 180 degrees where it crosses."""
    bbox: Box
    """(west, south, east, north) degrees; west > east where it crosses 180 degrees."""


def footprint(lattice: Lattice, edge: HalfPlane | None = None) -> Footprint:
    """Outline a lattice, cut at the edge of a swath."""
    ring: Ring = outline(lattice.box)
    x, y = np.array(edge.clip(ring) if edge else ring).T
    lon, lat = to_lonlat(lattice.epsg, x, y)
    crossing = lon.max() - lon.min() > 180.0
    if crossing:
        lon = np.where(lon < 0, lon + 360.0, lon)
    walk: Ring = [(round(float(e), 7), round(float(n), 7)) for e, n in zip(lon, lat, strict=True)]
    south, north = min(n for _, n in walk), max(n for _, n in walk)
    west, east = min(e for e, _ in walk), max(e for e, _ in walk)
    if not crossing:
        return Footprint({"type": "Polygon", "coordinates": [_closed(walk)]}, (west, south, east, north))
    eastern = HalfPlane(1.0, 0.0, 180.0).clip(walk)
    western = [(e - 360.0, n) for e, n in HalfPlane(-1.0, 0.0, -180.0).clip(walk)]
    halves = [[_closed(eastern)], [_closed(western)]]
    return Footprint({"type": "MultiPolygon", "coordinates": halves}, (west, south, east - 360.0, north))


def _closed(ring: Ring) -> list[list[float]]:
    return [[round(x, 7), round(y, 7)] for x, y in [*ring, ring[0]]]

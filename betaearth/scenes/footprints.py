"""Where granules lie on the ground: footprints against each other and against a pixel grid, in degrees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import shapely
from shapely.affinity import translate
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from betaearth.errors import DataError
from betaearth.grid.patch import footprint_geometry
from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.scenes.model import Granule


def check_footprint(geometry: Mapping[str, Any], where: str) -> None:
    """Check that a GeoJSON geometry covers ground.

    Raises:
        DataError: it is no polygon, or covers nothing.
    """
    try:
        parsed = shape(geometry)
    except (
        shapely.errors.ShapelyError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
    ) as error:
        raise DataError(f"{where}: the geometry is not GeoJSON: {error}") from error
    if not 0 < parsed.area < math.inf:
        raise DataError(f"{where}: the geometry is a {parsed.geom_type} that covers no ground; it must be a polygon")


def ground_of(granule: Granule) -> BaseGeometry:
    """Return what a granule covers, in degrees: its footprint, else its bounds."""
    if granule.footprint is None:
        return _box(granule.bounds)
    return shapely.make_valid(shape(granule.footprint))


def ground_of_grid(grid: PixelGrid) -> BaseGeometry:
    """Return what a pixel grid covers, in degrees, repeated a turn to the east and to the west.

    A source may spell longitudes beyond 180 degrees; the tiles of the Copernicus DEM do so by half a pixel.
    """
    ground = shape(footprint_geometry(grid))
    return shapely.union_all([translate(ground, xoff=turn) for turn in (-360.0, 0.0, 360.0)])


def shares_ground(granule: Granule, ground: BaseGeometry) -> bool:
    """Tell whether a granule covers part of the ground; a common edge is none."""
    own = ground_of(granule)
    return bool(own.intersects(ground) and not own.touches(ground))


def covered_share(granule: Granule, others: Iterable[Granule]) -> float:
    """Return the share of a granule's ground that others cover together, 0 to 1."""
    own = ground_of(granule)
    together = shapely.union_all([ground_of(other) for other in others])
    return float(own.intersection(together).area / own.area)


def _box(bounds: Bounds) -> BaseGeometry:
    west, south, east, north = bounds
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union_all([shapely.box(west, south, 180.0, north), shapely.box(-180.0, south, east, north)])

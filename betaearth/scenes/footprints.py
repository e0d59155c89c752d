"""Where granules lie on the ground: footprints against each other and against a pixel grid, in degrees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from betaearth.errors import DataError
from betaearth.grid.patch import footprint_geometry
from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.grid.utm import reproject_points
from betaearth.scenes.model import Granule, Scene

NEAR_DEG = 0.02
"""Degrees of latitude, some 2 km."""
SEGMENT_DEG = 0.02
"""Between points of an outline that is projected: over 2 km a parallel bends by less than a pixel."""
MARGIN_PX = 6
"""What an outline may miss of a grid."""


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
        return ground_of_bounds(granule.bounds)
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


def near(granule: Granule, grid: PixelGrid) -> bool:
    """Tell whether a granule's files may reach a pixel grid; see `reach`."""
    return bool(_grown(granule).intersects(ground_of_grid(grid)))


def reach(granule: Granule, grid: PixelGrid) -> tuple[slice, slice] | None:
    """Return the rows and columns of a pixel grid that a granule's files may reach, which only they know for sure.

    What an Item says of its ground are straight lines between a few corners, where the files' edges are bent by up
    to a kilometre; `NEAR_DEG` is well beyond that. None where they reach nothing.
    """
    shared = _grown(granule).intersection(ground_of_grid(grid))
    if shared.is_empty:
        return None
    points = shapely.get_coordinates(shapely.segmentize(shared, SEGMENT_DEG))
    xs, ys = reproject_points(points[:, 0], points[:, 1], grid.epsg)
    columns = _span((xs - grid.west) / grid.resolution, grid.width)
    rows = _span((grid.north - ys) / grid.resolution, grid.height)
    return None if rows.start == rows.stop or columns.start == columns.stop else (rows, columns)


def _span(places: NDArray[np.float64], size: int) -> slice:
    """Return the pixels of an axis around places on it, with a margin."""
    first, last = math.floor(float(places.min())) - MARGIN_PX, math.ceil(float(places.max())) + MARGIN_PX
    return slice(min(max(first, 0), size), min(max(last, 0), size))


def _grown(granule: Granule) -> BaseGeometry:
    west, south, east, north = granule.bounds
    aside = NEAR_DEG / max(math.cos(math.radians(max(abs(south), abs(north)))), 0.05)
    span = (east - west) % 360.0 if west > east else east - west
    return shapely.box(west - aside, south - NEAR_DEG, west + span + aside, north + NEAR_DEG)


def footprint_coverage(scenes: Iterable[Scene], grid: PixelGrid) -> dict[str, float]:
    """Return the share of a grid's ground within the footprints of each scene, 0 to 1, by scene id.

    Shares are of degrees, which over a region are near enough to shares of its area.
    """
    ground, whole = ground_of_grid(grid), shape(footprint_geometry(grid)).area
    shares = {}
    for scene in scenes:
        seen = shapely.union_all([ground_of(granule) for granule in scene.granules])
        shares[scene.id] = min(float(seen.intersection(ground).area / whole), 1.0)
    return shares


def covered_share(granule: Granule, others: Iterable[Granule]) -> float:
    """Return the share of a granule's ground that others cover together, 0 to 1."""
    own = ground_of(granule)
    together = shapely.union_all([ground_of(other) for other in others])
    return float(own.intersection(together).area / own.area)


def ground_of_bounds(bounds: Bounds) -> BaseGeometry:
    """Return the ground within bounds in degrees; west > east where they cross 180 degrees."""
    west, south, east, north = bounds
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union_all([shapely.box(west, south, 180.0, north), shapely.box(-180.0, south, east, north)])

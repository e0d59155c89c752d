"""Where the pixels of a cell or of an area lie, and where they lie on the globe.

A cell's patch is the square that Major TOM cuts around it: the south-western corner projected into its UTM
zone, the cell's spacing, and 340 m more on each side. We move it to the nearest corner of the 60 m lattice on
which the 10, 20 and 60 m bands of Sentinel-2 share their pixel edges, so that reading a granule of the same
zone is a crop. The lattice starts at the zone's equator: in the south, northings are 40 m more than multiples
of 60 m, as the false northing of 10,000,000 m is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.grid.bounds import LATITUDE_LIMIT, checked_bounds, wrap_longitude
from betaearth.grid.majortom import Cell
from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.grid.utm import (
    Points,
    central_meridian,
    false_northing,
    lonlat_points,
    reproject_points,
    utm_epsg,
    zone_longitudes,
)

MARGIN_M = 340.0
"""What a patch shows of its surroundings on each side, metres."""
LATTICE_M = 60.0
"""Step of the lattice to which origins are snapped, metres; it starts at easting 0 on the zone's equator."""
RESOLUTION_M = 10.0
ZONE_SLACK_DEG = 3.0
"""How far an area may reach out of its UTM zone, degrees of longitude."""

_FOOTPRINT_STEP_M = 3_000.0
"""A chord of this length leaves the true edge by 0.2 m x tan(latitude): 2 m at 85 degrees."""
_AREA_STEP_DEG = 0.01
_DECIMALS = 7
"""Of degrees in footprints: a centimetre, and the same text on every machine."""


def pixel_grid(cell: Cell) -> PixelGrid:
    """Return the pixel grid of a cell's patch: 1068 x 1068 pixels of 10 m for the 10 km grid.

    Other spacings give spacing + 680 m, rounded up to whole steps of the 60 m lattice.
    """
    epsg = utm_epsg(*cell.southwest)
    west, north = unsnapped_corner(cell)
    side = math.ceil((cell.grid.spacing_m + 2 * MARGIN_M) / LATTICE_M) * LATTICE_M
    pixels = round(side / RESOLUTION_M)
    return PixelGrid(epsg, _snap(west), _snap(north, false_northing(epsg)), pixels, pixels, RESOLUTION_M)


def unsnapped_corner(cell: Cell) -> tuple[float, float]:
    """Easting and northing of the upper-left corner of Major TOM's own patch, metres of the cell's zone."""
    lon, lat = cell.southwest
    (x,), (y,) = reproject_points([lon], [lat], utm_epsg(lon, lat))
    return (float(x) - MARGIN_M, float(y) + cell.grid.spacing_m + MARGIN_M)


def area_pixel_grid(bounds_lonlat: Sequence[float]) -> PixelGrid:
    """Return the pixel grid that covers bounds, in the UTM zone of their centre.

    Args:
        bounds_lonlat: west, south, east, north, degrees; west > east crosses the antimeridian.

    Raises:
        DataError: the bounds are impossible, reach beyond +-85 degrees, or too far out of one zone.
    """
    west, south, east, north = checked_bounds(bounds_lonlat)
    if max(abs(south), abs(north)) > LATITUDE_LIMIT:
        raise DataError(f"bbox {tuple(bounds_lonlat)} reaches beyond +-{LATITUDE_LIMIT:g} degrees; cut it there")
    if east < west:
        east += 360
    lon, lat = wrap_longitude((west + east) / 2), (south + north) / 2
    epsg = utm_epsg(lon, lat)
    _check_zone(tuple(bounds_lonlat), width=east - west, centre=(lon, lat))
    lons, lats = _outline((west, south, east, north), math.ceil(max(east - west, north - south) / _AREA_STEP_DEG))
    return _covering(reproject_points(lons, lats, epsg), epsg)


def lonlat_bounds(grid: PixelGrid) -> Bounds:
    """Bounds of `footprint`: (west, south, east, north), degrees; west > east across 180 degrees."""
    lons, lats = _unwrapped_footprint(grid)
    west, east = float(lons.min()), float(lons.max())
    if west < -180 or east > 180:
        west, east = _wrapped(west), _wrapped(east)
    return (west, float(lats.min()), east, float(lats.max()))


def footprint(grid: PixelGrid) -> list[tuple[float, float]]:
    """Outline of a pixel grid as a closed ring of (lon, lat), counter-clockwise from the south-west.

    Degrees, rounded to seven decimals, with a point at least every 3 km. Longitudes lie in -180..180, so a
    ring across the antimeridian jumps there; `ring_geometry` cuts it.
    """
    lons, lats = _unwrapped_footprint(grid)
    crossing = lons.min() < -180 or lons.max() > 180
    return [(_wrapped(lon) if crossing else lon, lat) for lon, lat in zip(lons.tolist(), lats.tolist(), strict=True)]


def footprint_geometry(grid: PixelGrid) -> dict[str, Any]:
    """Return `footprint` as a GeoJSON Polygon, or as a MultiPolygon cut at 180 degrees."""
    return ring_geometry(footprint(grid))


def ring_geometry(ring: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return a closed ring of (lon, lat) as GeoJSON geometry, cut at 180 degrees where it jumps across.

    A step of more than 180 degrees of longitude between neighbouring points is such a jump (RFC 7946, 3.1.9).
    """
    lons, lats = np.asarray(ring, np.float64).T
    lons = np.unwrap(lons, period=360)
    if lons.min() < -180:
        lons = lons + 360
    polygon = shapely.Polygon(np.column_stack([lons, lats]))
    if lons.max() <= 180:
        return {"type": "Polygon", "coordinates": _coordinates(polygon, shift=0)}
    sides = ((shapely.box(-180, -90, 180, 90), 0), (shapely.box(180, -90, 540, 90), -360))
    parts = [
        _coordinates(part, shift=shift)
        for side, shift in sides
        for part in shapely.get_parts(shapely.intersection(polygon, side))
        if part.area > 0
    ]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def _snap(value: float, origin: float = 0.0) -> float:
    """Nearest point of the lattice through `origin`."""
    return math.floor((value - origin) / LATTICE_M + 0.5) * LATTICE_M + origin


def _check_zone(bounds: Sequence[float], *, width: float, centre: tuple[float, float]) -> None:
    west, east = zone_longitudes(*centre)
    outside = max(west - (centre[0] - width / 2), centre[0] + width / 2 - east)
    if outside > ZONE_SLACK_DEG:
        hint = "; it runs east across 180 degrees: are west and east swapped?" if bounds[0] > bounds[2] else ""
        raise DataError(
            f"bbox {bounds} reaches {outside:.2f} degrees out of the UTM zone of its centre, {west:g} to "
            f"{east:g}; one image may do so by {ZONE_SLACK_DEG:g}: use `betaearth run` over cells instead{hint}"
        )


def _covering(points: Points, epsg: int) -> PixelGrid:
    """Smallest pixel grid on the lattice around points in metres, but for a millimetre."""
    equator = false_northing(epsg)
    west, east = _outwards(points[0], 0.0)
    south, north = _outwards(points[1], equator)
    width, height = round((east - west) / RESOLUTION_M), round((north - south) / RESOLUTION_M)
    return PixelGrid(epsg, west, north, width, height, RESOLUTION_M)


def _outwards(values: NDArray[np.float64], origin: float) -> tuple[float, float]:
    # Without the millimetre, bounds that were themselves computed from a grid would grow by a step.
    low = math.floor((float(values.min()) - origin + 1e-3) / LATTICE_M)
    high = max(math.ceil((float(values.max()) - origin - 1e-3) / LATTICE_M), low + 1)
    return (low * LATTICE_M + origin, high * LATTICE_M + origin)


def _outline(bounds: Bounds, steps: int) -> Points:
    """Counter-clockwise closed ring around a box with `steps` points to an edge."""
    west, south, east, north = bounds
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    edges = [np.linspace(start, stop, steps, endpoint=False) for start, stop in pairwise(corners)]
    ring = np.concatenate([*edges, np.array([corners[0]])])
    return (ring[:, 0], ring[:, 1])


def _unwrapped_footprint(grid: PixelGrid) -> Points:
    """Ring of the footprint with longitudes that run on beyond 180 degrees."""
    west, south, east, north = grid.bounds
    steps = math.ceil(max(east - west, north - south) / _FOOTPRINT_STEP_M)
    lons, lats = lonlat_points(*_outline(grid.bounds, steps), grid.epsg)
    middle = central_meridian(grid.epsg)
    lons = middle + (lons - middle + 180) % 360 - 180
    # Adding zero turns -0.0 into 0.0: digests cover the text of these numbers.
    return (np.round(lons, _DECIMALS) + 0.0, np.round(lats, _DECIMALS) + 0.0)


def _wrapped(lon: float) -> float:
    return round(wrap_longitude(lon), _DECIMALS)


def _coordinates(polygon: shapely.Polygon, *, shift: float) -> list[list[list[float]]]:
    """GeoJSON coordinates of a polygon without holes, counter-clockwise."""
    ring = shapely.geometry.polygon.orient(polygon).exterior.coords
    return [[[round(lon + shift, _DECIMALS), round(lat, _DECIMALS)] for lon, lat in ring]]

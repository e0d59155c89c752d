"""UTM zones on WGS84: which one a place belongs to, and coordinates into it and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from betaearth.errors import DataError
from betaearth.grid.bounds import LATITUDE_LIMIT, wrap_longitude

Points = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Two arrays of one shape: (lon, lat) in degrees or (easting, northing) in metres."""

_NORTH, _SOUTH = 32600, 32700

_EXCEPTIONS = (
    (56.0, 64.0, 3.0, 12.0, 32),
    (72.0, 84.0, 0.0, 9.0, 31),
    (72.0, 84.0, 9.0, 21.0, 33),
    (72.0, 84.0, 21.0, 33.0, 35),
    (72.0, 84.0, 33.0, 42.0, 37),
)
"""(south, north, west, east, zone): 32V takes south-west Norway in, 31X to 37X are wider around Svalbard."""


def utm_epsg(lon: float, lat: float) -> int:
    """EPSG code of the UTM zone of a point, with the exceptions for Norway and Svalbard.

    180 degrees is -180 and belongs to zone 1; the equator belongs to the north.

    Raises:
        DataError: the point is off the globe or beyond +-85 degrees.
    """
    if not (math.isfinite(lon) and -180 <= lon <= 180 and math.isfinite(lat)):
        raise DataError(f"({lon}, {lat}) is no point: longitude lies in -180..180, latitude in -90..90")
    if abs(lat) > LATITUDE_LIMIT:
        raise DataError(f"latitude {lat} has no UTM zone: the grid ends at +-{LATITUDE_LIMIT:g} degrees")
    zone = _zone_at(wrap_longitude(lon), lat)[2]
    return (_NORTH if lat >= 0 else _SOUTH) + zone


def zone_longitudes(lon: float, lat: float) -> tuple[float, float]:
    """(west, east) of the UTM zone of a point at that latitude, degrees."""
    west, east, _ = _zone_at(wrap_longitude(lon), lat)
    return (west, east)


def neighbour_epsg(epsg: int, lon: float) -> int:
    """EPSG code of the next zone of the same hemisphere on the side where a meridian lies.

    Zone 60 and zone 1 are neighbours. Of a zone's own central meridian the neighbour is the eastern one.

    Raises:
        DataError: the code is no WGS84 UTM zone, or the longitude no number.
    """
    if not math.isfinite(lon):
        raise DataError(f"longitude {lon} is no number of degrees")
    step = 1 if wrap_longitude(lon - central_meridian(epsg)) >= 0 else -1
    hemisphere, zone = _split(epsg)
    return hemisphere + (zone - 1 + step) % 60 + 1


def central_meridian(epsg: int) -> float:
    """Longitude of a zone's central meridian, degrees.

    Raises:
        DataError: the code is no WGS84 UTM zone.
    """
    return _split(epsg)[1] * 6.0 - 183.0


def false_northing(epsg: int) -> float:
    """Northing of the equator in a zone, metres.

    Raises:
        DataError: the code is no WGS84 UTM zone.
    """
    return 10_000_000.0 if _split(epsg)[0] == _SOUTH else 0.0


def reproject_points(
    lons: Sequence[float] | NDArray[np.float64], lats: Sequence[float] | NDArray[np.float64], epsg: int
) -> Points:
    """Project points into a zone.

    Args:
        lons: degrees, any shape.
        lats: degrees, the same shape.
        epsg: a WGS84 UTM zone.

    Returns:
        Eastings and northings, metres.

    Raises:
        DataError: the code is no WGS84 UTM zone.
    """
    xs, ys = _into_zone(epsg).transform(np.asarray(lons, np.float64), np.asarray(lats, np.float64))
    return (np.asarray(xs), np.asarray(ys))


def lonlat_points(
    xs: Sequence[float] | NDArray[np.float64], ys: Sequence[float] | NDArray[np.float64], epsg: int
) -> Points:
    """Return the longitudes (-180..180) and latitudes of points given in metres of a zone.

    Raises:
        DataError: the code is no WGS84 UTM zone.
    """
    transformer = _into_zone(epsg)
    lons, lats = transformer.transform(np.asarray(xs, np.float64), np.asarray(ys, np.float64), direction="INVERSE")
    return (np.asarray(lons), np.asarray(lats))


def _zone_at(lon: float, lat: float) -> tuple[float, float, int]:
    """(west, east, zone) for -180 <= lon < 180."""
    for south, north, west, east, zone in _EXCEPTIONS:
        if south <= lat < north and west <= lon < east:
            return (west, east, zone)
    sixth = int(lon // 6)
    return (sixth * 6.0, sixth * 6.0 + 6.0, sixth + 31)


def _split(epsg: int) -> tuple[int, int]:
    """(base of the hemisphere, zone)."""
    for base in (_NORTH, _SOUTH):
        if 1 <= epsg - base <= 60:
            return (base, epsg - base)
    raise DataError(f"EPSG:{epsg} is no UTM zone on WGS84: those are 32601 to 32660 and 32701 to 32760")


@lru_cache(maxsize=120)
def _into_zone(epsg: int) -> Transformer:
    """One transformer per zone serves all threads: pyproj keeps the underlying object per thread."""
    _split(epsg)
    return Transformer.from_crs(4326, epsg, always_xy=True)

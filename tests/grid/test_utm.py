from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Proj
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info

from betaearth.errors import DataError
from betaearth.grid.utm import (
    central_meridian,
    false_northing,
    lonlat_points,
    neighbour_epsg,
    reproject_points,
    utm_epsg,
    zone_longitudes,
)


@pytest.mark.parametrize("lon", range(-177, 180, 18))
@pytest.mark.parametrize("lat", [-79.5, 40.0])
def test_zones_agree_with_the_epsg_database(lon: int, lat: float) -> None:
    area = AreaOfInterest(lon - 2.9, lat - 0.1, lon + 2.9, lat + 0.1)
    (info,) = query_utm_crs_info("WGS 84", area, contains=True)
    assert {utm_epsg(lon + offset, lat) for offset in (-3, -2.9, 0, 2.9)} == {int(info.code)}


@pytest.mark.parametrize(
    ("lon", "lat", "epsg"),
    [
        (5.32, 60.39, 32632),
        (3.0, 56.0, 32632),
        (2.99, 60.0, 32631),
        (3.0, 55.99, 32631),
        (3.0, 64.0, 32631),
        (11.99, 63.99, 32632),
        (12.0, 60.0, 32633),
        (0.0, 78.0, 32631),
        (8.99, 78.0, 32631),
        (9.0, 78.0, 32633),
        (15.65, 78.22, 32633),
        (20.99, 72.0, 32633),
        (21.0, 78.0, 32635),
        (33.0, 78.0, 32637),
        (41.99, 78.0, 32637),
        (42.0, 78.0, 32638),
        (9.0, 71.99, 32632),
        (9.0, 84.5, 32632),
        (-0.01, 78.0, 32630),
        (-180.0, 10.0, 32601),
        (180.0, 10.0, 32601),
        (179.99, 10.0, 32660),
        (180.0, -10.0, 32701),
        (179.99, -10.0, 32760),
        (0.0, 0.0, 32631),
        (0.0, -1e-9, 32731),
        (0.0, 85.0, 32631),
        (0.0, -85.0, 32731),
    ],
)
def test_edges_norway_svalbard_and_the_antimeridian(lon: float, lat: float, epsg: int) -> None:
    assert utm_epsg(lon, lat) == epsg


@pytest.mark.parametrize(
    ("lon", "lat", "says"),
    [
        (0.0, 85.01, "ends at"),
        (0.0, -90.0, "ends at"),
        (180.5, 0.0, "no point"),
        (math.nan, 0.0, "no point"),
        (0.0, math.nan, "no point"),
    ],
)
def test_points_without_a_zone_are_refused(lon: float, lat: float, says: str) -> None:
    with pytest.raises(DataError, match=says):
        utm_epsg(lon, lat)


@given(st.floats(-180, 180), st.floats(-85, 85))
def test_a_zone_holds_its_points(lon: float, lat: float) -> None:
    west, east = zone_longitudes(lon, lat)
    assert west <= (lon if lon < 180 else -180) < east
    assert utm_epsg(west, lat) == utm_epsg(lon, lat)
    assert abs(central_meridian(utm_epsg(lon, lat)) - (west + east) / 2) <= 1.5


@pytest.mark.parametrize(
    ("epsg", "lon", "neighbour"),
    [
        (32631, 5.9, 32632),
        (32631, 0.1, 32630),
        (32631, 3.0, 32632),
        (32731, 5.9, 32732),
        (32660, 179.9, 32601),
        (32660, -179.9, 32601),
        (32660, 174.1, 32659),
        (32601, -179.9, 32660),
        (32601, 179.9, 32660),
        (32601, -174.1, 32602),
        (32701, 180.0, 32760),
    ],
)
def test_the_neighbour_lies_on_the_side_of_the_meridian(epsg: int, lon: float, neighbour: int) -> None:
    assert neighbour_epsg(epsg, lon) == neighbour


def test_what_is_no_zone_is_refused() -> None:
    for epsg in (4326, 32600, 32661, 32700, 32761, 3857):
        with pytest.raises(DataError, match="32601 to 32660 and 32701 to 32760"):
            neighbour_epsg(epsg, 0.0)
        with pytest.raises(DataError, match=f"EPSG:{epsg}"):
            reproject_points([0.0], [0.0], epsg)
        with pytest.raises(DataError, match=f"EPSG:{epsg}"):
            lonlat_points([0.0], [0.0], epsg)
    with pytest.raises(DataError, match="no number"):
        neighbour_epsg(32631, math.nan)


@pytest.mark.parametrize("epsg", [32601, 32631, 32660, 32701, 32733, 32760])
def test_the_central_meridian_has_easting_500_km_and_the_equator_the_false_northing(epsg: int) -> None:
    meridian = central_meridian(epsg)
    xs, ys = reproject_points([meridian, meridian], [0.0, 1.0], epsg)
    np.testing.assert_allclose(xs, 500_000.0, atol=1e-6)
    assert ys[0] == pytest.approx(false_northing(epsg), abs=1e-6)
    # The arc of the meridian is the integral of its radius of curvature; the zone scales it by 0.9996.
    semi_major, eccentricity2 = 6_378_137.0, 0.00669437999014
    latitudes = np.radians((np.arange(10_000) + 0.5) / 10_000)
    radius = semi_major * (1 - eccentricity2) / (1 - eccentricity2 * np.sin(latitudes) ** 2) ** 1.5
    assert ys[1] - ys[0] == pytest.approx(radius.mean() * np.radians(1) * 0.9996, abs=1e-3)


@settings(deadline=None)
@given(st.integers(1, 60), st.booleans(), st.floats(-6, 6), st.floats(-85, 85))
def test_points_go_into_a_zone_and_back(zone: int, north: bool, offset: float, lat: float) -> None:
    epsg = (32600 if north else 32700) + zone
    lon = central_meridian(epsg) + offset
    (x,), (y,) = reproject_points([lon], [lat], epsg)
    expected = Proj(proj="utm", zone=zone, south=not north, ellps="WGS84")(lon, lat)
    assert (x, y) == pytest.approx(expected, abs=1e-6)
    (back,), (back_lat,) = lonlat_points([x], [y], epsg)
    assert -180 <= back <= 180
    assert (back - lon + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
    assert back_lat == pytest.approx(lat, abs=1e-9)


def test_many_threads_may_project_at_once() -> None:
    lons, lats = np.linspace(0, 6, 500), np.linspace(40, 50, 500)
    expected = reproject_points(lons, lats, 32631)
    with ThreadPoolExecutor(8) as pool:
        for points in pool.map(lambda _: reproject_points(lons, lats, 32631), range(32)):
            np.testing.assert_array_equal(points, expected)

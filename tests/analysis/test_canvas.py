from __future__ import annotations

import pytest
from rasterio.crs import CRS

from betaearth.analysis.canvas import projected
from betaearth.errors import DataError

ZONE_1, ZONE_60, DEGREES = CRS.from_epsg(32601), CRS.from_epsg(32660), CRS.from_epsg(4326)


def test_a_box_across_180_degrees_is_no_box_of_degrees() -> None:
    with pytest.raises(DataError, match="crosses 180 degrees"):
        projected((100_000.0, 5_500_000.0, 300_000.0, 5_510_000.0), ZONE_1, DEGREES)


def test_it_is_one_in_the_neighbouring_zone() -> None:
    west, south, east, north = projected((100_000.0, 5_500_000.0, 300_000.0, 5_510_000.0), ZONE_1, ZONE_60)
    assert 195_000 < east - west < 215_000
    assert 9_000 < north - south < 30_000

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from betaearth.synthetic.parcels import CROPS, crop_of, green_cover, parcels


def window(lon: float, lat: float, metres: float, pixels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    high = metres / 111_195
    wide = high / np.cos(np.radians(lat))
    x, y = np.meshgrid(np.linspace(0, wide, pixels) + lon, lat - np.linspace(0, high, pixels))
    return (x.ravel() + 180.0) % 360.0 - 180.0, y.ravel()


@pytest.mark.parametrize("lat", [0.0, 48.0, -35.0, 70.0])
def test_fields_are_some_hundred_metres_wide_at_every_latitude(lat: float) -> None:
    names = parcels(*window(12.0, lat, 6_000.0, 200), 0)
    area = 6_000.0**2 / len(np.unique(names))
    assert 250.0**2 < area < 400.0**2


def test_fields_run_on_across_180_degrees() -> None:
    lon, lat = window(179.98, 52.0, 3_000.0, 150)
    names = parcels(lon, lat, 0).reshape(150, 150)
    seam = int(np.argmax(lon[:150] < 0))
    assert 0 < seam < 149
    changes = np.mean(names[:, 1:] != names[:, :-1], axis=0)
    # A seam would be a border all along it.
    assert changes[seam - 1] < 0.5
    np.testing.assert_array_equal(
        parcels(np.full(99, 180.0), np.linspace(-80, 80, 99), 0),
        parcels(np.full(99, -180.0), np.linspace(-80, 80, 99), 0),
    )


def test_a_field_is_one_connected_convex_piece() -> None:
    names = parcels(*window(12.0, 48.0, 1_500.0, 150), 0).reshape(150, 150)
    for name in np.unique(names[40:110, 40:110]):
        rows, columns = np.nonzero(names == name)
        middle = round(rows.mean()), round(columns.mean())
        assert names[middle] == name


def test_crops_rotate_from_year_to_year_and_are_the_same_all_over_a_field() -> None:
    names = np.unique(parcels(*window(12.0, 48.0, 6_000.0, 200), 0))
    first, second = crop_of(names, 2021, 0), crop_of(names, 2022, 0)
    assert set(np.unique(first)) == set(range(len(CROPS)))
    assert 0.6 < np.mean(first != second) < 0.95
    np.testing.assert_array_equal(first, crop_of(names, 2021, 0))


def test_each_crop_is_green_between_sowing_and_harvest() -> None:
    names = np.arange(400, dtype=np.uint32)
    for index, crop in enumerate(CROPS):
        kind = np.full(400, index, np.uint8)
        middle, before, after = (
            green_cover(names, kind, np.full(400, day, np.float32)).mean()
            for day in ((crop.sown + crop.harvested) / 2, crop.sown - 45, min(crop.harvested + 40, 364))
        )
        assert middle > 0.6 * crop.cover
        assert before < 0.1
        assert after < 0.1

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from betaearth.scenes.masks import dem_valid, dilated, s1_valid, s2_valid, scl_usable

SCL_CLASSES = {
    0: False,  # no data
    1: False,  # saturated
    2: True,  # dark
    3: False,  # shadow
    4: True,  # vegetation
    5: True,  # bare
    6: True,  # water
    7: True,  # unclassified
    8: False,  # cloud, medium
    9: False,  # cloud, high
    10: False,  # cirrus
    11: True,  # snow
}


@pytest.mark.parametrize(("scl", "usable"), SCL_CLASSES.items())
def test_each_class_of_the_scene_classification(scl: int, usable: bool) -> None:
    assert scl_usable(np.full((2, 3), scl, np.uint8)).tolist() == [[usable] * 3] * 2


def test_a_number_that_is_no_class_is_not_usable() -> None:
    assert not scl_usable(np.arange(12, 256, dtype=np.uint8)).any()


def test_zero_is_the_only_digital_number_without_data() -> None:
    assert s2_valid(np.array([0, 1, 999, 65535], np.uint16)).tolist() == [False, True, True, True]


def test_backscatter_counts_where_it_is_positive_and_finite() -> None:
    power = np.array([-32768.0, -1.0, 0.0, 1e-6, 3.5, np.nan, np.inf, -np.inf], np.float32)
    assert s1_valid(power).tolist() == [False, False, False, True, True, False, False, False]


def test_a_height_of_zero_metres_is_a_height() -> None:
    height = np.array([0.0, -431.0, 8848.0, -32768.0, -30000.0, np.nan, np.inf], np.float32)
    assert dem_valid(height).tolist() == [True, True, True, False, False, False, False]


def brute_force(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Every pixel against every True one."""
    y, x = np.indices(mask.shape)
    grown = np.zeros_like(mask)
    for row, column in zip(*np.nonzero(mask), strict=True):
        grown |= (y - row) ** 2 + (x - column) ** 2 <= radius**2
    return grown


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5, 13, 40])
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (23, 31), (48, 20)])
def test_every_pixel_grows_to_a_disc(shape: tuple[int, int], radius: int) -> None:
    for seed, share in enumerate((0.0, 0.01, 0.1, 1.0)):
        mask = np.random.default_rng(seed).random(shape) < share
        np.testing.assert_array_equal(dilated(mask, radius), brute_force(mask, radius))


def test_what_grows_is_a_new_array() -> None:
    mask = np.zeros((3, 3), np.bool_)
    for radius in (0, 2):
        assert not np.shares_memory(dilated(mask, radius), mask)


@pytest.mark.parametrize("scl", sorted(SCL_CLASSES))
def test_only_clouds_and_their_shadows_grow(scl: int) -> None:
    classes = np.full((9, 9), 4, np.uint8)
    classes[4, 4] = scl
    lost = ~scl_usable(classes, 3)
    cloud = classes == scl
    if scl in {3, 8, 9, 10}:
        np.testing.assert_array_equal(lost, brute_force(cloud, 3))
    else:
        np.testing.assert_array_equal(lost, cloud & (not SCL_CLASSES[scl]))

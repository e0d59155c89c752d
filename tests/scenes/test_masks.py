from __future__ import annotations

import numpy as np
import pytest

from betaearth.scenes.masks import dem_valid, s1_valid, s2_valid, scl_usable

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

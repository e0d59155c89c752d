from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from betaearth.errors import DataError
from betaearth.scenes.model import Granule, Sensor
from betaearth.scenes.options import Radiometry
from betaearth.scenes.profile import OffsetRule
from betaearth.scenes.radiometry import add_offset, offset_to_add

MakeGranule = Callable[..., Granule]
NATIVE, PRESENT, REMOVED = Radiometry.NATIVE, Radiometry.OFFSET_PRESENT, Radiometry.OFFSET_REMOVED


@pytest.mark.parametrize("sensor", [Sensor.S2_L2A, Sensor.S2_L1C])
@pytest.mark.parametrize(
    ("baseline", "present", "removed"),
    [
        ("02.12", 1000, 0),
        ("03.01", 1000, 0),
        ("03.99", 1000, 0),
        ("04.00", 0, -1000),
        ("05.10", 0, -1000),
        ("10.00", 0, -1000),
        ("4.0", 0, -1000),
    ],
)
def test_the_baseline_decides_as_a_number(
    baseline: str, present: int, removed: int, sensor: Sensor, make_granule: MakeGranule
) -> None:
    granule = make_granule(sensor, baseline=baseline)
    assert offset_to_add(granule, NATIVE, OffsetRule.BASELINE) == 0
    assert offset_to_add(granule, PRESENT, OffsetRule.BASELINE) == present
    assert offset_to_add(granule, REMOVED, OffsetRule.BASELINE) == removed


@pytest.mark.parametrize("baseline", [None, "", "99.99", "N0400", "04.00.1"])
def test_a_baseline_that_tells_nothing(baseline: str | None, make_granule: MakeGranule) -> None:
    granule = make_granule(baseline=baseline)
    assert offset_to_add(granule, NATIVE, OffsetRule.BASELINE) == 0
    for convention in (PRESENT, REMOVED):
        with pytest.raises(DataError, match=f"processing baseline is {baseline!r}"):
            offset_to_add(granule, convention, OffsetRule.BASELINE)


@pytest.mark.parametrize("baseline", [None, "02.12", "05.10"])
def test_a_source_without_offsets_needs_no_baseline(baseline: str | None, make_granule: MakeGranule) -> None:
    granule = make_granule(baseline=baseline)
    offsets = [offset_to_add(granule, convention, OffsetRule.REMOVED) for convention in (NATIVE, PRESENT, REMOVED)]
    assert offsets == [0, 1000, 0]


def test_valid_numbers_stay_valid() -> None:
    dn = np.array([[0, 1, 999, 1000, 1001, 64535, 64536, 65535]], np.uint16)
    valid = dn > 0
    down, up = add_offset(dn, valid, -1000), add_offset(dn, valid, 1000)
    assert down.tolist() == [[0, 1, 1, 1, 1, 63535, 63536, 64535]]
    assert up.tolist() == [[0, 1001, 1999, 2000, 2001, 65535, 65535, 65535]]
    assert down.dtype == up.dtype == np.uint16


def test_what_is_no_data_becomes_zero() -> None:
    assert add_offset(np.full((1, 2), 5000, np.uint16), np.array([[True, False]]), 1000).tolist() == [[6000, 0]]

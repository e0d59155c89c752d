from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from betaearth.scenes.model import BANDS, Granule, Scene, Sensor
from betaearth.scenes.selection import (
    BAND_MISSING,
    Selection,
    SelectionOptions,
    missing_upstream,
    quarter_of,
    replacement,
    with_whole_granules,
)

MakeGranule = Callable[..., Granule]
ALL = frozenset(Sensor)


def scene(name: str, month: int, sensor: Sensor = Sensor.S2_L2A, year: int = 2021) -> Scene:
    return Scene(id=name, sensor=sensor, sensed=datetime(year, month, 5, tzinfo=UTC), granules=())


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "seasonal"},
        {"max_cloud": -1},
        {"max_cloud": 100.5},
        {"max_cloud": float("nan")},
        {"max_per_quarter": 0},
        {"s1_per_quarter": 0},
        {"min_coverage": -0.1},
        {"min_coverage": 100.1},
        {"max_results": 0},
        {"min_spacing_days": -1},
        {"shortlist_per_quarter": 0},
        {"min_scenes": 0},
        {"unknown": 1},
    ],
)
def test_impossible_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SelectionOptions(**options)


@pytest.mark.parametrize(
    ("options", "share", "enough"),
    [
        ({}, 0.0, True),
        ({"policy": "published"}, 1.0, True),
        ({"policy": "published"}, 1.0 - 1e-12, True),
        ({"policy": "published"}, 0.9999, False),
        ({"policy": "published", "min_coverage": 0}, 0.0, True),
        ({"min_coverage": 50}, 0.5, True),
        ({"min_coverage": 50}, 0.49, False),
        # 14 of 29 columns are 48.2759 %: the published tool writes 48.3 and compares unrounded.
        ({"policy": "published", "min_coverage": 48.27}, 14 / 29, True),
        ({"policy": "published", "min_coverage": 48.28}, 14 / 29, False),
    ],
)
def test_what_coverage_is_enough(options: dict[str, Any], share: float, *, enough: bool) -> None:
    assert SelectionOptions(**options).covers_enough(share) is enough


def test_replacements_come_in_order_from_the_same_sensor_and_quarter() -> None:
    failed = scene("failed", 4)
    reserves = (
        scene("winter", 3),
        scene("radar", 5, Sensor.S1),
        scene("best", 6),
        scene("second", 4),
        scene("last year", 4, year=2020),
    )
    selection = Selection((failed,), reserves)
    assert replacement(selection, failed, set()) == reserves[2]
    assert replacement(selection, failed, {"failed", "best"}) == reserves[3]
    assert replacement(selection, reserves[2], {"second"}) is None
    assert replacement(selection, scene("autumn", 10), set()) is None


@pytest.mark.parametrize(("month", "quarter"), [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (9, 3), (10, 4), (12, 4)])
def test_quarters_are_those_of_the_calendar(month: int, quarter: int) -> None:
    assert quarter_of(scene("any", month)) == (Sensor.S2_L2A, 2021, quarter)


def test_a_scene_goes_on_without_the_granule_that_lacks_a_band(make_granule: MakeGranule) -> None:
    lacking = make_granule(id="lacking", assets={"B02": "/b02.tif"})
    unclassified = make_granule(id="unclassified", assets=dict.fromkeys(BANDS[Sensor.S2_L2A], "/band.tif"))
    both = replace(scene("both", 1), granules=(lacking, unclassified))
    assert with_whole_granules(both) == (replace(both, granules=(unclassified,)), {"lacking": BAND_MISSING})
    alone = replace(both, granules=(lacking,))
    assert with_whole_granules(alone) == (None, {"lacking": BAND_MISSING})


@pytest.fixture
def of_months(make_granule: MakeGranule) -> Callable[[Sensor, list[int]], list[Granule]]:
    def make(sensor: Sensor, months: list[int]) -> list[Granule]:
        return [make_granule(sensor, sensed=datetime(2021, month, 28, 23, 59, tzinfo=UTC)) for month in months]

    return make


def test_what_a_source_has_nothing_of(of_months: Callable[[Sensor, list[int]], list[Granule]]) -> None:
    granules = of_months(Sensor.S2_L2A, [2, 6, 9]) + of_months(Sensor.S1, [1, 8, 11])
    later = date(2024, 5, 1)
    assert missing_upstream(granules, 2021, ALL - {Sensor.S2_L1C}, today=later) == (
        "s2_l2a 2021 Q4",
        "s1 2021 Q2",
        "dem",
    )
    whole = [*granules, *of_months(Sensor.DEM, [5])]
    assert missing_upstream(whole, 2021, {Sensor.S1, Sensor.DEM}, today=later) == ("s1 2021 Q2",)
    assert missing_upstream(granules, 2020, {Sensor.S1}, today=later) == tuple(f"s1 2020 Q{n}" for n in (1, 2, 3, 4))
    assert missing_upstream([], 2021, frozenset(), today=later) == ()


@pytest.mark.parametrize(
    ("today", "quarters"),
    [
        (date(2021, 1, 1), 0),
        (date(2021, 3, 31), 0),
        (date(2021, 4, 1), 1),
        (date(2021, 12, 31), 3),
        (date(2022, 1, 1), 4),
        (date(2020, 6, 1), 0),
    ],
)
def test_a_quarter_that_is_not_over_is_not_missing(today: date, quarters: int) -> None:
    expected = tuple(f"s1 2021 Q{number + 1}" for number in range(quarters))
    assert missing_upstream([], 2021, {Sensor.S1}, today=today) == expected

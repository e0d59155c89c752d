from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from betaearth.synthetic.calendar import dates


@pytest.mark.parametrize("count", [1, 4, 50, 365])
def test_dates_are_spread_over_the_year_in_order(count: int) -> None:
    drawn = dates(32612, 2021, count, 3)
    days = np.array([date.optical.day_of_year for date in drawn])
    assert len(drawn) == count
    assert (np.diff(days) > 0).all()
    assert days.min() >= 1
    assert days.max() <= 365
    # One in each part of the year, whose bounds are rounded to days.
    parts = np.linspace(0, 365, count + 1)
    assert (days - 1 >= np.floor(parts[:-1])).all()
    assert (days - 1 < np.ceil(parts[1:])).all()


def test_the_radar_passes_within_days_and_the_same_year() -> None:
    for date in dates(32760, 2024, 60, 9):
        assert abs((date.radar.sensed.date() - date.optical.sensed.date()).days) <= 6
        assert date.radar.sensed.year == date.optical.sensed.year == 2024
    assert {date.radar.orbit_state for date in dates(32760, 2024, 20, 9)} == {"ascending", "descending"}


def test_the_hour_is_of_the_place() -> None:
    # Zone 31 lies at 3 degrees east, 12 minutes before Greenwich.
    (date,) = dates(32631, 2021, 1, 0)
    assert date.optical.sensed.strftime("%H:%M") == "10:18"
    day = date.optical.sensed.date()
    assert date.optical.sensed > datetime(day.year, day.month, day.day, tzinfo=UTC)


def test_weather_is_drawn_from_clear_to_covered() -> None:
    cover = np.array([date.optical.conditions.cloud for seed in range(20) for date in dates(32612, 2021, 20, seed)])
    assert np.mean(cover == 0.0) == pytest.approx(0.4, abs=0.08)
    assert cover.max() > 0.8
    assert cover.max() <= 1.0
    assert np.median(cover[cover > 0]) < 0.5


def test_a_seed_and_a_year_draw_anew() -> None:
    one = dates(32612, 2021, 6, 0)
    assert dates(32612, 2021, 6, 0) == one
    assert dates(32612, 2021, 6, 1) != one
    assert [d.optical.seed for d in dates(32612, 2022, 6, 0)] != [d.optical.seed for d in one]

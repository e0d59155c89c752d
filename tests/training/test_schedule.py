"""The learning rate over a run."""

from __future__ import annotations

import pytest

from betaearth.training.schedule import Schedule, rate_factor


def test_it_rises_in_a_line_and_falls_along_half_a_cosine() -> None:
    factors = [rate_factor(step, steps=20, warmup=4) for step in range(20)]
    assert factors[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert factors[12] == pytest.approx(0.5)
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert 0 < factors[-1] < 0.02


def test_without_a_rise_it_begins_in_full() -> None:
    assert rate_factor(0, steps=3, warmup=0) == 1.0


def test_a_run_is_made_of_epochs() -> None:
    schedule = Schedule(steps=10, epochs=2, warmup_epochs=0.4)
    assert (schedule.total, schedule.progress(5)) == (20, 0.25)
    assert [schedule.factor(step) for step in range(20)] == [rate_factor(n, steps=20, warmup=4) for n in range(20)]

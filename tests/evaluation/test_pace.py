"""How far an evaluation is, and how long it still takes."""

from __future__ import annotations

from itertools import count

import pytest

from betaearth.evaluation.pace import EvaluationStep, paced
from betaearth.events import Event


@pytest.fixture(autouse=True)
def _a_second_each(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(100.0)
    monkeypatch.setattr("betaearth.evaluation.pace.time.monotonic", lambda: next(clock))


def test_a_step_tells_its_pace() -> None:
    events: list[Event] = []
    assert list(paced("abcd", events.append, model="m", step="s")) == list("abcd")
    assert events == [EvaluationStep("m", "s", index, 4, 4.0 - index) for index in (1, 2, 3, 4)]


def test_what_was_done_before_says_nothing_of_the_pace() -> None:
    events: list[Event] = []
    assert list(paced(range(100), events.append, model="m", step="s", done=97)) == [97, 98, 99]
    assert events[0] == EvaluationStep("m", "s", 97, 100, None)
    assert events[1:] == [EvaluationStep("m", "s", 97 + done, 100, 3.0 - done) for done in (1, 2, 3)]


def test_what_is_all_done_is_told_once() -> None:
    events: list[Event] = []
    assert list(paced("ab", events.append, model="m", step="s", done=2)) == []
    assert events == [EvaluationStep("m", "s", 2, 2, 0.0)]

"""Progress of an evaluation as events, a few a minute."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from betaearth.events import Emit, Event

SECONDS_BETWEEN = 1.0
"""Events of one step come no more often."""

T_co = TypeVar("T_co", covariant=True)


class Counted(Sized, Iterable[T_co], Protocol[T_co]):
    """What has a length and can be gone through."""


@dataclass(frozen=True)
class EvaluationStep(Event):
    """Something more of a model's evaluation is done."""

    model: str
    step: str
    """Such as `chips` or `subsets`."""
    index: int
    """Done so far."""
    total: int
    seconds_left: float | None
    """Of this step, at its pace so far; None where nobody knows yet."""


def paced(things: Counted[T_co], emit: Emit, *, model: str, step: str, done: int = 0) -> Iterator[T_co]:
    """Go through things and tell how far it is: at the first, the last, and at most once a second.

    Args:
        things: all of them.
        emit: where progress goes.
        model: that is evaluated.
        step: such as `chips`.
        done: how many of them an earlier process has done, which are left out; the pace is that of the others.
    """
    start = told = time.monotonic()
    total = len(things)
    if done:
        emit(EvaluationStep(model, step, done, total, None if done < total else 0.0))
    for index, thing in enumerate(islice(things, done, None), start=done + 1):
        yield thing
        now = time.monotonic()
        if index in {done + 1, total} or now - told >= SECONDS_BETWEEN:
            told = now
            emit(EvaluationStep(model, step, index, total, (now - start) / (index - done) * (total - index)))

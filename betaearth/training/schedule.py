"""The learning rate over a run: a linear rise, then half a cosine down to nothing (Loshchilov and Hutter 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """The steps of a run."""

    steps: int
    """Of an epoch."""
    epochs: int
    warmup_epochs: float
    """Of the rise."""

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.steps * self.epochs

    def progress(self, done: int) -> float:
        """Return the share of the run that is done after some steps, 0..1."""
        return done / self.total

    def factor(self, step: int) -> float:
        """Return the share of the full learning rate at a step, counted from 0."""
        return rate_factor(step, steps=self.total, warmup=round(self.warmup_epochs * self.steps))


def rate_factor(step: int, *, steps: int, warmup: int) -> float:
    """Return the share of the full learning rate.

    Args:
        step: from 0.
        steps: of the whole run.
        warmup: of the rise; the first step has 1 / warmup, so that none is lost.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

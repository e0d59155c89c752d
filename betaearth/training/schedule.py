"""The learning rate over a run: a linear rise, then half a cosine down to nothing (Loshchilov and Hutter 2017)."""

from __future__ import annotations

import math


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

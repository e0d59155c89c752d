"""What a classifier mistook for what, and the scores that follow from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.cosine import DRAWS, Interval, Measure, interval_of

Labels = NDArray[Any]
"""(n,) of integers or words."""

_WEIGHTS_AT_ONCE = 4_000_000
"""Bounds the memory of a bootstrap (8 bytes each, twice)."""


class Confusion(Measure):
    """Counts of what was true and what was said."""

    labels: tuple[int | str, ...]
    """Sorted: all that were true or said."""
    counts: tuple[tuple[int, ...], ...]
    """(true, said), in the order of the labels."""


class ClassScore(Measure):
    """How well a classifier did."""

    accuracy: float
    balanced_accuracy: float
    """Mean over the classes that occur of their share found (recall)."""
    macro_f1: float
    """Mean over the classes, true or said, of 2 hits / (true + said)."""
    interval: Interval | None
    """Of the balanced accuracy, groups of samples resampled; None for fewer than two groups."""
    samples: int
    groups: int
    confusion: Confusion


def score_classes(truth: Labels, said: Labels, groups: Labels, *, seed: int) -> ClassScore:
    """Score a classifier's answers.

    Args:
        truth: (n,) labels.
        said: (n,) labels.
        groups: (n,) names of what belongs together, such as geographic blocks: neighbours are too alike to count as
            independent, so whole groups are resampled.
        seed: of the bootstrap.

    Raises:
        DataError: no sample, or lengths that differ.
    """
    if not len(truth) == len(said) == len(groups) or len(truth) == 0:
        raise DataError(f"{len(truth)} labels, {len(said)} answers and {len(groups)} groups: need as many, at least 1")
    labels, codes = np.unique(np.concatenate([truth, said]), return_inverse=True)
    names, group = np.unique(groups, return_inverse=True)
    cells = (group * len(labels) + codes[: len(truth)]) * len(labels) + codes[len(truth) :]
    counts = np.bincount(cells, minlength=len(names) * len(labels) ** 2).reshape(len(names), len(labels), len(labels))
    total = counts.sum(axis=0)
    hits, true, guessed = np.diag(total), total.sum(axis=1), total.sum(axis=0)
    return ClassScore(
        accuracy=float(hits.sum() / total.sum()),
        balanced_accuracy=float(balanced_accuracy(total)),
        macro_f1=float(np.mean(2 * hits / (true + guessed))),
        interval=_interval(counts, seed) if len(names) > 1 else None,
        samples=len(truth),
        groups=len(names),
        confusion=Confusion(labels=tuple(labels.tolist()), counts=tuple(tuple(row) for row in total.tolist())),
    )


def balanced_accuracy(counts: NDArray[np.integer[Any]] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the recall over the classes that occur, for each of many (..., true, said) counts."""
    true = counts.sum(axis=-1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    recall = np.divide(hits, true, out=np.zeros(true.shape), where=true > 0)
    balanced: NDArray[np.float64] = recall.sum(axis=-1) / (true > 0).sum(axis=-1)
    return balanced


def _interval(counts: NDArray[np.int64], seed: int) -> Interval:
    groups, labels = counts.shape[0], counts.shape[1]
    flat, share = counts.reshape(groups, -1).astype(np.float64), np.full(groups, 1 / groups)
    generator, scores = np.random.default_rng(seed), np.empty(DRAWS)
    step = max(1, _WEIGHTS_AT_ONCE // groups)
    for start in range(0, DRAWS, step):
        some = scores[start : start + step]
        # How often each group is drawn in a resample of as many groups is multinomial.
        drawn = generator.multinomial(groups, share, size=len(some)) @ flat
        some[:] = balanced_accuracy(drawn.reshape(-1, labels, labels))
    return interval_of(scores)

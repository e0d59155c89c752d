"""Probes: what simple classifiers make of frozen vectors.

The linear probe is a multinomial logistic regression (L2, C = 1) on features standardised by the training set's mean
and deviation; the same on ten labels a class is the ten-shot probe. Nearest neighbours vote by cosine; where two
classes have as many votes, the nearest of theirs decides. All are deterministic. The baseline is the training set's
most frequent class.

All run on one thread: their sums are small, and where cores are shared, threads mostly wait for each other (ten times
as long, measured). One thread also adds in one order, so that a machine's number of cores changes no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from betaearth.errors import DataError
from betaearth.evaluation.confusion import ClassScore, Labels, score_classes
from betaearth.evaluation.cosine import Interval, Measure, Vectors, bootstrap_interval
from betaearth.evaluation.neighbours import predict_neighbours
from betaearth.evaluation.probe_splits import Split
from betaearth.evaluation.probe_task import ProbeTask, check_learnable

__all__ = [
    "FewShotScore",
    "ProbeOptions",
    "ProbeScores",
    "ProbeTask",
    "Spread",
    "draw_shots",
    "predict_linear",
    "predict_majority",
    "predict_neighbours",
    "run_few_shot",
    "run_folds",
    "run_probes",
    "unlearnable",
]

MOST_ITERATIONS = 5000
MOST_VOTERS = 3
"""Neighbours that vote."""


class ProbeOptions(Measure):
    """How probes are run."""

    neighbours: Literal["cosine", "euclidean"] = "cosine"
    """Cosine for embeddings. Features with units of their own, such as decibels: the distance after standardising."""
    shots: int | None = Field(default=10, ge=1)
    """Labels a class; None leaves the few-shot probe out."""
    draws: int = Field(default=20, ge=1)
    """How often the shots are drawn."""
    seed: int = 0


Fold = tuple[ProbeTask, ProbeTask]
"""Samples to learn from, and to ask about."""
Predict = Callable[[ProbeTask, Vectors], Labels]
"""Answers (n,) about vectors (n, feature), after learning from a task."""


class Spread(Measure):
    """A score over draws."""

    mean: float
    std: float
    interval: Interval | None
    """Of the mean, draws resampled."""


class FewShotScore(Measure):
    """The linear probe on a few labels a class."""

    shots: int
    draws: int
    accuracy: Spread
    balanced_accuracy: Spread
    macro_f1: Spread


class ProbeScores(Measure):
    """All probes of one kind of vectors."""

    linear: ClassScore
    transferred: ClassScore | None
    """The linear probe that learned from the teacher's vectors, asked about these; None without a teacher."""
    knn1: ClassScore
    knn3: ClassScore
    few_shot: FewShotScore | None
    majority: ClassScore
    """Baseline: always the training set's most frequent class."""


def run_probes(
    train: ProbeTask, test: ProbeTask, *, teacher: ProbeTask | None = None, options: ProbeOptions | None = None
) -> ProbeScores:
    """Learn from one set of samples, ask about another.

    Args:
        train: samples to learn from.
        test: samples to ask about; a class that `train` lacks counts as never found.
        teacher: the target's vectors of training samples: adds the transferred probe.
        options: how.

    Raises:
        DataError: widths that differ, one class only, too few labels of a class for the few-shot probe, or vectors of
            zero length where neighbours vote by cosine.
    """
    return _run([(train, test)], teacher, options or ProbeOptions())


def run_folds(task: ProbeTask, splits: Sequence[Split], *, options: ProbeOptions | None = None) -> ProbeScores:
    """Probe fold by fold, and score the answers of all folds as one.

    Args:
        task: samples.
        splits: folds of them.
        options: how.

    Raises:
        DataError: no fold, or as `run_probes`.
    """
    if not splits:
        raise DataError("there is no fold to probe")
    return _run([(task.take(split.train), task.take(split.test)) for split in splits], None, options or ProbeOptions())


def run_few_shot(train: ProbeTask, test: ProbeTask, *, options: ProbeOptions | None = None) -> FewShotScore:
    """Run the few-shot probe alone.

    Args:
        train: samples to draw from; a class with fewer labels than shots is left out: it cannot be drawn from, and
            counts as never found.
        test: samples to ask about.
        options: how; `shots` must be given.

    Raises:
        DataError: fewer than two classes have as many labels, or widths that differ.
    """
    asked = options or ProbeOptions()
    shots = asked.shots or 0
    enough = train.frequent(shots)
    if shots < 1 or len(enough) < 2:
        raise DataError(f"{len(enough)} classes have {shots} labels: a few-shot probe needs two")
    with threadpool_limits(1):
        return _few_shot([(train.of_classes(enough), test)], shots, asked)


def unlearnable(labels: Labels) -> str | None:
    """Say what labels (n,) lack for all probes to learn from; None where nothing."""
    classes = len(np.unique(labels))
    if classes < 2:
        return f"labels of {'one' if classes else 'no'} class; probes need two"
    if len(labels) < MOST_VOTERS:
        return f"{len(labels)} labels; {MOST_VOTERS} neighbours need as many"
    return None


def predict_linear(train: ProbeTask, vectors: Vectors) -> Labels:
    """Answer with the linear probe.

    Args:
        train: samples to learn from.
        vectors: (n, feature) to ask about.

    Returns:
        (n,) labels.

    Raises:
        DataError: one class only, or widths that differ.
    """
    check_learnable(train, vectors)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=MOST_ITERATIONS))
    said: Labels = probe.fit(train.vectors.astype(np.float64), train.labels).predict(vectors.astype(np.float64))
    return said


def predict_majority(train: ProbeTask, vectors: Vectors) -> Labels:
    """Answer (n,) with the training set's most frequent class, the first in order of those as frequent."""
    labels, counts = np.unique(train.labels, return_counts=True)
    return np.repeat(labels[np.argmax(counts)], len(vectors))


def draw_shots(task: ProbeTask, shots: int, *, seed: int) -> ProbeTask:
    """Draw samples, the same number of each class.

    Raises:
        DataError: a class has fewer; it names each, and `ProbeTask.frequent` lists those that have enough.
    """
    labels, counts = np.unique(task.labels, return_counts=True)
    few = [f"{label} ({count})" for label, count in zip(labels, counts, strict=True) if count < shots]
    if few:
        raise DataError(f"{shots} labels of each class are needed; too few have {', '.join(few)}: leave those out")
    generator = np.random.default_rng(seed)
    drawn = [generator.choice(np.flatnonzero(task.labels == label), shots, replace=False) for label in labels]
    return task.take(np.concatenate(drawn))


def _run(folds: Sequence[Fold], teacher: ProbeTask | None, options: ProbeOptions) -> ProbeScores:
    seed, by = options.seed, options.neighbours
    with threadpool_limits(1):
        return ProbeScores(
            linear=_scored(folds, predict_linear, seed),
            transferred=None if teacher is None else _scored(folds, _taught_by(teacher), seed),
            knn1=_scored(folds, lambda train, vectors: predict_neighbours(train, vectors, 1, by=by), seed),
            knn3=_scored(folds, lambda train, vectors: predict_neighbours(train, vectors, MOST_VOTERS, by=by), seed),
            few_shot=None if options.shots is None else _few_shot(folds, options.shots, options),
            majority=_scored(folds, predict_majority, seed),
        )


def _scored(folds: Sequence[Fold], predict: Predict, seed: int) -> ClassScore:
    """Score the answers of all folds as one."""
    truth = np.concatenate([test.labels for _, test in folds])
    groups = np.concatenate([test.groups for _, test in folds])
    said = np.concatenate([predict(train, test.vectors) for train, test in folds])
    return score_classes(truth, said, groups, seed=seed)


def _taught_by(teacher: ProbeTask) -> Predict:
    return lambda _, vectors: predict_linear(teacher, vectors)


def _few_shot(folds: Sequence[Fold], shots: int, options: ProbeOptions) -> FewShotScore:
    def drawn(seed: int) -> Predict:
        return lambda train, vectors: predict_linear(draw_shots(train, shots, seed=seed), vectors)

    scores = [_scored(folds, drawn(options.seed + draw), options.seed) for draw in range(options.draws)]
    return _spread_of(shots, scores, options)


def _spread_of(shots: int, scores: Sequence[ClassScore], options: ProbeOptions) -> FewShotScore:
    def spread(values: Sequence[float]) -> Spread:
        array = np.array(values)
        interval = bootstrap_interval(array, seed=options.seed)
        return Spread(mean=float(array.mean()), std=float(array.std()), interval=interval)

    return FewShotScore(
        shots=shots,
        draws=len(scores),
        accuracy=spread([score.accuracy for score in scores]),
        balanced_accuracy=spread([score.balanced_accuracy for score in scores]),
        macro_f1=spread([score.macro_f1 for score in scores]),
    )

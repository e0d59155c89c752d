"""Probes: what simple classifiers make of frozen vectors.

The linear probe is a multinomial logistic regression (L2, C = 1) on features standardised by the training set's mean
and deviation; the same on ten labels a class is the ten-shot probe. Nearest neighbours vote by cosine; where two
classes have as many votes, the nearest of theirs decides. All are deterministic. The baseline is the training set's
most frequent class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from betaearth.errors import DataError
from betaearth.evaluation.confusion import ClassScore, Labels, score_classes
from betaearth.evaluation.cosine import Interval, Measure, Vectors, bootstrap_interval
from betaearth.evaluation.probe_splits import Split

MOST_ITERATIONS = 5000
_SIMILARITIES_AT_ONCE = 8_000_000
"""Bounds the memory of the neighbours' search (8 bytes each)."""


class ProbeOptions(Measure):
    """How probes are run."""

    neighbours: Literal["cosine", "euclidean"] = "cosine"
    """Cosine for embeddings. Features with units of their own, such as decibels: the distance after standardising."""
    shots: int | None = Field(default=10, ge=1)
    """Labels a class; None leaves the few-shot probe out."""
    draws: int = Field(default=20, ge=1)
    """How often the shots are drawn."""
    seed: int = 0


@dataclass(frozen=True)
class ProbeTask:
    """Vectors with labels."""

    vectors: Vectors
    """(n, feature)"""
    labels: Labels
    """(n,) classes: integers or words."""
    groups: Labels = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    """(n,) names of what belongs together, such as geographic blocks; each sample its own where none are given."""

    def __post_init__(self) -> None:
        """Refuse what cannot be probed.

        Raises:
            DataError: shapes that do not fit, no sample, or a value that is no number.
        """
        if self.groups.size == 0:
            object.__setattr__(self, "groups", np.arange(len(self.labels)))
        shapes = f"vectors {self.vectors.shape}, labels {self.labels.shape} and groups {self.groups.shape}"
        if self.vectors.ndim != 2 or not self.labels.shape == self.groups.shape == self.vectors.shape[:1]:
            raise DataError(f"{shapes} do not fit: they must be (n, feature), (n,) and (n,)")
        if len(self.vectors) == 0:
            raise DataError(f"{shapes}: there is no sample to probe")
        bad = int((~np.isfinite(self.vectors)).any(axis=1).sum())
        if bad:
            raise DataError(f"{bad} of {len(self.vectors)} vectors hold values that are no numbers: leave them out")

    def take(self, positions: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> ProbeTask:
        """Return some of the samples."""
        return ProbeTask(self.vectors[positions], self.labels[positions], self.groups[positions])

    def of_classes(self, classes: Iterable[int | str]) -> ProbeTask:
        """Return the samples of some classes."""
        return self.take(np.isin(self.labels, list(classes)))

    def frequent(self, least: int) -> tuple[int | str, ...]:
        """List the classes that have at least `least` samples."""
        labels, counts = np.unique(self.labels, return_counts=True)
        return tuple(labels[counts >= least].tolist())


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
    _check(train, vectors)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=MOST_ITERATIONS))
    said: Labels = probe.fit(train.vectors.astype(np.float64), train.labels).predict(vectors.astype(np.float64))
    return said


def predict_neighbours(
    train: ProbeTask, vectors: Vectors, k: int, *, by: Literal["cosine", "euclidean"] = "cosine"
) -> Labels:
    """Answer with the vote of the k nearest neighbours.

    Args:
        train: samples to learn from.
        vectors: (n, feature) to ask about.
        k: voters, at least 1.
        by: cosine, or the distance of features standardised by `train`.

    Returns:
        (n,) labels.

    Raises:
        DataError: fewer training samples than k, widths that differ, one class only, or for cosine vectors of zero
            length.
    """
    _check(train, vectors)
    if not 1 <= k <= len(train.labels):
        raise DataError(f"{k} neighbours of {len(train.labels)} training samples: there must be 1 to as many")
    labels, codes = np.unique(train.labels, return_inverse=True)
    known, asked = _comparable(train.vectors, vectors, by)
    # |a - b|^2 = |a|^2 - 2 ab + |b|^2: of the same a, the nearest b has the largest ab - |b|^2 / 2, for unit b as well.
    shift = np.einsum("ij,ij->i", known, known) / 2
    said, step = np.empty(len(asked), dtype=np.intp), max(1, _SIMILARITIES_AT_ONCE // len(known))
    for start in range(0, len(asked), step):
        near = asked[start : start + step] @ known.T - shift
        said[start : start + step] = _vote(codes[_nearest(near, k)], len(labels))
    return labels[said]


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


def _run(folds: Sequence[tuple[ProbeTask, ProbeTask]], teacher: ProbeTask | None, options: ProbeOptions) -> ProbeScores:
    truth = np.concatenate([test.labels for _, test in folds])
    groups = np.concatenate([test.groups for _, test in folds])

    def scored(predict: Callable[[ProbeTask, Vectors], Labels], seed: int = options.seed) -> ClassScore:
        said = np.concatenate([predict(train, test.vectors) for train, test in folds])
        return score_classes(truth, said, groups, seed=seed)

    def few_shot(shots: int) -> FewShotScore:
        def with_seed(seed: int) -> Callable[[ProbeTask, Vectors], Labels]:
            return lambda train, vectors: predict_linear(draw_shots(train, shots, seed=seed), vectors)

        return _spread_of(shots, [scored(with_seed(options.seed + draw)) for draw in range(options.draws)], options)

    return ProbeScores(
        linear=scored(predict_linear),
        transferred=None if teacher is None else scored(lambda _, vectors: predict_linear(teacher, vectors)),
        knn1=scored(lambda train, vectors: predict_neighbours(train, vectors, 1, by=options.neighbours)),
        knn3=scored(lambda train, vectors: predict_neighbours(train, vectors, 3, by=options.neighbours)),
        few_shot=None if options.shots is None else few_shot(options.shots),
        majority=scored(predict_majority),
    )


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


def _check(train: ProbeTask, vectors: Vectors) -> None:
    if vectors.ndim != 2 or vectors.shape[1] != train.vectors.shape[1]:
        raise DataError(f"vectors {vectors.shape} do not fit those learned from, {train.vectors.shape}")
    labels = np.unique(train.labels)
    if len(labels) < 2:
        raise DataError(f"all {len(train.labels)} training samples are of class {labels[0]}: a probe needs two classes")


def _comparable(known: Vectors, asked: Vectors, by: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if by == "euclidean":
        scaler = StandardScaler().fit(known.astype(np.float64))
        return scaler.transform(known.astype(np.float64)), scaler.transform(asked.astype(np.float64))
    one, other = (np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True) for vectors in (known, asked))
    zero = int((one == 0).sum() + (other == 0).sum())
    if zero:
        raise DataError(f"{zero} vectors have zero length, which has no direction: mask pixels without data first")
    return known / one, asked / other


def _nearest(near: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Return (row, k) columns of the largest values, largest first."""
    columns = np.argpartition(-near, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(near, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _vote(codes: NDArray[np.intp], classes: int) -> NDArray[np.intp]:
    """Return (row,) the code with most votes of (row, k), of those as frequent the one that comes first."""
    rows = np.arange(len(codes))[:, np.newaxis]
    votes = np.zeros((len(codes), classes), dtype=np.intp)
    np.add.at(votes, (rows, codes), 1)
    winner: NDArray[np.intp] = codes[rows[:, 0], np.argmax(votes[rows, codes], axis=1)]
    return winner

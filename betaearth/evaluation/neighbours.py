"""The vote of the nearest neighbours; where two classes have as many votes, the nearest of theirs decides."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from betaearth.errors import DataError
from betaearth.evaluation.confusion import Labels
from betaearth.evaluation.cosine import Vectors
from betaearth.evaluation.probe_task import ProbeTask, check_learnable

_SIMILARITIES_AT_ONCE = 8_000_000
"""Bounds the memory of the neighbours' search (8 bytes each)."""


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
    check_learnable(train, vectors)
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

"""Vectors with labels, for probes to learn from and to be asked about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.confusion import Labels
from betaearth.evaluation.cosine import Vectors


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


def check_learnable(train: ProbeTask, vectors: Vectors) -> None:
    """Check that a probe can learn from samples and be asked about vectors (n, feature).

    Raises:
        DataError: widths that differ, or one class only.
    """
    if vectors.ndim != 2 or vectors.shape[1] != train.vectors.shape[1]:
        raise DataError(f"vectors {vectors.shape} do not fit those learned from, {train.vectors.shape}")
    labels = np.unique(train.labels)
    if len(labels) < 2:
        raise DataError(f"all {len(train.labels)} training samples are of class {labels[0]}: a probe needs two classes")

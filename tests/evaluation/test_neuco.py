"""The CSV of a submission, read back."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from betaearth.errors import DataError
from betaearth.evaluation.neuco import neuco_csv


def test_numbers_come_back_as_they_were() -> None:
    means = {f"cell-{at}": np.random.default_rng(at).normal(size=64).astype(np.float32) for at in (2, 1)}
    header, *rows = csv.reader(io.StringIO(neuco_csv(means)))
    assert header[:3] == ["id", "0", "1"]
    assert [row[0] for row in rows] == ["cell-1", "cell-2"]
    for row in rows:
        assert np.array_equal(np.array(row[1:], dtype=np.float32), means[row[0]])


def test_what_is_no_submission_is_refused() -> None:
    with pytest.raises(DataError, match="at least one"):
        neuco_csv({})
    with pytest.raises(DataError, match="one width"):
        neuco_csv({"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)})
    with pytest.raises(DataError, match="vector of b holds"):
        neuco_csv({"b": np.full(2, np.nan, np.float32)})

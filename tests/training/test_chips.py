from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from betaearth.errors import DataError
from betaearth.training.chips import Chip
from tests.training.cells import random_cell, random_chip

RNG = np.random.default_rng(5)


def chip(day: int = 1, **changes: Any) -> Chip:
    return random_chip(RNG, date(2021, 3, day), 12, 10, **changes)


def test_a_whole_cell_passes_and_so_does_one_of_radar_alone() -> None:
    random_cell().check()
    random_cell(chips=(chip(s2_l2a=None, s2_l1c=None, clear=None),), dem=None, labels=None).check()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": np.zeros((63, 12, 10), np.int8)}, r"target of 0U_7R 2021 is int8 \(63, 12, 10\)"),
        ({"target": np.zeros((64, 12, 10), np.float32)}, "float32"),
        ({"chips": ()}, "no date"),
        ({"chips": (chip(s1=np.ones((2, 12, 9), np.float32)),)}, r"s1 of 2021-03-01 .* \(2, 12, 9\); \(2, 12, 10\)"),
        ({"chips": (chip(s2_l2a=np.ones((10, 12, 10), np.uint16)),)}, r"s2_l2a of 2021-03-01 .* B02"),
        ({"chips": (chip(s2_l1c=np.ones((9, 12, 10), np.float32)),)}, "s2_l1c .* is float32; uint16 is needed"),
        ({"chips": (chip(clear=np.ones((5, 5), np.bool_)),)}, "clear of 2021-03-01"),
        ({"chips": (Chip(date(2021, 3, 1)),)}, "nothing on 2021-03-01"),
        ({"chips": (chip(2), chip(2))}, "2021-03-02 after 2021-03-02"),
        ({"chips": (chip(9), chip(2))}, "2021-03-02 after 2021-03-09"),
        ({"dem": np.zeros((1, 4, 4), np.float32)}, r"dem .* \(1, 4, 4\)"),
        ({"dem": np.zeros((1, 12, 10), np.float64)}, "dem .* float64"),
        ({"labels": np.zeros((12, 10), np.int64)}, "labels .* int64"),
        ({"labels": np.zeros((10, 12), np.uint8)}, r"labels .* \(10, 12\)"),
    ],
)
def test_what_does_not_fit_together_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        random_cell(**changes).check()

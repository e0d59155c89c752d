"""Small cells of random numbers, for the tests of data sets."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from betaearth.training.chips import CellYear, Chip
from betaearth.training.description import About

ABOUT = About(name="random", source="random numbers", synthetic=True, target="random numbers", licence="CC0-1.0")


def random_chip(rng: np.random.Generator, day: date, height: int, width: int, **changes: Any) -> Chip:
    """A chip of all sensors; changes replace fields."""
    arrays: dict[str, Any] = {
        "s2_l2a": rng.integers(0, 12_000, (9, height, width), np.uint16),
        "s2_l1c": rng.integers(0, 12_000, (9, height, width), np.uint16),
        "s1": (10 ** rng.uniform(-3.5, 0.2, (2, height, width))).astype(np.float32),
        "clear": rng.random((height, width)) > 0.3,
    }
    return Chip(day, **(arrays | changes))


def random_cell(
    seed: int = 0, *, size: tuple[int, int] = (12, 10), months: tuple[int, ...] = (2, 7), **changes: Any
) -> CellYear:
    """A cell of row `seed` of the grid, with a date in the middle of each month; changes replace fields."""
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "cell": f"{seed}U_7R",
        "year": 2021,
        "lon": 0.6,
        "lat": seed * 0.0898 + 0.04,
        "chips": tuple(random_chip(rng, date(2021, month, 15), *size) for month in months),
        "target": rng.integers(-127, 128, (64, *size), np.int8),
        "dem": rng.uniform(-5, 900, (1, *size)).astype(np.float32),
        "labels": rng.integers(0, 9, size, np.uint8),
        "strata": {"biome": "humid", "hemisphere": "north"},
    }
    return CellYear(**(fields | changes))

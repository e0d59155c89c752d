"""Which cells, dates and windows an evaluation looks at; each cell draws for itself, so others change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from betaearth.scenes.model import Sensor
from betaearth.training.dataset import Row, Window

CellYearRows = tuple[Row, ...]
"""The dates of a cell's year."""


def generator_of(row: Row, seed: int, purpose: str) -> np.random.Generator:
    """Return the random numbers of a cell's year for a purpose."""
    return np.random.default_rng([seed, row.year, *row.cell.encode(), *purpose.encode()])


def some(cell_years: Sequence[CellYearRows], most: int | None, seed: int) -> tuple[CellYearRows, ...]:
    """Choose at most so many cell-years, in their order; a larger number holds a smaller one."""
    if most is None or most >= len(cell_years):
        return tuple(cell_years)
    draws = [generator_of(rows[0], seed, "cells").random() for rows in cell_years]
    chosen = sorted(np.argsort(draws, kind="stable")[:most])
    return tuple(cell_years[number] for number in chosen)


def one_date(cell_years: Iterable[CellYearRows], seed: int) -> tuple[Row, ...]:
    """Choose a date of each cell's year."""
    return tuple(rows[generator_of(rows[0], seed, "date").integers(len(rows))] for rows in cell_years)


def with_inputs(cell_years: Iterable[CellYearRows], sensors: Iterable[Sensor]) -> tuple[CellYearRows, ...]:
    """Keep the dates that have all of some inputs, and the cell-years that have such a date."""
    needed = frozenset(sensors)
    kept = (tuple(row for row in rows if needed <= row.sensors) for rows in cell_years)
    return tuple(rows for rows in kept if rows)


def common_inputs(cell_years: Iterable[CellYearRows]) -> tuple[Sensor, ...]:
    """List the inputs that at least half of the dates have."""
    rows = [row for dates in cell_years for row in dates]
    return tuple(sensor for sensor in Sensor if 2 * sum(sensor in row.sensors for row in rows) >= max(len(rows), 1))


def middle(row: Row, edge: int | None) -> Window | None:
    """Return the window of an edge in a cell's middle; None for the whole cell, where that is no larger."""
    if edge is None or (edge >= row.height and edge >= row.width):
        return None
    height, width = min(edge, row.height), min(edge, row.width)
    return Window((row.height - height) // 2, (row.width - width) // 2, height, width)

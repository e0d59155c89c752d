"""A small data set of random numbers, on which arithmetic can be checked and nothing can be learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from betaearth.products.quantise import quantise
from betaearth.training.chips import CellYear, Chip
from betaearth.training.dataset import Dataset
from betaearth.training.description import About
from betaearth.training.splits import SplitOptions
from betaearth.training.writing import write_dataset

SIZE = 32
DATES = 3
CELLS = 24
COVER = ((1, "water"), (2, "trees"), (4, "crops"))
ABOUT = About(
    name="random numbers",
    source="a random number generator",
    synthetic=True,
    target="random vectors",
    licence="CC0-1.0",
    land_cover=COVER,
)
MakeDataset = Callable[..., Dataset]


def random_cells(
    count: int = CELLS, *, size: int = SIZE, dates: int = DATES, labels: bool = True
) -> Iterator[CellYear]:
    """Make cells whose land cover decides their vectors, and whose imagery knows nothing of it."""
    generator = np.random.default_rng(3)
    directions = generator.normal(size=(5, 64))
    for number in range(count):
        classes = generator.choice([1, 2, 4], size=(size, size))
        vectors = directions[classes] + generator.normal(scale=0.3, size=(size, size, 64))
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        valid = np.ones((size, size), np.bool_)
        valid[0] = False
        yield CellYear(
            cell=f"{number + 1}U_{number + 1}R",
            year=2021,
            lon=float(number * 7 - 80),
            lat=float(number * 5 - 60),
            chips=tuple(
                Chip(
                    day=date(2021, 1, 15) + timedelta(days=90 * at),
                    s2_l2a=generator.integers(1, 4000, (9, size, size)).astype(np.uint16),
                    s2_l1c=generator.integers(1, 4000, (9, size, size)).astype(np.uint16),
                    s1=generator.uniform(0.01, 0.5, (2, size, size)).astype(np.float32),
                    clear=generator.random((size, size)) < 0.7,
                )
                for at in range(dates)
            ),
            target=quantise(vectors, valid).transpose(2, 0, 1),
            dem=generator.uniform(0, 500, (1, size, size)).astype(np.float32),
            labels=classes.astype(np.uint8) if labels else None,
            strata={"biome": "humid" if number % 2 else "dry"},
        )


@pytest.fixture(scope="session")
def make_dataset(tmp_path_factory: pytest.TempPathFactory) -> MakeDataset:
    """Write a data set of random cells; options are those of `random_cells`."""

    def make(shares: tuple[float, float, float] = (0.5, 0.0, 0.5), **options: int | bool) -> Dataset:
        folder: Path = tmp_path_factory.mktemp("random") / "data"
        cells = random_cells(**options)  # type: ignore[arg-type]  # one word for two kinds of options
        return write_dataset(cells, folder, about=ABOUT, split=SplitOptions(shares=shares))

    return make


@pytest.fixture(scope="session")
def random_dataset(make_dataset: MakeDataset) -> Dataset:
    """24 cells of 32 px on three dates, with everything."""
    return make_dataset()

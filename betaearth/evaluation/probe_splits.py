"""Which samples a probe learns from and which it is asked about.

A random split flatters: neighbours of a test sample are in the training set. Blocks keep neighbours together; leaving
a region out asks whether what was learned holds elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError

KM_PER_DEGREE = 111.32
"""Of latitude, and of longitude at the equator."""


@dataclass(frozen=True)
class Split:
    """A fold: no sample is in both parts."""

    name: str
    train: NDArray[np.intp]
    """(n,) positions, ascending."""
    test: NDArray[np.intp]
    """(m,) positions, ascending."""


def random_folds(labels: NDArray[Any], count: int, *, seed: int) -> tuple[Split, ...]:
    """Cut samples into folds at random, each class as evenly as it goes; every sample is tested once.

    The first fold alone is a split of 1 - 1/count to 1/count.

    Args:
        labels: (n,) classes.
        count: folds, at least 2.
        seed: of the order.

    Raises:
        DataError: fewer samples than folds, or fewer than two folds.
    """
    _check(count, len(labels), "samples")
    generator, fold = np.random.default_rng(seed), np.empty(len(labels), dtype=np.intp)
    dealt = 0
    for label in np.unique(labels):
        of_class = generator.permutation(np.flatnonzero(labels == label))
        fold[of_class] = (dealt + np.arange(len(of_class))) % count
        dealt += len(of_class)  # the next class goes on where this one ended, so that small classes spread
    return tuple(_split(f"random {number + 1}/{count}", fold == number) for number in range(count))


def block_folds(blocks: NDArray[Any], count: int, *, seed: int) -> tuple[Split, ...]:
    """Cut samples into folds of whole blocks: no block is in both parts; every sample is tested once.

    Blocks are dealt largest first to the fold that has the fewest samples; the seed orders blocks of one size.

    Args:
        blocks: (n,) names.
        count: folds, at least 2.
        seed: of the order.

    Raises:
        DataError: fewer blocks than folds, or fewer than two folds.
    """
    names, block, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    _check(count, len(names), "blocks")
    order = np.random.default_rng(seed).permutation(len(names))
    load, fold = np.zeros(count, dtype=np.intp), np.empty(len(names), dtype=np.intp)
    for number in order[np.argsort(-sizes[order], kind="stable")]:
        fold[number] = np.argmin(load)
        load[fold[number]] += sizes[number]
    return tuple(_split(f"blocks {number + 1}/{count}", fold[block] == number) for number in range(count))


def leave_one_out(regions: NDArray[Any]) -> tuple[Split, ...]:
    """Test each region with what the others taught.

    Args:
        regions: (n,) names.

    Raises:
        DataError: fewer than two regions.
    """
    names = np.unique(regions)
    if len(names) < 2:
        raise DataError(
            f"all samples lie in {', '.join(map(str, names)) or 'no region'}: leaving it out leaves nothing"
        )
    return tuple(_split(str(name), regions == name) for name in names)


def geographic_blocks(
    lon: NDArray[np.floating[Any]], lat: NDArray[np.floating[Any]], size_km: float
) -> NDArray[np.str_]:
    """Name the block of about `size_km` x `size_km` that each place lies in.

    Rows are bands of latitude; a row is cut by longitude at its own middle's scale, so blocks keep their size towards
    the poles.

    Args:
        lon: (n,) degrees.
        lat: (n,) degrees.
        size_km: edge.

    Returns:
        (n,) names such as `4N_-12E`: row and column from the equator and Greenwich.

    Raises:
        DataError: lengths that differ, a place outside the Earth, or a size that is not above 0.
    """
    if lon.shape != lat.shape or lon.ndim != 1:
        raise DataError(f"longitudes {lon.shape} do not fit latitudes {lat.shape}: both must be (n,)")
    if not (np.abs(lat) <= 90).all() or not (np.abs(lon) <= 180).all():
        raise DataError("places must lie within -180..180 degrees of longitude and -90..90 of latitude")
    if not size_km > 0:
        raise DataError(f"blocks of {size_km} km: the size must be above 0")
    rows = np.floor(lat * KM_PER_DEGREE / size_km)
    middle = np.radians(np.minimum(np.abs((rows + 0.5) * size_km / KM_PER_DEGREE), 90))
    columns = np.floor(lon * KM_PER_DEGREE * np.cos(middle) / size_km)
    return np.array([f"{int(row)}N_{int(column)}E" for row, column in zip(rows, columns, strict=True)], dtype=np.str_)


def _check(count: int, of: int, what: str) -> None:
    if count < 2:
        raise DataError(f"{count} folds: there must be at least 2, one to test and one to learn from")
    if of < count:
        raise DataError(f"{of} {what} cannot be cut into {count} folds: need at least one {what[:-1]} each")


def _split(name: str, tested: NDArray[np.bool_]) -> Split:
    return Split(name, np.flatnonzero(~tested), np.flatnonzero(tested))

"""Cosine between predicted and target vectors: per tile, over tiles with a bootstrap interval, pooled over pixels.

A figure never stands alone: beside it is the cosine that one constant vector reaches, the mean of the targets that a
model learned from. A teacher whose vectors all point one way gives a constant .9.

Intervals are those of a cluster bootstrap: dates and years of one cell are alike, so that whole cells are resampled
(Davison and Hinkley 1997, 3.8), and a cell of five years is one independent sample, not five.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from betaearth.errors import DataError

Vectors = NDArray[np.floating[Any]]

DRAWS = 2000
"""Resamples of a bootstrap."""
CONFIDENCE = 0.95
_INDICES_AT_ONCE = 2_000_000
"""Bounds the memory of a bootstrap (8 bytes each, twice)."""


class Measure(BaseModel):
    """A measured result, as files of results hold it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(Measure):
    """Percentile bootstrap interval of 95 %."""

    low: float
    high: float


class TileCosine(Measure):
    """A tile's pixels against their target."""

    name: str
    pixels: int
    """That have both vectors; at least 1."""
    cosine: float
    """Mean over them."""
    constant: float | None = None
    """Likewise of the constant vector; None where none was given."""
    cell: str | None = None
    """Where the tile lies: tiles of one cell are resampled together; None for a tile that is like no other."""


class CosineScore(Measure):
    """Cosine over many tiles."""

    tiles: int
    cells: int | None = None
    """That they lie in; None in results that were made before cells were told apart."""
    pixels: int
    mean: float
    """Over tiles, each counting once."""
    std: float
    """Over tiles, of the population (divided by n)."""
    interval: Interval | None
    """Of the mean, whole cells resampled with all their tiles; None for a single cell."""
    pooled: float
    """Over pixels, each counting once."""
    constant: float | None
    """Mean over the same tiles of the constant vector's cosine: the baseline."""
    constant_pooled: float | None
    """Likewise over pixels."""


def cosines(predicted: Vectors, target: Vectors) -> NDArray[np.float64]:
    """Return the cosine of each pair of vectors, computed in float64; neither needs unit length.

    Args:
        predicted: (n, band).
        target: (n, band).

    Returns:
        (n,) within -1..1.

    Raises:
        DataError: shapes that differ, a value that is no number, or a vector of zero length.
    """
    if predicted.ndim != 2 or predicted.shape != target.shape:
        raise DataError(f"predicted {predicted.shape} does not fit target {target.shape}: both must be (n, band)")
    lengths = _lengths(predicted, "predicted") * _lengths(target, "target")
    products = np.einsum("ij,ij->i", predicted, target, dtype=np.float64)
    clipped: NDArray[np.float64] = np.clip(products / lengths, -1, 1)
    return clipped


def constant_mean(targets: Iterable[Vectors]) -> NDArray[np.float64]:
    """Return the unit vector with the highest mean cosine to the targets: the direction of their mean.

    Args:
        targets: arrays (n, band), summed one by one, so that a training set need not fit into memory.

    Returns:
        (band,) unit length.

    Raises:
        DataError: no target at all, targets that cancel out, or a target as `cosines` refuses.
    """
    total: NDArray[np.float64] | None = None
    for vectors in targets:
        part = (vectors / _lengths(vectors, "target")[:, np.newaxis]).sum(axis=0, dtype=np.float64)
        total = part if total is None else total + part
    length = 0.0 if total is None else float(np.linalg.norm(total))
    if total is None or length == 0:
        raise DataError("there is no mean direction: there are no targets, or they cancel out")
    mean: NDArray[np.float64] = total / length
    return mean


def tile_cosine(
    name: str, predicted: Vectors, target: Vectors, *, constant: NDArray[np.float64] | None = None
) -> TileCosine:
    """Average a tile's pixels.

    Args:
        name: of the tile.
        predicted: (n, band) its valid pixels.
        target: (n, band).
        constant: (band,) as `constant_mean` returns it.

    Raises:
        DataError: no pixel, or what `cosines` refuses.
    """
    if len(predicted) == 0:
        raise DataError(f"tile {name} has no pixel with both a prediction and a target: leave it out")
    alike = cosines(predicted, target)
    flat = None if constant is None else cosines(np.broadcast_to(constant, target.shape), target)
    return TileCosine(
        name=name,
        pixels=len(alike),
        cosine=float(alike.mean()),
        constant=None if flat is None else float(flat.mean()),
    )


def score_tiles(per_tile: Sequence[TileCosine], *, seed: int) -> CosineScore:
    """Summarise tiles.

    Args:
        per_tile: with the constant's cosine in all of them, or in none.
        seed: of the bootstrap.

    Raises:
        DataError: no tile, or the constant's cosine in some only.
    """
    if not per_tile:
        raise DataError("there is no tile to score")
    values = np.array([tile.cosine for tile in per_tile])
    weights = np.array([tile.pixels for tile in per_tile])
    flat = [tile.constant for tile in per_tile if tile.constant is not None]
    if flat and len(flat) != len(per_tile):
        raise DataError(f"{len(flat)} of {len(per_tile)} tiles have the constant's cosine: give it for all or for none")
    cells = cells_of(per_tile)
    return CosineScore(
        tiles=len(per_tile),
        cells=len(np.unique(cells)),
        pixels=int(weights.sum()),
        mean=float(values.mean()),
        std=float(values.std()),
        interval=bootstrap_interval(values, seed=seed, groups=cells),
        pooled=float(np.average(values, weights=weights)),
        constant=float(np.mean(flat)) if flat else None,
        constant_pooled=float(np.average(flat, weights=weights)) if flat else None,
    )


def cells_of(per_tile: Sequence[TileCosine]) -> NDArray[np.str_]:
    """Name what is resampled together (n,): the cell of each tile; a tile that names none is its own."""
    return np.array([tile.cell or f"tile {number}" for number, tile in enumerate(per_tile)], dtype=np.str_)


def bootstrap_interval(
    values: NDArray[np.floating[Any]],
    *,
    seed: int,
    groups: NDArray[Any] | None = None,
    draws: int = DRAWS,
) -> Interval | None:
    """Return the percentile bootstrap interval of a mean (Efron 1979), 95 %.

    For the interval of a difference between two models on the same tiles, give the tiles' differences.

    Args:
        values: (n,).
        seed: of the draws.
        groups: (n,) names of what belongs together: whole groups are drawn, as many as there are, and the mean is over
            all values of those that were drawn; None draws each value by itself.
        draws: resamples.

    Returns:
        None for fewer than two groups: one says nothing about its spread.

    Raises:
        DataError: values that are not finite numbers in one dimension, or not as many groups.
    """
    if values.ndim != 1 or not np.isfinite(values).all():
        raise DataError(f"a bootstrap needs finite values (n,); these are {values.shape} {values.dtype}")
    totals, sizes = _grouped(values, groups)
    if len(totals) < 2:
        return None
    generator, means = np.random.default_rng(seed), np.empty(draws)
    step = max(1, _INDICES_AT_ONCE // len(totals))
    for start in range(0, draws, step):
        some = means[start : start + step]
        drawn = generator.integers(0, len(totals), (len(some), len(totals)))
        some[:] = totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return interval_of(means)


def _grouped(
    values: NDArray[np.floating[Any]], groups: NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each group's sum and number of values, (group,), in the order in which groups first come."""
    if groups is None:
        return values.astype(np.float64), np.ones(len(values))
    if groups.shape != values.shape:
        raise DataError(f"groups {groups.shape} do not fit values {values.shape}")
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    # Where each value is its own group, this order makes the same draws as no groups at all.
    place = np.argsort(np.argsort(first))[group]
    totals: NDArray[np.float64] = np.bincount(place, weights=values).astype(np.float64)
    return totals, np.bincount(place).astype(np.float64)


def interval_of(draws: NDArray[np.float64]) -> Interval:
    """Return the central 95 % of a statistic's resamples (n,)."""
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(low=float(low), high=float(high))


def _lengths(vectors: Vectors, what: str) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    if not np.isfinite(lengths).all():
        bad = int((~np.isfinite(lengths)).sum())
        raise DataError(f"{bad} of {len(vectors)} {what} vectors hold values that are no numbers: mask them first")
    if not lengths.all():
        zero = int((lengths == 0).sum())
        raise DataError(f"{zero} of {len(vectors)} {what} vectors have zero length: mask pixels without data first")
    return lengths

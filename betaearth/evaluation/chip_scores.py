"""The cosine of a model's embedding with the target, date by date, and by what the date and its pixels are like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.choice import CellYearRows
from betaearth.evaluation.cosine import TileCosine, cosines
from betaearth.evaluation.embedder import DateMode, Embedder, Sensors
from betaearth.evaluation.material import Material
from betaearth.evaluation.strata import Strata, clearness, latitude_band, month, score_strata, split_tile
from betaearth.inference.predictor import SHORTEST_VECTOR
from betaearth.training.dataset import Row, Sample

WordOf = Callable[[Row], str]


@dataclass(frozen=True)
class ChipCosine:
    """A date's cosine."""

    row: Row
    inputs: Sensors
    """That were given."""
    dates: DateMode
    tile: TileCosine


@dataclass(frozen=True)
class ChipScore:
    """A date judged with all the inputs that it has."""

    cosine: ChipCosine
    by_land_cover: tuple[tuple[str, TileCosine], ...]
    mean: NDArray[np.float32]
    """(64,) mean vector of the pixels that have a target, not of unit length."""


def chip_cosine(
    sample: Sample,
    vectors: NDArray[np.float32],
    inputs: Sensors,
    dates: DateMode,
    constant: NDArray[np.float64] | None,
) -> tuple[ChipCosine, NDArray[np.float64], NDArray[np.float64] | None]:
    """Compare an embedding with its target.

    Args:
        sample: the chip.
        vectors: (y, x, 64).
        inputs: that were given.
        dates: what was told of the date.
        constant: (64,) the baseline; None where there is none.

    Returns:
        The chip's cosine; and (n,) those of its valid pixels, and of the constant there.

    Raises:
        DataError: the embedding holds what is no number.
    """
    target = sample.target[:, sample.valid].T
    try:
        alike = cosines(vectors[sample.valid], target)
    except DataError as error:
        given = ", ".join(inputs)
        raise DataError(f"{sample.row.cell} {sample.row.day}, embedded from {given}: {error}") from error
    flat = None if constant is None else cosines(np.broadcast_to(constant, target.shape), target)
    tile = TileCosine(
        name=f"{sample.row.key}/{sample.row.day}",
        pixels=len(alike),
        cosine=float(alike.mean()),
        constant=None if flat is None else float(flat.mean()),
        cell=sample.row.cell,
    )
    return ChipCosine(sample.row, inputs, dates, tile), alike, flat


def score_chip(embedder: Embedder, material: Material, row: Row) -> ChipScore | None:
    """Judge a date with all the inputs that it has; None where it has no target, or nothing that the model takes."""
    if row.target_fraction == 0 or not embedder.used(row.sensors):
        return None
    sample = material.read(row)
    if not sample.valid.any():
        return None
    vectors = embedder.encode(sample).embed()
    inputs = embedder.used(row.sensors)
    dates = DateMode.DAY if embedder.variant.doy else DateMode.NONE
    chip, alike, flat = chip_cosine(sample, vectors, inputs, dates, material.constant)
    parts: tuple[tuple[str, TileCosine], ...] = ()
    if sample.labels is not None:
        words = dict(material.dataset.description.land_cover)
        parts = split_tile(chip.tile, alike, sample.labels[sample.valid], words, constant=flat)
    return ChipScore(chip, parts, vectors[sample.valid].mean(axis=0))


def merged(tiles: Sequence[TileCosine], name: str) -> TileCosine:
    """Join tiles of a cell into one that each pixel counts once in."""
    pixels = np.array([tile.pixels for tile in tiles])
    flat = [tile.constant for tile in tiles if tile.constant is not None]
    return TileCosine(
        name=name,
        pixels=int(pixels.sum()),
        cosine=float(np.average([tile.cosine for tile in tiles], weights=pixels)),
        constant=float(np.average(flat, weights=pixels)) if len(flat) == len(tiles) else None,
        cell=tiles[0].cell,
    )


def by_cell_year(chips: Iterable[ChipCosine]) -> list[TileCosine]:
    """Join the dates of each cell's year: dates are alike, so that they do not count as independent tiles."""
    groups: dict[str, list[TileCosine]] = {}
    for chip in chips:
        groups.setdefault(chip.row.key, []).append(chip.tile)
    return [merged(tiles, key) for key, tiles in groups.items()]


def strata_of(scores: Sequence[ChipScore], *, seed: int) -> dict[str, Strata]:
    """Group by what the data set knows, month, latitude, clouds and land cover; cells are what is resampled."""
    known = sorted({word for score in scores for word in score.cosine.row.strata})
    words: dict[str, WordOf] = {
        **{name: _stratum(name) for name in known},
        "month": lambda row: month(row.day),
        "latitude": lambda row: latitude_band(row.lat),
        "clouds": lambda row: clearness(row.clear_fraction),
    }
    found = {
        name: _score(((word(score.cosine.row), score.cosine.row, score.cosine.tile) for score in scores), seed)
        for name, word in words.items()
    }
    covers = [(word, score.cosine.row, tile) for score in scores for word, tile in score.by_land_cover]
    return found | ({"land_cover": _score(covers, seed)} if covers else {})


def _stratum(name: str) -> WordOf:
    return lambda row: row.strata.get(name, "unknown")


def _score(tiles: Iterable[tuple[str, Row, TileCosine]], seed: int) -> Strata:
    groups: dict[tuple[str, str], list[TileCosine]] = {}
    for word, row, tile in tiles:
        groups.setdefault((word, row.key), []).append(tile)
    return score_strata(((word, merged(found, key)) for (word, key), found in groups.items()), seed=seed)


def cell_means(scores: Sequence[ChipScore]) -> Mapping[str, NDArray[np.float32]]:
    """Average each cell's year: key to (64,), over pixels and dates, of unit length."""
    totals: dict[str, NDArray[np.float64]] = {}
    for score in scores:
        total = totals.setdefault(score.cosine.row.key, np.zeros(len(score.mean)))
        total += score.mean.astype(np.float64) * score.cosine.tile.pixels
    return {
        key: (total / max(float(np.linalg.norm(total)), SHORTEST_VECTOR)).astype(np.float32)
        for key, total in totals.items()
    }


def rows_of(cell_years: Iterable[CellYearRows]) -> Iterator[Row]:
    """List all dates."""
    for rows in cell_years:
        yield from rows

"""Cosine by what a tile is like: biome, land cover, month, latitude, cloud.

A stratum is a word. A tile may count in one of them (its month) or, with some of its pixels each, in several (land
cover). Either way whole cells are what is resampled: neither pixels of a tile nor years of a cell are independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.cosine import CosineScore, Measure, TileCosine, score_tiles

LEAST_TILES = 5
"""Fewer say too little."""
BAND_DEGREES = 15
MONTHS = ("01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12")
_CLEARNESS = ((0.9, "clear 90-100 %"), (0.5, "clear 50-90 %"), (0.1, "clear 10-50 %"), (0.0, "clear 0-10 %"))


class Strata(Measure):
    """Scores by word."""

    scores: Mapping[str, CosineScore]
    """In the order of the words."""
    left_out: Mapping[str, int]
    """Words with too few tiles, and how many they have."""


def score_strata(tiles: Iterable[tuple[str, TileCosine]], *, seed: int, least: int = LEAST_TILES) -> Strata:
    """Score each stratum.

    Args:
        tiles: word and tile.
        seed: of the intervals.
        least: tiles that a stratum needs.

    Raises:
        DataError: as `score_tiles`.
    """
    by_word: dict[str, list[TileCosine]] = {}
    for word, tile in tiles:
        by_word.setdefault(word, []).append(tile)
    words = sorted(by_word)
    return Strata(
        scores={word: score_tiles(by_word[word], seed=seed) for word in words if len(by_word[word]) >= least},
        left_out={word: len(by_word[word]) for word in words if len(by_word[word]) < least},
    )


def split_tile(
    tile: TileCosine,
    alike: NDArray[np.floating[Any]],
    codes: NDArray[np.integer[Any]],
    words: Mapping[int, str],
    *,
    constant: NDArray[np.floating[Any]] | None = None,
) -> tuple[tuple[str, TileCosine], ...]:
    """Cut a tile into the pixels of each class, for `score_strata`.

    Args:
        tile: the whole.
        alike: (n,) its pixels' cosines.
        codes: (n,) their classes.
        words: code to word; pixels of other codes are left out.
        constant: (n,) the pixels' cosines of the constant vector.

    Raises:
        DataError: lengths that differ.
    """
    if alike.shape != codes.shape or (constant is not None and constant.shape != alike.shape):
        flat = "" if constant is None else f" and constant {constant.shape}"
        raise DataError(f"tile {tile.name}: cosines {alike.shape}{flat} do not fit codes {codes.shape}")
    parts = []
    for code, word in words.items():
        chosen = codes == code
        if not chosen.any():
            continue
        flat_mean = None if constant is None else float(constant[chosen].mean())
        mean = float(alike[chosen].mean())
        count = int(chosen.sum())
        parts.append((word, TileCosine(name=tile.name, pixels=count, cosine=mean, constant=flat_mean, cell=tile.cell)))
    return tuple(parts)


def month(day: date) -> str:
    """Name a month by two digits, so that words sort."""
    return MONTHS[day.month - 1]


def latitude_band(lat: float, *, width: int = BAND_DEGREES) -> str:
    """Name the band of latitude, such as `45-60 N`; the equator belongs to the north.

    Raises:
        DataError: a latitude outside -90..90, or none.
    """
    if not abs(lat) <= 90:
        raise DataError(f"latitude {lat} is outside -90..90")
    start = min(int(abs(lat) // width), 90 // width - 1) * width
    return f"{start:02d}-{start + width:02d} {'S' if lat < 0 else 'N'}"


def clearness(fraction: float | None) -> str:
    """Name how clear of clouds a scene is, from the fraction of its pixels that are.

    Raises:
        DataError: a fraction outside 0..1.
    """
    if fraction is None:
        return "clouds unknown"
    if not 0 <= fraction <= 1:
        raise DataError(f"a clear fraction of {fraction} is outside 0..1")
    return next(word for least, word in _CLEARNESS if fraction >= least)

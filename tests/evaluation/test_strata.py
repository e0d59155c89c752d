from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from betaearth.errors import DataError
from betaearth.evaluation.cosine import TileCosine
from betaearth.evaluation.strata import clearness, latitude_band, month, score_strata, split_tile


def tile(value: float, pixels: int = 1) -> TileCosine:
    return TileCosine(name="a", pixels=pixels, cosine=value, constant=value / 2)


def test_each_word_is_scored_on_its_own_tiles() -> None:
    strata = score_strata(
        [("wet", tile(0.5)), ("dry", tile(0.9)), ("wet", tile(0.7, pixels=3)), ("cold", tile(0.1))], seed=0, least=1
    )
    assert list(strata.scores) == ["cold", "dry", "wet"]
    wet = strata.scores["wet"]
    assert (wet.tiles, wet.pixels) == (2, 4)
    assert wet.mean == pytest.approx(0.6)
    assert wet.pooled == pytest.approx((0.5 + 3 * 0.7) / 4)
    assert wet.constant == pytest.approx(0.3)
    assert wet.interval is not None
    assert strata.scores["dry"].interval is None


def test_words_with_too_few_tiles_are_listed_not_scored() -> None:
    strata = score_strata([("wet", tile(0.5))] * 5 + [("dry", tile(0.9))] * 4, seed=0)
    assert list(strata.scores) == ["wet"]
    assert dict(strata.left_out) == {"dry": 4}


def test_a_tile_counts_in_each_of_its_classes() -> None:
    alike, codes = np.array([0.2, 0.4, 0.9, 1.0]), np.array([1, 1, 5, 0], dtype=np.uint8)
    whole = TileCosine(name="a", pixels=4, cosine=0.6, cell="1U_1R")
    parts = dict(split_tile(whole, alike, codes, {1: "water", 2: "trees", 5: "crops"}, constant=np.arange(4) / 10))
    assert list(parts) == ["water", "crops"]
    assert parts["water"].pixels == 2
    assert parts["water"].cosine == pytest.approx(0.3)
    assert parts["water"].constant == pytest.approx(0.05)
    assert parts["crops"].cosine == pytest.approx(0.9)
    assert {part.cell for part in parts.values()} == {"1U_1R"}


def test_codes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"tile a: cosines \(4,\) do not fit codes \(3,\)"):
        split_tile(tile(0.5), np.ones(4), np.ones(3, dtype=np.uint8), {1: "water"})


@pytest.mark.parametrize(
    ("lat", "word"),
    [(0, "00-15 N"), (14.99, "00-15 N"), (15, "15-30 N"), (-0.1, "00-15 S"), (-33, "30-45 S"), (90, "75-90 N")],
)
def test_latitude_bands(lat: float, word: str) -> None:
    assert latitude_band(lat) == word


@pytest.mark.parametrize(
    ("fraction", "word"),
    [
        (1.0, "clear 90-100 %"),
        (0.9, "clear 90-100 %"),
        (0.89, "clear 50-90 %"),
        (0.1, "clear 10-50 %"),
        (0.0, "clear 0-10 %"),
        (None, "clouds unknown"),
    ],
)
def test_clearness(fraction: float | None, word: str) -> None:
    assert clearness(fraction) == word


def test_months_sort() -> None:
    words = [month(date(2021, number, 3)) for number in range(1, 13)]
    assert words == sorted(words)
    assert words[8] == "09"


def test_impossible_places_and_fractions_are_refused() -> None:
    with pytest.raises(DataError, match="latitude 91"):
        latitude_band(91)
    with pytest.raises(DataError, match=r"1\.5 is outside"):
        clearness(1.5)
    with pytest.raises(DataError, match="nan"):
        clearness(float("nan"))

"""The limit of the output: what is reckoned, what is refused, and that what is said to fit does."""

from __future__ import annotations

import re

import pytest

from betaearth.app.size import check_size, edge_km, kept_bytes, output_bytes, what_fits, year_bytes
from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from tests.app.conftest import SMALL

GRID = PixelGrid(32633, 500000.0, 5400000.0, 1000, 2000, 10.0)
ONE_MB = 461.0
"""Megabytes just above a year of the grid in float32: 2 million pixels of 64 x 4 bytes, 0.9 of them written."""


def test_files_compress_a_little() -> None:
    assert year_bytes(GRID, "float32") == 460_800_000


def test_what_fits_is_taken() -> None:
    assert check_size(SMALL, GRID, ONE_MB) == 460_800_000


def test_what_is_too_large_is_told_what_would_fit() -> None:
    two = SMALL.model_copy(update={"years": (2020, 2021)})
    with pytest.raises(DataError) as refused:
        check_size(two, GRID, ONE_MB)
    said = str(refused.value)
    assert "2 years of 10.0 km x 20.0 km would be 921.6 MB" in said
    assert "461.0 MB at most" in said
    assert "1 year of this area" in said
    assert "all of it as int8" in said
    assert "BETAEARTH_MAX_OUTPUT_MB" in said
    edge = float(re.search(r"a square of ([\d.]+) km in 2 years", said)[1])  # type: ignore[index]
    square, larger = (PixelGrid(32633, 0.0, 0.0, round(km * 100), round(km * 100), 10.0) for km in (edge, edge + 0.1))
    assert output_bytes(two, square) <= ONE_MB * 1e6 < output_bytes(two, larger)


def test_files_of_single_scenes_count() -> None:
    kept = SMALL.model_copy(update={"save_per_timestamp_embedding": True, "save_scenes": True})
    assert kept_bytes(SMALL, GRID, scenes=8) == 0
    assert kept_bytes(kept, GRID, scenes=8) == 8 * (460_800_000 + 40_000_000)
    with pytest.raises(DataError, match="without files of single scenes"):
        check_size(kept, GRID, ONE_MB, scenes=8)


def test_what_is_kept_of_scenes_is_reckoned_with_where_it_is_told_what_would_fit() -> None:
    kept = SMALL.model_copy(update={"years": (2020, 2021), "save_scenes": True, "save_per_timestamp_embedding": True})
    limit = output_bytes(kept, GRID, scenes=16) / 2.5
    said = what_fits(kept, GRID, limit, scenes=16)
    edge = float(re.search(r"a square of ([\d.]+) km in 2 years\.", said)[1])  # type: ignore[index]
    square, larger = (PixelGrid(32633, 0.0, 0.0, round(km * 100), round(km * 100), 10.0) for km in (edge, edge + 0.1))
    assert output_bytes(kept, square, 16) <= limit < output_bytes(kept, larger, 16)
    assert "1 year of this area" not in said, "a year with its scenes is half of it, which is too much"
    assert "the same without files of single scenes" in said
    codes = kept.model_copy(update={"dtype": "int8"})
    assert ("all of it as int8;" in said) is (output_bytes(codes, GRID, 16) <= limit)
    tight = output_bytes(codes, GRID, scenes=16) - 1
    assert "all of it as int8 without files of single scenes" in what_fits(kept, GRID, tight, scenes=16)


def test_what_is_kept_of_scenes_is_left_out_where_nobody_knows_their_number() -> None:
    kept = SMALL.model_copy(update={"save_scenes": True})
    said = what_fits(kept, GRID, 200e6)
    assert re.search(r"a square of [\d.]+ km in 1 year without files of single scenes\.", said)


def test_an_edge_is_rounded_down() -> None:
    assert edge_km(64 * 0.85 * 100 * 100 + 1, 64 * 0.85, 10.0) == 1.0
    assert edge_km(64 * 0.85 * 109 * 109, 64 * 0.85, 10.0) == 1.0

"""The arithmetic of a tile-year, counted where it runs and scaled to 1068 px, 81 windows and 28 scenes."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.flops import flop_per_tile_year
from betaearth.inference.model import BetaEarth

PUBLISHED = 108.5e12
"""The published package, counted the same way."""


def test_a_tile_year_takes_less_than_a_quarter_of_the_published_arithmetic(
    seeded_model: Callable[[str], BetaEarth],
) -> None:
    flop = flop_per_tile_year(seeded_model("robust"))
    assert 20e12 < flop <= 24.6e12
    assert flop < PUBLISHED / 4

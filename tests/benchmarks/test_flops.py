"""FLOP of a tile-year: the formula against counters with known answers, and against a direct count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from benchmarks.flops import TILE_YEAR, Year, count_year, counting, flop_per_tile_year, scaled
from betaearth.errors import DataError
from betaearth.inference.annual import InferenceOptions
from betaearth.inference.model import BetaEarth
from betaearth.inference.windows import Tiling

OPTIONS = InferenceOptions(tile_size=64, overlap=32)


def windows(shape: tuple[int, int], options: InferenceOptions) -> int:
    return len(list(Tiling(shape, options.tile_size, options.overlap).windows()))


def linear(year: Year, options: InferenceOptions) -> list[int]:
    """Count as a network would whose costs are known; S2 scenes come first."""
    count, pixels = windows(year.shape, options), year.shape[0] * year.shape[1]
    so_far = [1_000 * count + 10 * pixels + 7]
    for scene in range(year.s2 + year.s1):
        cost = 5_000 * count + 3 * pixels + 11 if scene < year.s2 else 4_000 * count + 2 * pixels + 13
        so_far.append(so_far[-1] + cost)
    return so_far[1:]


@pytest.mark.parametrize("options", [OPTIONS, InferenceOptions()], ids=["64 px", "224 px"])
def test_the_formula_is_exact(options: InferenceOptions) -> None:
    year = Year((1068, 700), s2=24, s1=4)
    assert scaled(lambda small: linear(small, options), year, options) == linear(year, options)[-1]


def test_a_released_size_has_81_windows() -> None:
    assert windows(TILE_YEAR.shape, InferenceOptions()) == 81
    assert (TILE_YEAR.s2, TILE_YEAR.s1) == (24, 4)


def test_a_count_that_does_not_follow_the_formula_is_refused() -> None:
    def quadratic(year: Year) -> list[int]:
        return [windows(year.shape, OPTIONS) ** 2 * 1000 * (scene + 1) for scene in range(year.s2 + year.s1)]

    with pytest.raises(DataError, match=r"were predicted from smaller ones"):
        scaled(quadratic, TILE_YEAR, OPTIONS)


def test_windows_that_do_not_overlap_cannot_be_told_from_pixels() -> None:
    options = InferenceOptions(tile_size=64, overlap=0)
    with pytest.raises(DataError, match="without overlap"):
        scaled(lambda small: linear(small, options), TILE_YEAR, options)


def test_scaling_agrees_with_a_direct_count() -> None:
    model = BetaEarth.from_pretrained("demo", device="cpu")
    year = Year((160, 128), s2=2, s1=2)
    counted = count_year(model, year, OPTIONS)[-1]
    assert flop_per_tile_year(model, year=year, options=OPTIONS) == pytest.approx(counted, rel=0.005)


def test_every_kind_of_product_is_counted() -> None:
    """Attention: two products of tokens, keys and channels per head; each product multiplies and adds."""
    query, key = torch.ones(2, 4, 100, 16), torch.ones(2, 4, 9, 16)
    image = torch.ones(1, 5, 7, 7)
    runs: list[tuple[Callable[[], object], int]] = [
        (lambda: F.scaled_dot_product_attention(query, key, key), 2 * 2 * (2 * 4) * 100 * 9 * 16),
        (lambda: F.conv2d(image, torch.ones(4, 5, 3, 3)), 2 * (5 * 5) * 4 * 5 * 9),
        (lambda: F.conv_transpose2d(image, torch.ones(5, 4, 4, 4), stride=2, padding=1), 2 * (7 * 7) * 4 * 5 * 16),
        (lambda: F.conv2d(image, torch.ones(5, 1, 3, 3), padding=1, groups=5), 2 * (7 * 7) * 5 * 9),
        (lambda: F.linear(torch.ones(3, 7), torch.ones(4, 7)), 2 * 3 * 7 * 4),
        (lambda: torch.einsum("oik,ic->ock", torch.ones(6, 5, 3), torch.ones(5, 4)), 2 * 6 * 5 * 3 * 4),
        (lambda: torch.baddbmm(torch.ones(2, 3, 5), torch.ones(2, 3, 4), torch.ones(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    ]
    for run, flop in runs:
        with torch.inference_mode(), counting() as so_far:
            run()
        assert so_far() == flop

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cosine as scipy_cosine_distance  # type: ignore[import-untyped]
from scipy.stats import bootstrap  # type: ignore[import-untyped]

from betaearth.errors import DataError
from betaearth.evaluation import cosine
from betaearth.evaluation.cosine import (
    TileCosine,
    bootstrap_interval,
    constant_mean,
    cosines,
    score_tiles,
    tile_cosine,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def tiles(*parts: tuple[float, int]) -> list[TileCosine]:
    return [TileCosine(name=str(number), cosine=value, pixels=n) for number, (value, n) in enumerate(parts)]


def test_cosines_are_those_of_scipy_whatever_the_lengths(rng: np.random.Generator) -> None:
    one, other = rng.normal(size=(2, 20, 64)).astype(np.float32) * 7
    expected = [1 - scipy_cosine_distance(a.astype(float), b.astype(float)) for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(cosines(one, other), expected, atol=1e-12)


def test_cosines_of_known_pairs() -> None:
    one = np.array([[1.0, 0], [1, 0], [1, 0], [3, 3]])
    other = np.array([[2.0, 0], [0, 1], [-5, 0], [1, 0]])
    np.testing.assert_allclose(cosines(one, other), [1, 0, -1, np.sqrt(0.5)], atol=1e-15)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.ones((3, 5)), r"\(3, 5\) does not fit target \(3, 4\)"),
        (np.ones((2, 4)), r"\(2, 4\) does not fit target \(3, 4\)"),
        (np.array([[1.0, 0, 0, 0], [np.nan, 1, 1, 1], [1, 0, 0, 0]]), "1 of 3 predicted vectors hold values"),
        (np.array([[1.0, 0, 0, 0], [np.inf, 1, 1, 1], [1, 0, 0, 0]]), "1 of 3 predicted vectors hold values"),
        (np.eye(3, 4) * [[1], [0], [0]], "2 of 3 predicted vectors have zero length"),
    ],
)
def test_cosines_refuse_what_has_no_angle(value: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        cosines(value, np.ones((3, 4)))


def test_constant_reaches_the_length_of_the_mean_target(rng: np.random.Generator) -> None:
    targets = rng.normal(size=(500, 64)) + 0.4
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    constant = constant_mean([targets[:100], targets[100:]])
    assert np.linalg.norm(constant) == pytest.approx(1)
    reached = tile_cosine("a", targets, targets, constant=constant)
    assert reached.constant == pytest.approx(np.linalg.norm(targets.mean(axis=0)))
    assert reached.cosine == pytest.approx(1)
    others = rng.normal(size=(200, 64))  # no other direction does better
    best = max(cosines(np.broadcast_to(other, targets.shape), targets).mean() for other in others)
    assert reached.constant > best


@pytest.mark.parametrize("targets", [[], [np.array([[1.0, 0], [-1, 0]])]])
def test_constant_needs_a_direction(targets: list[np.ndarray]) -> None:
    with pytest.raises(DataError, match="no mean direction"):
        constant_mean(targets)


def test_tiles_count_once_and_pixels_count_once() -> None:
    score = score_tiles(tiles((0.5, 1), (0.9, 3)), seed=0)
    assert (score.tiles, score.pixels) == (2, 4)
    assert score.mean == pytest.approx(0.7)
    assert score.pooled == pytest.approx((0.5 + 3 * 0.9) / 4)
    assert score.std == pytest.approx(0.2)
    assert score.constant is None


def test_constant_stands_beside() -> None:
    parts = [
        TileCosine(name="a", pixels=1, cosine=0.5, constant=0.2),
        TileCosine(name="b", pixels=3, cosine=1, constant=0),
    ]
    score = score_tiles(parts, seed=0)
    assert score.constant == pytest.approx(0.1)
    assert score.constant_pooled == pytest.approx(0.05)
    with pytest.raises(DataError, match="1 of 2 tiles"):
        score_tiles([parts[0], *tiles((0.5, 1))], seed=0)


def test_interval_is_that_of_scipy(rng: np.random.Generator) -> None:
    values = rng.beta(8, 2, size=60)
    ours = bootstrap_interval(values, seed=3, draws=20_000)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=4, batch=1000)
    assert ours is not None
    spread = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02 * spread)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02 * spread)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    found = [bootstrap_interval(rng.normal(size=80), seed=number, draws=400) for number in range(300)]
    covered = np.mean([interval is not None and interval.low <= 0 <= interval.high for interval in found])
    assert 0.91 <= covered <= 0.98


def test_interval_depends_on_the_seed_alone(rng: np.random.Generator) -> None:
    values = rng.normal(size=30)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_interval_is_as_wide_in_small_portions(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    values = rng.normal(size=50)
    whole = bootstrap_interval(values, seed=1)
    monkeypatch.setattr(cosine, "_INDICES_AT_ONCE", 50 * 300)  # 2000 draws are no multiple of 300
    parts = bootstrap_interval(values, seed=1)
    assert whole is not None
    assert parts is not None
    assert parts.low == pytest.approx(whole.low, abs=0.02)
    assert parts.high == pytest.approx(whole.high, abs=0.02)


def test_years_of_a_cell_are_resampled_together(rng: np.random.Generator) -> None:
    """Five years of each cell that are all alike tell as much as one year does."""
    values, cells = rng.beta(8, 2, size=40), np.array([f"{number}U" for number in range(40)])
    once = bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3, groups=cells) == once
    years = bootstrap_interval(np.repeat(values, 5), seed=3, groups=np.repeat(cells, 5))
    alone = bootstrap_interval(np.repeat(values, 5), seed=3)
    assert once is not None
    assert years is not None
    assert alone is not None
    assert (years.low, years.high) == pytest.approx((once.low, once.high), abs=1e-12)
    assert alone.high - alone.low < 0.6 * (years.high - years.low)


def test_cells_of_uneven_numbers_of_years_count_by_their_years(rng: np.random.Generator) -> None:
    values, cells = rng.normal(size=60), rng.integers(0, 12, 60)
    drawn = rng.integers(0, 12, (4000, 12))
    means = [np.concatenate([values[cells == cell] for cell in cells_drawn]).mean() for cells_drawn in drawn]
    found = bootstrap_interval(values, seed=1, groups=cells, draws=4000)
    assert found is not None
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.08 * (high - low))


def test_scores_count_tiles_and_resample_cells() -> None:
    years = [TileCosine(name=str(n), pixels=1, cosine=0.5 + n / 10, cell=f"{n // 2}U") for n in range(4)]
    score = score_tiles(years, seed=0)
    assert (score.tiles, score.cells) == (4, 2)
    assert score.interval is not None
    assert {round(score.interval.low, 6), round(score.interval.high, 6)} == {0.55, 0.75}
    assert score_tiles(years[:2], seed=0).interval is None
    assert score_tiles(tiles((0.5, 1), (0.9, 3)), seed=0).cells == 2


def test_one_tile_has_no_interval() -> None:
    assert score_tiles(tiles((0.5, 10)), seed=0).interval is None


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(DataError, match="no tile"):
        score_tiles([], seed=0)
    with pytest.raises(DataError, match="tile 433U_1046R has no pixel"):
        tile_cosine("433U_1046R", np.empty((0, 64)), np.empty((0, 64)))
    with pytest.raises(DataError, match="finite"):
        bootstrap_interval(np.array([1.0, np.nan]), seed=0)
    with pytest.raises(DataError, match=r"groups \(2,\) do not fit values \(3,\)"):
        bootstrap_interval(np.ones(3), seed=0, groups=np.ones(2))

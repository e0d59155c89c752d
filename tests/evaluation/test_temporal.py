"""Means over dates against loops, and what each arm counts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.temporal import Arm, Pixels, Season, averaged, score_season

RNG = np.random.default_rng(5)


def unit(*shape: int) -> NDArray[np.float32]:
    vectors = RNG.normal(size=(*shape, 64))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def season(dates: int = 4, *, clear: bool = True, fill: bool = True) -> Season:
    valid = np.ones((6, 5), np.bool_)
    valid[0, 0] = False
    return Season(
        "1U_1R",
        2021,
        unit(dates, 6, 5),
        unit(6, 5),
        valid,
        RNG.random((dates, 6, 5)) < 0.5 if clear else None,
        unit(dates, 6, 5) if fill else None,
    )


def looped(given: Season, dates: NDArray[np.int64], arm: Arm) -> NDArray[np.float64]:
    """The mean of an arm, pixel by pixel."""
    out = np.zeros((6, 5, 64))
    assert given.clear is not None
    assert given.fill is not None
    for y in range(6):
        for x in range(5):
            for at in dates:
                if arm is Arm.PLAIN or given.clear[at, y, x]:
                    out[y, x] += given.full[at, y, x]
                elif arm is Arm.GAP_FILL:
                    out[y, x] += given.fill[at, y, x]
            out[y, x] /= max(float(np.linalg.norm(out[y, x])), 1e-12)
    return out


@pytest.mark.parametrize("arm", list(Arm))
def test_an_arm_is_the_mean_of_what_it_counts(arm: Arm) -> None:
    given, dates = season(), np.array([3, 0, 1])
    assert averaged(given, dates, arm) == pytest.approx(looped(given, dates, arm), abs=1e-6)


def test_all_arms_and_counts_are_scored_on_the_same_pixels() -> None:
    given = season()
    found = score_season(given, (1, 2, 4), draws=3, seed=0)
    common = {entry.count for entry in found if entry.pixels is Pixels.COMMON}
    every = {entry.count for entry in found if entry.pixels is Pixels.EVERY}
    assert len(common) == 1
    assert every == {29}
    assert {(entry.arm, entry.dates) for entry in found if entry.pixels is Pixels.COMMON} == {
        (arm, dates) for arm in Arm for dates in (1, 2, 4)
    }
    assert Arm.MASKED not in {entry.arm for entry in found if entry.pixels is Pixels.EVERY}


def test_one_clear_date_is_the_same_in_every_arm() -> None:
    found = score_season(season(), (1,), draws=2, seed=0)
    assert len({round(entry.cosine, 6) for entry in found if entry.pixels is Pixels.COMMON}) == 1


def test_a_mean_of_all_dates_is_one_loop() -> None:
    given = season()
    (entry,) = [
        entry
        for entry in score_season(given, (4,), draws=2, seed=1)
        if entry.arm is Arm.GAP_FILL and entry.pixels is Pixels.EVERY
    ]
    cosines = (looped(given, np.arange(4), Arm.GAP_FILL) * given.target).sum(axis=-1)
    assert entry.cosine == pytest.approx(cosines[given.valid].mean(), abs=1e-6)


def test_more_dates_of_a_noisy_truth_come_nearer() -> None:
    given = season(8, clear=False, fill=False)
    noisy = given.target + RNG.normal(scale=0.15, size=given.full.shape)
    noisy = (noisy / np.linalg.norm(noisy, axis=-1, keepdims=True)).astype(np.float32)
    season_ = Season("1U_1R", 2021, noisy, given.target, given.valid)
    found = [entry for entry in score_season(season_, (1, 2, 4, 8), draws=2, seed=0) if entry.pixels is Pixels.EVERY]
    cosines = [entry.cosine for entry in sorted(found, key=lambda entry: entry.dates)]
    assert cosines == sorted(cosines)
    assert cosines[-1] - cosines[0] > 0.1


def test_draws_are_of_the_seed_the_cell_and_the_year() -> None:
    given = season()
    assert score_season(given, (1, 2), draws=2, seed=0) == score_season(given, (1, 2), draws=2, seed=0)
    assert score_season(given, (1, 2), draws=2, seed=0) != score_season(given, (1, 2), draws=2, seed=1)


def test_arms_need_their_data() -> None:
    assert season(clear=False, fill=False).arms() == (Arm.PLAIN,)
    assert season(fill=False).arms() == (Arm.PLAIN, Arm.MASKED)
    with pytest.raises(DataError, match="nothing fills its gaps"):
        averaged(season(fill=False), np.array([0]), Arm.GAP_FILL)
    with pytest.raises(DataError, match="nobody knows where it is clear"):
        averaged(season(clear=False), np.array([0]), Arm.MASKED)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"has 4 dates; \(8,\) are asked for"):
        score_season(season(), (8,), draws=1, seed=0)
    with pytest.raises(DataError, match=r"target \(2, 2\) of 1U_1R 2021 does not fit \(6, 5\)"):
        Season("1U_1R", 2021, unit(2, 6, 5), unit(2, 2), np.ones((6, 5), np.bool_))

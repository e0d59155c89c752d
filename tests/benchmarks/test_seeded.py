"""Seeded weights and scenes: the same every time, and all valid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.flops import Year
from benchmarks.seeded import days, elevation, optical, radar, weight, write_year

SHAPE = (40, 50)


def test_scenes_are_valid_and_differ() -> None:
    s2, s1, dem = optical(SHAPE, 0), radar(SHAPE, 0), elevation(SHAPE)
    assert (s2.shape, s1.shape, dem.shape) == ((9, *SHAPE), (2, *SHAPE), (1, *SHAPE))
    assert [array.dtype.name for array in (s2, s1, dem)] == ["uint16", "float32", "float32"]
    assert s2.min() >= 200
    assert s2.max() < 10000
    assert s1.min() > 1e-3
    assert dem.min() >= 300
    np.testing.assert_array_equal(s2, optical(SHAPE, 0))
    assert (s2 != optical(SHAPE, 1)).mean() > 0.9


def test_days_are_spread_over_the_year() -> None:
    assert days(4) == [46, 137, 229, 320]
    assert len(set(days(24))) == 24
    assert days(0) == []


def test_a_year_on_disk(tmp_path: Path) -> None:
    with np.load(write_year(tmp_path / "year.npz", Year(SHAPE, s2=3, s1=0))) as file:
        assert file["s2"].shape == (3, 9, *SHAPE)
        assert file["s1"].shape == (0, 2, *SHAPE)
        np.testing.assert_array_equal(file["s2"][1], optical(SHAPE, 1))
        assert file["s2_doy"].tolist() == days(3)


@pytest.mark.parametrize(
    ("key", "shape", "mean", "spread"),
    [
        ("s1_encoder.encoder.norm1.weight", (512,), 1, 0.1),
        ("s1_encoder.encoder.norm1.bias", (512,), 0, 0.1),
        ("fusion.0.weight", (256, 1024, 1, 1), 0, 1 / 32),
        ("time_cond.film.proj.weight", (512, 128), 0, 0.05),
    ],
)
def test_weights(key: str, shape: tuple[int, ...], mean: float, spread: float) -> None:
    values = weight(key, shape)
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(mean, abs=0.02)
    assert values.std() == pytest.approx(spread, rel=0.1)
    np.testing.assert_array_equal(values, weight(key, shape))
    assert not np.array_equal(values, weight(key + "x", shape))


def test_film_begins_near_identity() -> None:
    scale, shift = np.split(weight("time_cond.film.proj.bias", (512,)), 2)
    assert scale.mean() == pytest.approx(1, abs=0.05)
    assert shift.mean() == pytest.approx(0, abs=0.05)


def test_frequencies_are_those_of_the_network() -> None:
    frequencies = weight("time_cond.embedding.freqs", (64,))
    assert frequencies[0] == 1
    assert frequencies[-1] == pytest.approx(10000 ** (-126 / 128), rel=1e-5)

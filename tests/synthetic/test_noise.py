from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from betaearth.synthetic.noise import EARTH_RADIUS, Fractal, hash_pairs, places, ramp, seed_of, uniform

FIELD = Fractal("test", 20_000.0, 6)


def spread_places(count: int) -> NDArray[np.float64]:
    directions = np.random.default_rng(3).normal(size=(3, count))
    return np.asarray(EARTH_RADIUS * directions / np.linalg.norm(directions, axis=0))


@pytest.mark.parametrize(("octaves", "gain"), [(1, 0.5), (6, 0.5), (4, 0.8)])
def test_a_field_has_mean_zero_and_standard_deviation_one(octaves: int, gain: float) -> None:
    values = Fractal("test", 30_000.0, octaves, gain)(spread_places(100_000), 5)
    assert abs(values.mean()) < 0.02
    assert values.std() == pytest.approx(1.0, abs=0.03)


def test_a_value_does_not_depend_on_its_neighbours_in_the_call() -> None:
    points = spread_places(70_000)
    whole = FIELD(points, 1)
    np.testing.assert_array_equal(FIELD(np.ascontiguousarray(points[:, 30_000:30_011]), 1), whole[30_000:30_011])
    np.testing.assert_array_equal(FIELD(points[:, ::-1], 1)[::-1], whole)


def test_other_seeds_and_names_give_unrelated_fields() -> None:
    points = spread_places(50_000)
    fields = [FIELD(points, 0), FIELD(points, 1), Fractal("other", 20_000.0, 6)(points, 0)]
    related = np.corrcoef(np.stack(fields)) - np.eye(3)
    assert np.abs(related).max() < 0.03


def test_there_is_no_seam_at_180_degrees_nor_at_the_pole() -> None:
    lat = np.linspace(-80.0, 80.0, 500)
    east, west = (FIELD(places(np.full(500, lon), lat), 0) for lon in (180.0, -180.0))
    np.testing.assert_allclose(east, west, atol=1e-4)
    across = FIELD(places(np.full(500, -180.0 + 1e-5), lat), 0)
    assert np.abs(across - east).max() < 0.01
    poles = FIELD(places(np.linspace(-180, 180, 50), np.full(50, 90.0)), 0)
    assert np.ptp(poles) < 1e-5


def test_a_field_is_smooth_within_its_finest_octave_and_varies_beyond() -> None:
    lon = np.linspace(10.0, 11.0, 20_000)
    values = FIELD(places(lon, np.full(lon.shape, 50.0)), 0)
    step_metres = 1.0 / 20_000 * 111_000 * np.cos(np.radians(50.0))
    assert step_metres < 4.0
    assert np.abs(np.diff(values)).max() < 0.05
    assert np.ptp(values) > 2.0


def test_places_lie_on_the_sphere() -> None:
    found = places(np.array([0.0, 90.0, 0.0]), np.array([0.0, 0.0, 90.0]))
    np.testing.assert_allclose(found / EARTH_RADIUS, np.eye(3)[:, [0, 1, 2]], atol=1e-15)


def test_hashes_are_uniform_and_never_reach_the_ends() -> None:
    draws = uniform(hash_pairs(np.arange(1000)[:, np.newaxis], np.arange(-500, 500)[np.newaxis, :], 9))
    assert draws.shape == (1000, 1000)
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    assert np.abs(counts / 50_000 - 1).max() < 0.03
    ends = uniform(np.array([0, 2**32 - 1], np.uint32))
    assert ends[0] > 0
    assert ends[1] < 1


def test_neighbouring_pixels_hash_to_unrelated_values() -> None:
    draws = uniform(hash_pairs(np.arange(500)[:, np.newaxis], np.arange(500)[np.newaxis, :], 0))
    assert abs(np.corrcoef(draws[:, 1:].ravel(), draws[:, :-1].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(draws[1:].ravel(), draws[:-1].ravel())[0, 1]) < 0.01


@given(st.lists(st.one_of(st.integers(), st.text(max_size=5)), min_size=1, max_size=4))
def test_seeds_are_32_bit_and_depend_on_every_part(parts: list[int | str]) -> None:
    seed = seed_of(*parts)
    assert 0 <= seed < 2**32
    assert seed == seed_of(*parts)
    assert seed != seed_of(*parts, "more")


def test_seeds_are_the_same_everywhere() -> None:
    assert seed_of("orbit", 32632, 0) == 1923906221  # computed once; another value would change every file


def test_a_ramp_rises_or_falls_between_its_ends() -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, 2.0], np.float32)
    np.testing.assert_allclose(ramp(values, 0.0, 1.0), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(ramp(values, 1.0, 0.0), [1, 1, 0.5, 0, 0])

"""The annual mean against plain NumPy in double precision."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.inference.blend import Band
from betaearth.inference.composite import AnnualComposite


def unit(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    vectors = rng.standard_normal((*shape, 64))
    scaled: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


def bands(vectors: NDArray[np.float32], rows: int = 2) -> list[Band]:
    """Cut a scene's vectors into bands."""
    height = len(vectors)
    return [
        Band(slice(start, min(start + rows, height)), torch.from_numpy(vectors[start : start + rows]))
        for start in range(0, height, rows)
    ]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_it_is_the_mean_on_the_unit_sphere(scenes: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(rng, scenes, 5, 4)
    valid = rng.random((scenes, 5, 4)) < share
    composite = AnnualComposite((5, 4))
    for scene, mask in zip(vectors, valid, strict=True):
        stretched = scene * rng.uniform(0.1, 10, (5, 4, 1)).astype(np.float32)
        composite.add(bands(np.where(mask[..., None], stretched, np.float32(np.nan))), mask)
    result = composite.result()
    for y, x in np.ndindex(5, 4):
        seen = vectors[valid[:, y, x], y, x].astype(np.float64)
        assert result.count[y, x] == len(seen)
        if not len(seen):
            assert not result.vectors[y, x].any()
            assert result.dispersion[y, x] == 0
            continue
        mean = seen.mean(0)
        assert result.vectors[y, x] == pytest.approx(mean / np.linalg.norm(mean), abs=2e-6)
        assert np.linalg.norm(result.vectors[y, x]) == pytest.approx(1, abs=1e-6)
        assert result.dispersion[y, x] == pytest.approx(1 - np.linalg.norm(mean), abs=1e-6)


def test_nothing_added_is_not_observed() -> None:
    result = AnnualComposite((2, 3)).result()
    assert result.vectors.shape == (2, 3, 64)
    assert not result.valid.any()
    assert not result.dispersion.any()


def test_one_scene_stays_as_it_is() -> None:
    vectors = unit(np.random.default_rng(0), 3, 3)
    composite = AnnualComposite((3, 3))
    composite.add(bands(vectors), np.ones((3, 3), dtype=np.bool_))
    result = composite.result()
    assert np.abs(result.vectors - vectors).max() < 2e-7
    assert result.dispersion.max() < 1e-6


@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_opposite_observations_have_no_direction(noise: float) -> None:
    vectors = unit(np.random.default_rng(0), 1, 1)
    composite = AnnualComposite((1, 1))
    composite.add(bands(vectors), np.array([[True]]))
    composite.add(bands(-vectors + np.float32(noise)), np.array([[True]]))
    result = composite.result()
    assert (result.count.item(), result.dispersion.item(), result.valid.item()) == (0, 0, False)
    assert not result.vectors.any()


def test_what_nearly_cancels_out_still_has_a_direction() -> None:
    vectors = np.zeros((2, 1, 1, 64), dtype=np.float32)
    vectors[0, 0, 0, :2] = 1e-4, 1
    vectors[1, 0, 0, :2] = 1e-4, -1
    composite = AnnualComposite((1, 1))
    for scene in vectors:
        composite.add(bands(scene), np.array([[True]]))
    result = composite.result()
    assert result.vectors[0, 0, :2].tolist() == pytest.approx([1, 0])
    assert result.count.item() == 2
    assert result.dispersion.item() == pytest.approx(1 - 1e-4)


def test_types_are_those_of_the_product() -> None:
    result = AnnualComposite((1, 1)).result()
    types = [array.dtype.name for array in (result.vectors, result.count, result.dispersion)]
    assert types == ["float32", "uint16", "float32"]


def test_wrong_shapes_are_refused_with_both() -> None:
    composite = AnnualComposite((2, 3))
    with pytest.raises(DataError, match=r"weight \(3, 2\) does not fit a composite \(2, 3\)"):
        composite.add([], np.zeros((3, 2), dtype=np.bool_))
    for wrong in ((2, 3, 63), (2, 2, 64), (1, 3, 64)):
        with pytest.raises(DataError, match=rf"vectors {re.escape(str(wrong))} do not fit \(2, 3, 64\)"):
            composite.add([Band(slice(0, 2), torch.zeros(wrong))], np.zeros((2, 3), dtype=np.bool_))


def test_a_valid_pixel_that_is_not_finite_is_refused() -> None:
    vectors = unit(np.random.default_rng(0), 2, 2)
    vectors[1, 1, 7] = np.inf
    composite = AnnualComposite((2, 2))
    composite.add(bands(vectors), np.ones((2, 2), dtype=np.bool_))
    with pytest.raises(DataError, match=r"vectors \(2, 2, 64\) hold 1 valid pixels that are not finite"):
        composite.result()


def fractions(seed: int, shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    rng = np.random.default_rng(seed)
    return unit(rng, *shape), rng.integers(0, 4, shape, dtype=np.uint16)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_a_weight_counts_as_often(scenes: int, seed: int) -> None:
    composite, total, count = AnnualComposite((4, 3)), np.zeros((4, 3, 64)), np.zeros((4, 3), np.int64)
    for index in range(scenes):
        vectors, weight = fractions(seed + index, (4, 3))
        composite.add(bands(vectors), weight)
        total += vectors.astype(np.float64) * weight[..., None]
        count += weight
    result = composite.result()
    length = np.linalg.norm(total, axis=-1)
    seen = count > 0
    assert np.array_equal(result.count, count)
    assert result.vectors[seen] == pytest.approx((total / np.maximum(length, 1e-9)[..., None])[seen], abs=2e-6)
    assert result.dispersion[seen] == pytest.approx(1 - (length / np.maximum(count, 1))[seen], abs=1e-6)


def test_a_state_goes_on_exactly_and_stays_as_it_is() -> None:
    observations = [fractions(seed, (5, 4)) for seed in range(6)]
    unbroken, stopped = AnnualComposite((5, 4)), AnnualComposite((5, 4))
    for index, (vectors, weight) in enumerate(observations):
        unbroken.add(bands(vectors), weight)
        if index < 3:
            stopped.add(bands(vectors), weight)
    state = stopped.state()
    before = (state.total.copy(), state.count.copy())
    results = [unbroken.result()]
    for array in (state.total, state.count):
        array.flags.writeable = False
    for _ in range(2):
        again = AnnualComposite.from_state(state)
        for vectors, weight in observations[3:]:
            again.add(bands(vectors), weight)
        results.append(again.result())
    stopped.add(bands(observations[0][0]), observations[0][1])
    stopped.result()
    assert np.array_equal(state.total, before[0])
    assert np.array_equal(state.count, before[1])
    for result in results[1:]:
        assert result.vectors.tobytes() == results[0].vectors.tobytes()
        assert result.dispersion.tobytes() == results[0].dispersion.tobytes()
        assert np.array_equal(result.count, results[0].count)


def test_after_the_result_nothing_can_be_added() -> None:
    composite = AnnualComposite((2, 3))
    result = composite.result()
    with pytest.raises(DataError, match=r"does not fit a composite \(0, 0\)"):
        composite.add([], np.zeros((2, 3), dtype=np.uint16))
    assert result.vectors.shape == (2, 3, 64)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint32])
def test_a_weight_that_is_no_small_count_is_refused(dtype: type) -> None:
    with pytest.raises(DataError, match=rf"weight \(2, 3\) has dtype {np.dtype(dtype)}; uint16 is needed"):
        AnnualComposite((2, 3)).add([], np.ones((2, 3), dtype=dtype))

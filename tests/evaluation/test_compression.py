from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from betaearth.errors import DataError
from betaearth.evaluation.compression import (
    Codec,
    PrincipalInt8,
    SignBits,
    SquareRootInt8,
    compress,
    fit_codecs,
    probe_codes,
    score_compression,
)
from betaearth.evaluation.cosine import Vectors
from betaearth.evaluation.probes import ProbeTask, predict_linear


def unit(count: int, *, seed: int, rank: int = 64) -> Vectors:
    """Unit vectors whose variance falls from component to component of a fixed rotation."""
    turn, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(64, 64)))
    scale = np.where(np.arange(64) < rank, 0.8 ** np.arange(64), 0)
    vectors = (np.random.default_rng(seed).normal(size=(count, 64)) * scale) @ turn
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.fixture(scope="module")
def codecs() -> dict[str, Codec]:
    return {codec.name: codec for codec in fit_codecs(unit(2000, seed=0))}


def test_codes_take_the_bytes_that_they_say(codecs: dict[str, Codec]) -> None:
    said = {name: codec.bytes_per_vector for name, codec in codecs.items()}
    assert said == {
        "float32": 256, "int8": 64, "PCA-32 int8": 32, "PCA-16 int8": 16, "PCA-8 int8": 8, "64 sign bits": 8,
    }  # fmt: skip
    for codec in codecs.values():
        assert codec.encode(unit(10, seed=1)).nbytes == 10 * codec.bytes_per_vector
        assert np.linalg.norm(compress(codec, unit(10, seed=1)), axis=1) == pytest.approx(1, abs=1e-6)


def test_both_readings_of_32_are_there(codecs: dict[str, Codec]) -> None:
    ratios = {name: score_compression(codec, unit(50, seed=1)).ratio for name, codec in codecs.items()}
    assert [name for name, ratio in ratios.items() if ratio == 32] == ["PCA-8 int8", "64 sign bits"]
    assert (ratios["int8"], ratios["PCA-32 int8"], ratios["PCA-16 int8"]) == (4, 8, 16)


def test_cosine_of_sign_bits_is_the_sum_of_sizes(codecs: dict[str, Codec]) -> None:
    vectors = unit(500, seed=1)
    expected = np.abs(vectors).sum(axis=1) / 8  # of a unit vector with +-1/8 in each of 64 components
    assert score_compression(codecs["64 sign bits"], vectors).cosine == pytest.approx(expected.mean(), abs=1e-6)
    np.testing.assert_array_equal(np.sign(compress(SignBits(), vectors)), np.sign(vectors))


def test_int8_is_within_the_step_of_its_code() -> None:
    vectors = unit(500, seed=1)
    scored = score_compression(SquareRootInt8(), vectors)
    assert 0.9995 < scored.cosine_low <= scored.cosine < 1
    np.testing.assert_allclose(
        np.sqrt(np.abs(compress(SquareRootInt8(), vectors))), np.sqrt(np.abs(vectors)), atol=0.01
    )


@pytest.mark.parametrize("count", [8, 16, 32])
def test_principal_components_are_those_of_scikit_learn(count: int) -> None:
    train, test = unit(2000, seed=0), unit(300, seed=1)
    reference = PCA(count, svd_solver="full").fit(train)
    exact = reference.inverse_transform(reference.transform(test))
    expected = np.einsum("ij,ij->i", exact / np.linalg.norm(exact, axis=1, keepdims=True), test)
    found = score_compression(PrincipalInt8.fit(train, count), test).cosine
    assert found == pytest.approx(expected.mean(), abs=1e-3)  # but for the rounding to int8
    assert found < expected.mean()


def test_vectors_of_few_dimensions_survive_as_few_components() -> None:
    codec = PrincipalInt8.fit(unit(2000, seed=0, rank=8), 8)
    assert score_compression(codec, unit(300, seed=1, rank=8)).cosine > 0.9995


def test_vectors_outside_the_range_of_the_training_set_stay_in_range() -> None:
    train = unit(50, seed=0)
    codes = PrincipalInt8.fit(train * 0.1, 8).encode(unit(300, seed=1))
    assert codes.dtype == np.int8
    assert codes.min() == -127
    assert codes.max() == 127


def test_target_and_probe_are_scored_on_what_was_restored(codecs: dict[str, Codec]) -> None:
    train, test = (ProbeTask(v := unit(400, seed=seed), (v[:, 0] > 0).astype(np.int64)) for seed in (0, 1))
    scores = {score.name: score for score in probe_codes([(train, test)], seed=0, target=test.vectors)}
    assert list(scores) == list(codecs)
    assert all(score.target_cosine == pytest.approx(score.cosine) for score in scores.values())
    assert scores["float32"].cosine == pytest.approx(1)
    plain, bits, short = (scores[name].linear for name in ("float32", "64 sign bits", "PCA-8 int8"))
    assert plain is not None
    assert plain.accuracy == pytest.approx((predict_linear(train, test.vectors) == test.labels).mean(), abs=0.01)
    assert bits is not None
    assert bits.accuracy > 0.97  # the class is a bit of the code
    assert short is not None
    assert short.accuracy < plain.accuracy


def test_folds_are_pooled() -> None:
    task = ProbeTask(v := unit(300, seed=0), (v[:, 0] > 0).astype(np.int64))
    halves = np.arange(150), np.arange(150, 300)
    folds = [(task.take(halves[1]), task.take(halves[0])), (task.take(halves[0]), task.take(halves[1]))]
    pooled = probe_codes(folds, seed=0)
    single = [probe_codes([fold], seed=0) for fold in folds]
    for number, score in enumerate(pooled):
        assert score.linear is not None
        assert score.linear.samples == 300
        assert score.cosine == pytest.approx((single[0][number].cosine + single[1][number].cosine) / 2)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(DataError, match="32 components of vectors"):
        fit_codecs(unit(20, seed=0))
    with pytest.raises(DataError, match="all 40 vectors are the same"):
        fit_codecs(np.full((40, 64), 0.125))
    with pytest.raises(DataError, match="no fold"):
        probe_codes([], seed=0)

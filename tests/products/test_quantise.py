"""The int8 code, against its formula and against AlphaEarth's own files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.products.quantise import NODATA, decode, dequantise, quantise, to_unit_length

COMPONENTS = st.floats(-1, 1, width=32)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    unit_vectors: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit_vectors


@given(COMPONENTS)
@settings(deadline=None)
def test_a_component_is_coded_by_the_formula(x: float) -> None:
    exact = 127.5 * math.sqrt(abs(x)) * math.copysign(1, x)
    code = int(quantise(np.array([[x]], np.float32), np.array([True]))[0, 0])
    assert -127 <= code <= 127
    assert abs(code - exact) <= 0.5 + 1e-4


def test_the_ends_and_the_middle() -> None:
    codes = quantise(np.array([[1, -1, 0, -0.0, 0.25, -0.25]], np.float32), np.array([True]))
    assert codes.dtype == np.int8
    assert codes.tolist() == [[127, -127, 0, 0, 64, -64]]


def test_no_data_is_coded_and_decoded() -> None:
    vectors = np.full((2, 3, 64), 0.125, np.float32)
    valid = np.array([[True, False, True], [False, False, True]])
    codes = quantise(vectors, valid)
    assert np.array_equal((codes == NODATA).all(axis=-1), ~valid)
    assert np.array_equal((codes == NODATA).any(axis=-1), ~valid)
    assert np.array_equal(dequantise(codes).any(axis=-1), valid)
    assert (dequantise(codes)[~valid] == 0).all()


def test_a_vector_is_decoded_by_the_formula() -> None:
    codes = np.array([[127, -64, 3, 0]], np.int8)
    plain = [(127 / 127.5) ** 2, -((64 / 127.5) ** 2), (3 / 127.5) ** 2, 0]
    assert decode(codes)[0] == pytest.approx(plain, abs=1e-7)
    assert dequantise(codes)[0] == pytest.approx([v / math.hypot(*plain) for v in plain], abs=1e-7)


@pytest.mark.parametrize("shape", [0.3, 1.0, 4.0])
def test_the_round_trip_keeps_the_direction(shape: float) -> None:
    """Components of equal size as well as a few large ones among many small ones."""
    generator = np.random.default_rng(7)
    sizes = generator.gamma(shape, size=(20_000, 64))
    vectors = unit(sizes * generator.choice((-1, 1), sizes.shape))
    decoded = dequantise(quantise(vectors.astype(np.float32), np.ones(len(vectors), bool)))
    assert np.linalg.norm(decoded, axis=-1) == pytest.approx(1, abs=1e-6)
    cosine = (vectors * decoded).sum(axis=-1)
    # Rounding a root moves a component by 4 |x| / (12 * 127.5^2) in the mean square, and |x| sums up to 8 at most.
    assert cosine.mean() >= 1 - 4 * 8 / (12 * 127.5**2) / 2
    assert cosine.min() >= 0.99985


@given(arrays(np.float64, (4, 64), elements=COMPONENTS).filter(lambda a: (np.linalg.norm(a, axis=-1) > 1e-3).all()))
@settings(deadline=None)
def test_the_code_moves_the_length_by_no_more_than_stated(vectors: NDArray[np.float64]) -> None:
    stored = decode(quantise(unit(vectors).astype(np.float32), np.ones(4, bool)))
    bound = (1 + 64**0.25 / 255) ** 2 - 1
    assert np.abs(np.linalg.norm(stored.astype(np.float64), axis=-1) - 1).max() <= bound + 1e-6


@given(arrays(np.int8, (5, 64), elements=st.integers(-127, 127)))
@settings(deadline=None)
def test_codes_of_decoded_codes_are_the_codes(codes: NDArray[np.int8]) -> None:
    assert np.array_equal(quantise(decode(codes), np.ones(5, bool)), codes)


def test_codes_of_another_type_are_refused() -> None:
    with pytest.raises(DataError, match="int16, not int8"):
        dequantise(np.zeros((2, 64), np.int16))


def test_a_zero_vector_has_no_direction() -> None:
    assert (to_unit_length(np.zeros((2, 64))) == 0).all()


def test_alphaearth_files_are_read(sample_data: Path) -> None:
    with rasterio.open(sample_data / "aef" / "aef_wisconsin_int8_utm16_10m.tif") as file:
        codes = np.moveaxis(file.read(), 0, -1)
        assert file.nodata == NODATA
    valid = (codes != NODATA).all(axis=-1)
    assert 0 < valid.sum() < valid.size
    lengths = np.linalg.norm(decode(codes)[valid], axis=-1)
    assert lengths == pytest.approx(1, abs=0.0225)
    unit_vectors = dequantise(codes)
    assert np.linalg.norm(unit_vectors, axis=-1) == pytest.approx(valid.astype(float), abs=1e-6)
    # Renormalising moves a code by at most one, and few of them.
    again = quantise(unit_vectors, valid)
    assert np.abs(again.astype(int) - codes).max() <= 1
    assert (again == codes).mean() > 0.99

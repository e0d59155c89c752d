"""Comparing products, against numpy over whole rasters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.pipeline.reproduction import MEAN_COSINE, MIN_COSINE
from betaearth.products.comparison import compare_products
from betaearth.products.embedding import Embedding
from betaearth.products.options import Dtype, ProductOptions
from betaearth.products.product import render_product
from betaearth.products.quantise import dequantise, quantise

SHAPE = (300, 270)


def unit_vectors(seed: int, shape: tuple[int, ...] = SHAPE) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(*shape, 64))
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return unit


def product(folder: Path, vectors: NDArray[np.float32], count: NDArray[np.uint16], dtype: Dtype) -> Path:
    folder.mkdir()
    grid = PixelGrid(32633, 600000, 5000040, *vectors.shape[1::-1])
    seen = count > 0
    embedding = Embedding(np.where(seen[..., None], vectors, np.float32(0)), count, np.zeros(count.shape, np.float32))
    render_product(embedding, grid, folder, ProductOptions(dtype=dtype), {})
    return folder


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_it_agrees_with_numpy(tmp_path: Path, dtype: Dtype) -> None:
    vectors = unit_vectors(1)
    count = np.random.default_rng(2).integers(0, 4, SHAPE).astype(np.uint16)
    noisy = vectors + np.random.default_rng(3).normal(scale=0.02, size=vectors.shape).astype(np.float32)
    noisy /= np.linalg.norm(noisy, axis=-1, keepdims=True)
    other_count = count.copy()
    other_count[:5] = 1
    other_count[5:9] += (count[5:9] > 0).astype(np.uint16)
    ours = product(tmp_path / "ours", vectors, count, dtype)
    theirs = product(tmp_path / "theirs", noisy, other_count, dtype)
    found = compare_products(ours, theirs, dtype)

    stored = []
    for folder in (ours, theirs):
        with rasterio.open(folder / "embeddings.tif") as file:
            stored.append(np.moveaxis(file.read(), 0, -1))
    one, other = (dequantise(codes) if dtype == "int8" else codes for codes in stored)
    both = (count > 0) & (other_count > 0)
    cosines = (one[both].astype(float) * other[both]).sum(axis=-1)
    assert found.pixels == count.size
    assert found.compared == both.sum()
    assert found.valid_equal == pytest.approx(((count > 0) == (other_count > 0)).mean())
    assert found.counts_equal == pytest.approx((count == other_count).mean())
    assert found.codes_equal == pytest.approx((stored[0] == stored[1]).all(axis=-1).mean())
    assert found.cosine_min == pytest.approx(cosines.min(), abs=1e-6)
    assert found.cosine_mean == pytest.approx(cosines.mean(), abs=1e-6)
    assert found.cosine_low == pytest.approx(np.quantile(cosines, 0.01), abs=1e-6)


def test_equal_products_agree_in_all(tmp_path: Path) -> None:
    ours = product(tmp_path / "ours", unit_vectors(1), np.ones(SHAPE, np.uint16), "int8")
    found = compare_products(ours, ours, "int8")
    assert (found.valid_equal, found.counts_equal, found.codes_equal) == (1, 1, 1)
    assert found.cosine_min == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("factor", [1e-3, 1.01, 5, 1e30, np.nan])
def test_vectors_of_another_length_do_not_agree(tmp_path: Path, factor: float) -> None:
    vectors, count = unit_vectors(1, (300, 270)), np.ones(SHAPE, np.uint16)
    ours = product(tmp_path / "ours", vectors, count, "float32")
    theirs = product(tmp_path / "theirs", vectors, count, "float32")
    with rasterio.open(theirs / "embeddings.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        data = file.read()
        data[:, 3, 4] *= np.float32(factor)
        file.write(data)
    assert compare_products(ours, theirs, "float32").cosine_min < MIN_COSINE


def test_other_sizes_and_torn_files_cannot_be_compared(tmp_path: Path) -> None:
    ours = product(tmp_path / "ours", unit_vectors(1), np.ones(SHAPE, np.uint16), "int8")
    small = product(tmp_path / "small", unit_vectors(1, (90, 90)), np.ones((90, 90), np.uint16), "int8")
    with pytest.raises(DataError, match="cannot be compared"):
        compare_products(ours, small, "int8")
    (small / "quality.tif").write_bytes(b"torn")
    with pytest.raises(DataError, match="corrupt"):
        compare_products(ours, small, "int8")


def test_one_step_of_every_code_stays_above_the_least_cosine() -> None:
    """What the threshold is reckoned from: each of the 64 codes off by one, whatever the vector."""
    vectors = unit_vectors(4, (20_000,))
    codes = quantise(vectors, np.ones(len(vectors), np.bool_))
    steps = np.random.default_rng(5).choice(np.array([-1, 1], np.int8), codes.shape)
    moved = np.clip(codes.astype(int) + steps, -127, 127).astype(np.int8)
    cosines = (dequantise(codes).astype(float) * dequantise(moved)).sum(axis=-1)
    assert cosines.min() >= MIN_COSINE
    assert (dequantise(codes) * vectors).sum(axis=-1).mean() >= MEAN_COSINE

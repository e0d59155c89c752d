"""Embeddings of known content, and rasters of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from betaearth.grid.pixels import PixelGrid
from betaearth.products.bands import EMBEDDING_BANDS, QUALITY_BANDS, CodedBands, embedding_codes, quality_codes
from betaearth.products.blocks import BlockFolder, Raster
from betaearth.products.embedding import Embedding
from betaearth.products.options import Dtype

MakeEmbedding = Callable[..., Embedding]


def one_block(folder: Path, kind: str, embedding: Embedding, grid: PixelGrid) -> Raster[CodedBands]:
    """Put an embedding (int8, float32) or its quality into a folder as one block."""
    place = (slice(0, grid.height), slice(0, grid.width))
    if kind == "quality":
        quality = BlockFolder(folder, "quality", QUALITY_BANDS, grid)
        quality.put(place, lambda rows: quality_codes(embedding, rows))
        return quality.raster()
    dtype: Dtype = "int8" if kind == "int8" else "float32"
    vectors = BlockFolder(folder, "embeddings", EMBEDDING_BANDS[dtype], grid)
    vectors.put(place, lambda rows: embedding_codes(embedding, rows, dtype))
    return vectors.raster()


@pytest.fixture(scope="session")
def make_embedding() -> MakeEmbedding:
    """Make a smooth field of unit vectors with a corner and some single pixels of no data."""

    def make(height: int, width: int, *, seed: int = 0, missing: float = 0.02) -> Embedding:
        generator = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width]
        waves = generator.uniform(0.005, 0.08, (2, 64))
        phases = generator.uniform(0, 2 * np.pi, 64)
        field = np.sin(y[..., None] * waves[0] + x[..., None] * waves[1] + phases)
        field += generator.normal(0, 0.1, field.shape)
        count = generator.integers(1, 60, (height, width)).astype(np.uint16)
        count[generator.random((height, width)) < missing] = 0
        if missing:
            count[: height // 3, : width // 4] = 0
        valid = count > 0
        vectors = field / np.linalg.norm(field, axis=-1, keepdims=True) * valid[..., None]
        dispersion = generator.uniform(0, 1, (height, width)) * valid
        return Embedding(vectors.astype(np.float32), count, dispersion.astype(np.float32))

    return make


@pytest.fixture(scope="session")
def make_grid() -> Callable[[int, int], PixelGrid]:
    """Make a grid of a size, in UTM zone 32 north."""
    return lambda height, width: PixelGrid(32632, 399_960.0, 5_800_020.0, width, height)

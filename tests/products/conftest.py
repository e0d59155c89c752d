"""Embeddings of known content."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from betaearth.grid.pixels import PixelGrid
from betaearth.products.embedding import Embedding

MakeEmbedding = Callable[..., Embedding]


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

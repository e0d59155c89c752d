"""Cells whose targets can be learned from their imagery, made at once: smooth fields seen through random matrices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from betaearth.products.quantise import quantise, to_unit_length
from betaearth.training.chips import CellYear, Chip
from betaearth.training.dataset import Dataset
from betaearth.training.description import About
from betaearth.training.splits import SplitOptions
from betaearth.training.writing import write_dataset

ABOUT = About(
    name="learnable", source="smooth random fields", synthetic=True, target="synthetic teacher", licence="CC0-1.0"
)
FIELDS = 4
DAYS = (date(2021, 3, 1), date(2021, 7, 9))
SMALL = (
    "models.0.network={dims: [4, 4, 8, 8], depths: [1, 1, 1, 1], heads: [1, 1, 2, 2], reductions: [8, 4, 2, 1], "
    "mlp_ratio: 1, pyramid: 8, segmentation: 8, groups: 1, features: 16}",
    "models.0.lr=2e-3",
    "crop=32",
    "batch_size=4",
    "workers=0",
    "warmup_epochs=0",
    "device=cpu",
)
"""Changes to `tiny` that make it smaller still."""


def learnable_cells(count: int, size: int = 32, seed: int = 0) -> Iterator[CellYear]:
    rng = np.random.default_rng(seed)
    across = {name: rng.normal(size=(bands, FIELDS)) for name, bands in (("s2", 9), ("s1", 2), ("target", 64))}
    for i in range(count):
        fields = np.repeat(np.repeat(rng.normal(size=(FIELDS, size // 8, size // 8)), 8, axis=1), 8, axis=2)
        vectors = to_unit_length(np.einsum("bf,fyx->yxb", across["target"], np.tanh(fields)) + 0.5)
        yield CellYear(
            cell=f"{i}U_{i}R",
            year=2021,
            lon=float(i),
            lat=float(i),
            chips=tuple(Chip(day, **views(fields, across, rng)) for day in DAYS),  # type: ignore[arg-type]
            target=np.ascontiguousarray(quantise(vectors, np.ones((size, size), bool)).transpose(2, 0, 1)),
            dem=(100 * fields[:1]).astype(np.float32),
        )


def views(
    fields: NDArray[np.float64], across: dict[str, NDArray[np.float64]], rng: np.random.Generator
) -> dict[str, NDArray[np.generic]]:
    optical = 3000 + 400 * np.einsum("bf,fyx->byx", across["s2"], fields)
    radar = 10 ** (np.einsum("bf,fyx->byx", across["s1"], fields) / 4 - 1)
    return {
        "s2_l2a": optical.clip(1, 65535).astype(np.uint16),
        "s2_l1c": (optical + rng.normal(0, 50, optical.shape)).clip(1, 65535).astype(np.uint16),
        "s1": radar.astype(np.float32),
    }


def learnable_data(folder: Path, count: int = 12, size: int = 32, seed: int = 0) -> Dataset:
    return write_dataset(
        learnable_cells(count, size, seed), folder, about=ABOUT, split=SplitOptions(shares=(0.7, 0.3, 0.0))
    )


class StandInBackbone(nn.Module):
    """Gives what a DINOv3 backbone gives, from one convolution."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, dim, 16, 16)

    def forward(self, images: Tensor) -> list[Tensor]:
        tokens = self.embed(images)
        return [tokens, tokens.sin(), tokens.cos(), tokens.tanh()]

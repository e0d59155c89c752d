"""Weights and scenes that are functions of their names and sizes, the same for every package and on every machine."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.flops import Year
from betaearth.nn.variants import DEFAULT_VARIANT
from betaearth.scenes.model import S1_BANDS, S2_BANDS

SEED = 20251122
KNOTS = 9
"""Knots along an edge of the smooth field that a scene is made of."""


def write_weights(folder: Path) -> Path:
    """Write full-size weights of the default variant into a folder of its hub name, and return that folder."""
    import torch
    from safetensors.torch import save_file

    from betaearth.nn.segformer import SegFormer, SegFormerConfig

    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in SegFormer(SegFormerConfig()).state_dict().items()}
    path = folder / str(DEFAULT_VARIANT.repo).rpartition("/")[2]
    path.mkdir(parents=True)
    save_file({key: torch.from_numpy(weight(key, shape)) for key, shape in shapes.items()}, path / "model.safetensors")
    (path / "config.json").write_text("{}\n", encoding="utf-8")
    return path


def weight(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Weights of one entry of a state dict; what the network answers with them depends on every input."""
    if key.endswith("freqs"):
        exponents = np.arange(0, 2 * shape[0], 2, dtype=np.float32)
        frequencies: NDArray[np.float32] = np.exp(exponents * np.float32(-math.log(10000.0) / (2 * shape[0])))
        return frequencies
    rng = np.random.Generator(np.random.PCG64([SEED, zlib.crc32(key.encode())]))
    noise = rng.standard_normal(shape, dtype=np.float32)
    if key == "time_cond.film.proj.weight":
        return np.float32(0.05) * noise
    if key == "time_cond.film.proj.bias":
        return np.repeat(np.array([1, 0], np.float32), shape[0] // 2) + np.float32(0.15) * noise
    if len(shape) == 1:
        return np.float32(0 if key.endswith("bias") else 1) + np.float32(0.1) * noise
    if key.endswith(("query", "_token")):
        return np.float32(0.5) * noise
    gain = 1.3 if "seg_blocks" in key or "patch_embed" in key else 1.0
    return np.float32(gain / math.sqrt(math.prod(shape[1:]))) * noise


def write_year(path: Path, year: Year) -> Path:
    """Write the scenes of a year as .npz; every pixel is valid, so that no window can be skipped.

    The file holds `s2` (n, 9, y, x), `s1` (m, 2, y, x), `dem` (1, y, x), and `s2_doy` and `s1_doy`, the scenes'
    days of the year.
    """
    s2 = np.zeros((year.s2, len(S2_BANDS), *year.shape), np.uint16)
    s1 = np.zeros((year.s1, len(S1_BANDS), *year.shape), np.float32)
    for index in range(year.s2):
        s2[index] = optical(year.shape, index)
    for index in range(year.s1):
        s1[index] = radar(year.shape, index)
    np.savez(path, s2=s2, s1=s1, dem=elevation(year.shape), s2_doy=days(year.s2), s1_doy=days(year.s1))
    return path


def days(scenes: int) -> list[int]:
    """Days of the year of scenes that are spread over it."""
    return [365 * (2 * index + 1) // (2 * scenes) + 1 for index in range(scenes)]


def optical(shape: tuple[int, int], index: int) -> NDArray[np.uint16]:
    """Return a Sentinel-2 scene, (9, y, x) digital numbers."""
    return (200 + 6000 * _field(len(S2_BANDS), shape, index)).astype(np.uint16)


def radar(shape: tuple[int, int], index: int) -> NDArray[np.float32]:
    """Return a Sentinel-1 scene, (2, y, x) linear power."""
    return (10 ** (-2.6 + 2.8 * _field(len(S1_BANDS), shape, index))).astype(np.float32)


def elevation(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return elevation, (1, y, x) metres."""
    return (300 + 900 * _field(1, shape, 0, noise=0.01)).astype(np.float32)


def _field(channels: int, shape: tuple[int, int], index: int, *, noise: float = 0.15) -> NDArray[np.float64]:
    """Random knots, interpolated linearly, with white noise on top: (channels, y, x) within 0..1.1."""
    rng = np.random.Generator(np.random.PCG64([SEED, channels, *shape, index]))
    knots = rng.random((channels, KNOTS, KNOTS))
    smooth = np.einsum("yi,cij,xj->cyx", hats(shape[0]), knots, hats(shape[1]), optimize=True)
    noisy: NDArray[np.float64] = np.maximum(smooth + noise * (rng.random(smooth.shape) - 0.5), 0)
    return noisy


def hats(size: int) -> NDArray[np.float64]:
    """Weights of the knots for every pixel of an axis, (size, KNOTS)."""
    position = np.linspace(0, KNOTS - 1, size)[:, None]
    weights: NDArray[np.float64] = np.maximum(1 - np.abs(position - np.arange(KNOTS)), 0)
    return weights

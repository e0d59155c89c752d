"""A picture of an embedding: its first three principal components as red, green and blue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from betaearth.products.embedding import Embedding
from betaearth.products.pyramid import Mean, block_means, strips
from betaearth.products.quantise import to_unit_length

EDGE = 512
"""Longest edge of a preview, pixels."""
GREY = 128
"""Where a component says nothing: fewer than two different vectors."""

_FLAT = 1e-6
"""Spread of a component below which it is rounding alone; unit vectors differ by up to 2."""


def write_preview(path: Path, embedding: Embedding) -> None:
    """Write a PNG of at most 512 x 512 pixels, transparent where nothing was observed.

    Each component is stretched between its 2nd and 98th percentile; its sign makes the loading of largest
    magnitude positive. Any number of valid pixels will do, none too. The same embedding gives the same bytes.

    Args:
        path: file to write, replaced where it is there; its folder must be.
        embedding: (y, x), not empty.
    """
    mean = _reduce(embedding)
    image = np.zeros((*mean.valid.shape, 4), np.uint8)
    image[mean.valid, :3] = _colours(to_unit_length(mean.values[mean.valid]))
    image[mean.valid, 3] = 255
    Image.fromarray(image).save(path, format="PNG")


def _reduce(embedding: Embedding) -> Mean:
    """Average blocks of pixels so that the longest edge fits."""
    factor = -(-max(embedding.valid.shape) // EDGE)
    parts = [
        mean
        for rows in strips(embedding.valid.shape[0], 64 * factor)
        for mean in block_means(embedding.vectors[rows], embedding.valid[rows], (factor,))
    ]
    return Mean(np.concatenate([part.values for part in parts]), np.concatenate([part.valid for part in parts]))


def _colours(vectors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colour vectors (pixel, band): (pixel, 3)."""
    if len(vectors) == 0:
        return np.zeros((0, 3), np.uint8)
    centred = vectors - vectors.mean(axis=0)
    scores = centred @ _components(centred)
    low, high = np.percentile(scores, (2, 98), axis=0)
    spread = high - low
    flat = spread < _FLAT
    stretched = np.clip((scores - low) / np.where(flat, 1, spread), 0, 1)
    return np.where(flat, GREY, np.rint(255 * stretched)).astype(np.uint8)


def _components(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the three directions of largest variance: (band, 3)."""
    _, directions = np.linalg.eigh(centred.T @ centred)
    largest = directions[:, :-4:-1]
    loading = np.take_along_axis(largest, np.abs(largest).argmax(axis=0)[np.newaxis], axis=0)
    signed: NDArray[np.float64] = largest * np.sign(loading)
    return signed

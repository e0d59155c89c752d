"""A picture of an embedding: its first three principal components as red, green and blue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image

from betaearth.products.bands import CodedBands
from betaearth.products.blocks import STRIP, Raster, read_codes
from betaearth.products.pyramid import block_means, windows
from betaearth.products.quantise import to_unit_length

EDGE = 512
"""Longest edge of a preview, pixels."""
WINDOW = (STRIP, 1024)
"""About how many rows and columns are averaged at a time."""
GREY = 128
"""Where a component says nothing: fewer than two different vectors."""

_FLAT = 1e-6
"""Spread of a component below which it is rounding alone; unit vectors differ by up to 2."""


def write_preview(path: Path, raster: Raster[CodedBands]) -> None:
    """Write a PNG of at most 512 x 512 pixels, transparent where nothing was observed.

    Each component is stretched between its 2nd and 98th percentile; its sign makes the loading of largest
    magnitude positive. Any number of valid pixels will do, none too. The same pixels give the same bytes, in whatever
    blocks.

    Args:
        path: file to write, replaced where it is there; its folder must be.
        raster: unit vectors.
    """
    vectors, valid = _reduce(raster)
    image = np.zeros((*valid.shape, 4), np.uint8)
    image[valid, :3] = _colours(vectors)
    image[valid, 3] = 255
    Image.fromarray(image).save(path, format="PNG")


def _reduce(raster: Raster[CodedBands]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Average blocks of pixels so that the longest edge fits: directions (pixel, band) where valid (y, x)."""
    bands, (height, width) = raster.bands, raster.grid.shape
    factor = -(-max(height, width) // EDGE)
    means = np.zeros((-(-height // factor), -(-width // factor), len(bands.names)))
    valid = np.zeros(means.shape[:2], np.bool_)
    whole = [-(-pixels // factor) * factor for pixels in WINDOW]
    with rasterio.open(raster.mosaic) as file:
        for place in windows(height, width, *whole):
            codes = read_codes(file, place)
            rows, columns = (slice(part.start // factor, -(-part.stop // factor)) for part in place)
            for mean in block_means(bands.decode(codes), bands.observed(codes), (factor,)):
                means[rows, columns] = to_unit_length(mean.values)
                valid[rows, columns] = mean.valid
    return means[valid], valid


def _colours(vectors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colour vectors (pixel, band), which are centred in place: (pixel, 3)."""
    if len(vectors) == 0:
        return np.zeros((0, 3), np.uint8)
    vectors -= vectors.mean(axis=0)
    scores = vectors @ _components(vectors)
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

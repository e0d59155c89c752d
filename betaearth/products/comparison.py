"""Two products of the same pixels compared: how far their vectors point the same way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from betaearth.errors import DataError
from betaearth.products.bands import EMBEDDING_BANDS, QUALITY_BANDS, CodedBands
from betaearth.products.blocks import read_codes, writing
from betaearth.products.options import Dtype
from betaearth.products.pyramid import Place, windows
from betaearth.products.quantise import NORM_TOLERANCE
from betaearth.products.rendered import EMBEDDINGS, QUALITY
from betaearth.products.tiling import TILE

SPAN = 2 * TILE
"""Rows and columns that are compared at a time."""
LOW_QUANTILE = 0.01
_ROUNDING = 3 * NORM_TOLERANCE["float32"]
"""By which the product of two vectors may exceed 1, each as long as a right file has it; decoded int8 has length 1."""


@dataclass(frozen=True)
class Agreement:
    """How two products agree, over all pixels."""

    pixels: int
    """Of the grid."""
    compared: int
    """Pixels that both observed."""
    valid_equal: float
    """Share of the pixels that both or neither observed."""
    counts_equal: float
    """Share of the pixels with the same number of observations; none counts as a number."""
    codes_equal: float
    """Share of the pixels whose 64 stored values are the same."""
    cosine_min: float
    """Cosine of the angle between the two vectors of a pixel that both observed; 1 where there is no such pixel.

    Where one of them is no number, or too long for a unit vector, it is -1: as far off as can be.
    """
    cosine_low: float
    """Its quantile of 1 %."""
    cosine_mean: float


def compare_products(ours: Path, theirs: Path, dtype: Dtype) -> Agreement:
    """Compare two products, window by window.

    Args:
        ours: folder with `embeddings.tif` and `quality.tif`.
        theirs: another one.
        dtype: of both embeddings.

    Raises:
        DataError: they have not the same size, or a file is corrupt.
    """
    try:
        with (
            writing(),
            rasterio.open(ours / EMBEDDINGS, driver="GTiff") as our_vectors,
            rasterio.open(theirs / EMBEDDINGS, driver="GTiff") as their_vectors,
            rasterio.open(ours / QUALITY, driver="GTiff") as our_counts,
            rasterio.open(theirs / QUALITY, driver="GTiff") as their_counts,
        ):
            _check_alike(our_vectors, their_vectors)
            _check_alike(our_counts, their_counts)
            comparison = _Comparison(EMBEDDING_BANDS[dtype])
            for place in windows(our_vectors.height, our_vectors.width, SPAN, SPAN):
                comparison.add((our_vectors, our_counts), (their_vectors, their_counts), place)
            return comparison.agreement()
    except RasterioError as error:
        raise DataError(f"the products cannot be compared, a file is corrupt: {error}") from error


class _Comparison:
    """Sums over windows."""

    def __init__(self, bands: CodedBands) -> None:
        self._bands = bands
        self._pixels = self._valid = self._counts = self._codes = 0
        self._cosines: list[NDArray[np.float64]] = []

    def add(
        self, ours: tuple[DatasetReader, DatasetReader], theirs: tuple[DatasetReader, DatasetReader], place: Place
    ) -> None:
        """Compare a window; each side gives its embeddings and its quality."""
        codes, others = read_codes(ours[0], place), read_codes(theirs[0], place)
        counts, their_counts = (read_codes(file, place)[..., 0] for file in (ours[1], theirs[1]))
        observed, their_observed = (seen != QUALITY_BANDS.nodata for seen in (counts, their_counts))
        self._pixels += observed.size
        self._valid += int((observed == their_observed).sum())
        self._counts += int((counts == their_counts).sum())
        self._codes += int((codes == others).all(axis=-1).sum())
        both = observed & their_observed
        ones, twos = (self._bands.decode(side[both]).astype(np.float64) for side in (codes, others))
        with np.errstate(over="ignore", invalid="ignore"):
            cosines = np.einsum("ij,ij->i", ones, twos)
            # Of vectors that are too long it would say too much: one of them is no unit vector.
            cosines[~(cosines <= 1 + _ROUNDING)] = -1.0
        self._cosines.append(cosines)

    def agreement(self) -> Agreement:
        """Sum up."""
        cosines = np.concatenate([*self._cosines, np.ones(0)])
        known = cosines if cosines.size else np.ones(1)
        low = np.quantile(known, LOW_QUANTILE)
        return Agreement(
            pixels=self._pixels,
            compared=cosines.size,
            valid_equal=self._valid / max(self._pixels, 1),
            counts_equal=self._counts / max(self._pixels, 1),
            codes_equal=self._codes / max(self._pixels, 1),
            # Rounding may leave a cosine of equal vectors above one.
            cosine_min=min(float(known.min()), 1.0),
            cosine_low=min(float(low), 1.0),
            cosine_mean=min(float(known.mean()), 1.0),
        )


def _check_alike(ours: DatasetReader, theirs: DatasetReader) -> None:
    found = (theirs.shape, theirs.count, theirs.dtypes)
    if (ours.shape, ours.count, ours.dtypes) != found:
        raise DataError(f"{theirs.shape} pixels in {theirs.count} bands cannot be compared with {ours.shape}")

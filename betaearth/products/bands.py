"""What a file holds: its bands, how values become what is stored in them, and what a coarser pixel of them is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from betaearth.products.embedding import BAND_NAMES, Embedding
from betaearth.products.options import Dtype
from betaearth.products.pyramid import Mean
from betaearth.products.quantise import NODATA as INT8_NODATA
from betaearth.products.quantise import decode, quantise, to_unit_length

FLOAT32_NODATA = -9999.0
"""A number, because readers of STAC metadata choke on NaN."""
QUALITY_NODATA = 65535
QUALITY_NAMES = ("obs_count", "dispersion")
DISPERSION_SCALE = 0.0001
"""Dispersion that a stored 1 means."""

Codes = NDArray[Any]
"""(y, x, band), as stored: int8, uint16 or float32."""
Values = NDArray[np.floating[Any]]
"""(y, x, band), as meant; anything where not valid."""


@dataclass(frozen=True)
class Bands:
    """The bands of a file."""

    names: tuple[str, ...]
    dtype: str
    nodata: float
    """Stored in every band where nothing was observed."""
    scales: tuple[float, ...]
    """What a stored 1 means, per band; 1 for the int8 code too, which is not linear."""


@dataclass(frozen=True)
class CodedBands(Bands):
    """Bands that hold a code of values."""

    encode: Callable[[Values, NDArray[np.bool_]], Codes]
    """Values and their validity (y, x) to what is stored."""
    decode: Callable[[Codes], Values]
    """What is stored to values, zero where there is no data."""
    finish: Callable[[Mean], Mean]
    """Masked mean of decoded values to the value of a coarser pixel."""

    def observed(self, codes: Codes) -> NDArray[np.bool_]:
        """Tell from what is stored where something was observed: (y, x)."""
        seen: NDArray[np.bool_] = codes[..., 0] != self.nodata
        return seen


def embedding_codes(embedding: Embedding, rows: slice, dtype: Dtype) -> Codes:
    """Encode some rows of the unit vectors for bands A00..A63."""
    return EMBEDDING_BANDS[dtype].encode(embedding.vectors[rows], embedding.valid[rows])


def quality_codes(embedding: Embedding, rows: slice) -> Codes:
    """Encode some rows of the count and the dispersion of the observations."""
    values = np.stack((embedding.count[rows], embedding.dispersion[rows]), axis=-1, dtype=np.float64)
    values /= QUALITY_BANDS.scales
    return QUALITY_BANDS.encode(values, embedding.valid[rows])


def _decode_int8(codes: NDArray[np.int8]) -> NDArray[np.float64]:
    return to_unit_length(decode(codes))


def _encode_float32(values: Values, valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(valid[..., np.newaxis], values, FLOAT32_NODATA).astype(np.float32)


def _decode_float32(codes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(codes == FLOAT32_NODATA, np.float32(0), codes)


def _encode_quality(values: Values, valid: NDArray[np.bool_]) -> NDArray[np.uint16]:
    whole = np.clip(np.rint(values), 0, QUALITY_NODATA - 1)
    return np.where(valid[..., np.newaxis], whole, QUALITY_NODATA).astype(np.uint16)


def _decode_quality(codes: NDArray[np.uint16]) -> NDArray[np.float32]:
    return np.where(codes == QUALITY_NODATA, 0, codes).astype(np.float32)


def _onto_sphere(mean: Mean) -> Mean:
    """Bring mean vectors to unit length; vectors that cancel out have no direction, so they are no data."""
    unit = to_unit_length(mean.values)
    return Mean(unit, mean.valid & unit.any(axis=-1))


def _as_it_is(mean: Mean) -> Mean:
    return mean


EMBEDDING_BANDS: Mapping[Dtype, CodedBands] = {
    "int8": CodedBands(
        names=BAND_NAMES,
        dtype="int8",
        nodata=INT8_NODATA,
        scales=(1.0,) * len(BAND_NAMES),
        encode=quantise,
        decode=_decode_int8,
        finish=_onto_sphere,
    ),
    "float32": CodedBands(
        names=BAND_NAMES,
        dtype="float32",
        nodata=FLOAT32_NODATA,
        scales=(1.0,) * len(BAND_NAMES),
        encode=_encode_float32,
        decode=_decode_float32,
        finish=_onto_sphere,
    ),
}
QUALITY_BANDS = CodedBands(
    names=QUALITY_NAMES,
    dtype="uint16",
    nodata=QUALITY_NODATA,
    scales=(1.0, DISPERSION_SCALE),
    encode=_encode_quality,
    decode=_decode_quality,
    finish=_as_it_is,
)
"""A coarser pixel holds the mean count and the mean dispersion of the observed pixels that it covers."""

"""AlphaEarth's int8 code of unit vectors: `q = round(127.5 sqrt|x| sign x)` within +-127; -128 is no data.

The square root spends the codes on the small components, of which a 64-dimensional unit vector has many. The
code is not linear, so no scale and offset describe it: read `x = sign(q) (q / 127.5)^2`, then bring the
vector to unit length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError

NODATA = -128
LIMIT = 127
SCALE = 127.5

NORM_TOLERANCE: Mapping[str, float] = {"int8": 0.0225, "float32": 1e-5}
"""Largest deviation from unit length that a right file can have, by the type of its bands.

The int8 code moves the square root of a component by at most 1/255, so the length by at most
`(1 + 64^(1/4) / 255)^2 - 1`.
"""

Float = TypeVar("Float", np.float32, np.float64)

_CODES = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float64)
_DECODED = np.where(_CODES == NODATA, 0, np.sign(_CODES) * (_CODES / SCALE) ** 2)
"""Component of each code, by the code's byte."""


def quantise(vectors: NDArray[np.floating[Any]], valid: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Encode unit vectors, in float64: the code does not depend on how a machine rounds float32.

    Args:
        vectors: (..., band), components within -1..1.
        valid: (...); False gives -128 in all bands.

    Returns:
        (..., band) codes.
    """
    codes = np.abs(vectors, dtype=np.float64)
    np.sqrt(codes, out=codes)
    codes *= SCALE
    np.rint(codes, out=codes)
    np.minimum(codes, LIMIT, out=codes)
    np.copysign(codes, vectors, out=codes)
    codes[~valid] = NODATA
    rounded: NDArray[np.int8] = codes.astype(np.int8)
    return rounded


def decode(codes: NDArray[np.int8]) -> NDArray[np.float64]:
    """Undo the scale and the square root alone: (q / 127.5)^2 with the sign of q.

    Rounding moves the root of a component by at most 1/255, so the length of a vector by at most 2.3 %.

    Args:
        codes: (..., band).

    Returns:
        (..., band); zero for no data.

    Raises:
        DataError: codes of another type; a reader may have widened them, and -128 may be -128 no more.
    """
    if codes.dtype != np.int8:
        raise DataError(f"codes are {codes.dtype}, not int8: read them as they are stored")
    vectors: NDArray[np.float64] = _DECODED[codes.view(np.uint8)]
    return vectors


def dequantise(codes: NDArray[np.int8]) -> NDArray[np.float32]:
    """Decode to unit vectors.

    Args:
        codes: (..., band).

    Returns:
        (..., band); unit length, zero where there is no data.

    Raises:
        DataError: codes of another type than int8.
    """
    return to_unit_length(decode(codes)).astype(np.float32)


def to_unit_length(vectors: NDArray[Float]) -> NDArray[Float]:
    """Scale vectors (..., band) to unit length; a zero vector stays."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., np.newaxis]
    unit: NDArray[Float] = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return unit

"""Which pixels count: data against nodata, and usable against clouded."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""True where the pixel counts."""

SCL_CLOUDED = (3, 8, 9, 10)
"""Classes of the scene classification in which something stands between: cloud shadow, cloud of medium and of high
probability, cirrus."""
SCL_REJECTED = (0, 1, *SCL_CLOUDED)
"""Classes that hide the ground: no data, saturated, and the clouded ones. Dark areas, water and snow stay."""
S2_NODATA = 0
S1_NODATA = -32768.0
DEM_NODATA = -32768.0
DEM_LOWEST_M = -30000.0
"""Heights at or below are codes for no data, whichever a file uses."""

_SCL_USABLE = np.isin(np.arange(256), SCL_REJECTED, invert=True) & (np.arange(256) <= 11)
_SCL_CLOUDED = np.isin(np.arange(256), SCL_CLOUDED)


def scl_usable(scl: NDArray[np.uint8], dilation_px: int = 0) -> Mask:
    """True where the scene classification lets the ground be seen; snow (11) is ground.

    Args:
        scl: (y, x) classes.
        dilation_px: pixels of `scl` by which the clouded classes grow; a pixel without data or a saturated one is
            no cloud and stays as it is.
    """
    usable: Mask = _SCL_USABLE[scl]
    return usable & ~dilated(_SCL_CLOUDED[scl], dilation_px) if dilation_px else usable


def dilated(mask: Mask, radius_px: int) -> Mask:
    """True within a distance of a True pixel, between pixel centres: every one grows to a disc.

    Args:
        mask: (y, x).
        radius_px: the distance in pixels, 0 or more.
    """
    if not radius_px or not mask.any():
        return mask.copy()
    rows = _rows_to_nearest(mask, radius_px)
    grown: Mask = rows == 0
    width = mask.shape[1]
    for columns in range(min(radius_px, width - 1) + 1):
        near = rows <= math.isqrt(radius_px**2 - columns**2)
        grown[:, columns:] |= near[:, : width - columns]
        grown[:, : width - columns] |= near[:, columns:]
    return grown


def s2_valid(dn: NDArray[np.generic]) -> Mask:
    """True where a Sentinel-2 band or its classification has data: 0 is nodata, tagged or not."""
    valid: Mask = dn > np.zeros((), dn.dtype)
    return valid


def s1_valid(power: NDArray[np.floating]) -> Mask:
    """True where Sentinel-1 backscatter is finite, positive and therefore not -32768."""
    valid: Mask = np.isfinite(power) & (power > 0)
    return valid


def dem_valid(height: NDArray[np.floating]) -> Mask:
    """True where a height is finite and above `DEM_LOWEST_M`; 0 m is a height."""
    valid: Mask = np.isfinite(height) & (height > DEM_LOWEST_M)
    return valid


def _rows_to_nearest(mask: Mask, limit: int) -> NDArray[np.int32]:
    """Rows to the nearest True pixel of the same column; `limit + 1` where there is none so near."""
    count = mask.shape[0]
    row = np.arange(count, dtype=np.int32)[:, np.newaxis]
    far = np.int32(count + limit + 1)
    above = np.maximum.accumulate(np.where(mask, row, -far), axis=0)
    below = np.minimum.accumulate(np.where(mask, row, count + far)[::-1], axis=0)[::-1]
    return np.minimum(np.minimum(row - above, below - row), limit + 1).astype(np.int32)

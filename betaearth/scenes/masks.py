"""Which pixels count: data against nodata, and usable against clouded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""True where the pixel counts."""

SCL_REJECTED = (0, 1, 3, 8, 9, 10)
"""Classes of the scene classification that hide the ground: no data, saturated, cloud shadow, cloud of medium
and of high probability, cirrus. Dark areas, water and snow stay."""
S2_NODATA = 0
S1_NODATA = -32768.0
DEM_NODATA = -32768.0
DEM_LOWEST_M = -30000.0
"""Heights at or below are codes for no data, whichever a file uses."""

_SCL_USABLE = np.isin(np.arange(256), SCL_REJECTED, invert=True) & (np.arange(256) <= 11)


def scl_usable(scl: NDArray[np.uint8]) -> Mask:
    """True where the scene classification lets the ground be seen; snow (11) is ground."""
    usable: Mask = _SCL_USABLE[scl]
    return usable


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

"""The offset of Sentinel-2's digital numbers: which granules carry it, and how a series gets rid of the step.

From processing baseline 04.00 on, in force since 25 January 2022 and applied to older acquisitions where they were
processed again, ESA adds 1000 to every digital number, so that reflectances below zero have one too: reflectance is
(DN - 1000) / 10000 from then on and DN / 10000 before, at Level-1C as at Level-2A; DN 0 stays no data (Sentinel-2
products specification, RADIO_ADD_OFFSET and BOA_ADD_OFFSET). So the baseline decides and not the date.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.scenes.masks import S2_NODATA, Mask
from betaearth.scenes.model import Granule
from betaearth.scenes.options import Radiometry
from betaearth.scenes.profile import OffsetRule

OFFSET_DN = 1000
"""Digital numbers that ESA adds, 0.1 of reflectance."""
OFFSET_SINCE = (4, 0)
"""The first processing baseline that carries the offset."""
NO_BASELINE = (99, 99)
"""Stands for processing outside ESA's ground segment, with or without the offset."""
LOWEST_DN, HIGHEST_DN = 1, 65535

_BASELINE = re.compile(r"(\d{1,2})\.(\d{1,2})")


def offset_to_add(granule: Granule, convention: Radiometry, rule: OffsetRule) -> int:
    """Return the digital number that brings a Sentinel-2 granule's valid pixels to a convention.

    Args:
        granule: of Level-1C or Level-2A.
        convention: where to.
        rule: what the source has done to the numbers that ESA delivered.

    Raises:
        DataError: that depends on the processing baseline, and the granule does not say it.
    """
    if convention is Radiometry.NATIVE:
        return 0
    carries = rule is OffsetRule.BASELINE and _baseline(granule) >= OFFSET_SINCE
    if convention is Radiometry.OFFSET_PRESENT:
        return 0 if carries else OFFSET_DN
    return -OFFSET_DN if carries else 0


def add_offset(dn: NDArray[np.uint16], valid: Mask, offset: int) -> NDArray[np.uint16]:
    """Add to valid pixels; they stay within 1..65535, and every other pixel becomes 0.

    A reflectance below zero ends at 1: 0 would make it no data.

    Args:
        dn: (y, x) digital numbers.
        valid: (y, x); True where they are data.
        offset: what to add.
    """
    moved = np.clip(dn.astype(np.int32) + offset, LOWEST_DN, HIGHEST_DN)
    return np.where(valid, moved, S2_NODATA).astype(np.uint16)


def _baseline(granule: Granule) -> tuple[int, int]:
    """(major, minor), which compare as numbers."""
    match = _BASELINE.fullmatch(granule.baseline or "")
    number = (int(match[1]), int(match[2])) if match else NO_BASELINE
    if number == NO_BASELINE:
        raise DataError(
            f"its processing baseline is {granule.baseline!r}, which does not tell whether its digital numbers "
            f"carry the offset of {OFFSET_DN}; with radiometry `native` it can be used as it is"
        )
    return number

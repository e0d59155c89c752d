"""From raw pixels to what the networks were trained on, and the checks of what users hand in.

Inputs are named by sensor: `s2_l1c`, `s2_l2a`, `s1`, `dem`. Scaling is that of the released weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from betaearth.errors import DataError
from betaearth.scenes.masks import DEM_NODATA, S1_NODATA, dem_valid, s1_valid
from betaearth.scenes.model import BANDS, S2_BANDS, Sensor

S1_FLOOR = np.float32(1e-10)
"""Linear power that stands for a missing or non-positive measurement: -100 dB, which is scaled to 0."""
DECIBELS = np.float32(25)
"""-25 dB is scaled to 0, and 0 dB to 1."""
LAST_DAY = 366
OPTICAL = (Sensor.S2_L1C, Sensor.S2_L2A)
NODATA: Mapping[Sensor, str] = MappingProxyType(
    {
        Sensor.S2_L1C: "0",
        Sensor.S2_L2A: "0",
        Sensor.S1: "-32768, or not above 0",
        Sensor.DEM: "-32767, or anything down from -30000",
    }
)
"""What stands where a sensor saw nothing, in words."""
LOWEST_LAND_M = -1000
"""Below any land: the shore of the Dead Sea lies at -430 m."""
MOSTLY = 0.5
RGB = tuple(S2_BANDS.index(band) for band in ("B04", "B03", "B02"))
"""Indices of red, green and blue in `S2_BANDS`."""


def normalise_s2(digital_numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale Sentinel-2 digital numbers, DN / 10000, not clipped."""
    reflectance: NDArray[np.float32] = digital_numbers / np.float32(10000)
    return reflectance


def normalise_s1(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale Sentinel-1 linear power, clip((dB + 25) / 25, 0, 1); missing or not positive becomes 0."""
    known = np.where(s1_valid(power), power, S1_FLOOR)
    scaled: NDArray[np.float32] = np.clip((np.float32(10) * np.log10(known) + DECIBELS) / DECIBELS, 0, 1)
    return scaled


def elevation_range(metres: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """Return the lowest and the highest elevation of an array; (0, 0) where it holds none."""
    known = metres[dem_valid(metres)]
    return (known.min(), known.max()) if known.size else (np.float32(0), np.float32(0))


def scale_elevation(metres: NDArray[np.float32], around: tuple[np.float32, np.float32]) -> NDArray[np.float32]:
    """Scale elevation by a range: (x - low) / max(high - low, 1).

    A pixel without elevation counts as 0 m, as it did in training: it is sea, nearly always.
    """
    low, high = around
    known = np.where(dem_valid(metres), metres, np.float32(0))
    scaled: NDArray[np.float32] = (known - low) / max(high - low, np.float32(1))
    return scaled


def normalise(sensor: Sensor, raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale raw pixels (band, y, x) of a sensor to the networks' range."""
    if sensor is Sensor.DEM:
        return scale_elevation(raw, elevation_range(raw))
    return normalise_s1(raw) if sensor is Sensor.S1 else normalise_s2(raw)


def check_input(sensor: Sensor, array: ArrayLike) -> NDArray[np.float32]:
    """Check the array that a user gives for a sensor.

    Returns:
        (band, y, x) float32.

    Raises:
        DataError: its shape is not (band, y, x) with the sensor's bands and some pixels, it is not numeric, it is
            Sentinel-2 as anything but integers, or it holds NaN or infinity.
    """
    values = check_shape(sensor, array)
    if sensor in OPTICAL and not np.issubdtype(values.dtype, np.integer):
        raise DataError(
            f"{sensor} {values.shape} has dtype {values.dtype}; digital numbers as integers are needed (uint16, about "
            '0-10000, 0 where there is no data): digital numbers .round().astype("uint16"), reflectance times 10000 '
            "first; or scaled values with normalise=False"
        )
    with np.errstate(over="ignore"):  # beyond float32 is infinite
        known = values.astype(np.float32)
    if unknown := int(known.size - np.isfinite(known).sum()):
        raise DataError(
            f"{sensor} {values.shape} holds {unknown} values that are NaN or infinite; pixels without data are "
            f"{NODATA[sensor]} there"
        )
    return known


def check_shape(sensor: Sensor, array: ArrayLike) -> NDArray[np.generic]:
    """Check that an array holds real numbers, (band, y, x) with the sensor's bands.

    Raises:
        DataError: it does not.
    """
    try:
        values = np.asarray(filled(sensor, array))
    except (TypeError, ValueError, RuntimeError) as error:  # what NumPy and other libraries say of their own arrays
        raise DataError(f"{sensor} is a {type(array).__name__} that NumPy takes for no array: {error}") from error
    bands = BANDS[sensor]
    if not (np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)):
        raise DataError(f"{sensor} {values.shape} has dtype {values.dtype}; real numbers are needed")
    if values.ndim != 3 or values.shape[0] != len(bands) or 0 in values.shape:
        raise DataError(f"{sensor} has shape {values.shape}; ({len(bands)}, y, x) is needed: {', '.join(bands)}")
    return values


def filled(sensor: Sensor, array: ArrayLike) -> ArrayLike:
    """Put nodata where an array is masked.

    Raises:
        DataError: its type has no room for the nodata value.
    """
    if not isinstance(array, np.ma.MaskedArray):
        return array
    nodata = 0 if sensor in OPTICAL else int(S1_NODATA if sensor is Sensor.S1 else DEM_NODATA)
    if np.issubdtype(array.dtype, np.integer) and nodata < np.iinfo(array.dtype).min:
        raise DataError(
            f"{sensor} {array.shape} is masked, and its dtype {array.dtype} has no room for nodata, {nodata}"
        )
    return array.filled(nodata)


def check_scaled(sensor: Sensor, array: ArrayLike) -> NDArray[np.float32]:
    """Check an input that its user has scaled.

    Raises:
        DataError: see `check_shape`; or it holds a value that is not finite, which would spread over the whole window.
    """
    with np.errstate(over="ignore"):  # beyond float32 is infinite
        scaled = check_shape(sensor, array).astype(np.float32)
    if not np.isfinite(scaled).all():
        raise DataError(
            f"{sensor} {scaled.shape} holds values that are not finite; with normalise=False every value is used"
        )
    return scaled


def check_content(sensor: Sensor, raw: NDArray[np.float32]) -> None:
    """Check that an array (band, y, x) holds data, and warn where it seems to be in another unit.

    Raises:
        DataError: not one pixel has data.
    """
    decibels = sensor is Sensor.S1 and looks_like_decibels(raw)
    if not has_data(sensor, raw):
        hint = "; it looks like decibels: linear power is needed, 10 ** (dB / 10)" if decibels else ""
        raise DataError(
            f"{sensor} {raw.shape} holds no data: every pixel is {NODATA[sensor]}{hint}; leave out what is not there"
        )
    if sensor is Sensor.DEM and (lowest := float(raw[dem_valid(raw)].min())) < LOWEST_LAND_M:
        warnings.warn(
            f"{sensor} {raw.shape} goes down to {lowest:g} m, which is no land: where there is no data, it must be "
            f"{NODATA[sensor]}",
            UserWarning,
            stacklevel=4,
        )
    if decibels:
        warnings.warn(
            f"{sensor} {raw.shape} looks like decibels, for most of it is negative: linear power is needed, "
            "10 ** (dB / 10)",
            UserWarning,
            stacklevel=4,
        )


def has_data(sensor: Sensor, raw: NDArray[np.float32]) -> bool:
    """Tell whether any pixel of (band, y, x) has data."""
    if sensor is Sensor.DEM:
        return bool(dem_valid(raw).any())
    return bool((raw > 0).any())


def looks_like_decibels(power: NDArray[np.float32]) -> bool:
    """Tell whether most of Sentinel-1 values are negative, which power never is; nodata does not count."""
    known = power[power > S1_NODATA]
    return bool(known.size) and float((known < 0).mean()) > MOSTLY


def prepare(inputs: Mapping[Sensor, ArrayLike], *, scale: bool = True) -> dict[Sensor, NDArray[np.float32]]:
    """Check and scale the inputs of one prediction.

    Args:
        inputs: sensor to array (band, y, x), raw.
        scale: False where they are scaled already.

    Returns:
        Sensor to (band, y, x) float32 in the networks' range.

    Raises:
        DataError: there is none, one is malformed (see `check_input`) or empty (`check_content`), or their pixels do
            not lie on one grid.
    """
    if not inputs:
        raise DataError(f"no input: give at least one of {', '.join(Sensor)}")
    check = check_input if scale else check_scaled
    arrays = {sensor: check(sensor, array) for sensor, array in inputs.items()}
    check_same_grid(arrays)
    if not scale:
        return arrays
    for sensor, array in arrays.items():
        check_content(sensor, array)
    return {sensor: normalise(sensor, array) for sensor, array in arrays.items()}


def check_same_grid(arrays: Mapping[Sensor, NDArray[np.float32]]) -> None:
    """Check that all arrays (band, y, x) have the same pixels.

    Raises:
        DataError: one differs from the first.
    """
    (first, reference), *others = arrays.items()
    for sensor, array in others:
        if array.shape[1:] != reference.shape[1:]:
            raise DataError(f"{sensor} {array.shape} does not fit {first} {reference.shape}: y and x must agree")


def check_doy(doy: float | None) -> int | None:
    """Return a day of the year, or None for no date.

    Raises:
        DataError: it is not a whole number within 1..366.
    """
    if doy is None:
        return None
    number = isinstance(doy, int | float | np.integer | np.floating) and not isinstance(doy, bool)
    if not number or not float(doy).is_integer() or not 1 <= doy <= LAST_DAY:
        raise DataError(f"doy {doy!r} is not a day of the year: a whole number within 1..{LAST_DAY}, or None")
    return int(doy)

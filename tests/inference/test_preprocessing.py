"""Scaling against its formulas, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.inference.preprocessing import RGB, check_doy, normalise, prepare
from betaearth.scenes.model import BANDS, Sensor


def column(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32).reshape(1, 1, -1)


def test_s2_is_divided_by_10000_and_not_clipped() -> None:
    scaled = normalise(Sensor.S2_L2A, column(0, 1, 2500, 10000, 65535))
    assert scaled.ravel().tolist() == pytest.approx([0, 1e-4, 0.25, 1, 6.5535])
    assert scaled.dtype == np.float32


@pytest.mark.parametrize("power", [1e-4, 0.003, 0.01, 0.2, 0.9, 1.0])
def test_s1_is_scaled_in_decibels(power: float) -> None:
    expected = min(max((10 * math.log10(power) + 25) / 25, 0), 1)
    assert normalise(Sensor.S1, column(power)).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("power", [0, -0.5, -32768, np.nan, np.inf, -np.inf])
def test_s1_that_is_missing_or_not_positive_becomes_zero(power: float) -> None:
    assert normalise(Sensor.S1, column(power)).item() == 0


def test_s1_is_clipped() -> None:
    assert normalise(Sensor.S1, column(1e-9, 250)).ravel().tolist() == [0, 1]


def test_dem_is_scaled_by_its_range() -> None:
    assert normalise(Sensor.DEM, column(100, 200, 300)).ravel().tolist() == pytest.approx([0, 0.5, 1])
    assert normalise(Sensor.DEM, column(100, 100.25)).ravel().tolist() == pytest.approx([0, 0.25])
    assert normalise(Sensor.DEM, column(7, 7)).ravel().tolist() == [0, 0]


def test_true_zero_metres_is_an_elevation() -> None:
    assert normalise(Sensor.DEM, column(0, 50, 100)).ravel().tolist() == pytest.approx([0, 0.5, 1])
    assert normalise(Sensor.DEM, column(-400, 0)).ravel().tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize("missing", [-30000, -32768, -9.9e37, np.nan, np.inf, -np.inf])
def test_a_pixel_without_elevation_counts_as_sea_and_not_in_the_range(missing: float) -> None:
    assert normalise(Sensor.DEM, column(500, 900, missing)).ravel().tolist() == pytest.approx([0, 1, -1.25])
    assert normalise(Sensor.DEM, column(missing, missing)).ravel().tolist() == [0, 0]


def test_rgb_is_red_green_blue() -> None:
    assert [BANDS[Sensor.S2_L2A][i] for i in RGB] == ["B04", "B03", "B02"]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int64", "float16", "float32", "float64", ">u2"])
def test_any_real_dtype_is_taken(dtype: str) -> None:
    raw = np.full((1, 2, 3), 100, dtype=dtype)
    assert prepare({Sensor.DEM: raw})[Sensor.DEM].dtype == np.float32


@pytest.mark.parametrize("values", [np.ones((1, 2, 2), dtype=complex), np.full((1, 2, 2), "a"), np.ones((1, 2, 2)) > 0])
def test_what_is_not_a_real_number_is_refused(values: Any) -> None:
    with pytest.raises(DataError, match=r"dem \(1, 2, 2\) has dtype .*; real numbers are needed"):
        prepare({Sensor.DEM: values})


@pytest.mark.parametrize("shape", [(3, 4, 4), (4, 4), (1, 9, 4, 4), (9, 0, 4), (4, 4, 9)])
def test_a_wrong_shape_is_refused_with_both_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError) as error:
        prepare({Sensor.S2_L2A: np.zeros(shape, dtype=np.uint16)})
    assert str(error.value).startswith(f"s2_l2a has shape {shape}; (9, y, x) is needed: B02, B03, B04, B08")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("sensor", [Sensor.S2_L2A, Sensor.S2_L1C])
def test_sentinel_2_is_given_as_digital_numbers(sensor: Sensor, dtype: str) -> None:
    with pytest.raises(DataError, match=rf"{sensor} \(9, 2, 3\) has dtype {dtype}; digital numbers as integers"):
        prepare({sensor: np.full((9, 2, 3), 0.3, dtype=dtype)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize(("sensor", "nodata"), [(Sensor.S1, "-32768"), (Sensor.DEM, "-32767")])
def test_what_is_no_number_is_refused_with_what_stands_for_nodata(sensor: Sensor, nodata: str, value: float) -> None:
    raw = np.full((len(BANDS[sensor]), 2, 3), 0.5)
    raw[0, 1, 1] = value
    with pytest.raises(DataError, match=rf"{sensor} \(\d, 2, 3\) holds 1 values that are NaN or infinite; .*{nodata}"):
        prepare({sensor: raw})


@pytest.mark.parametrize(
    ("sensor", "value"),
    [
        (Sensor.S2_L2A, 0),
        (Sensor.S2_L2A, -9999),
        (Sensor.S2_L1C, 0),
        (Sensor.S1, 0),
        (Sensor.S1, -32768),
        (Sensor.DEM, -32767),
    ],
)
def test_an_array_without_data_is_refused(sensor: Sensor, value: int) -> None:
    with pytest.raises(DataError, match=rf"{sensor} \(\d, 2, 3\) holds no data: every pixel is .*leave out"):
        prepare({sensor: np.full((len(BANDS[sensor]), 2, 3), value)})


@pytest.mark.parametrize(
    ("sensor", "dtype", "nodata"),
    [(Sensor.S2_L2A, "uint16", 0), (Sensor.S1, "float32", -32768), (Sensor.DEM, "int16", -32768)],
)
def test_a_mask_becomes_nodata(sensor: Sensor, dtype: str, nodata: int) -> None:
    plain = np.random.default_rng(0).uniform(1, 90, (len(BANDS[sensor]), 4, 5)).astype(dtype)
    masked = np.ma.MaskedArray(plain, mask=np.indices(plain.shape)[2] == 3)
    filled = plain.copy()
    filled[..., 3] = nodata
    assert np.array_equal(prepare({sensor: masked})[sensor], prepare({sensor: filled})[sensor])
    with pytest.raises(DataError, match="holds no data"):
        prepare({sensor: np.ma.MaskedArray(plain, mask=True)})


def test_a_mask_without_room_for_nodata_is_refused() -> None:
    masked = np.ma.MaskedArray(np.ones((1, 2, 2), dtype=np.uint16), mask=np.eye(2, dtype=np.bool_)[None])
    with pytest.raises(DataError, match=r"dem \(1, 2, 2\) is masked, and .*uint16 has no room for nodata, -32768"):
        prepare({Sensor.DEM: masked})


def test_what_is_no_array_is_refused() -> None:
    ragged: Any = [[[1.0, 2.0]], [[3.0]]]
    with pytest.raises(DataError, match="s1 is a list that NumPy takes for no array"):
        prepare({Sensor.S1: ragged})
    learning: Any = torch.ones(1, 2, 2, requires_grad=True)
    with pytest.raises(DataError, match="dem is a Tensor that NumPy takes for no array"):
        prepare({Sensor.DEM: learning})


def test_elevations_below_any_land_are_noticed() -> None:
    metres = np.full((1, 3, 3), 50.0)
    metres[0, 0, 0] = -9999
    with pytest.warns(UserWarning, match=r"dem \(1, 3, 3\) goes down to -9999 m, which is no land: .* must be -32767"):
        prepare({Sensor.DEM: metres})


def test_decibels_are_noticed() -> None:
    power = np.random.default_rng(0).uniform(0.001, 1.5, (2, 20, 20)).astype(np.float32)
    decibels = 10 * np.log10(power)
    decibels[0, :4] = -32768
    with pytest.warns(UserWarning, match=r"s1 \(2, 20, 20\) looks like decibels.* linear power is needed"):
        prepare({Sensor.S1: decibels})
    with pytest.raises(DataError, match=r"holds no data.*it looks like decibels"):
        prepare({Sensor.S1: -np.abs(decibels) - 1})
    power[:, :15] = -32768
    prepare({Sensor.S1: power})


def test_inputs_of_different_size_are_refused_with_both_shapes() -> None:
    with pytest.raises(DataError, match=r"dem \(1, 4, 6\) does not fit s1 \(2, 4, 5\)"):
        prepare({Sensor.S1: np.ones((2, 4, 5)), Sensor.DEM: np.ones((1, 4, 6))})


def test_no_input_is_refused() -> None:
    with pytest.raises(DataError, match="no input: give at least one of s2_l2a, s2_l1c, s1, dem"):
        prepare({})


def test_scaled_inputs_are_left_alone_but_must_be_finite() -> None:
    scaled = np.array([[[-0.5, 0.25, 7.0]]], dtype=np.float32)
    assert np.array_equal(prepare({Sensor.DEM: scaled}, scale=False)[Sensor.DEM], scaled)
    for value in (np.nan, -np.inf, 1e300):
        with pytest.raises(DataError, match=r"dem \(1, 1, 1\) holds values that are not finite"):
            prepare({Sensor.DEM: np.array([[[value]]])}, scale=False)


@pytest.mark.parametrize("doy", [1, 366, np.int16(45), 45.0, np.float64(45), None])
def test_a_day_of_the_year_is_taken(doy: Any) -> None:
    assert check_doy(doy) == (None if doy is None else int(doy))


@pytest.mark.parametrize("doy", [0, -1, 367, 400, 1.5, np.nan, np.inf, True, False, np.True_, "182", [182]])
def test_an_impossible_day_is_refused(doy: Any) -> None:
    with pytest.raises(DataError, match=r"not a day of the year: a whole number within 1\.\.366, or None"):
        check_doy(doy)

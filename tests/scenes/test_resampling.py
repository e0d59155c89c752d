"""A pixel's value depends on its place alone: parts of a grid are the crops of the whole, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.elevation import elevation_layer
from betaearth.scenes.files import Files
from betaearth.scenes.raster import (
    DEM_PIXELS,
    S1_PIXELS,
    S2_PIXELS,
    SCL_PIXELS,
    PixelRule,
    onto_grid,
    read_layer,
    read_window,
)
from betaearth.scenes.resampling import resample

WriteCog = Callable[..., str]
DEGREES = (1.5 / 3600, 1 / 3600)
WHOLE = PixelGrid(32631, 699960.0, 5600040.0, 300, 320)
KINDS: list[Any] = [
    pytest.param(S2_PIXELS, 20.0, 32631, 0.0, id="S2 of 20 m"),
    pytest.param(S2_PIXELS, 60.0, 32631, 0.0, id="S2 of 60 m"),
    pytest.param(S2_PIXELS, 10.0, 32632, 0.0, id="S2 of another zone"),
    pytest.param(S2_PIXELS, 20.0, 32632, 0.0, id="S2 of another zone, 20 m"),
    pytest.param(SCL_PIXELS, 20.0, 32632, 0.0, id="SCL of another zone"),
    pytest.param(S1_PIXELS, 10.0, 32631, 3.7, id="S1"),
    pytest.param(S1_PIXELS, 10.0, 32632, 3.7, id="S1 of another zone"),
    pytest.param(DEM_PIXELS, DEGREES, 4326, 0.0, id="DEM"),
]


def file_of(
    write_cog: WriteCog, rule: PixelRule, resolution: float | tuple[float, float], epsg: int, shift: float
) -> str:
    """Noise with holes around `WHOLE`, ending within it in the south-east."""
    x, y = pyproj.Transformer.from_crs(WHOLE.epsg, epsg, always_xy=True).transform(WHOLE.west, WHOLE.north)
    across, down = resolution if isinstance(resolution, tuple) else (resolution, resolution)
    if epsg != 4326:
        x, y = round(x / 60) * 60 - 180 + shift, round(y / 60) * 60 + 180 + shift
    else:
        x, y = round(x / across - 10) * across, round(y / down + 10) * down
    metres = across * 70_000 if epsg == 4326 else across
    size = int(3000 / metres)
    generator = np.random.default_rng(0)
    values = (
        generator.integers(1, 11, (size, size)) if rule is SCL_PIXELS else generator.integers(1, 9999, (size, size))
    )
    values = values.astype(rule.dtype)
    values[generator.random(values.shape) < 0.02] = rule.nodata
    return write_cog("a.tif", values, west=x, north=y, resolution=resolution, epsg=epsg)


@pytest.mark.parametrize(("rule", "resolution", "epsg", "shift"), KINDS)
def test_a_part_is_the_crop_of_the_whole(
    rule: PixelRule, resolution: Any, epsg: int, shift: float, write_cog: WriteCog
) -> None:
    href = file_of(write_cog, rule, resolution, epsg, shift)
    whole = read_layer(href, WHOLE, rule, Files())
    assert 0.3 < whole.valid.mean() < 1.0
    generator = np.random.default_rng(1)
    for _ in range(25):
        top, left = generator.integers(0, 310), generator.integers(0, 290)
        rows = slice(int(top), int(generator.integers(top + 1, 321)))
        columns = slice(int(left), int(generator.integers(left + 1, 301)))
        part = read_layer(href, WHOLE.part(rows, columns), rule, Files())
        np.testing.assert_array_equal(part.values, whole.values[rows, columns])
        np.testing.assert_array_equal(part.valid, whole.valid[rows, columns])


def test_a_part_of_joined_tiles_is_the_crop_of_the_whole(write_cog: WriteCog) -> None:
    """Which tiles are read, and which comes first, differs from block to block."""
    step = 1 / 3600
    lon, lat = pyproj.Transformer.from_crs(32631, 4326, always_xy=True).transform(WHOLE.west + 1500, WHOLE.north - 1600)
    generator, hrefs = np.random.default_rng(0), []
    for row in range(2):
        for column in range(2):
            values = generator.normal(500, 100, (80, 80)).astype(np.float32)
            west = round(lon / step - 80 + 80 * column) * step - step / 2
            north = round(lat / step + 80 - 80 * row) * step + step / 2
            name = f"{row}{column}.tif"
            hrefs.append(write_cog(name, values, west=west, north=north, resolution=step, epsg=4326))

    def layer(grid: PixelGrid) -> Any:
        windows = [read_window(href, grid, DEM_PIXELS, Files()) for href in hrefs]
        return elevation_layer([window for window in windows if window is not None], grid)

    whole = layer(WHOLE)
    assert whole.valid.mean() > 0.5
    for rows, columns in (
        (slice(0, 100), slice(0, 120)),
        (slice(200, 320), slice(190, 300)),
        (slice(100, 220), slice(7, 290)),
    ):
        part = layer(WHOLE.part(rows, columns))
        np.testing.assert_array_equal(part.values, whole.values[rows, columns])
        np.testing.assert_array_equal(part.valid, whole.valid[rows, columns])


@pytest.mark.parametrize(("resolution", "shift"), [(20.0, 0.0), (60.0, 0.0), (10.0, 3.3), (30.0, 7.0)])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_within_a_zone_gdal_says_the_same(resolution: float, shift: float, dtype: str) -> None:
    values = np.random.default_rng(0).integers(1, 9999, (400, 400)).astype(dtype)
    transform = Affine(resolution, 0, WHOLE.west - 180 + shift, 0, -resolution, WHOLE.north + 180 + shift)
    crs = CRS.from_epsg(32631)
    expected = np.zeros(WHOLE.shape, dtype)
    reproject(
        values,
        expected,
        src_transform=transform,
        src_crs=crs,
        dst_transform=Affine(*WHOLE.transform),
        dst_crs=crs,
        resampling=Resampling.bilinear,
    )
    ours, valid = resample(values, np.ones(values.shape, bool), transform, crs, WHOLE, nearest=False)
    assert valid.all()
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1 if dtype == "uint16" else 0)
    if dtype == "uint16":
        # Where a pixel is cut in thirds GDAL's rounding of halves is a matter of luck.
        assert np.mean(ours != expected) < (0.01 if resolution > 20 else 1e-4)


@pytest.mark.parametrize("epsg", [32632, 32630, 4326, 3035])
def test_places_are_right_to_a_thousandth_of_a_pixel(epsg: int) -> None:
    """A ramp whose value is the place itself, read by way of nodes, against pyproj at every pixel."""
    grid = replace(WHOLE, width=700, height=600)
    easts = grid.west + (np.arange(grid.width) + 0.5) * 10
    norths = grid.north - (np.arange(grid.height) + 0.5) * 10
    x, y = pyproj.Transformer.from_crs(grid.epsg, epsg, always_xy=True).transform(*np.meshgrid(easts, norths))
    step = 10.0 if epsg != 4326 else 1 / 3600
    west, north = x.min() - 5 * step, y.max() + 5 * step
    shape = (int(np.ptp(y) / step) + 11, int(np.ptp(x) / step) + 11)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    transform, crs = Affine(step, 0, west, 0, -step, north), CRS.from_epsg(epsg)
    valid = np.ones(shape, bool)
    for ramp, expected in ((rows, (north - y) / step - 0.5), (columns, (x - west) / step - 0.5)):
        got, known = resample(ramp.astype(np.float64), valid, transform, crs, grid, nearest=False)
        assert known.all()
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-3)


@settings(deadline=None, max_examples=30)
@given(row=st.integers(-40, 40), column=st.integers(-40, 40), hole=st.floats(0.0, 0.6))
def test_windows_that_reach_a_part_of_the_grid(row: int, column: int, hole: float) -> None:
    """An independent reference in plain loops."""
    grid = PixelGrid(32631, 699960.0, 5600040.0, 14, 12)
    generator = np.random.default_rng(0)
    values = generator.integers(1, 9999, (5, 6)).astype(np.uint16)
    valid = generator.random(values.shape) >= hole
    transform = Affine(20, 0, grid.west + 10 * column, 0, -20, grid.north - 10 * row)
    got, known = resample(values, valid, transform, CRS.from_epsg(32631), grid, nearest=False)
    for y in range(12):
        for x in range(14):
            down, right = (y + 0.5 - row) / 2, (x + 0.5 - column) / 2
            nearest = (int(np.floor(down)), int(np.floor(right)))
            inside = 0 <= nearest[0] < 5 and 0 <= nearest[1] < 6
            assert known[y, x] == (inside and valid[nearest])
            if known[y, x]:
                assert got[y, x] == _mean(values, valid, down - 0.5, right - 0.5)


def _mean(values: NDArray[Any], valid: NDArray[np.bool_], down: float, right: float) -> int:
    total = weights = 0.0
    for i in (int(np.floor(down)), int(np.floor(down)) + 1):
        for j in (int(np.floor(right)), int(np.floor(right)) + 1):
            if 0 <= i < values.shape[0] and 0 <= j < values.shape[1] and valid[i, j]:
                weight = (1 - abs(down - i)) * (1 - abs(right - j))
                total, weights = total + weight * float(values[i, j]), weights + weight
    return int(np.floor(total / weights + 0.5))


def test_a_coarser_grid_takes_the_class_in_the_middle() -> None:
    grid = PixelGrid(32631, 699960.0, 5600040.0, 7, 5, resolution=60.0)
    classes = np.random.default_rng(0).integers(1, 11, (15, 21)).astype(np.uint8)
    transform = Affine(20, 0, grid.west, 0, -20, grid.north)
    got, known = resample(classes, classes > 0, transform, CRS.from_epsg(32631), grid, nearest=True)
    assert known.all()
    np.testing.assert_array_equal(got, classes[1::3, 1::3])


def test_a_window_is_brought_onto_any_number_of_grids(write_cog: WriteCog) -> None:
    href = file_of(write_cog, S1_PIXELS, 10.0, 32631, 3.7)
    window = read_window(href, WHOLE, S1_PIXELS, Files())
    assert window is not None
    part = WHOLE.part(slice(10, 90), slice(20, 300))
    np.testing.assert_array_equal(
        onto_grid(window, part, S1_PIXELS).values, onto_grid(window, WHOLE, S1_PIXELS).values[10:90, 20:300]
    )

"""References are plain numpy: slices, and bilinear interpolation at points that pyproj has transformed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.raster import (
    DEM_PIXELS,
    S1_PIXELS,
    S2_PIXELS,
    SCL_PIXELS,
    Layer,
    lattice_offset,
    read_layer,
    read_window,
)
from tests.scenes.conftest import FileServer

WriteCog = Callable[..., str]
Noise = Callable[..., NDArray[Any]]


@pytest.mark.parametrize(
    ("size", "left", "top", "offset"),
    [
        (10.0, 500.0, 1000.0, (0, 0)),
        (10.0, 530.0, 980.0, (2, 3)),
        (10.0, 490.0, 1010.0, (-1, -1)),
        (10.0, 500.005, 1000.0, (0, 0)),
        (10.0, 500.5, 1000.0, None),
        (10.0, 500.0, 1000.5, None),
        (10.001, 500.0, 1000.0, None),
        (20.0, 500.0, 1000.0, None),
    ],
)
def test_lattices_agree_or_do_not(size: float, left: float, top: float, offset: tuple[int, int] | None) -> None:
    here = Affine(10.0, 0.0, 500.0, 0.0, -10.0, 1000.0)
    assert lattice_offset(Affine(size, 0.0, left, 0.0, -size, top), here) == offset


def bilinear(
    values: NDArray[Any], valid: NDArray[np.bool_], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate at fractional pixel positions (0.5 = centre of the first pixel) between valid pixels alone."""
    upper, left = np.floor(rows - 0.5).astype(int), np.floor(columns - 0.5).astype(int)
    down, right = rows - 0.5 - upper, columns - 0.5 - left
    total, weights = np.zeros(rows.shape), np.zeros(rows.shape)
    for row, row_weight in ((upper, 1 - down), (upper + 1, down)):
        for column, column_weight in ((left, 1 - right), (left + 1, right)):
            inside = (row >= 0) & (row < values.shape[0]) & (column >= 0) & (column < values.shape[1])
            row_, column_ = np.where(inside, row, 0), np.where(inside, column, 0)
            weight = np.where(inside & valid[row_, column_], row_weight * column_weight, 0.0)
            total += weight * np.where(weight > 0, values[row_, column_], 0.0)
            weights += weight
    return total / np.where(weights > 0, weights, 1.0)


def centres(grid: PixelGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(eastings, northings) of the pixel centres, each (y, x)."""
    easts = grid.west + (np.arange(grid.width) + 0.5) * grid.resolution
    norths = grid.north - (np.arange(grid.height) + 0.5) * grid.resolution
    east, north = np.meshgrid(easts, norths)
    return east, north


def expect(
    grid: PixelGrid,
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    *,
    west: float,
    north: float,
    resolution: float,
    epsg: int = 32631,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Bilinear values, and validity of the nearest file pixel."""
    x, y = centres(grid)
    if epsg != grid.epsg:
        x, y = pyproj.Transformer.from_crs(grid.epsg, epsg, always_xy=True).transform(x, y)
    rows, columns = (north - y) / resolution, (x - west) / resolution
    inside = (rows >= 0) & (rows < values.shape[0]) & (columns >= 0) & (columns < values.shape[1])
    nearest = valid[np.where(inside, rows, 0).astype(int), np.where(inside, columns, 0).astype(int)]
    return bilinear(values, valid, rows, columns), inside & nearest


def smooth(shape: tuple[int, int]) -> NDArray[np.float64]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    field: NDArray[np.float64] = 3000.0 + 900.0 * np.sin(x / 6.0) + 700.0 * np.cos(y / 5.0)
    return field


def same(layer: Layer, values: NDArray[Any], valid: NDArray[np.bool_], *, within: float) -> None:
    np.testing.assert_array_equal(layer.valid, valid)
    np.testing.assert_allclose(layer.values[valid], values[valid], rtol=0, atol=within)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(row=49, column=61)
@example(row=48, column=0)
@example(row=-51, column=-62)
@given(row=st.integers(-70, 70), column=st.integers(-70, 70))
def test_a_file_on_the_same_lattice_is_cropped_bit_by_bit(
    row: int, column: int, grid: PixelGrid, write_cog: WriteCog, noise: Noise
) -> None:
    """Wherever it lies: around the grid, inside it, across a corner, or beside it."""
    values = noise((50, 61))
    href = write_cog("a.tif", values, west=grid.west + column * 10, north=grid.north - row * 10)
    layer = read_layer(href, grid, S2_PIXELS, Files())
    expected = np.zeros((400, 400), np.uint16)
    expected[150 + row : 200 + row, 150 + column : 211 + column] = values
    expected = expected[150 : 150 + grid.height, 150 : 150 + grid.width]
    np.testing.assert_array_equal(layer.values, expected)
    np.testing.assert_array_equal(layer.valid, expected > 0)
    assert layer.values.dtype == np.uint16


def test_the_same_as_rasterios_own_window(grid: PixelGrid, write_cog: WriteCog, noise: Noise) -> None:
    href = write_cog("a.tif", noise((300, 300)), west=grid.west - 730, north=grid.north + 950)
    with rasterio.open(href) as file:
        window = rasterio.windows.from_bounds(*grid.bounds, transform=file.transform)
        expected = file.read(1, window=window)
    np.testing.assert_array_equal(read_layer(href, grid, S2_PIXELS, Files()).values, expected)


def test_twenty_metres_are_interpolated(grid: PixelGrid, write_cog: WriteCog, noise: Noise) -> None:
    west, north = grid.west - 200, grid.north + 400
    values = noise((64, 64))
    href = write_cog("b.tif", values, west=west, north=north, resolution=20.0)
    expected, valid = expect(grid, values, values > 0, west=west, north=north, resolution=20.0)
    assert valid.all()
    same(read_layer(href, grid, S2_PIXELS, Files()), expected, valid, within=0.5)


def test_a_file_that_ends_at_the_grids_rim_covers_it_wholly(grid: PixelGrid, write_cog: WriteCog, noise: Noise) -> None:
    values = noise((24, 30))
    href = write_cog("b.tif", values, west=grid.west, north=grid.north, resolution=20.0)
    expected, valid = expect(grid, values, values > 0, west=grid.west, north=grid.north, resolution=20.0)
    assert valid.all()
    same(read_layer(href, grid, S2_PIXELS, Files()), expected, valid, within=0.5)


@pytest.mark.parametrize("tag", [0, None], ids=["tagged", "untagged"])
@pytest.mark.parametrize("resolution", [10.0, 20.0])
def test_a_swath_edge_neither_bleeds_nor_grows(
    tag: int | None, resolution: float, grid: PixelGrid, write_cog: WriteCog
) -> None:
    """All data is 5000: any other value would be a mixture with nodata."""
    values = np.full((48, 60), 5000, np.uint16)
    y, x = np.mgrid[:48, :60]
    values[x + y < 50] = 0
    href = write_cog("b.tif", values, west=grid.west, north=grid.north, resolution=resolution, nodata=tag)
    layer = read_layer(href, grid, S2_PIXELS, Files())
    times = int(resolution / 10)
    expected = np.repeat(np.repeat(values, times, 0), times, 1)[:48, :60]
    np.testing.assert_array_equal(layer.values, expected)
    np.testing.assert_array_equal(layer.valid, expected > 0)


def test_a_swath_edge_in_another_zone(grid: PixelGrid, write_cog: WriteCog) -> None:
    values = np.full((120, 120), 5000, np.uint16)
    values[:, :60] = 0
    (west, north) = pyproj.Transformer.from_crs(32631, 32632, always_xy=True).transform(grid.west, grid.north)
    west, north = round(west / 60) * 60 - 300, round(north / 60) * 60 + 300
    href = write_cog("b.tif", values, west=west, north=north, epsg=32632)
    layer = read_layer(href, grid, S2_PIXELS, Files())
    _, valid = expect(grid, values, values > 0, west=west, north=north, resolution=10.0, epsg=32632)
    assert 0.1 < valid.mean() < 0.9
    assert np.mean(layer.valid != valid) < 0.005
    assert set(np.unique(layer.values)) == {0, 5000}


@pytest.mark.parametrize("epsg", [32631, 32632, 32630])
def test_another_lattice_is_warped(epsg: int, grid: PixelGrid, write_cog: WriteCog) -> None:
    """Radar lies on a lattice of its own, and granules of the neighbouring zone do."""
    x, y = pyproj.Transformer.from_crs(32631, epsg, always_xy=True).transform(grid.west, grid.north)
    west, north = x - 213.7, y + 304.2
    values = smooth((140, 140)).astype(np.float32)
    href = write_cog("s1.tif", values, west=west, north=north, epsg=epsg, nodata=-32768.0)
    expected, valid = expect(grid, values, values > 0, west=west, north=north, resolution=10.0, epsg=epsg)
    assert valid.all()
    layer = read_layer(href, grid, S1_PIXELS, Files())
    assert layer.values.dtype == np.float32
    # A thousandth of a pixel, where the field's slope is 150 a pixel.
    same(layer, expected, valid, within=0.15)


def test_an_offset_of_part_of_a_pixel_is_interpolated(grid: PixelGrid, write_cog: WriteCog, noise: Noise) -> None:
    values = noise((80, 80), "float32")
    west, north = grid.west - 53.7, grid.north + 44.2
    href = write_cog("s1.tif", values, west=west, north=north)
    expected, valid = expect(grid, values, values > 0, west=west, north=north, resolution=10.0)
    same(read_layer(href, grid, S1_PIXELS, Files()), expected, valid, within=0.05)


@pytest.mark.parametrize("hole", [-32768.0, 0.0, -1.0, np.nan, np.inf, -9999.0])
def test_holes_of_radar_do_not_spread(hole: float, grid: PixelGrid, write_cog: WriteCog) -> None:
    values = np.full((80, 80), 0.25, np.float32)
    values[20:50, 30:60] = hole
    west, north = grid.west - 53.7, grid.north + 44.2
    tag = None if np.isnan(hole) else hole
    href = write_cog("s1.tif", values, west=west, north=north, nodata=tag)
    layer = read_layer(href, grid, S1_PIXELS, Files())
    expected, valid = expect(grid, values, values == 0.25, west=west, north=north, resolution=10.0)
    assert 0.3 < valid.mean() < 0.9
    same(layer, expected, valid, within=1e-6)
    assert set(np.unique(layer.values[~layer.valid])) == {-32768.0}


def test_the_files_own_nodata_counts_too(grid: PixelGrid, write_cog: WriteCog) -> None:
    values = np.full((48, 60), 5000, np.uint16)
    values[10:20, 10:20] = 65535
    href = write_cog("b.tif", values, west=grid.west, north=grid.north, nodata=65535)
    layer = read_layer(href, grid, S2_PIXELS, Files())
    np.testing.assert_array_equal(layer.valid, values == 5000)
    assert layer.values.max() == 5000


@pytest.mark.parametrize(
    ("resolution", "epsg", "shift"), [(10.0, 32631, 0.0), (20.0, 32631, 0.0), (20.0, 32631, 7.3), (20.0, 32632, 0.0)]
)
def test_classes_are_never_mixed(
    resolution: float, epsg: int, shift: float, grid: PixelGrid, write_cog: WriteCog
) -> None:
    """Of vegetation (4) and high cloud (9) interpolation would make water, shadow and unclassified."""
    generator = np.random.default_rng(0)
    values = np.where(generator.random((90, 90)) < 0.5, 4, 9).astype(np.uint8)
    x, y = pyproj.Transformer.from_crs(32631, epsg, always_xy=True).transform(grid.west, grid.north)
    href = write_cog("scl.tif", values, west=x - 200 + shift, north=y + 200, resolution=resolution, epsg=epsg)
    layer = read_layer(href, grid, SCL_PIXELS, Files())
    assert set(np.unique(layer.values)) == {4, 9}
    assert layer.valid.all()


def test_aligned_classes_are_repeated(grid: PixelGrid, write_cog: WriteCog) -> None:
    values = np.random.default_rng(0).integers(0, 12, (24, 30)).astype(np.uint8)
    href = write_cog("scl.tif", values, west=grid.west, north=grid.north, resolution=20.0)
    expected = np.repeat(np.repeat(values, 2, 0), 2, 1)
    np.testing.assert_array_equal(read_layer(href, grid, SCL_PIXELS, Files()).values, expected)


def test_heights_of_zero_metres_stay(grid: PixelGrid, write_cog: WriteCog) -> None:
    values = np.zeros((48, 60), np.float32)
    values[:, 30:] = -3.5
    values[0, 0] = np.nan
    href = write_cog("dem.tif", values, west=grid.west, north=grid.north)
    layer = read_layer(href, grid, DEM_PIXELS, Files())
    np.testing.assert_array_equal(layer.valid, np.isfinite(values))
    np.testing.assert_array_equal(layer.values[layer.valid], values[layer.valid])


def test_a_file_elsewhere_has_nothing(grid: PixelGrid, write_cog: WriteCog, noise: Noise) -> None:
    href = write_cog("far.tif", noise((20, 20)), west=grid.west + 5000, north=grid.north)
    assert read_window(href, grid, S2_PIXELS, Files()) is None
    assert not read_layer(href, grid, S2_PIXELS, Files()).valid.any()


def test_no_more_is_read_than_surrounds_the_grid(grid: PixelGrid, write_cog: WriteCog, noise: Noise) -> None:
    href = write_cog("wide.tif", noise((600, 600)), west=grid.west - 2000, north=grid.north + 2000)
    window = read_window(href, grid, S2_PIXELS, Files())
    assert window is not None
    assert window.values.shape == (grid.height + 6, grid.width + 6)


@pytest.mark.parametrize(
    ("transform", "crs", "dtype", "complaint"),
    [
        (Affine(10, 2, 699960, 2, -10, 5600040), "EPSG:32631", "uint16", "not north-up"),
        (Affine(10, 0, 699960, 0, 10, 5599000), "EPSG:32631", "uint16", "not north-up"),
        (Affine(10, 0, 699960, 0, -10, 5600040), None, "uint16", "does not say its CRS"),
        (Affine(10, 0, 699960, 0, -10, 5600040), "EPSG:32631", "float32", "whole numbers"),
    ],
)
def test_what_cannot_be_meant(
    transform: Affine, crs: str | None, dtype: str, complaint: str, grid: PixelGrid, tmp_path: Path
) -> None:
    path = tmp_path / "odd.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=9, height=9, count=1, dtype=dtype, crs=crs, transform=transform
    ) as file:
        file.write(np.ones((9, 9), dtype), 1)
    with pytest.raises(DataError, match=r"odd\.tif") as caught:
        read_layer(str(path), grid, S2_PIXELS, Files())
    assert complaint in str(caught.value)


def test_a_window_knows_what_its_file_covers(grid: PixelGrid, write_cog: WriteCog, noise: Noise) -> None:
    href = write_cog("a.tif", noise((600, 500)), west=grid.west - 2000, north=grid.north + 2000)
    window = read_window(href, grid, S2_PIXELS, Files())
    assert window is not None
    assert window.extent == (grid.west - 2000, grid.north - 4000, grid.west + 3000, grid.north + 2000)


def test_the_same_over_http_in_few_requests(
    grid: PixelGrid, write_cog: WriteCog, noise: Noise, file_server: FileServer
) -> None:
    href = write_cog("a.tif", noise((1024, 1024)), west=grid.west - 5000, north=grid.north + 5000)
    files = Files()
    remote = read_layer(f"{file_server.url}/a.tif", grid, S2_PIXELS, files)
    np.testing.assert_array_equal(remote.values, read_layer(href, grid, S2_PIXELS, files).values)
    assert files.traffic.requests <= 3
    assert files.traffic.bytes < 400_000


def test_a_complaint_names_no_query(
    grid: PixelGrid, write_cog: WriteCog, noise: Noise, file_server: FileServer
) -> None:
    write_cog("a.tif", noise((90, 90), "float32"), west=grid.west, north=grid.north)
    with pytest.raises(DataError, match=r"a\.tif holds float32"):
        read_layer(f"{file_server.url}/a.tif?token=hush", grid, S2_PIXELS, Files())


def test_real_chips_are_cropped_bit_by_bit(sample_data: Path) -> None:
    for path in sorted((sample_data / "chips").glob("sentinel-2-l2a/*/B*.tif")):
        with rasterio.open(path) as file:
            grid = PixelGrid(file.crs.to_epsg(), file.transform.c + 200, file.transform.f - 130, 190, 200)
            expected = file.read(1, window=((13, 213), (20, 210)))
        np.testing.assert_array_equal(read_layer(str(path), grid, S2_PIXELS, Files()).values, expected)

"""AlphaEarth's files onto pixel grids, against rasterio and against plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from betaearth.errors import ConfigError, DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.products.quantise import dequantise, quantise, to_unit_length
from betaearth.scenes.files import Files
from betaearth.training.aef import known, read_codes
from betaearth.training.targets import AefTiles

WEST, NORTH = 500000.0, 5600000.0
Write = Callable[..., str]


def smooth_codes(height: int, width: int, *, row: int = 0, column: int = 0) -> NDArray[np.int8]:
    """(64, y, x) codes of unit vectors that change slowly; `row`, `column` count from a common corner."""
    rows, columns = np.mgrid[row : row + height, column : column + width].astype(float)
    waves = np.linspace(0.01, 0.06, 64)[:, None, None]
    vectors = np.sin(waves * rows + np.arange(64)[:, None, None]) + np.cos(waves * columns)
    unit = to_unit_length(np.moveaxis(vectors, 0, -1))
    return np.moveaxis(quantise(unit, np.ones((height, width), bool)), -1, 0)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(
        name: str, values: NDArray[np.generic], west: float = WEST, north: float = NORTH, **options: object
    ) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        resolution = float(str(options.pop("resolution", 10.0)))
        transform = Affine(resolution, 0, west, 0, -resolution, north)
        if options.pop("bottom_up", False):
            values = values[:, ::-1]
            transform = Affine(resolution, 0, west, 0, resolution, north - resolution * values.shape[1])
        profile = {"crs": "EPSG:32631", "transform": transform, "nodata": -128, **options}
        count, height, width = values.shape
        with rasterio.open(
            path, "w", driver="GTiff", count=count, height=height, width=width, dtype=values.dtype, **profile
        ) as file:
            file.write(values)
        return str(path)

    return written


@pytest.mark.parametrize("bottom_up", [False, True])
def test_codes_are_copied_north_up_where_pixels_agree(write: Write, *, bottom_up: bool) -> None:
    codes = smooth_codes(40, 50)
    codes[:, 3, 4] = -128
    href = write("a.tif", codes, bottom_up=bottom_up)
    grid = PixelGrid(32631, WEST + 50, NORTH - 70, 30, 20)
    assert np.array_equal(read_codes([href], grid, files=Files()), codes[:, 7:27, 5:35])
    beyond = PixelGrid(32631, WEST - 20, NORTH + 30, 10, 10)
    found = read_codes([href], beyond, files=Files())
    assert np.array_equal(found[:, 3:, 2:], codes[:, :7, :8])
    assert not known(found)[:3].any()
    assert not known(found)[6, 6]


def test_a_pixel_masked_in_one_band_is_masked_in_all(write: Write) -> None:
    codes = smooth_codes(8, 8)
    codes[5, 2, 3] = -128
    found = read_codes([write("a.tif", codes)], PixelGrid(32631, WEST, NORTH, 8, 8), files=Files())
    assert (found[:, 2, 3] == -128).all()
    assert known(found).sum() == 63


def test_vectors_are_interpolated_on_the_sphere_where_pixels_do_not_agree(write: Write) -> None:
    codes = smooth_codes(24, 24)
    codes[:, 12, 12] = -128
    grid = PixelGrid(32631, WEST + 52.5, NORTH - 55, 8, 8)
    found = read_codes([write("a.tif", codes, bottom_up=True)], grid, files=Files())
    unit = dequantise(np.ascontiguousarray(np.moveaxis(codes, 0, -1))).astype(np.float64)
    expected: NDArray[np.float64] = np.zeros((8, 8, 64))
    for row in range(8):
        for column in range(8):
            # Counted between the centres of pixels, the grid's first centre lies at (5.5, 5.25).
            top, left, right = row + 5, column + 5, 0.25
            for pixel, weight in {
                (top, left): 0.5 * (1 - right),
                (top + 1, left): 0.5 * (1 - right),
                (top, left + 1): 0.5 * right,
                (top + 1, left + 1): 0.5 * right,
            }.items():
                expected[row, column] += weight * unit[pixel]
    inside = np.ones((8, 8), bool)
    inside[6, 7] = False  # the centre at (12, 12.75) lies in the masked pixel
    assert np.array_equal(known(found), inside)
    directions = to_unit_length(expected)
    difference = np.moveaxis(quantise(directions, inside), -1, 0).astype(int) - found
    assert np.abs(difference).max() <= 1


def test_coarser_pixels_are_the_mean_direction(write: Write) -> None:
    codes = smooth_codes(20, 20)
    codes[:, 0:2, 0:2] = -128
    codes[:, 2, 2] = -128
    found = read_codes([write("a.tif", codes)], PixelGrid(32631, WEST, NORTH, 10, 10, 20.0), files=Files())
    unit = dequantise(np.ascontiguousarray(np.moveaxis(codes, 0, -1))).astype(np.float64)
    total = unit.reshape(10, 2, 10, 2, 64).sum(axis=(1, 3))
    seen = np.abs(total).sum(axis=-1) > 0
    assert np.array_equal(known(found), seen)
    assert not seen[0, 0]
    assert seen[1, 1]
    difference = np.moveaxis(quantise(to_unit_length(total), seen), -1, 0).astype(int) - found
    assert np.abs(difference).max() <= 1


def test_files_are_mosaicked_without_a_seam(write: Write) -> None:
    whole = smooth_codes(20, 40)
    left, right = write("l.tif", whole[:, :, :22]), write("r.tif", whole[:, :, 18:], west=WEST + 180, bottom_up=True)
    aligned = PixelGrid(32631, WEST, NORTH, 40, 20)
    assert np.array_equal(read_codes([left, right], aligned, files=Files()), whole)
    between = PixelGrid(32631, WEST + 25, NORTH - 25, 30, 10)
    one = read_codes([write("whole.tif", whole)], between, files=Files())
    assert np.array_equal(read_codes([left, right], between, files=Files()), one)


def test_another_zone_is_warped(write: Write) -> None:
    codes = smooth_codes(60, 60)
    href = write("a.tif", codes, west=700000.0, north=5600000.0)
    with rasterio.open(href) as file:
        (x,), (y,) = rasterio.warp.transform(file.crs, "EPSG:32632", [700300.0], [5599700.0])
    grid = PixelGrid(32632, round(x, -1) - 50, round(y, -1) + 50, 10, 10)
    found = read_codes([href], grid, files=Files())
    assert known(found).all()
    (east,), (north,) = rasterio.warp.transform("EPSG:32632", "EPSG:32631", [grid.west + 45], [grid.north - 45])
    pixel = codes[:, int((5600000 - north) // 10), int((east - 700000) // 10)]
    pair = dequantise(np.stack([pixel, found[:, 4, 4]]))
    assert float(pair[0] @ pair[1]) > 0.999


def test_pixels_in_degrees_are_no_finer_for_that(write: Write) -> None:
    codes = smooth_codes(60, 80)
    degree = 10 / 111_320  # ten metres, from south to north
    href = write("a.tif", codes, west=3.0, north=50.6, resolution=degree, crs="EPSG:4326")
    (x,), (y,) = rasterio.warp.transform("EPSG:4326", "EPSG:32631", [3.0 + 40 * degree], [50.6 - 30 * degree])
    grid = PixelGrid(32631, round(x, -1) - 80, round(y, -1) + 80, 16, 16)
    found = read_codes([href], grid, files=Files())
    assert known(found).all()
    (lon,), (lat,) = rasterio.warp.transform("EPSG:32631", "EPSG:4326", [grid.west + 45], [grid.north - 45])
    pixel = codes[:, int((50.6 - lat) / degree), int((lon - 3.0) / degree)]
    pair = dequantise(np.stack([pixel, found[:, 4, 4]]))
    assert float(pair[0] @ pair[1]) > 0.999


def test_a_file_of_pixels_without_number_is_not_read(tmp_path: Path) -> None:
    href, fine = str(tmp_path / "a.tif"), 1e-3
    transform = Affine(fine, 0, WEST, 0, -fine, NORTH)
    shape = {"count": 64, "height": 100_000, "width": 100_000, "dtype": "int8", "SPARSE_OK": True, "tiled": True}
    rasterio.open(href, "w", driver="GTiff", crs="EPSG:32631", transform=transform, **shape).close()
    with pytest.raises(DataError, match=r"a\.tif has \d+ x \d+ pixels on a place of 8 x 8 of 10 m"):
        read_codes([href], PixelGrid(32631, WEST, NORTH, 8, 8), files=Files())


def test_float_vectors_become_codes(write: Write) -> None:
    codes = smooth_codes(8, 8)
    vectors = np.moveaxis(dequantise(np.ascontiguousarray(np.moveaxis(codes, 0, -1))), -1, 0).copy()
    vectors[:, 1, 1] = np.nan
    href = write("a.tif", vectors.astype(np.float32), nodata=None)
    found = read_codes([href], PixelGrid(32631, WEST, NORTH, 8, 8), files=Files())
    assert not known(found)[1, 1]
    assert known(found).sum() == 63
    assert np.abs(found.astype(int) - codes)[:, 2:].max() <= 2


def test_a_real_file_is_read_as_rasterio_reads_it(sample_data: Path) -> None:
    href = str(sample_data / "aef/aef_wisconsin_int8_utm16_10m.tif")
    grid = PixelGrid(32616, 358390.0 + 100, 4906620.0 - 200, 60, 50)
    with rasterio.open(href) as file:
        expected = file.read()[:, 20:70, 10:70]
    assert np.array_equal(read_codes([href], grid, files=Files()), expected)
    shifted = PixelGrid(32616, grid.west + 5, grid.north - 5, 40, 40)
    half = read_codes([href], shifted, files=Files())
    pair = [dequantise(np.ascontiguousarray(np.moveaxis(array, 0, -1))) for array in (half, expected[:, :40, :40])]
    cosine = np.sum(pair[0] * pair[1], axis=-1)
    assert 0.8 < np.median(cosine) < 1.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((3, 8, 8), np.int8), "3 bands of int8"),
        (np.zeros((64, 8, 8), np.uint8), "64 bands of uint8"),
    ],
)
def test_other_files_are_refused(write: Write, values: NDArray[np.generic], said: str) -> None:
    with pytest.raises(DataError, match=f"a.tif has {said}; AlphaEarth's files have 64"):
        read_codes([write("a.tif", values, nodata=None)], PixelGrid(32631, WEST, NORTH, 8, 8), files=Files())


def test_a_file_must_say_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with pytest.warns(NotGeoreferencedWarning):
        rasterio.open(path, "w", driver="GTiff", count=64, height=4, width=4, dtype="int8").close()
    with (
        pytest.warns(NotGeoreferencedWarning),
        pytest.raises(DataError, match="does not say its CRS"),
    ):
        read_codes([str(path)], PixelGrid(32631, WEST, NORTH, 8, 8), files=Files())


class TestTiles:
    def test_a_year_has_its_own_files(self, write: Write, tmp_path: Path) -> None:
        for year in (2020, 2021):
            write(f"aef/{year}/31N/x.tif", np.full((64, 8, 8), year - 2000, np.int8))
        write("aef/x_2022.TIF", np.full((64, 8, 8), 22, np.int8))
        tiles = AefTiles.of([str(tmp_path / "aef")], [2020, 2021, 2022], files=Files())
        grid = PixelGrid(32631, WEST, NORTH, 4, 4)
        for year in (2020, 2021, 2022):
            codes = tiles("573U_1L", year, grid)
            assert codes is not None
            assert (codes == year - 2000).all()
        assert tiles("573U_1L", 2019, grid) is None
        assert tiles("573U_1L", 2021, PixelGrid(32631, WEST + 9000, NORTH, 4, 4)) is None

    def test_a_file_without_year_is_of_the_only_one(self, write: Write) -> None:
        href = write("x.tif", np.ones((64, 8, 8), np.int8))
        assert AefTiles.of([href], [2021], files=Files()).by_year == {2021: (href,)}
        with pytest.raises(ConfigError, match="names no year, and 2 are asked for"):
            AefTiles.of([href], [2020, 2021], files=Files())

    def test_a_folder_without_files_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"holds no \.tif"):
            AefTiles.of([str(tmp_path)], [2021], files=Files())

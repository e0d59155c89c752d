"""The field is linear in longitude and latitude, which bilinear interpolation reproduces: any seam would show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyproj
import pytest
from numpy.typing import NDArray

from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.elevation import elevation_layer
from betaearth.scenes.raster import DEM_PIXELS, Layer, read_window

WriteCog = Callable[..., str]
STEP = 1 / 3600
SLOPE = 40_000.0
"""Metres a degree: about 11 m from one tile pixel to the next."""


def lonlat(grid: PixelGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes (0..360) and latitudes of the pixel centres."""
    easts = grid.west + (np.arange(grid.width) + 0.5) * grid.resolution
    norths = grid.north - (np.arange(grid.height) + 0.5) * grid.resolution
    lon, lat = pyproj.Transformer.from_crs(grid.epsg, 4326, always_xy=True).transform(*np.meshgrid(easts, norths))
    return np.asarray(lon) % 360.0, np.asarray(lat)


def height(lon: NDArray[np.float64], lat: NDArray[np.float64], origin: tuple[float, float]) -> NDArray[np.float64]:
    return 100.0 + SLOPE * (lon - origin[0]) + 0.5 * SLOPE * (lat - origin[1])


@pytest.fixture
def write_tile(write_cog: WriteCog) -> Callable[..., str]:
    """A DEM tile of the linear field with its north-west corner at (west, north)."""

    def write(
        name: str,
        west: float,
        north: float,
        shape: tuple[int, int],
        origin: tuple[float, float],
        *,
        columns_step: float = STEP,
    ) -> str:
        lon = west % 360.0 + (np.arange(shape[1]) + 0.5) * columns_step
        lat = north - (np.arange(shape[0]) + 0.5) * STEP
        lons, lats = np.meshgrid(lon, lat)
        values = height(lons, lats, origin).astype(np.float32)
        return write_cog(name, values, west=west, north=north, resolution=(columns_step, STEP), epsg=4326)

    return write


def read(grid: PixelGrid, *hrefs: str) -> Layer:
    windows = [read_window(href, grid, DEM_PIXELS) for href in hrefs]
    return elevation_layer([window for window in windows if window is not None], grid)


@pytest.fixture
def corner() -> PixelGrid:
    """A grid with a whole degree in both directions near its middle: 6 degrees east, 50 north."""
    x, y = pyproj.Transformer.from_crs(4326, 32631, always_xy=True).transform(6.0, 50.0)
    return PixelGrid(32631, round(x / 60) * 60 - 420, round(y / 60) * 60 + 360, 90, 80)


def close(layer: Layer, grid: PixelGrid, origin: tuple[float, float], *, within: float) -> None:
    assert layer.valid.all()
    np.testing.assert_allclose(layer.values, height(*lonlat(grid), origin), rtol=0, atol=within)


def test_four_tiles_are_as_one(corner: PixelGrid, write_tile: Callable[..., str]) -> None:
    """Tiles as the Copernicus DEM cuts them: their corner is half a pixel beyond the whole degree."""
    origin = (6.0, 50.0)
    west, north = 6.0 - STEP / 2, 50.0 + STEP / 2
    size = 60
    parts = [
        write_tile("nw.tif", west - size * STEP, north + size * STEP, (size, size), origin),
        write_tile("ne.tif", west, north + size * STEP, (size, size), origin),
        write_tile("sw.tif", west - size * STEP, north, (size, size), origin),
        write_tile("se.tif", west, north, (size, size), origin),
    ]
    whole = write_tile("whole.tif", west - size * STEP, north + size * STEP, (2 * size, 2 * size), origin)
    expected = read(corner, whole)
    close(expected, corner, origin, within=0.6)
    for order in (parts, parts[::-1]):
        np.testing.assert_array_equal(read(corner, *order).values, expected.values)


def test_columns_that_get_wider_towards_the_pole(corner: PixelGrid, write_tile: Callable[..., str]) -> None:
    """From 50 degrees north columns are half as wide again, so the lattices meet without agreeing."""
    origin = (6.0, 50.0)
    border = 50.0 + STEP / 2
    south = write_tile("south.tif", 6 - 60.5 * STEP, border, (60, 120), origin)
    north = write_tile("north.tif", 6 - 60.75 * STEP, border + 60 * STEP, (60, 80), origin, columns_step=1.5 * STEP)
    # Across the border each side is held level by half a pixel of its own: 40,000 / 3600 / 4 m in latitude.
    close(read(corner, south, north), corner, origin, within=3.4)
    close(read(corner, north, south), corner, origin, within=3.4)


@pytest.mark.parametrize("gap", [0.3, 0.5, 0.7])
def test_less_than_a_pixel_between_tiles_is_closed(
    gap: float, corner: PixelGrid, write_tile: Callable[..., str]
) -> None:
    origin = (6.0, 50.0)
    north = 50.0 + 60 * STEP
    west = write_tile("west.tif", 6 - 60 * STEP, north, (120, 60), origin)
    east = write_tile("east.tif", 6 + gap * STEP, north, (120, 60), origin)
    close(read(corner, west, east), corner, origin, within=12.0)


def test_a_coast_does_not_grow(corner: PixelGrid, write_tile: Callable[..., str]) -> None:
    """East of 6 degrees is sea without a tile: nothing is made up there, not even by half a pixel."""
    origin = (6.0, 50.0)
    tiles = [
        write_tile("north.tif", 6 - 60 * STEP, 50 + 60 * STEP, (60, 60), origin),
        write_tile("south.tif", 6 - 60 * STEP, 50 - 0.4 * STEP, (60, 60), origin),
    ]
    layer = read(corner, *tiles)
    lon, _ = lonlat(corner)
    np.testing.assert_array_equal(layer.valid, lon < 6.0)
    assert set(np.unique(layer.values[~layer.valid])) == {-32768.0}


@pytest.mark.parametrize("epsg", [32660, 32601, 32760, 32701])
def test_across_180_degrees(epsg: int, write_tile: Callable[..., str]) -> None:
    """One tile ends half a pixel before the meridian, the other begins half a pixel before -180 degrees."""
    latitude = 16.5 if epsg < 32700 else -16.5
    x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(180.0, latitude)
    grid = PixelGrid(epsg, round(x / 60) * 60 - 420, round(y / 60) * 60 + 360, 90, 80)
    origin = (180.0, latitude)
    north = latitude + 60 * STEP
    west = write_tile("west.tif", 180 - 60.5 * STEP, north, (120, 60), origin)
    east = write_tile("east.tif", -180 - 0.5 * STEP, north, (120, 60), (180.0, latitude))
    layer = read(grid, west, east)
    close(layer, grid, origin, within=0.6)
    alone = read(grid, west)
    lon, _ = lonlat(grid)
    np.testing.assert_array_equal(alone.valid, lon < 180 - 0.5 * STEP)


def test_no_tile_no_height(corner: PixelGrid) -> None:
    layer = elevation_layer([], corner)
    assert not layer.valid.any()
    assert layer.values.dtype == np.float32


def test_an_earlier_tile_wins_where_tiles_overlap(grid: PixelGrid, write_cog: WriteCog) -> None:
    place: dict[str, Any] = {"west": grid.west, "north": grid.north}
    low = write_cog("low.tif", np.full(grid.shape, 1.0, np.float32), **place)
    high = write_cog("high.tif", np.full(grid.shape, 2.0, np.float32), **place)
    assert set(np.unique(read(grid, low, high).values)) == {1.0}
    assert set(np.unique(read(grid, high, low).values)) == {2.0}

"""The field is linear in longitude and latitude, which bilinear interpolation reproduces: any seam would show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyproj
import pytest
from numpy.typing import NDArray

from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.scenes.elevation import TILE_SHIFT_DEG, elevation_layer, with_sea
from betaearth.scenes.files import Files
from betaearth.scenes.raster import DEM_PIXELS, Layer, RasterWindow, read_window
from betaearth.scenes.withheld import withheld_tiles

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


def windows(grid: PixelGrid, *hrefs: str) -> list[RasterWindow]:
    files = Files()
    found = [read_window(href, grid, DEM_PIXELS, files) for href in hrefs]
    return [window for window in found if window is not None]


def read(grid: PixelGrid, *hrefs: str) -> Layer:
    return elevation_layer(windows(grid, *hrefs), grid)


def read_with_sea(grid: PixelGrid, *hrefs: str, unknown: Sequence[Bounds] = ()) -> Layer:
    tiles = windows(grid, *hrefs)
    return with_sea(elevation_layer(tiles, grid), tiles, unknown, grid)


def grid_at(lon: float, lat: float, epsg: int) -> PixelGrid:
    """90 x 80 pixels with a place near the middle."""
    x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
    return PixelGrid(epsg, round(x / 60) * 60 - 420, round(y / 60) * 60 + 360, 90, 80)


@pytest.fixture
def corner() -> PixelGrid:
    """A grid with a whole degree in both directions near its middle: 6 degrees east, 50 north."""
    return grid_at(6.0, 50.0, 32631)


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
    grid = grid_at(180.0, latitude, epsg)
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


def test_beyond_a_coast_is_sea(corner: PixelGrid, write_tile: Callable[..., str]) -> None:
    """From the first pixel on whose nearest height lies in no tile; the border of two tiles on land is no coast."""
    origin = (6.0, 50.0)
    edge = 6.0 - STEP / 2
    tiles = [
        write_tile("north.tif", edge - 60 * STEP, 50 + 60 * STEP, (60, 60), origin),
        write_tile("south.tif", edge - 60 * STEP, 50 - 0.4 * STEP, (60, 60), origin),
    ]
    land, layer = read(corner, *tiles), read_with_sea(corner, *tiles)
    lon, _ = lonlat(corner)
    assert layer.valid.all()
    assert layer.values.dtype == np.float32
    np.testing.assert_array_equal(layer.values == 0.0, lon > edge)
    np.testing.assert_array_equal(layer.values[lon < edge], land.values[lon < edge])


def test_what_a_tile_leaves_open_is_no_sea(corner: PixelGrid, write_cog: WriteCog) -> None:
    values = np.full((120, 60), 7.0, np.float32)
    values[40:80, 20:50] = -32767.0
    values[:40] = 0.0
    href = write_cog(
        "a.tif", values, west=6 - 60 * STEP, north=50 + 60 * STEP, resolution=STEP, epsg=4326, nodata=-32767
    )
    land, layer = read(corner, href), read_with_sea(corner, href)
    lon, _ = lonlat(corner)
    hole = ~land.valid & (lon < 6.0)
    assert 0.01 < hole.mean() < 0.5
    np.testing.assert_array_equal(layer.valid, ~hole)
    assert (layer.values[hole] == -32768.0).all()


def test_open_sea(corner: PixelGrid) -> None:
    layer = read_with_sea(corner, unknown=withheld_tiles())
    assert layer.valid.all()
    assert not layer.values.any()


def test_a_withheld_tile_is_no_sea(write_tile: Callable[..., str]) -> None:
    """West of 43 degrees east the tile is there, east of it it is withheld."""
    grid = grid_at(43.0, 40.5, 32638)
    west = write_tile("west.tif", 43 - 60.5 * STEP, 40.5 + 60 * STEP, (120, 60), (43.0, 40.5))
    layer = read_with_sea(grid, west, unknown=withheld_tiles())
    lon, _ = lonlat(grid)
    np.testing.assert_array_equal(layer.valid, lon < 43 - STEP / 2)


def test_sea_beside_a_withheld_tile() -> None:
    """The Caspian east of 50 degrees, north of 41; a strip beside the tile is given away."""
    grid = grid_at(50.0 + TILE_SHIFT_DEG, 41.5, 32639)
    layer = read_with_sea(grid, unknown=withheld_tiles())
    lon, _ = lonlat(grid)
    np.testing.assert_array_equal(layer.valid, lon > 50.0 + TILE_SHIFT_DEG)
    assert 0.2 < layer.valid.mean() < 0.8


@pytest.mark.parametrize("west", [-180.0 - STEP / 2, 180.0 - STEP / 2])
def test_a_tile_that_could_not_be_read_is_no_sea(west: float) -> None:
    """East of 180 degrees, however its bounds spell that."""
    grid = grid_at(180.0, 16.5, 32660)
    layer = read_with_sea(grid, unknown=[(west, 16.0, west + 1.0, 17.0)])
    lon, _ = lonlat(grid)
    np.testing.assert_array_equal(layer.valid, lon < 180.0 - STEP / 2 - TILE_SHIFT_DEG)


def test_withheld_tiles() -> None:
    tiles = withheld_tiles()
    assert len(tiles) == len(set(tiles)) == 25
    assert {(east - west, north - south) for west, south, east, north in tiles} == {(1.0, 1.0)}
    yerevan, baku, tehran = (44.5, 40.2), (49.9, 40.4), (51.4, 35.7)
    inside = [
        any(west <= lon <= east and south <= lat <= north for west, south, east, north in tiles)
        for lon, lat in (yerevan, baku, tehran)
    ]
    assert inside == [True, True, False]

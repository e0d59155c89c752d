"""References are numpy: the class of the file's pixel in which a sample's centre lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from shapely.geometry import mapping

from betaearth.errors import TransientError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes import looks
from betaearth.scenes.files import Files
from betaearth.scenes.looks import coarse_grid, read_looks
from betaearth.scenes.model import SCL, Granule, Look, Scene
from betaearth.scenes.options import Radiometry, SceneOptions
from betaearth.scenes.profile import PLANETARY_COMPUTER_SPELLING

WriteCog = Callable[..., str]
MakeGranule = Callable[..., Granule]
Write = Callable[..., Granule]
CLEAR = [2, 4, 5, 6, 7, 11]
WIDE = PixelGrid(32631, 699960.0, 5600040.0, 1200, 60)


def look_at(scenes: Sequence[Scene], grid: PixelGrid, **options: Any) -> tuple[dict[str, Look], dict[str, str]]:
    return read_looks(
        scenes,
        grid,
        files=Files(),
        profile=PLANETARY_COMPUTER_SPELLING,
        options=SceneOptions(**options),
        workers=4,
    )


def scene_of(*granules: Granule, name: str = "scene") -> Scene:
    return Scene(id=name, sensor=granules[0].sensor, sensed=granules[0].sensed, granules=granules)


def one_look(*granules: Granule, grid: PixelGrid, **options: Any) -> Look:
    found, unreadable = look_at([scene_of(*granules)], grid, **options)
    assert unreadable == {}
    return found["scene"]


def classes(shape: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 12, shape).astype(np.uint8)


@pytest.fixture
def write_scl(write_cog: WriteCog, make_granule: MakeGranule) -> Write:
    """A granule with a classification of 20 m: (id, classes, where)."""

    def write(name: str, scl: NDArray[Any], *, west: float, north: float, epsg: int = 32631, **fields: Any) -> Granule:
        assets = dict(make_granule().assets)
        assets[SCL] = write_cog(f"{name}.tif", scl.astype(np.uint8), west=west, north=north, resolution=20.0, epsg=epsg)
        return make_granule(id=name, assets=assets, **fields)

    return write


@pytest.mark.parametrize(
    ("width", "height", "step", "columns", "rows"),
    [
        (1068, 1068, 3, 356, 356),
        (64, 48, 2, 32, 24),
        (61, 47, 2, 31, 24),
        (1024, 9, 2, 512, 5),
        (1025, 9, 3, 342, 3),
        (5200, 5600, 11, 473, 510),
    ],
)
def test_at_most_512_samples_and_never_below_20_metres(
    width: int, height: int, step: int, columns: int, rows: int
) -> None:
    coarse = coarse_grid(PixelGrid(32631, 699960.0, 5600040.0, width, height))
    assert coarse == PixelGrid(32631, 699960.0, 5600040.0, columns, rows, 10.0 * step)


def test_the_classification_itself(grid: PixelGrid, write_scl: Write) -> None:
    """On a small grid the samples are the file's own pixels, of which only a part is the grid's."""
    scl = classes((40, 50))
    look = one_look(write_scl("a", scl, west=grid.west - 100, north=grid.north + 60), grid=grid)
    np.testing.assert_array_equal(look.covered, scl[3:27, 5:35] > 0)
    np.testing.assert_array_equal(look.clear, np.isin(scl[3:27, 5:35], CLEAR))


def test_overviews_are_not_read(write_scl: Write) -> None:
    """Every other pixel of a checkerboard is cloud: an average of the classes 4 and 10 would be 7."""
    y, x = np.indices((600, 600))
    scl = np.where((x + y) % 2, 4, 10)
    granule = write_scl("a", scl, west=WIDE.west, north=WIDE.north)
    with rasterio.open(granule.assets[SCL]) as file:
        assert file.overviews(1)
        assert set(np.unique(file.read(1, out_shape=(150, 150)))) - {4, 10}
    look = one_look(granule, grid=WIDE)
    rows, columns = (np.arange(20) * 30 + 15) // 20, (np.arange(400) * 30 + 15) // 20
    np.testing.assert_array_equal(look.clear, scl[np.ix_(rows, columns)] == 4)
    assert look.covered.all()


def test_a_file_that_covers_a_part(write_scl: Write) -> None:
    scl = classes((20, 100), seed=3)
    look = one_look(write_scl("a", scl, west=WIDE.west + 600, north=WIDE.north - 100), grid=WIDE)
    expected = np.zeros((20, 400), np.uint8)
    for row in range(20):
        for column in range(400):
            down, along = (row * 30 + 15 - 100) // 20, (column * 30 + 15 - 600) // 20
            if 0 <= down < 20 and 0 <= along < 100:
                expected[row, column] = scl[down, along]
    np.testing.assert_array_equal(look.covered, expected > 0)
    np.testing.assert_array_equal(look.clear, np.isin(expected, CLEAR))


def test_a_granule_of_the_neighbouring_zone(write_scl: Write) -> None:
    coarse = coarse_grid(WIDE)
    easts = coarse.west + (np.arange(coarse.width) + 0.5) * coarse.resolution
    norths = coarse.north - (np.arange(coarse.height) + 0.5) * coarse.resolution
    x, y = pyproj.Transformer.from_crs(32631, 32632, always_xy=True).transform(*np.meshgrid(easts, norths))
    west, north = float(np.min(x)) // 60 * 60 - 600, float(np.max(y)) // 60 * 60 + 600
    scl = classes((200, 700), seed=5)
    granule = write_scl("a", scl, west=west, north=north, epsg=32632)
    look = one_look(granule, grid=WIDE)
    nearest = scl[((north - np.asarray(y)) / 20).astype(int), ((np.asarray(x) - west) / 20).astype(int)]
    np.testing.assert_array_equal(look.covered, nearest > 0)
    np.testing.assert_array_equal(look.clear, np.isin(nearest, CLEAR))


def test_granules_are_mosaicked_in_their_order(grid: PixelGrid, write_scl: Write) -> None:
    first, second = classes((24, 30), seed=1), classes((24, 30), seed=2)
    first[:, 12:18] = 0
    place = {"west": grid.west, "north": grid.north}
    look = one_look(write_scl("a", first, **place), write_scl("b", second, **place), grid=grid)
    mosaic = np.where(first > 0, first, second)
    np.testing.assert_array_equal(look.covered, mosaic > 0)
    np.testing.assert_array_equal(look.clear, np.isin(mosaic, CLEAR))


def test_clouds_grow_as_they_will(grid: PixelGrid, write_scl: Write) -> None:
    scl = np.full((24, 30), 4)
    scl[10, 12] = 8
    look = one_look(write_scl("a", scl, west=grid.west, north=grid.north), grid=grid, cloud_dilation=6)
    y, x = np.indices(scl.shape)
    np.testing.assert_array_equal(look.clear, (y - 10) ** 2 + (x - 12) ** 2 > 9)
    assert look.covered.all()


def test_large_grids_are_read_in_strips(write_scl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    granule = write_scl("a", classes((200, 700), seed=6), west=WIDE.west - 200, north=WIDE.north + 200)
    whole = one_look(granule, grid=WIDE)
    for pixels in (1, 1200 * 10, 1200 * 21):
        monkeypatch.setattr(looks, "READ_AT_ONCE", pixels)
        look = one_look(granule, grid=WIDE)
        np.testing.assert_array_equal(look.clear, whole.clear)
        np.testing.assert_array_equal(look.covered, whole.covered)


def test_without_classification_the_footprint_counts(grid: PixelGrid, make_granule: MakeGranule) -> None:
    """A triangle over half of the grid, clear as far as anybody knows."""
    bare = {name: href for name, href in make_granule().assets.items() if name != SCL}
    west, south, east, north = grid.bounds
    corners = np.array([[west, south], [east, south], [west, north]])
    lon, lat = pyproj.Transformer.from_crs(32631, 4326, always_xy=True).transform(*corners.T)
    triangle = shapely.Polygon(np.column_stack([lon, lat]))
    look = one_look(make_granule(assets=bare, footprint=mapping(triangle)), grid=grid)
    np.testing.assert_array_equal(look.clear, look.covered)
    y, x = np.indices(look.covered.shape)
    across = (x + 0.5) / 30 - (y + 0.5) / 24
    assert look.covered[across < -0.05].all()
    assert not look.covered[across > 0.05].any()


def test_what_cannot_be_read_is_named(grid: PixelGrid, write_scl: Write) -> None:
    """A scene with one readable granule has a look; one without has none, and no path is told."""
    place = {"west": grid.west, "north": grid.north}
    good, bad, worse = (write_scl(name, np.full((24, 30), 4), **place) for name in ("good", "bad", "worse"))
    Path(bad.assets[SCL]).unlink()
    Path(worse.assets[SCL]).write_bytes(b"garbage")
    found, unreadable = look_at([scene_of(bad, good, name="half"), scene_of(worse, name="none")], grid)
    assert list(found) == ["half"]
    assert found["half"].clear.all()
    assert unreadable["bad"] == "SCL: bad.tif is not there"
    assert unreadable["worse"].startswith("SCL: worse.tif ")
    assert list(unreadable) == ["bad", "worse"]


def test_a_granule_that_cannot_be_used_is_not_opened(grid: PixelGrid, make_granule: MakeGranule) -> None:
    found, unreadable = look_at([scene_of(make_granule(id="a"))], grid, radiometry=Radiometry.OFFSET_PRESENT)
    assert found == {}
    assert "processing baseline" in unreadable["a"]


def test_a_granule_far_from_the_grid_shows_nothing(grid: PixelGrid, make_granule: MakeGranule) -> None:
    look = one_look(make_granule(bounds=(3.0, 50.0, 5.7, 51.0)), grid=grid)
    assert not look.covered.any()
    assert not look.clear.any()


def test_trouble_of_the_network_is_no_look(grid: PixelGrid, write_scl: Write, file_server: Any) -> None:
    """The choice must not depend on the weather of the network."""
    granule = write_scl("a", np.full((24, 30), 4), west=grid.west, north=grid.north)
    file_server.faults["a.tif"] = (503, 0, 99)
    remote = write_scl("b", np.full((24, 30), 4), west=grid.west, north=grid.north)
    over_http = Scene(
        id="b",
        sensor=remote.sensor,
        sensed=remote.sensed,
        granules=(Granule(**{**vars(remote), "assets": {SCL: f"{file_server.url}/a.tif"}}),),
    )
    with pytest.raises(TransientError, match=r"a\.tif"):
        look_at([scene_of(granule), over_http], grid)


def test_no_scene(grid: PixelGrid) -> None:
    assert look_at([], grid) == ({}, {})

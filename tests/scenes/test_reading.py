from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from numpy.typing import NDArray

from betaearth.errors import ConfigError, TransientError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.granule_bands import by_file_name
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import BANDS, SCL, Granule, Scene, SceneArrays, Sensor
from betaearth.scenes.options import Radiometry, SceneOptions
from betaearth.scenes.profile import PLANETARY_COMPUTER_SPELLING as SPELLING
from betaearth.scenes.profile import AbsentDem, OffsetRule, SourceProfile
from betaearth.scenes.reading import HELD, read_scene, read_scenes

WriteCog = Callable[..., str]
MakeGranule = Callable[..., Granule]
Noise = Callable[..., NDArray[Any]]
Write = Callable[..., Granule]
BY_TEN = [name for name in BANDS[Sensor.S2_L2A] if name in {"B02", "B03", "B04", "B08"}]


@pytest.fixture
def write_s2(write_cog: WriteCog, make_granule: MakeGranule, grid: PixelGrid) -> Write:
    """A Sentinel-2 granule over the grid: (id, what every band holds, SCL), all (y, x) at 10 m on its lattice."""

    def write(name: str, values: NDArray[Any], scl: NDArray[Any] | None = None, **fields: Any) -> Granule:
        place: dict[str, Any] = {"west": grid.west, "north": grid.north}
        assets = {band: write_cog(f"{name}/{band}.tif", values, **place) for band in BANDS[Sensor.S2_L2A]}
        if scl is not None:
            assets[SCL] = write_cog(f"{name}/SCL.tif", scl.astype(np.uint8), **place)
        return make_granule(**({"id": name, "assets": assets} | fields))

    return write


@pytest.fixture
def write_s1(write_cog: WriteCog, make_granule: MakeGranule, grid: PixelGrid) -> Write:
    """A Sentinel-1 granule on the grid's lattice: (id, VV, VH)."""

    def write(name: str, vv: NDArray[Any], vh: NDArray[Any]) -> Granule:
        place: dict[str, Any] = {"west": grid.west, "north": grid.north, "nodata": -32768.0}
        assets = {
            band: write_cog(f"{name}/{band}.tif", values.astype(np.float32), **place)
            for band, values in (("VV", vv), ("VH", vh))
        }
        return make_granule(Sensor.S1, id=name, assets=assets)

    return write


NATIVE = SceneOptions()


def read_one(
    scene: Scene, grid: PixelGrid, *, profile: SourceProfile = SPELLING, options: SceneOptions = NATIVE
) -> SceneArrays:
    return read_scene(scene, grid, files=Files(), profile=profile, options=options, workers=8)


def read_all(scenes: Iterable[Scene], grid: PixelGrid, *, workers: int = 8) -> Iterator[SceneArrays]:
    return read_scenes(scenes, grid, files=Files(), profile=SPELLING, options=NATIVE, workers=workers)


def scene_of(*granules: Granule, name: str = "scene") -> Scene:
    return Scene(id=name, sensor=granules[0].sensor, sensed=granules[0].sensed, granules=granules)


def full(grid: PixelGrid, value: float, dtype: str = "uint16") -> NDArray[Any]:
    return np.full(grid.shape, value, dtype)


def test_bands_in_their_order(grid: PixelGrid, write_cog: WriteCog, make_granule: MakeGranule, noise: Noise) -> None:
    """10 m bands as they are, 20 m bands between the values of their file, and the classification repeated."""
    values, assets = {}, {}
    for index, band in enumerate(BANDS[Sensor.S2_L2A]):
        fine = band in BY_TEN
        values[band] = noise((48, 60) if fine else (24, 30), seed=index)
        assets[band] = write_cog(
            f"{band}.tif", values[band], west=grid.west, north=grid.north, resolution=10.0 if fine else 20.0
        )
    scl = np.random.default_rng(9).integers(0, 12, (24, 30)).astype(np.uint8)
    assets[SCL] = write_cog("SCL.tif", scl, west=grid.west, north=grid.north, resolution=20.0)
    arrays = read_one(scene_of(make_granule(assets=assets)), grid)
    usable = np.repeat(np.repeat(np.isin(scl, [2, 4, 5, 6, 7, 11]), 2, 0), 2, 1)
    covered = np.repeat(np.repeat(scl > 0, 2, 0), 2, 1)
    np.testing.assert_array_equal(arrays.valid, usable)
    assert arrays.data.dtype == np.uint16
    for index, band in enumerate(BANDS[Sensor.S2_L2A]):
        if band in BY_TEN:
            np.testing.assert_array_equal(arrays.data[index], np.where(covered, values[band], 0))
        else:
            centre = arrays.data[index, 1:-1, 1:-1][covered[1:-1, 1:-1]]
            assert values[band].min() <= centre.min() < centre.max() <= values[band].max()
    assert arrays.unreadable == {}


def test_clouded_pixels_keep_their_values(grid: PixelGrid, write_s2: Write) -> None:
    """The network looks at the surroundings of a pixel; the mask decides what it may speak of."""
    scl = full(grid, 4)
    scl[:, :20] = 9
    arrays = read_one(scene_of(write_s2("a", full(grid, 700), scl)), grid)
    np.testing.assert_array_equal(arrays.valid, scl == 4)
    assert set(np.unique(arrays.data)) == {700}


def test_without_classification_data_is_what_counts(grid: PixelGrid, write_s2: Write) -> None:
    values = full(grid, 700)
    values[:, :20] = 0
    arrays = read_one(scene_of(write_s2("a", values)), grid)
    np.testing.assert_array_equal(arrays.valid, values > 0)


def test_a_pixel_needs_every_band(grid: PixelGrid, write_s2: Write, write_cog: WriteCog) -> None:
    granule = write_s2("a", full(grid, 700))
    holed = full(grid, 700)
    holed[5:9, 5:9] = 0
    write_cog("a/B11.tif", holed, west=grid.west, north=grid.north)
    arrays = read_one(scene_of(granule), grid)
    np.testing.assert_array_equal(arrays.valid, holed > 0)
    np.testing.assert_array_equal(arrays.data, np.broadcast_to(holed, arrays.data.shape))


def test_granules_are_mosaicked_in_their_order(grid: PixelGrid, write_s2: Write) -> None:
    """A later one fills only what is open, in all its bands and with its own classification."""
    left, right = full(grid, 100), full(grid, 200)
    left[:, 40:] = 0
    right[:, :20] = 0
    cloud = full(grid, 4)
    cloud[:, 30:50] = 9
    first, second = write_s2("first", left, full(grid, 4)), write_s2("second", right, cloud)
    arrays = read_one(scene_of(first, second), grid)
    expected = full(grid, 100)
    expected[:, 40:] = 200
    np.testing.assert_array_equal(arrays.data, np.broadcast_to(expected, arrays.data.shape))
    clear = np.ones(grid.shape, np.bool_)
    clear[:, 40:50] = False
    np.testing.assert_array_equal(arrays.valid, clear)
    swapped = read_one(scene_of(second, first), grid)
    assert (swapped.data[0, :, 20:] == 200).all()


def test_half_a_swath(grid: PixelGrid, write_s2: Write) -> None:
    y, x = np.mgrid[: grid.height, : grid.width]
    values = np.where(x * grid.height > y * grid.width, 900, 0).astype(np.uint16)
    arrays = read_one(scene_of(write_s2("a", values, full(grid, 4))), grid)
    np.testing.assert_array_equal(arrays.valid, values > 0)
    assert arrays.valid.mean() == pytest.approx(0.5, abs=0.02)


def test_a_radar_scene_that_covers_nothing_has_no_valid_pixel(grid: PixelGrid, write_s1: Write) -> None:
    empty = full(grid, -32768.0, "float32")
    arrays = read_one(scene_of(write_s1("a", empty, empty)), grid)
    assert not arrays.valid.any()
    assert arrays.data.shape == (2, *grid.shape)
    assert arrays.data.dtype == np.float32


def test_radar_needs_both_polarisations_in_a_pixel(grid: PixelGrid, write_s1: Write) -> None:
    vv, vh = full(grid, 0.3, "float32"), full(grid, 0.05, "float32")
    vv[:10], vh[:, :10] = -32768.0, 0.0
    arrays = read_one(scene_of(write_s1("a", vv, vh)), grid)
    np.testing.assert_array_equal(arrays.valid, (vv > 0) & (vh > 0))
    np.testing.assert_array_equal(arrays.data[1][arrays.valid], np.float32(0.05))


def test_slices_of_radar_join(grid: PixelGrid, write_s1: Write) -> None:
    upper, lower = full(grid, 0.3, "float32"), full(grid, 0.2, "float32")
    upper[24:], lower[:20] = -32768.0, -32768.0
    arrays = read_one(scene_of(write_s1("a", upper, upper), write_s1("b", lower, lower)), grid)
    assert arrays.valid.all()
    np.testing.assert_array_equal(arrays.data[0], np.where(upper > 0, upper, lower))


def test_the_dem_of_two_tiles(grid: PixelGrid, write_cog: WriteCog, make_granule: MakeGranule) -> None:
    west = write_cog("w.tif", full(grid, 5.0, "float32")[:, :30], west=grid.west, north=grid.north)
    east = write_cog("e.tif", full(grid, 0.0, "float32")[:, 30:], west=grid.west + 300, north=grid.north)
    tiles = [make_granule(Sensor.DEM, id=name, assets={"DEM": href}) for name, href in (("w", west), ("e", east))]
    arrays = read_one(scene_of(*tiles), grid)
    assert arrays.data.shape == (1, *grid.shape)
    assert arrays.valid.all()
    assert (arrays.data[0, :, :30] == 5.0).all()
    assert (arrays.data[0, :, 30:] == 0.0).all()


@pytest.mark.parametrize("damage", ["missing", "cut", "garbage"])
@pytest.mark.parametrize("band", ["B02", "B12", "SCL"])
def test_a_granule_that_cannot_be_read_is_left_out_and_named(
    band: str, damage: str, grid: PixelGrid, write_s2: Write
) -> None:
    """The reason names the file, and no folder of this machine: it goes into the manifest."""
    good, bad = write_s2("good", full(grid, 200), full(grid, 4)), write_s2("bad", full(grid, 100), full(grid, 4))
    path = Path(bad.assets[band])
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:300] if damage == "cut" else b"garbage")
    arrays = read_one(scene_of(bad, good), grid)
    assert list(arrays.unreadable) == ["bad"]
    assert arrays.unreadable["bad"].startswith(f"{band}: {band}.tif ")
    assert str(path.parent) not in arrays.unreadable["bad"]
    assert arrays.valid.all()
    assert set(np.unique(arrays.data)) == {200}


def test_a_scene_of_nothing_readable_has_no_valid_pixel(grid: PixelGrid, write_s2: Write) -> None:
    granule = write_s2("a", full(grid, 100))
    for href in granule.assets.values():
        Path(href).unlink()
    arrays = read_one(scene_of(granule), grid)
    assert not arrays.valid.any()
    assert not arrays.data.any()
    assert list(arrays.unreadable) == ["a"]


def test_a_granule_that_lacks_a_band(grid: PixelGrid, write_s1: Write, make_granule: MakeGranule) -> None:
    single = make_granule(Sensor.S1, id="single", assets={"VV": "/nowhere/vv.tif"})
    both = write_s1("both", full(grid, 0.3, "float32"), full(grid, 0.1, "float32"))
    arrays = read_one(scene_of(single, both), grid)
    assert arrays.unreadable == {"single": "there is no asset for VH"}
    assert arrays.valid.all()


def test_a_missing_dem_tile_is_named(grid: PixelGrid, make_granule: MakeGranule) -> None:
    tile = make_granule(Sensor.DEM, id="tile", assets={"DEM": "/nowhere/tile.tif"})
    arrays = read_one(scene_of(tile), grid)
    assert arrays.unreadable == {"tile": "DEM: tile.tif is not there"}
    assert not arrays.valid.any()


def over_http(granule: Granule, server: Any) -> Granule:
    """The same granule, read from the file server."""
    assets = {band: f"{server.url}/{Path(href).relative_to(server.root)}" for band, href in granule.assets.items()}
    return Granule(
        id=granule.id,
        collection="http",
        sensor=granule.sensor,
        sensed=granule.sensed,
        bounds=granule.bounds,
        assets=assets,
    )


@pytest.mark.parametrize(("status", "expected"), [(503, TransientError), (403, ConfigError)])
def test_trouble_of_the_network_fails_the_scene(
    status: int, expected: type[Exception], grid: PixelGrid, write_s2: Write, file_server: Any
) -> None:
    """A product must not be thinner because the network was."""
    granule = over_http(write_s2(f"s{status}", full(grid, 100), full(grid, 4)), file_server)
    file_server.faults[f"s{status}/B08.tif"] = (status, 0, 99)
    with pytest.raises(expected, match=r"B08\.tif"):
        read_one(scene_of(granule), grid)


def test_a_file_that_is_not_on_the_server_drops_its_granule(grid: PixelGrid, write_s2: Write, file_server: Any) -> None:
    good = over_http(write_s2("good", full(grid, 100), full(grid, 4)), file_server)
    bad = over_http(write_s2("bad", full(grid, 200), full(grid, 4)), file_server)
    (file_server.root / "bad" / "B05.tif").unlink()
    arrays = read_one(scene_of(bad, good), grid)
    assert arrays.unreadable == {"bad": "B05: B05.tif is not there (404)"}
    assert set(np.unique(arrays.data)) == {100}


def series(write: Write, grid: PixelGrid, count: int) -> list[Scene]:
    start = datetime(2021, 1, 1, tzinfo=UTC)
    return [
        scene_of(
            write(f"g{index}", full(grid, 100 + index), full(grid, 4), sensed=start + index * timedelta(days=5)),
            name=f"scene {index}",
        )
        for index in range(count)
    ]


def test_scenes_come_in_the_order_asked_for(grid: PixelGrid, write_s2: Write) -> None:
    scenes = series(write_s2, grid, 7)[::-1]
    found = list(read_all(scenes, grid, workers=5))
    assert [arrays.scene for arrays in found] == scenes
    assert [int(arrays.data[0, 0, 0]) for arrays in found] == list(range(106, 99, -1))


@pytest.mark.parametrize("workers", [1, 4])
def test_as_many_files_are_read_at_once_as_there_are_workers(
    workers: int, grid: PixelGrid, write_s2: Write, file_server: Any
) -> None:
    file_server.delay_s = 0.03
    scenes = [scene_of(over_http(scene.granules[0], file_server), name=scene.id) for scene in series(write_s2, grid, 2)]
    assert len(list(read_all(scenes, grid, workers=workers))) == 2
    assert workers // 2 < file_server.busiest <= workers


def test_no_more_than_three_scenes_are_begun_ahead(grid: PixelGrid, write_s2: Write) -> None:
    begun: list[str] = []

    def watched() -> Iterator[Scene]:
        for scene in series(write_s2, grid, 6):
            begun.append(scene.id)
            yield scene

    for index, _ in enumerate(read_all(watched(), grid)):
        assert len(begun) == min(index + HELD, 6)
    assert HELD == 3


def test_whoever_leaves_early_leaves_no_thread_behind(grid: PixelGrid, write_s2: Write) -> None:
    reading = read_all(itertools.chain(series(write_s2, grid, 5)), grid)
    next(reading)
    assert any(thread.name.startswith("betaearth-read") for thread in threading.enumerate())
    reading.close()  # type: ignore[attr-defined]  # a generator, declared as what it is used as
    assert not any(thread.name.startswith("betaearth-read") for thread in threading.enumerate())


def test_an_error_leaves_no_thread_behind(grid: PixelGrid, write_s2: Write, file_server: Any) -> None:
    file_server.faults["g1/B02.tif"] = (503, 0, 99)
    scenes = [scene_of(over_http(scene.granules[0], file_server), name=scene.id) for scene in series(write_s2, grid, 4)]
    found: list[SceneArrays] = []
    with pytest.raises(TransientError):
        found.extend(read_all(scenes, grid))
    assert not any(thread.name.startswith("betaearth-read") for thread in threading.enumerate())


def test_no_scene(grid: PixelGrid) -> None:
    assert list(read_all([], grid)) == []


def test_an_item_collection_and_its_cogs_on_s3(
    s3: Any, grid: PixelGrid, write_s2: Write, make_item: Callable[..., dict[str, Any]], noise: Noise
) -> None:
    values = noise(grid.shape)
    granule = write_s2("a", values, full(grid, 4))
    for band, href in granule.assets.items():
        s3.put(f"year/a/{band}.tif", Path(href).read_bytes())
    item = make_item(grid, assets={band: {"href": f"./a/{band}.tif"} for band in granule.assets})
    uri = s3.put("year/items.json", json.dumps({"type": "FeatureCollection", "features": [item]}).encode())
    found = ItemCollectionSource(uri).search(grid, 2021, frozenset({Sensor.S2_L2A}))
    (scene,) = to_scenes(found, grid.epsg).scenes
    arrays = read_one(scene, grid)
    np.testing.assert_array_equal(arrays.data, np.broadcast_to(values, arrays.data.shape))
    assert arrays.valid.all()
    assert arrays.unreadable == {}


def test_real_chips(sample_data: Path) -> None:
    """Every sensor lies on one grid, so every band is the file itself."""
    source = ItemCollectionSource(str(sample_data / "chips" / "items.json"))
    found = 0
    for cell, year in (("38D_378R", 2023), ("637U_59R", 2017)):
        (path,) = (sample_data / "chips" / "sentinel-2-l2a").glob(f"*{cell}*/B02.tif")
        with rasterio.open(path) as file:
            grid = PixelGrid(file.crs.to_epsg(), file.transform.c, file.transform.f, file.width, file.height)
        grouping = to_scenes(source.search(grid, year, frozenset(Sensor)), grid.epsg)
        assert {scene.sensor for scene in grouping.scenes} == set(Sensor)
        for scene in grouping.scenes:
            arrays = read_one(scene, grid)
            for index, band in enumerate(BANDS[scene.sensor]):
                with rasterio.open(scene.granules[0].assets[band]) as file:
                    np.testing.assert_array_equal(arrays.data[index], file.read(1))
            assert arrays.valid.mean() > 0.99
            found += 1
    assert found == 8


def test_a_real_year_of_one_site(sample_data: Path) -> None:
    """91 + 109 scenes against numpy's own repeating and comparing of the files' pixels."""
    source = ItemCollectionSource(str(sample_data / "flanders_2018" / "items.json"))
    grid = PixelGrid(32631, 501360.0, 5629680.0, 64, 64)
    scenes = to_scenes(source.search(grid, 2018, frozenset(Sensor)), grid.epsg).scenes
    counts = Counter(scene.sensor for scene in scenes)
    assert counts == {Sensor.S2_L2A: 91, Sensor.S1: 109, Sensor.DEM: 1}
    shares = []
    for arrays in read_all(scenes, grid):
        expected = np.ones(grid.shape, np.bool_)
        for band, href in arrays.scene.granules[0].assets.items():
            with rasterio.open(href) as file:
                values = file.read(1)
            times = 64 // values.shape[0]
            values = np.repeat(np.repeat(values, times, 0), times, 1)
            if band == SCL:
                expected &= np.isin(values, [2, 4, 5, 6, 7, 11])
            elif arrays.scene.sensor is not Sensor.DEM:
                expected &= values > 0
        np.testing.assert_array_equal(arrays.valid, expected)
        shares.append(arrays.valid.mean())
    assert 0.0 == min(shares) < max(shares) == 1.0


def places(grid: PixelGrid, epsg: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(eastings, northings) of the grid's pixel centres in a zone."""
    easts = grid.west + (np.arange(grid.width) + 0.5) * grid.resolution
    norths = grid.north - (np.arange(grid.height) + 0.5) * grid.resolution
    x, y = pyproj.Transformer.from_crs(grid.epsg, epsg, always_xy=True).transform(*np.meshgrid(easts, norths))
    return np.asarray(x), np.asarray(y)


@pytest.fixture
def write_tile(write_cog: WriteCog, make_granule: MakeGranule) -> Write:
    """A Sentinel-2 granule anywhere: (id, band to values, SCL, where: west, north, epsg), resolution by array size."""

    def write(name: str, bands: Mapping[str, NDArray[Any]], scl: NDArray[Any] | None, **where: Any) -> Granule:
        fields = where.pop("fields", {})
        whole = max(values.shape[1] for values in bands.values())
        arrays = {**bands, **({} if scl is None else {SCL: scl.astype(np.uint8)})}
        assets = {
            band: write_cog(f"{name}/{band}.tif", values, resolution=10.0 * whole / values.shape[1], **where)
            for band, values in arrays.items()
        }
        return make_granule(**({"id": name, "assets": assets} | fields))

    return write


def noisy(noise: Noise, shape: tuple[int, int], seed: int) -> dict[str, NDArray[Any]]:
    return {band: noise(shape, seed=seed + index) for index, band in enumerate(BANDS[Sensor.S2_L2A])}


def test_two_tiles_of_a_zone_of_which_none_holds_the_cell(grid: PixelGrid, write_tile: Write, noise: Noise) -> None:
    """Both reach beyond the grid; where they overlap the first one counts. Every pixel is a pixel of a file."""
    left, right = noisy(noise, (60, 80), 0), noisy(noise, (72, 60), 50)
    scl = {"left": np.full((30, 40), 4), "right": np.full((36, 30), 4)}
    scl["left"][10:14, 32:] = 9
    first = write_tile("left", left, scl["left"], west=grid.west - 400, north=grid.north + 60)
    second = write_tile("right", right, scl["right"], west=grid.west + 300, north=grid.north + 120)
    arrays = read_one(scene_of(first, second), grid)
    for index, band in enumerate(BANDS[Sensor.S2_L2A]):
        expected = np.concatenate([left[band][6:54, 40:80], right[band][12:60, 10:30]], axis=1)
        np.testing.assert_array_equal(arrays.data[index], expected)
    clear = np.ones(grid.shape, np.bool_)
    clear[14:22, 24:40] = False
    np.testing.assert_array_equal(arrays.valid, clear)
    assert arrays.covered is not None
    assert arrays.covered.all()


def test_a_granule_of_the_neighbouring_zone(grid: PixelGrid, write_tile: Write) -> None:
    """A plane survives interpolation, and the classes are those of the nearest pixels, cloud rims and all."""
    x, y = places(grid, 32632)
    west, north = np.floor(x.min() / 60) * 60 - 300, np.ceil(y.max() / 60) * 60 + 300

    def plane(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = 3000.0 + 2.0 * (x - west) - 1.5 * (north - y)
        return values

    fine_x, fine_y = np.meshgrid(west + np.arange(140) * 10 + 5, north - np.arange(130) * 10 - 5)
    coarse_x, coarse_y = np.meshgrid(west + np.arange(70) * 20 + 10, north - np.arange(65) * 20 - 10)
    bands = {
        band: np.round(plane(fine_x, fine_y) if band in BY_TEN else plane(coarse_x, coarse_y)).astype(np.uint16)
        for band in BANDS[Sensor.S2_L2A]
    }
    scl = np.random.default_rng(4).choice([4, 6, 8, 9, 11], (65, 70))
    granule = write_tile("a", bands, scl, west=west, north=north, epsg=32632)
    arrays = read_one(scene_of(granule), grid)
    nearest = scl[((north - y) / 20).astype(int), ((x - west) / 20).astype(int)]
    np.testing.assert_array_equal(arrays.valid, np.isin(nearest, [4, 6, 11]))
    for values in arrays.data:
        np.testing.assert_allclose(values, plane(x, y), rtol=0, atol=1.01)


@pytest.mark.parametrize(
    ("sensor", "radiometry", "rule", "left", "right"),
    [
        (Sensor.S2_L2A, Radiometry.NATIVE, OffsetRule.BASELINE, 0, 0),
        (Sensor.S2_L2A, Radiometry.OFFSET_PRESENT, OffsetRule.BASELINE, 1000, 0),
        (Sensor.S2_L2A, Radiometry.OFFSET_REMOVED, OffsetRule.BASELINE, 0, -1000),
        (Sensor.S2_L1C, Radiometry.OFFSET_REMOVED, OffsetRule.BASELINE, 0, -1000),
        (Sensor.S2_L1C, Radiometry.OFFSET_PRESENT, OffsetRule.REMOVED, 1000, 1000),
        (Sensor.S2_L2A, Radiometry.OFFSET_REMOVED, OffsetRule.REMOVED, 0, 0),
    ],
)
def test_every_granule_has_its_own_offset(
    sensor: Sensor,
    radiometry: Radiometry,
    rule: OffsetRule,
    left: int,
    right: int,
    grid: PixelGrid,
    write_s2: Write,
) -> None:
    """Half of the scene is of baseline 03.00, half of 05.10, and a corner has no data."""
    old, new = full(grid, 1500), full(grid, 2500)
    old[:, 30:], new[:, :30] = 0, 0
    new[:5, 50:] = 0
    granules = [
        replace(write_s2("old", old, full(grid, 4), baseline="03.00"), sensor=sensor),
        replace(write_s2("new", new, full(grid, 4), baseline="05.10"), sensor=sensor),
    ]
    profile = SPELLING.model_copy(update={"offsets": rule})
    arrays = read_one(scene_of(*granules), grid, profile=profile, options=SceneOptions(radiometry=radiometry))
    expected = np.where(old > 0, 1500 + left, np.where(new > 0, 2500 + right, 0))
    np.testing.assert_array_equal(arrays.data, np.broadcast_to(expected, arrays.data.shape))
    assert arrays.offsets == {"old": left, "new": right}
    np.testing.assert_array_equal(arrays.valid, expected > 0)


def test_a_granule_whose_baseline_must_be_known(grid: PixelGrid, write_s2: Write) -> None:
    known, unknown = write_s2("known", full(grid, 5), full(grid, 4), baseline="05.10"), write_s2("new", full(grid, 9))
    arrays = read_one(scene_of(unknown, known), grid, options=SceneOptions(radiometry=Radiometry.OFFSET_REMOVED))
    assert list(arrays.unreadable) == ["new"]
    assert "processing baseline is None" in arrays.unreadable["new"]
    assert arrays.offsets == {"known": -1000}
    assert set(np.unique(arrays.data)) == {1}
    assert read_one(scene_of(unknown), grid).offsets == {"new": 0}


def test_radar_has_no_offset(grid: PixelGrid, write_s1: Write) -> None:
    radar = write_s1("a", full(grid, 0.3, "float32"), full(grid, 0.1, "float32"))
    arrays = read_one(scene_of(radar), grid, options=SceneOptions(radiometry=Radiometry.OFFSET_PRESENT))
    assert arrays.offsets == {}
    assert arrays.valid.all()
    np.testing.assert_array_equal(arrays.covered, arrays.valid)


def test_clouds_grow(grid: PixelGrid, write_s2: Write) -> None:
    """By a disc of 10 m pixels, from beside the grid too; the data below stay, and are covered."""
    scl = full(grid, 4)
    scl[20, 30], scl[0, 0], scl[40, 50] = 9, 11, 1
    granule = write_s2("a", full(grid, 700), scl)
    y, x = np.indices(grid.shape)
    clear = ((y - 20) ** 2 + (x - 30) ** 2 > 49) & (scl != 1)
    options = SceneOptions(cloud_dilation=7)
    arrays = read_one(scene_of(granule), grid, options=options)
    np.testing.assert_array_equal(arrays.valid, clear)
    assert arrays.covered is not None
    assert arrays.covered.all()
    beside = grid.part(slice(0, 48), slice(34, 60))
    np.testing.assert_array_equal(read_one(scene_of(granule), beside, options=options).valid, clear[:, 34:])


def test_a_part_of_a_grid_has_the_same_pixels(grid: PixelGrid, write_tile: Write, noise: Noise) -> None:
    """Of a tile of the same zone and one of the neighbouring zone, with bands of 10 and of 20 m."""
    x, y = places(grid, 32632)
    here, there = noisy(noise, (60, 44), 0), noisy(noise, (140, 160), 20)
    for bands in (here, there):
        bands |= {band: values[::2, ::2].copy() for band, values in bands.items() if band not in BY_TEN}
    scl = np.random.default_rng(1).integers(0, 12, (70, 80))
    scene = scene_of(
        write_tile("here", here, scl[:30, :22], west=grid.west - 60, north=grid.north + 60),
        write_tile(
            "there", there, scl, west=float(x.min() // 60 * 60) - 300, north=float(y.max() // 60 * 60) + 360, epsg=32632
        ),
    )
    options = SceneOptions(cloud_dilation=2)
    whole = read_one(scene, grid, options=options)
    assert 0.1 < whole.valid.mean() < 0.9
    for rows, columns in ((slice(0, 20), slice(0, 60)), (slice(12, 48), slice(30, 50)), (slice(7, 8), slice(39, 42))):
        part = read_one(scene, grid.part(rows, columns), options=options)
        np.testing.assert_array_equal(part.data, whole.data[:, rows, columns])
        np.testing.assert_array_equal(part.valid, whole.valid[rows, columns])


@pytest.mark.parametrize(
    ("band", "pixels", "refused"),
    [("B11", 5, False), ("B11", 7, True), ("B02", 30, True), ("SCL", 30, True), ("SCL", 5, False)],
)
def test_bands_that_do_not_cover_the_same_ground(
    band: str, pixels: int, refused: bool, grid: PixelGrid, write_s2: Write, write_cog: WriteCog
) -> None:
    """Up to a pixel of 60 m files may end elsewhere; beyond, the missing part would pass for no data."""
    good, bad = write_s2("good", full(grid, 200), full(grid, 4)), write_s2("bad", full(grid, 100), full(grid, 4))
    short = full(grid, 4, "uint8" if band == SCL else "uint16")[:, : 60 - pixels]
    write_cog(f"bad/{band}.tif", short, west=grid.west, north=grid.north)
    arrays = read_one(scene_of(bad, good), grid)
    assert arrays.valid.all()
    if refused:
        assert "does not cover the same ground as B02" in arrays.unreadable["bad"]
        assert set(np.unique(arrays.data)) == {200}
    else:
        assert arrays.unreadable == {}


def test_a_band_in_another_place(grid: PixelGrid, write_s2: Write, write_cog: WriteCog) -> None:
    """The file of band B03 does not reach the grid that the others fill."""
    granule = write_s2("a", full(grid, 100), full(grid, 4))
    write_cog("a/B03.tif", full(grid, 100), west=grid.west + 6000, north=grid.north)
    assert read_one(scene_of(granule), grid).unreadable == {"a": "B03 has no data where the other bands have"}


def test_a_blank_band(grid: PixelGrid, write_s2: Write, write_cog: WriteCog) -> None:
    granule = write_s2("a", full(grid, 100), full(grid, 4))
    write_cog("a/B12.tif", full(grid, 0), west=grid.west, north=grid.north)
    assert read_one(scene_of(granule), grid).unreadable == {"a": "B12 has no data where the other bands have"}


def test_the_edge_of_a_swath_is_no_blank_band(grid: PixelGrid, write_s2: Write, write_cog: WriteCog) -> None:
    """Bands end apart from each other: a corner of 25 pixels that B12 does not see is no fault."""
    values = full(grid, 0)
    values[:5, :5] = 100
    granule = write_s2("a", values, full(grid, 4))
    write_cog("a/B12.tif", full(grid, 0), west=grid.west, north=grid.north)
    arrays = read_one(scene_of(granule), grid)
    assert arrays.unreadable == {}
    assert not arrays.valid.any()


def test_a_granule_far_from_the_grid_is_not_opened(grid: PixelGrid, write_s2: Write, make_granule: MakeGranule) -> None:
    """Of a large area each block reads its own granules; the files of this one are nowhere."""
    far = make_granule(id="far", bounds=(3.0, 50.0, 5.7, 51.0))
    arrays = read_one(scene_of(far, write_s2("here", full(grid, 100), full(grid, 4))), grid)
    assert arrays.unreadable == {}
    assert arrays.valid.all()


def test_what_a_profile_calls_no_data(grid: PixelGrid, write_s2: Write) -> None:
    values = full(grid, 700)
    values[:, :20] = 65535
    granule = write_s2("a", values, full(grid, 4))
    assert read_one(scene_of(granule), grid).valid.all()
    profile = SPELLING.model_copy(update={"nodata": {Sensor.S2_L2A: 65535.0}})
    arrays = read_one(scene_of(granule), grid, profile=profile)
    np.testing.assert_array_equal(arrays.valid, values == 700)
    np.testing.assert_array_equal(arrays.data[0], np.where(values == 700, 700, 0))


def test_the_sea_beside_a_dem_tile(grid: PixelGrid, write_cog: WriteCog, make_granule: MakeGranule) -> None:
    """Only where the source's DEM is a worldwide one; an unreadable tile is no sea."""
    href = write_cog("w.tif", full(grid, 5.0, "float32")[:, :30], west=grid.west, north=grid.north)
    tile = make_granule(Sensor.DEM, id="w", assets={"DEM": href})
    lost = make_granule(Sensor.DEM, id="lost", assets={"DEM": "/nowhere/lost.tif"})
    worldwide = SPELLING.model_copy(update={"absent_dem": AbsentDem.SEA})
    unknown, sea = read_one(scene_of(tile), grid), read_one(scene_of(tile), grid, profile=worldwide)
    np.testing.assert_array_equal(unknown.valid, np.indices(grid.shape)[1] < 30)
    assert sea.valid.all()
    np.testing.assert_array_equal(sea.data[0], np.where(unknown.valid, 5.0, 0.0))
    arrays = read_one(scene_of(tile, lost), grid, profile=worldwide)
    np.testing.assert_array_equal(arrays.valid, unknown.valid)
    assert list(arrays.unreadable) == ["lost"]


def test_a_dem_without_tiles(grid: PixelGrid, make_granule: MakeGranule) -> None:
    nothing = replace(scene_of(make_granule(Sensor.DEM)), granules=())
    assert not read_one(nothing, grid).valid.any()
    worldwide = SPELLING.model_copy(update={"absent_dem": AbsentDem.SEA})
    arrays = read_one(nothing, grid, profile=worldwide)
    assert arrays.valid.all()
    assert not arrays.data.any()


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("/data/2021/B02.tif is not there", "/data/2021/B02.tif"),
        ("https://host/c/B02.tif is not there", "https://host/c/B02.tif"),
        ("https://host/c/B02.tif is not there", "https://host/c/B02.tif?sig=secret"),
        ("https://host/c/B02.tif?sig=secret is not there", "https://host/c/B02.tif?sig=secret"),
    ],
)
def test_a_reason_names_the_file_and_nothing_else(text: str, href: str) -> None:
    assert by_file_name(text, href) == "B02.tif is not there"

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from betaearth.errors import ConfigError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes import synthetic_source
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.model import Sensor, Source
from betaearth.scenes.options import SceneOptions
from betaearth.scenes.profile import AbsentDem
from betaearth.scenes.reading import read_scene
from betaearth.scenes.synthetic_source import SyntheticSource, sites
from betaearth.synthetic.lattice import covering
from betaearth.synthetic.source import DEMO_LONLAT, OCEAN_LONLAT

ALL = frozenset(Sensor)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def small_grid(lonlat: tuple[float, float]) -> PixelGrid:
    return pixel_grid(MajorTomGrid(400.0).cell_at(*lonlat))


def test_what_it_says_of_itself(cache: Path) -> None:
    source: Source = SyntheticSource(cache)
    assert source.identity == "synthetic:v1:seed=0"
    assert SyntheticSource(cache, 7).identity == "synthetic:v1:seed=7"
    assert "not imagery" in source.title
    assert source.synthetic
    assert source.profile.absent_dem is AbsentDem.SEA
    assert source.profile.signer is None


def test_a_year_over_a_grid(cache: Path) -> None:
    grid = small_grid(DEMO_LONLAT)
    source = SyntheticSource(cache)
    found = source.search(grid, 2021, ALL)
    assert {granule.sensor for granule in found} == ALL
    assert found == sorted(found, key=lambda granule: (granule.sensed, granule.id))
    hrefs = [href for granule in found for href in granule.assets.values()]
    assert all(Path(href).is_file() for href in hrefs)
    assert all((cache / source.portable(href)).samefile(href) for href in hrefs)
    assert not any(source.portable(href).startswith(("/", "..")) for href in hrefs)


def test_what_was_written_once_is_read_again(cache: Path) -> None:
    grid = small_grid(DEMO_LONLAT)
    first = SyntheticSource(cache).search(grid, 2021, ALL)
    stamps = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    assert SyntheticSource(cache).search(grid, 2021, ALL) == first
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == stamps


def test_seeds_and_years_do_not_share_a_folder(cache: Path) -> None:
    grid = small_grid(DEMO_LONLAT)
    sensor = frozenset({Sensor.S2_L2A})
    folders = {
        Path(granule.assets["B02"]).relative_to(cache).parts[0]
        for seed, year in ((0, 2021), (1, 2021), (0, 2023))
        for granule in SyntheticSource(cache, seed).search(grid, year, sensor)
    }
    assert len(folders) == 3


def test_deep_ocean_has_no_granule(cache: Path) -> None:
    assert SyntheticSource(cache).search(small_grid(OCEAN_LONLAT), 2021, ALL) == []


def test_a_cache_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ConfigError, match="cache is not a folder"):
        SyntheticSource(tmp_path / "cache").search(small_grid(OCEAN_LONLAT), 2021, ALL)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder in which not even root can write")
def test_a_cache_that_cannot_be_written() -> None:
    with pytest.raises(ConfigError, match="/sys"):
        SyntheticSource(Path("/sys")).search(small_grid(OCEAN_LONLAT), 2021, ALL)


def test_its_scenes_can_be_read_with_all_their_flaws(cache: Path) -> None:
    """A split site, a swath edge, the neighbouring zone, a reprocessed twin, an empty and a VV-only radar scene."""
    grid = small_grid(DEMO_LONLAT)
    source = SyntheticSource(cache)
    grouping = to_scenes(source.search(grid, 2021, ALL), grid.epsg)
    assert grouping.rejected
    shares = {}
    for scene in grouping.scenes:
        arrays = read_scene(scene, grid, files=source.files, profile=source.profile, options=SceneOptions(), workers=4)
        shares[scene.id] = float(arrays.valid.mean())
        lacking = [granule for granule in scene.granules if scene.sensor is Sensor.S1 and "VH" not in granule.assets]
        assert list(arrays.unreadable) == [granule.id for granule in lacking]
    assert shares["dem"] == 1.0
    assert max(shares.values()) == 1.0
    assert min(share for name, share in shares.items() if name.startswith("s1")) == 0.0
    zones = {granule.epsg for scene in grouping.scenes for granule in scene.granules}
    assert {grid.epsg} < zones


def area(west: float, south: float, east: float, north: float) -> PixelGrid:
    """A grid in the zone of the demo place."""
    return PixelGrid(32611, west, north, round((east - west) / 10), round((north - south) / 10))


def names(grid: PixelGrid) -> list[str]:
    return [name for name, _ in sites(grid)]


def test_a_large_grid_is_painted_in_tiles_that_every_grid_shares() -> None:
    assert names(area(701_000, 5_380_000, 714_000, 5_394_000)) == ["32611-701000-5394000-1300x1400-10m"]
    wide = names(area(701_000, 5_381_000, 723_000, 5_389_000))
    assert wide == ["32611-11UQP08", "32611-11UQP18", "32611-11UQP28"]
    high = names(area(711_000, 5_371_000, 719_990, 5_390_000))
    assert high == ["32611-11UQP17", "32611-11UQP18"]
    assert len(set(names(area(600_000, 5_300_000, 800_000, 5_500_000)))) == 400


def test_tiles_cover_the_square_that_they_are_named_for() -> None:
    grid = area(701_000, 5_381_000, 723_000, 5_389_000)
    for (_, site), west in zip(sites(grid), (700_000.0, 710_000.0, 720_000.0), strict=True):
        lattice = covering(site.bounds, site.epsg, step=60.0)
        left, bottom, right, top = lattice.box
        assert left < west < west + 10_000.0 < right
        assert bottom < 5_380_000.0
        assert top > 5_390_000.0


def test_an_area_of_several_tiles(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With tiles of 600 m: every pass over each of them, agreeing where they overlap, no id twice."""
    monkeypatch.setattr(synthetic_source, "ONE_SITE_M", 700.0)
    monkeypatch.setattr(synthetic_source, "TILE_M", 600.0)
    grid = area(716_700, 5_387_100, 717_900, 5_387_400)
    source = SyntheticSource(cache)
    found = source.search(grid, 2021, ALL)
    assert len({(granule.collection, granule.id) for granule in found}) == len(found)
    assert found == sorted(found, key=lambda granule: (granule.sensed, granule.id))
    tiles = {granule.mgrs_tile for granule in found if granule.sensor is Sensor.S2_L2A}
    assert len(tiles) == 3
    scenes = to_scenes(found, grid.epsg).scenes
    for sensor in (Sensor.S2_L2A, Sensor.S1, Sensor.DEM):
        assert all(len(scene.granules) % 3 == 0 for scene in scenes if scene.sensor is sensor)
    clear = [scene for scene in scenes if scene.sensor is Sensor.S2_L2A and scene.granules[0].cloud_cover == 0.0]
    for band in ("B04", "SCL"):
        with rasterio.open(clear[0].granules[0].assets[band]) as file:
            west, own = file.read(1), file.transform
        with rasterio.open(clear[0].granules[1].assets[band]) as file:
            east, other = file.read(1), file.transform
        columns, rows = round((other.c - own.c) / own.a), round((own.f - other.f) / own.a)
        assert columns > 0
        mine = west[max(rows, 0) :, columns:]
        theirs = east[max(-rows, 0) :, : mine.shape[1]]
        height = min(len(mine), len(theirs))
        assert height * mine.shape[1] > 100
        assert np.array_equal(mine[:height], theirs[:height])

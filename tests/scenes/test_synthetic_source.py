from __future__ import annotations

import sys
from pathlib import Path

import pytest

from betaearth.errors import ConfigError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.model import Sensor, Source
from betaearth.scenes.reading import read_scene
from betaearth.scenes.synthetic_source import SyntheticSource
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
    grouping = to_scenes(SyntheticSource(cache).search(grid, 2021, ALL), grid.epsg)
    assert grouping.rejected
    shares = {}
    for scene in grouping.scenes:
        arrays = read_scene(scene, grid)
        shares[scene.id] = float(arrays.valid.mean())
        lacking = [granule for granule in scene.granules if scene.sensor is Sensor.S1 and "VH" not in granule.assets]
        assert list(arrays.unreadable) == [granule.id for granule in lacking]
    assert shares["dem"] == 1.0
    assert max(shares.values()) == 1.0
    assert min(share for name, share in shares.items() if name.startswith("s1")) == 0.0
    zones = {granule.epsg for scene in grouping.scenes for granule in scene.granules}
    assert {grid.epsg} < zones

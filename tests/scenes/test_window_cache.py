from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.raster import DEM_PIXELS, S1_PIXELS, S2_PIXELS, SCL_PIXELS, PixelRule, read_layer, read_window
from betaearth.scenes.window_cache import FileWindow, WindowCache
from tests.scenes.conftest import FileServer

WriteCog = Callable[..., str]
Noise = Callable[..., NDArray[Any]]
HREF = "https://host.org/a.tif"


@pytest.fixture
def cache(tmp_path: Path) -> WindowCache:
    return WindowCache(tmp_path / "cache")


@pytest.fixture
def window() -> FileWindow:
    values = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    values[0, 0] = np.nan
    transform = Affine(0.1 + 1e-17, 0.0, 1 / 3, 0.0, -0.1, 2 / 7)
    return FileWindow(values, transform, CRS.from_epsg(32631), float("nan"), (0.1, 0.2, 1 / 3, 0.7))


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_put_is_got(cache: WindowCache, window: FileWindow, grid: PixelGrid, tmp_path: Path) -> None:
    assert cache.get(HREF, grid) is None
    cache.put(HREF, grid, window)
    kept = cache.get(HREF, grid)
    assert kept is not None
    np.testing.assert_array_equal(kept.values, window.values)
    assert kept.values.dtype == np.float32
    assert (kept.transform, kept.crs, kept.extent) == (window.transform, window.crs, window.extent)
    assert kept.nodata is not None
    assert np.isnan(kept.nodata)
    (entry,) = entries(tmp_path / "cache")
    assert entry.suffix == ".npz"
    assert entry.parent.name == entry.name[:2]


def test_another_file_or_grid_is_another_entry(cache: WindowCache, window: FileWindow, grid: PixelGrid) -> None:
    cache.put(HREF, grid, window)
    assert cache.get("https://host.org/b.tif", grid) is None
    assert cache.get(f"{HREF}?version=2", grid) is None
    assert cache.get(f"{HREF}?key=b.tif", grid) is None, "as a file server may name files"
    assert cache.get(HREF, grid.grown(6)) is None
    assert cache.get(HREF, PixelGrid(32632, grid.west, grid.north, grid.width, grid.height)) is None


def test_a_signature_makes_no_difference_and_is_not_kept(
    cache: WindowCache, window: FileWindow, grid: PixelGrid, tmp_path: Path
) -> None:
    href = "https://imagery.blob.core.windows.net/container/a.tif"
    cache.put(f"{href}?sig=hushhush&se=2", grid, window)
    assert cache.get(href, grid) is not None
    assert cache.get(f"{href}?sig=hushagain&se=3", grid) is not None
    assert b"hush" not in entries(tmp_path / "cache")[0].read_bytes()


def test_files_of_this_machine_are_not_kept(
    cache: WindowCache, window: FileWindow, grid: PixelGrid, tmp_path: Path
) -> None:
    for href in ("/data/a.tif", "file:///data/a.tif", "data/a.tif"):
        cache.put(href, grid, window)
        assert cache.get(href, grid) is None
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda data: data[:-30], lambda data: data[:40] + data[44:], lambda _: b"x" * 90]
)
def test_a_damaged_entry_is_as_none(
    damage: Callable[[bytes], bytes],
    cache: WindowCache,
    window: FileWindow,
    grid: PixelGrid,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache.put(HREF, grid, window)
    (entry,) = entries(tmp_path / "cache")
    entry.write_bytes(damage(entry.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert cache.get(f"{HREF}?sig=hushhush", grid) is None
    assert "damaged" in caplog.text
    assert "hush" not in caplog.text
    cache.put(HREF, grid, window)
    assert cache.get(HREF, grid) is not None


def test_an_entry_that_could_run_code_is_refused(
    cache: WindowCache, window: FileWindow, grid: PixelGrid, tmp_path: Path
) -> None:
    cache.put(HREF, grid, window)
    (entry,) = entries(tmp_path / "cache")
    np.savez(entry, values=np.array([{}], dtype=object), notes=np.array("{}"))
    assert cache.get(HREF, grid) is None


def test_a_disk_that_cannot_be_written(
    window: FileWindow, grid: PixelGrid, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    cache = WindowCache(tmp_path / "cache")
    cache.put(HREF, grid, window)
    assert cache.get(HREF, grid) is None
    assert "could not be kept" in caplog.text


def test_many_writers_leave_one_whole_entry(
    cache: WindowCache, window: FileWindow, grid: PixelGrid, tmp_path: Path
) -> None:
    threads = [threading.Thread(target=cache.put, args=(HREF, grid, window)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries(tmp_path / "cache")) == 1
    assert cache.get(HREF, grid) is not None


@pytest.mark.parametrize(
    ("rule", "dtype", "resolution", "epsg", "nodata"),
    [
        (S2_PIXELS, "uint16", 10.0, 32631, 0.0),
        (S2_PIXELS, "uint16", 20.0, 32631, None),
        (SCL_PIXELS, "uint8", 20.0, 32631, 0.0),
        (S1_PIXELS, "float32", 10.0, 32632, -32768.0),
        (DEM_PIXELS, "float32", 30.0, 32631, float("nan")),
    ],
)
def test_a_second_time_needs_no_network(
    rule: PixelRule,
    dtype: str,
    resolution: float,
    epsg: int,
    nodata: float | None,
    grid: PixelGrid,
    write_cog: WriteCog,
    noise: Noise,
    file_server: FileServer,
    tmp_path: Path,
) -> None:
    west, north = (grid.west, grid.north) if epsg == grid.epsg else (274_600.0, 5_601_100.0)
    values = noise((90, 90)) % 12 if dtype == "uint8" else noise((90, 90), dtype)
    write_cog(
        "a.tif", values.astype(dtype), west=west - 40, north=north + 40, resolution=resolution, epsg=epsg, nodata=nodata
    )
    href = f"{file_server.url}/a.tif"
    plain = read_layer(href, grid, rule, Files())
    files = Files(cache=tmp_path / "cache")
    first = read_layer(href, grid, rule, files)
    asked = files.traffic.requests
    again = Files(cache=tmp_path / "cache")
    second = read_layer(href, grid, rule, again)
    assert plain.valid.any()
    assert (asked > 0, again.traffic.requests) == (True, 0)
    for layer in (first, second):
        np.testing.assert_array_equal(layer.values, plain.values)
        np.testing.assert_array_equal(layer.valid, plain.valid)
    kept = read_window(href, grid, rule, again)
    read = read_window(href, grid, rule, Files())
    assert kept is not None
    assert read is not None
    assert (kept.crs, kept.transform, kept.extent) == (read.crs, read.transform, read.extent)


def test_a_file_that_does_not_reach_the_grid_is_not_asked_again(
    grid: PixelGrid, write_cog: WriteCog, noise: Noise, file_server: FileServer, tmp_path: Path
) -> None:
    write_cog("a.tif", noise((20, 20)), west=grid.west + 9000, north=grid.north)
    for _ in range(2):
        assert read_window(f"{file_server.url}/a.tif", grid, S2_PIXELS, Files(cache=tmp_path / "cache")) is None
    assert file_server.served["a.tif"] == 1


def test_trouble_is_not_kept(
    grid: PixelGrid, write_cog: WriteCog, noise: Noise, file_server: FileServer, tmp_path: Path
) -> None:
    files = Files(cache=tmp_path / "cache")
    with pytest.raises(DataError):
        read_layer(f"{file_server.url}/a.tif", grid, S2_PIXELS, files)
    write_cog("a.tif", noise((60, 60)), west=grid.west, north=grid.north)
    assert read_layer(f"{file_server.url}/a.tif", grid, S2_PIXELS, files).valid.all()

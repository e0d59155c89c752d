"""The seeded scenes of a year as GeoTIFFs, one a band, to be read as a tile-year reads its scenes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from benchmarks.flops import Year
from benchmarks.seeded import days, elevation, optical, radar
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.masks import DEM_NODATA
from betaearth.scenes.model import BANDS, Granule, Scene, SceneArrays, Sensor
from betaearth.scenes.options import DEFAULT_WORKERS, SceneOptions
from betaearth.scenes.profile import PLANETARY_COMPUTER, SourceProfile
from betaearth.scenes.reading import read_scene, read_scenes

EPSG, WEST, NORTH = 32631, 500_000.0, 5_600_000.0
"""Where the seeded place lies, which changes nothing."""
BOUNDS = (3.0, 50.0, 4.0, 51.0)
"""Degrees around it."""


@dataclass(frozen=True)
class Imagery:
    """Files of a year."""

    grid: PixelGrid
    scenes: tuple[Scene, ...]
    """Sentinel-2 first."""
    dem: Scene
    files: Files = field(default_factory=Files)

    def read(self) -> Iterator[SceneArrays]:
        """Read the scenes as a tile-year does."""
        return read_scenes(self.scenes, self.grid, files=self.files, **_AS_THEY_ARE)

    def read_dem(self) -> NDArray[np.float32]:
        """Read the elevation, (1, y, x) metres."""
        dem = read_scene(self.dem, self.grid, files=self.files, **_AS_THEY_ARE)
        return np.where(dem.valid, dem.data, DEM_NODATA).astype(np.float32)


class _Ways(TypedDict):
    profile: SourceProfile
    options: SceneOptions
    workers: int


_AS_THEY_ARE: _Ways = {"profile": PLANETARY_COMPUTER, "options": SceneOptions(), "workers": DEFAULT_WORKERS}


def write_imagery(folder: Path, year: Year) -> Imagery:
    """Write a year's scenes, tiled and compressed as such files are."""
    height, width = year.shape
    grid = PixelGrid(epsg=EPSG, west=WEST, north=NORTH, width=width, height=height)
    scenes = [_scene(folder, grid, Sensor.S2_L2A, day, optical(year.shape, i)) for i, day in enumerate(days(year.s2))]
    scenes += [_scene(folder, grid, Sensor.S1, day, radar(year.shape, i)) for i, day in enumerate(days(year.s1))]
    return Imagery(grid, tuple(scenes), _scene(folder, grid, Sensor.DEM, 1, elevation(year.shape)))


def _scene(folder: Path, grid: PixelGrid, sensor: Sensor, doy: int, data: NDArray[np.generic]) -> Scene:
    name = f"{sensor}-{doy:03}"
    assets = {band: _write(folder / f"{name}-{band}.tif", grid, data[i]) for i, band in enumerate(BANDS[sensor])}
    sensed = datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=doy - 1)
    granule = Granule(id=name, collection=sensor.value, sensor=sensor, sensed=sensed, bounds=BOUNDS, assets=assets)
    return Scene(id=name, sensor=sensor, sensed=sensed, granules=(granule,))


def _write(path: Path, grid: PixelGrid, values: NDArray[np.generic]) -> str:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=grid.height,
        width=grid.width,
        count=1,
        dtype=values.dtype,
        crs=CRS.from_epsg(grid.epsg),
        transform=Affine(*grid.transform),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="deflate",
    ) as file:
        file.write(values, 1)
    return str(path)

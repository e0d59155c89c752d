"""Scenes onto a pixel grid, read ahead by a pool of threads.

Reading over the network is waiting: a scene is some ten files of which each needs a few requests, so many are
read at once, while results come in the order asked for and no more than three scenes are held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import numpy as np

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.elevation import elevation_layer
from betaearth.scenes.masks import scl_usable
from betaearth.scenes.model import BANDS, SCL, Granule, Scene, SceneArrays, Sensor
from betaearth.scenes.raster import (
    DEM_PIXELS,
    S1_PIXELS,
    S2_PIXELS,
    SCL_PIXELS,
    Layer,
    PixelRule,
    RasterWindow,
    read_layer,
    read_window,
)

WORKERS = 8
"""Files read at once."""
HELD = 3
"""Scenes held at once: one in use, the others being read."""
RULES: Mapping[Sensor, PixelRule] = {
    Sensor.S2_L2A: S2_PIXELS,
    Sensor.S2_L1C: S2_PIXELS,
    Sensor.S1: S1_PIXELS,
    Sensor.DEM: DEM_PIXELS,
}

Part = TypeVar("Part")
Finish = Callable[[], SceneArrays]


def read_scene(scene: Scene, grid: PixelGrid, *, workers: int = WORKERS) -> SceneArrays:
    """Read one scene onto a grid; see `read_scenes`."""
    return next(read_scenes([scene], grid, workers=workers))


def read_scenes(scenes: Iterable[Scene], grid: PixelGrid, *, workers: int = WORKERS) -> Iterator[SceneArrays]:
    """Read scenes onto a grid, in the order given.

    A granule that can never be read is left out of its scene, whose `unreadable` says so. Whoever leaves the
    iterator early waits for the requests under way, and no other is started.

    Args:
        scenes: what to read.
        grid: where to.
        workers: files read at once.

    Raises:
        TransientError: the network or a server failed; the result must not depend on that.
        ConfigError: a file may not be read.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="betaearth-read")
    try:
        remaining = iter(scenes)
        pending = deque(_begin(scene, grid, pool) for scene in islice(remaining, HELD))
        while pending:
            yield pending.popleft()()
            pending.extend(_begin(scene, grid, pool) for scene in islice(remaining, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(scene: Scene, grid: PixelGrid, pool: Executor) -> Finish:
    """Start to read a scene; what is returned waits for it."""
    if scene.sensor is Sensor.DEM:
        tiles = [_Bands.begin(granule, grid, pool, read_window) for granule in scene.granules]
        return partial(_finish_dem, scene, grid, tiles)
    granules = [_Bands.begin(granule, grid, pool, read_layer) for granule in scene.granules]
    return partial(_finish, scene, grid, granules)


def _finish(scene: Scene, grid: PixelGrid, parts: Sequence[_Bands[Layer]]) -> SceneArrays:
    """Mosaic a scene: a pixel comes in all bands from the first granule that has data in all of them."""
    rule, names = RULES[scene.sensor], BANDS[scene.sensor]
    data = np.full((len(names), *grid.shape), rule.nodata, rule.dtype)
    covered, valid = np.zeros(grid.shape, np.bool_), np.zeros(grid.shape, np.bool_)
    granules, unreadable = _readable(parts)
    for bands in granules:
        take = np.logical_and.reduce([layer.valid for layer in bands.values()]) & ~covered
        for index, name in enumerate(names):
            data[index][take] = bands[name].values[take]
        valid |= take & scl_usable(bands[SCL].values) if SCL in bands else take
        covered |= take
    return SceneArrays(scene, data, valid, unreadable)


def _finish_dem(scene: Scene, grid: PixelGrid, parts: Sequence[_Bands[RasterWindow | None]]) -> SceneArrays:
    tiles, unreadable = _readable(parts)
    windows = [window for bands in tiles for window in bands.values() if window is not None]
    layer = elevation_layer(windows, grid)
    return SceneArrays(scene, layer.values[np.newaxis], layer.valid, unreadable)


@dataclass(frozen=True)
class _Bands(Generic[Part]):
    """A granule whose bands are being read."""

    granule: Granule
    futures: Mapping[str, Future[Part]]
    """Band name to what is being read; empty where the granule lacks a band and therefore is not read."""

    @classmethod
    def begin(
        cls,
        granule: Granule,
        grid: PixelGrid,
        pool: Executor,
        read: Callable[[str, PixelGrid, PixelRule], Part],
    ) -> _Bands[Part]:
        names = (*BANDS[granule.sensor], *([SCL] if SCL in granule.assets else []))
        if _missing(granule):
            return cls(granule, {})
        rules = {name: SCL_PIXELS if name == SCL else RULES[granule.sensor] for name in names}
        return cls(
            granule,
            {name: pool.submit(read, granule.assets[name], grid, rule) for name, rule in rules.items()},
        )

    def finish(self) -> dict[str, Part]:
        """Wait for all bands.

        Raises:
            DataError: one is missing or cannot be read; the message names it, and no path of this machine.
        """
        if missing := _missing(self.granule):
            raise DataError(f"there is no asset for {', '.join(missing)}")
        try:
            return {name: self._wait(name, future) for name, future in self.futures.items()}
        finally:
            for future in self.futures.values():
                future.cancel()

    def _wait(self, name: str, future: Future[Part]) -> Part:
        try:
            return future.result()
        except DataError as error:
            href = self.granule.assets[name]
            raise DataError(f"{name}: {str(error).replace(href, _file_name(href))}") from error


def _readable(parts: Sequence[_Bands[Part]]) -> tuple[list[dict[str, Part]], dict[str, str]]:
    """Wait for granules: the bands of those that could be read, and why others could not."""
    read: list[dict[str, Part]] = []
    unreadable: dict[str, str] = {}
    for part in parts:
        try:
            read.append(part.finish())
        except DataError as error:
            unreadable[part.granule.id] = str(error)
    return read, unreadable


def _missing(granule: Granule) -> list[str]:
    return [name for name in BANDS[granule.sensor] if name not in granule.assets]


def _file_name(href: str) -> str:
    return PurePosixPath(urlsplit(href).path).name

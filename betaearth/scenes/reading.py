"""Scenes onto a pixel grid, read ahead by a pool of threads.

Reading over the network is waiting: a scene is some ten files of which each needs a few requests, so many are
read at once, while results come in the order asked for. Three scenes are being read or wait to be taken, beside the one
that is in use.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.elevation import elevation_layer, with_sea
from betaearth.scenes.files import Files
from betaearth.scenes.footprints import near, reach
from betaearth.scenes.granule_bands import (
    RULES,
    Band,
    GranuleBands,
    joined_valid,
    read_band,
    read_classification,
    rule_of,
)
from betaearth.scenes.masks import Mask
from betaearth.scenes.model import BANDS, SCL, Granule, Scene, SceneArrays, Sensor
from betaearth.scenes.options import SceneOptions
from betaearth.scenes.profile import AbsentDem, SourceProfile
from betaearth.scenes.radiometry import add_offset, offset_to_add
from betaearth.scenes.raster import RasterWindow, read_window
from betaearth.scenes.withheld import withheld_tiles

HELD = 3
"""Scenes that are being read or wait to be taken."""

Finish = Callable[[], SceneArrays]
Place = tuple[slice, slice]
"""(rows, columns)"""


def read_scene(
    scene: Scene, grid: PixelGrid, *, files: Files, profile: SourceProfile, options: SceneOptions, workers: int
) -> SceneArrays:
    """Read one scene onto a grid; see `read_scenes`."""
    return next(read_scenes([scene], grid, files=files, profile=profile, options=options, workers=workers))


def read_scenes(
    scenes: Iterable[Scene],
    grid: PixelGrid,
    *,
    files: Files,
    profile: SourceProfile,
    options: SceneOptions,
    workers: int,
) -> Iterator[SceneArrays]:
    """Read scenes onto a grid, in the order given.

    A granule that can never be read is left out of its scene, whose `unreadable` says so; one that does not come near
    the grid is not opened. Whoever leaves the iterator early waits for the requests under way, and no other is started.

    Args:
        scenes: what to read. A DEM scene without granules is a DEM without tiles there.
        grid: where to.
        files: opens them.
        profile: the rules of the source's pixels.
        options: what is done to them.
        workers: files read at once.

    Raises:
        TransientError: the network or a server failed; the result must not depend on that.
        ConfigError: a file may not be read.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="betaearth-read")
    desk = _Desk(grid, files, profile, options, pool)
    try:
        remaining = iter(scenes)
        pending = deque(desk.begin(scene) for scene in islice(remaining, HELD))
        while pending:
            yield pending.popleft()()
            pending.extend(desk.begin(scene) for scene in islice(remaining, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Desk:
    """Where scenes are read, and how."""

    grid: PixelGrid
    files: Files
    profile: SourceProfile
    options: SceneOptions
    pool: Executor

    def begin(self, scene: Scene) -> Finish:
        """Start to read a scene; what is returned waits for it."""
        if scene.sensor is Sensor.DEM:
            tiles = [granule for granule in scene.granules if near(granule, self.grid)]
            read = partial(self._read_tile, scene.sensor)
            return partial(self._finish_dem, scene, [GranuleBands.begin(tile, self.pool, read) for tile in tiles])
        places = [(granule, reach(granule, self.grid)) for granule in scene.granules]
        return partial(self._finish, scene, [self._begin(granule, place) for granule, place in places if place])

    def _begin(self, granule: Granule, place: Place) -> _Part:
        """Start to read a granule onto the part of the grid that it may reach, so that it takes no more memory."""
        part = self.grid.part(*place)
        try:
            self._offset(granule)
        except DataError as error:
            return _Part(place, part, GranuleBands(granule, {}, str(error)))
        read = partial(self._read_band, part, granule.sensor)
        return _Part(place, part, GranuleBands.begin(granule, self.pool, read))

    def _read_band(self, part: PixelGrid, sensor: Sensor, name: str, href: str) -> Band | None:
        if name == SCL:
            return read_classification(href, part, self.options.cloud_dilation, self.files)
        return read_band(href, part, rule_of(name, sensor, self.profile), self.files)

    def _read_tile(self, sensor: Sensor, name: str, href: str) -> RasterWindow | None:
        return read_window(href, self.grid, rule_of(name, sensor, self.profile), self.files)

    def _offset(self, granule: Granule) -> int:
        if granule.sensor is Sensor.S1:
            return 0
        return offset_to_add(granule, self.options.radiometry, self.profile.offsets)

    def _finish(self, scene: Scene, parts: Sequence[_Part]) -> SceneArrays:
        mosaic = _Mosaic.empty(scene.sensor, self.grid)
        unreadable: dict[str, str] = {}
        offsets: dict[str, int] = {}
        for part in parts:
            granule = part.bands.granule
            try:
                bands = part.bands.finish()
                take = joined_valid(bands, part.grid, whole=self.grid.width * self.grid.height)
            except DataError as error:
                unreadable[granule.id] = str(error)
                continue
            offset = self._offset(granule)
            there = {name: band for name, band in bands.items() if band is not None}
            mosaic.at(part.place).add(there, take, offset)
            if scene.sensor is not Sensor.S1:
                offsets[granule.id] = offset
        return SceneArrays(scene, mosaic.data, mosaic.valid, unreadable, offsets, mosaic.covered)

    def _finish_dem(self, scene: Scene, parts: Sequence[GranuleBands[RasterWindow | None]]) -> SceneArrays:
        windows: list[RasterWindow] = []
        unread: dict[str, tuple[Granule, str]] = {}
        for part in parts:
            try:
                windows += [window for window in part.finish().values() if window is not None]
            except DataError as error:
                unread[part.granule.id] = (part.granule, str(error))
        layer = elevation_layer(windows, self.grid)
        if self.profile.absent_dem is AbsentDem.SEA:
            unknown = [*withheld_tiles(), *(tile.bounds for tile, _ in unread.values())]
            layer = with_sea(layer, windows, unknown, self.grid)
        reasons = {name: reason for name, (_, reason) in unread.items()}
        return SceneArrays(scene, layer.values[np.newaxis], layer.valid, reasons, covered=layer.valid)


@dataclass(frozen=True)
class _Part:
    """A granule that is being read."""

    place: Place
    """Rows and columns of the scene's grid."""
    grid: PixelGrid
    """That part of it."""
    bands: GranuleBands[Band | None]


@dataclass(frozen=True)
class _Mosaic:
    """A pixel comes in all bands from the first granule that has data in all of them."""

    data: NDArray[np.uint16] | NDArray[np.float32]
    """(band, y, x)"""
    valid: Mask
    """(y, x); True where there is data that no mask rejects."""
    covered: Mask
    """(y, x); True where there is data."""
    names: tuple[str, ...]

    @classmethod
    def empty(cls, sensor: Sensor, grid: PixelGrid) -> _Mosaic:
        names, rule = BANDS[sensor], RULES[sensor]
        data = np.full((len(names), *grid.shape), rule.nodata, rule.dtype)
        return cls(data, np.zeros(grid.shape, np.bool_), np.zeros(grid.shape, np.bool_), names)

    def at(self, place: Place) -> _Mosaic:
        """Return the part at some rows and columns; what is added there is added here."""
        return _Mosaic(self.data[(slice(None), *place)], self.valid[place], self.covered[place], self.names)

    def add(self, bands: dict[str, Band], have: Mask, offset: int) -> None:
        """Fill what is open from a granule that has data in all bands at `have`."""
        take = have & ~self.covered
        if not take.any():
            return
        for index, name in enumerate(self.names):
            values = bands[name].layer.values
            np.copyto(self.data[index], add_offset(values, have, offset) if offset else values, where=take)
        scl = bands.get(SCL)
        self.valid[...] |= take if scl is None or scl.usable is None else take & scl.usable
        self.covered[...] |= take

"""The bands of one granule on a pixel grid: read side by side, and checked to be of one piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.hrefs import plain
from betaearth.scenes.masks import Mask, scl_usable
from betaearth.scenes.model import BANDS, SCL, Granule, Sensor
from betaearth.scenes.profile import SourceProfile
from betaearth.scenes.raster import (
    DEM_PIXELS,
    S1_PIXELS,
    S2_PIXELS,
    SCL_PIXELS,
    Layer,
    PixelRule,
    RasterWindow,
    onto_grid,
    read_window,
)

RULES: Mapping[Sensor, PixelRule] = {
    Sensor.S2_L2A: S2_PIXELS,
    Sensor.S2_L1C: S2_PIXELS,
    Sensor.S1: S1_PIXELS,
    Sensor.DEM: DEM_PIXELS,
}
CLOUD_PX_M = 10.0
"""Edge of the pixels in which the growth of clouds is given, metres."""
COARSEST_PX_M = 60.0
"""Edge of Sentinel-2's coarsest pixels, metres: the extents of a granule's files may differ by as much."""
BLANK_SHARE = 0.01
"""Share of the grid that a granule's other bands must cover together before a band without any data is a fault.
Across the edge of a swath the bands of one granule end some hundred metres apart."""

Part = TypeVar("Part")
Read = Callable[[str, str], Part]
"""From (band name, href) to what was read."""


@dataclass(frozen=True)
class Band:
    """A band of a granule on a pixel grid."""

    layer: Layer
    usable: Mask | None
    """(y, x); True where the ground is seen; of the scene classification alone."""
    crs: Any
    extent: Bounds | None
    """(west, south, east, north) of the whole file in `crs`."""


@dataclass(frozen=True)
class GranuleBands(Generic[Part]):
    """A granule whose bands are being read."""

    granule: Granule
    futures: dict[str, Future[Part]]
    """Band name to what is being read; empty where the granule cannot be used."""
    fault: str | None = None
    """Why it cannot be used, as far as its metadata tell."""

    @classmethod
    def begin(cls, granule: Granule, pool: Executor, read: Read[Part]) -> GranuleBands[Part]:
        """Start to read all bands that the networks need, and the scene classification where there is one."""
        missing = [name for name in BANDS[granule.sensor] if name not in granule.assets]
        if missing:
            return cls(granule, {}, f"there is no asset for {', '.join(missing)}")
        names = (*BANDS[granule.sensor], *([SCL] if SCL in granule.assets else []))
        return cls(granule, {name: pool.submit(read, name, granule.assets[name]) for name in names})

    def finish(self) -> dict[str, Part]:
        """Wait for all bands and let go of them.

        Raises:
            DataError: one is missing or cannot be read; the message names it, and no path of this machine.
        """
        if self.fault is not None:
            raise DataError(self.fault)
        try:
            return {name: self._wait(name, future) for name, future in self.futures.items()}
        finally:
            for future in self.futures.values():
                future.cancel()
            self.futures.clear()

    def _wait(self, name: str, future: Future[Part]) -> Part:
        try:
            return future.result()
        except DataError as error:
            raise DataError(f"{name}: {by_file_name(str(error), self.granule.assets[name])}") from error


def by_file_name(text: str, href: str) -> str:
    """Let a message about a file name it without the place where it lies."""
    return text.replace(href, _file_name(href)).replace(plain(href), _file_name(href))


def rule_of(name: str, sensor: Sensor, profile: SourceProfile) -> PixelRule:
    """Return how the pixels of a band of a source are read."""
    rule = SCL_PIXELS if name == SCL else RULES[sensor]
    nodata = profile.nodata.get(sensor)
    if nodata is None or name == SCL:
        return rule
    return replace(rule, valid=partial(_valid_and_not, rule.valid, nodata))


def cloud_radius_px(dilation_px: int, grid: PixelGrid) -> int:
    """Convert a growth of clouds in pixels of 10 m to pixels of a grid."""
    return round(dilation_px * CLOUD_PX_M / grid.resolution)


def read_band(href: str, grid: PixelGrid, rule: PixelRule, files: Files) -> Band | None:
    """Read a band onto a grid; None where its file does not reach it.

    Raises:
        DataError: the file is missing, corrupt, or not what the rule reads.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    window = read_window(href, grid, rule, files)
    return None if window is None else _band(window, onto_grid(window, grid, rule), None)


def read_classification(href: str, grid: PixelGrid, dilation_px: int, files: Files) -> Band | None:
    """Read a scene classification onto a grid, and what it leaves usable once its clouds have grown.

    Clouds beside the grid grow into it, so that a pixel's mask does not depend on where the grid ends.

    Raises:
        DataError: the file is missing, corrupt, or holds no classes.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    radius = cloud_radius_px(dilation_px, grid)
    around = grid.grown(radius)
    window = read_window(href, around, SCL_PIXELS, files)
    if window is None:
        return None
    layer = onto_grid(window, around, SCL_PIXELS)
    rows, columns = slice(radius, radius + grid.height), slice(radius, radius + grid.width)
    own = Layer(layer.values[rows, columns], layer.valid[rows, columns])
    return _band(window, own, scl_usable(layer.values, radius)[rows, columns])


def joined_valid(bands: Mapping[str, Band | None], grid: PixelGrid, *, whole: int) -> Mask:
    """(y, x); True where every band of a granule has data.

    Args:
        bands: as they were read.
        grid: where to, a part of the scene's.
        whole: pixels of the scene's grid.

    Raises:
        DataError: the bands do not belong together: their files cover different ground, or one is blank where the
            others are not.
    """
    _check_extents({name: band for name, band in bands.items() if band is not None})
    masks = {name: np.zeros(grid.shape, np.bool_) if band is None else band.layer.valid for name, band in bands.items()}
    valid: Mask = np.logical_and.reduce(list(masks.values()))
    if not valid.any():
        _check_blank(masks, whole)
    return valid


def _band(window: RasterWindow, layer: Layer, usable: Mask | None) -> Band:
    return Band(layer, usable, window.crs, window.extent)


def _check_extents(bands: Mapping[str, Band]) -> None:
    known = [(name, band.crs, band.extent) for name, band in bands.items() if band.extent is not None]
    for name, crs, extent in known[1:]:
        first, first_crs, first_extent = known[0]
        if crs != first_crs or not np.allclose(extent, first_extent, rtol=0.0, atol=COARSEST_PX_M):
            raise DataError(
                f"{name} does not cover the same ground as {first}: its file has the bounds {extent} in {crs}, "
                f"not {first_extent} in {first_crs}"
            )


def _check_blank(masks: Mapping[str, Mask], whole: int) -> None:
    blank = [name for name, mask in masks.items() if not mask.any()]
    others = [mask for name, mask in masks.items() if name not in blank]
    if blank and others and np.logical_and.reduce(others).sum() > BLANK_SHARE * whole:
        raise DataError(f"{', '.join(blank)} has no data where the other bands have")


def _valid_and_not(valid: Callable[[NDArray[Any]], Mask], nodata: float, values: NDArray[Any]) -> Mask:
    known: Mask = valid(values) & (values != nodata)
    return known


def _file_name(href: str) -> str:
    return PurePosixPath(urlsplit(href).path).name

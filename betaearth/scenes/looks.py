"""A glance at scenes before they are chosen: what their scene classification shows of a grid.

A glance reads one small file of each granule in place of ten, at its own resolution, and keeps a sample of its classes
on a coarse grid. Overviews are not read: they may be averages, and the mean of two classes is a third one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from rasterio.warp import transform_geom
from shapely.geometry import mapping

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.footprints import ground_of, near
from betaearth.scenes.granule_bands import by_file_name, cloud_radius_px
from betaearth.scenes.masks import scl_usable
from betaearth.scenes.model import SCL, Granule, Look, Scene
from betaearth.scenes.options import SceneOptions
from betaearth.scenes.profile import SourceProfile
from betaearth.scenes.radiometry import offset_to_add
from betaearth.scenes.raster import SCL_PIXELS, Layer, RasterWindow, empty_layer, onto_grid, read_window

SAMPLES = 512
"""Samples along the longer side of a grid, at most."""
FINEST_M = 20.0
"""Edge of the scene classification's own pixels, metres: nothing is gained below."""
SEEN = 5
"""Class of bare ground."""
READ_AT_ONCE = 3_000_000
"""Pixels of 10 m, or what a grid has, that a thread reads at once; larger grids are read in strips."""


def coarse_grid(grid: PixelGrid) -> PixelGrid:
    """Return the grid of samples: its pixels are whole multiples of the grid's, from the same corner on.

    The last row and column may reach beyond the grid.
    """
    step = max(math.ceil(FINEST_M / grid.resolution), math.ceil(max(grid.shape) / SAMPLES))
    width, height = math.ceil(grid.width / step), math.ceil(grid.height / step)
    return PixelGrid(grid.epsg, grid.west, grid.north, width, height, grid.resolution * step)


def read_looks(
    scenes: Iterable[Scene],
    grid: PixelGrid,
    *,
    files: Files,
    profile: SourceProfile,
    options: SceneOptions,
    workers: int,
) -> tuple[dict[str, Look], dict[str, str]]:
    """Glance at Sentinel-2 scenes.

    A granule without scene classification is taken for covered and clear within its footprint.

    Args:
        scenes: to be looked at.
        grid: of which; the looks lie on `coarse_grid` of it.
        files: opens their files.
        profile: the rules of the source's pixels.
        options: what is done to pixels: clouds grow here as they will when the scene is read.
        workers: files read at once.

    Returns:
        Looks by scene id, without scenes of which nothing could be read; and why not, by granule id.

    Raises:
        TransientError: the network or a server failed; the choice must not depend on that.
        ConfigError: a file may not be read.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="betaearth-look")
    try:
        glance = _Glance(grid, coarse_grid(grid), files, profile, options)
        pending = [(scene, [glance.begin(granule, pool) for granule in scene.granules]) for scene in scenes]
        looks: dict[str, Look] = {}
        unreadable: dict[str, str] = {}
        for scene, parts in pending:
            classes = list(_readable(parts, unreadable))
            if classes:
                looks[scene.id] = glance.look(classes)
        return looks, unreadable
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Part:
    """A granule of which each strip is being sampled."""

    granule: Granule
    strips: Sequence[Future[Layer]]
    fault: str | None = None
    """Why it cannot be used, as far as its metadata tell."""

    def finish(self) -> Layer:
        """Wait for all strips, classes on the coarse grid.

        Raises:
            DataError: the granule cannot be used, or its classification not be read; the message names no path of
                this machine.
        """
        if self.fault is not None:
            raise DataError(self.fault)
        try:
            layers = [strip.result() for strip in self.strips]
        except DataError as error:
            raise DataError(f"{SCL}: {by_file_name(str(error), self.granule.assets[SCL])}") from error
        return Layer(
            np.concatenate([layer.values for layer in layers]), np.concatenate([layer.valid for layer in layers])
        )


@dataclass(frozen=True)
class _Glance:
    """Where scenes are looked at."""

    grid: PixelGrid
    coarse: PixelGrid
    files: Files
    profile: SourceProfile
    options: SceneOptions

    def begin(self, granule: Granule, pool: Executor) -> _Part:
        """Start to sample a granule."""
        try:
            offset_to_add(granule, self.options.radiometry, self.profile.offsets)
        except DataError as error:
            return _Part(granule, [], str(error))
        if not near(granule, self.grid):
            return _Part(granule, [pool.submit(empty_layer, self.coarse, SCL_PIXELS)])
        if SCL not in granule.assets:
            return _Part(granule, [pool.submit(_within_footprint, granule, self.coarse)])
        href = granule.assets[SCL]
        return _Part(granule, [pool.submit(self._sample, href, strip) for strip in self._strips()])

    def look(self, layers: Iterable[Layer]) -> Look:
        """Mosaic the classes of a scene's granules, as when it is read."""
        covered, clear = np.zeros(self.coarse.shape, np.bool_), np.zeros(self.coarse.shape, np.bool_)
        radius = cloud_radius_px(self.options.cloud_dilation, self.coarse)
        for layer in layers:
            clear |= layer.valid & ~covered & scl_usable(layer.values, radius)
            covered |= layer.valid
        return Look(clear, covered)

    def _strips(self) -> Iterator[PixelGrid]:
        times = self.coarse.resolution / self.grid.resolution
        rows = max(int(READ_AT_ONCE / (times * self.grid.width) / times), 1)
        for top in range(0, self.coarse.height, rows):
            yield self.coarse.part(slice(top, min(top + rows, self.coarse.height)), slice(0, self.coarse.width))

    def _sample(self, href: str, strip: PixelGrid) -> Layer:
        window = read_window(href, strip, SCL_PIXELS, self.files)
        return empty_layer(strip, SCL_PIXELS) if window is None else sampled(window, strip)


def sampled(window: RasterWindow, grid: PixelGrid) -> Layer:
    """Take the class of the file's pixel in which each sample's centre lies."""
    if window.crs != CRS.from_epsg(grid.epsg):
        return onto_grid(window, grid, SCL_PIXELS)
    origin = window.transform
    easts = grid.west + (np.arange(grid.width) + 0.5) * grid.resolution
    norths = grid.north - (np.arange(grid.height) + 0.5) * grid.resolution
    rows = np.floor((norths - origin.f) / origin.e).astype(np.int64)
    columns = np.floor((easts - origin.c) / origin.a).astype(np.int64)
    height, width = window.values.shape
    inside = ((rows >= 0) & (rows < height))[:, np.newaxis] & ((columns >= 0) & (columns < width))
    picks = np.ix_(np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1))
    valid = window.valid[picks] & inside
    return Layer(np.where(valid, window.values[picks], np.uint8(0)), valid)


def _within_footprint(granule: Granule, grid: PixelGrid) -> Layer:
    """Return ground that is seen within the footprint."""
    ground = transform_geom("EPSG:4326", f"EPSG:{grid.epsg}", mapping(ground_of(granule)))
    inside = geometry_mask([ground], grid.shape, Affine(*grid.transform), invert=True)
    return Layer(np.where(inside, np.uint8(SEEN), np.uint8(0)), inside)


def _readable(parts: Iterable[_Part], unreadable: dict[str, str]) -> Iterator[Layer]:
    """Wait for granules; note why some cannot be read."""
    for part in parts:
        try:
            yield part.finish()
        except DataError as error:
            unreadable[part.granule.id] = str(error)

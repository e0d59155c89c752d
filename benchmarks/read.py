"""How long a tile-year's imagery takes to read over HTTP: 32 files at once beside one after the other, in the same run.

A server on the loopback waits 50 ms before each answer and wants signed hrefs. Three ways of reading from it:

- as a tile-year reads: `read_scenes`, onto the grid, masked and mosaicked, many files at once;
- the same with one worker;
- plain: `rasterio.open(signed).read(1, window=...)` with GDAL's defaults, one band after the other, as the published
  tool reads. What was read is neither masked nor brought onto the grid while the clock runs.

All three must give the same pixels; those of the plain way are brought onto the grid afterwards.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from rasterio.crs import CRS
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from benchmarks.loopback import LATENCY_S, Loopback, loopback
from benchmarks.machine import Machine, this_machine
from benchmarks.painting import DEFAULT_CACHE, Wanted, paint
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.elevation import elevation_layer
from betaearth.scenes.granule_bands import RULES
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.masks import scl_usable
from betaearth.scenes.model import BANDS, SCL, Scene, SceneArrays, Sensor, Source
from betaearth.scenes.options import DEFAULT_WORKERS, ReadingOptions, SceneOptions
from betaearth.scenes.raster import SCL_PIXELS, Layer, PixelRule, RasterWindow, moved, onto_grid
from betaearth.scenes.reading import read_scenes
from betaearth.scenes.signing import PlanetaryComputerSigner
from betaearth.scenes.sources import open_source
from betaearth.synthetic.source import DEMO_LONLAT

RESULTS = Path(__file__).with_name("results")
LEAST_RATIO = 10.0
"""Of the plain way to the parallel one. One worker of ours asks for little more than half as much, so it waits less."""
MARGIN_PX = 12
"""Pixels of 10 m that the plain way reads around the grid, so that coarser bands can be interpolated at its rim."""
YEAR = 2021
OPTIONS = SceneOptions()
"""Radiometry as the source has it, and no cloud grows: what the plain way can be held against."""


class Part(BaseModel):
    """A part of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Way(Part):
    """One way of reading."""

    name: str
    seconds: tuple[float, ...]
    cpu_seconds: float
    """Of this process, in the last round."""
    requests: int
    """For assets, in the last round."""
    bytes: int
    """Of their bodies, in the last round."""


class ReadReport(Part):
    """A whole run."""

    schema_version: Literal[1] = 1
    date: datetime
    machine: Machine
    shape: tuple[int, int]
    s2: int
    s1: int
    files: int
    latency_s: float
    ways: tuple[Way, ...]
    """As a tile-year reads, with one worker, plain."""


@dataclass(frozen=True)
class TileYear:
    """What is read."""

    grid: PixelGrid
    scenes: tuple[Scene, ...]
    source: Source

    def read(self, workers: int) -> Iterator[SceneArrays]:
        """Read it as a tile-year does."""
        return read_scenes(
            self.scenes,
            self.grid,
            files=self.source.files,
            profile=self.source.profile,
            options=OPTIONS,
            workers=workers,
        )

    @property
    def hrefs(self) -> list[str]:
        """Of every band and classification that the networks need."""
        return [
            granule.assets[name]
            for scene in self.scenes
            for granule in scene.granules
            for name in (*BANDS[scene.sensor], SCL)
            if name in granule.assets
        ]


def open_tile_year(profile: Path, grid: PixelGrid) -> TileYear:
    """Search for the scenes of a year; all of them are read."""
    source = open_source(str(profile), cache=profile.parent, reading=ReadingOptions())
    granules = source.search(grid, YEAR, frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM}))
    return TileYear(grid, to_scenes(granules, grid.epsg).scenes, source)


class Plain:
    """GDAL's own reading of signed files, one after the other, with its defaults."""

    def __init__(self, tile_year: TileYear) -> None:
        """Sign the files, which is not what is measured."""
        self.grid = tile_year.grid
        signer = PlanetaryComputerSigner()
        self.signed = {href: signer.sign(href) for href in tile_year.hrefs}
        self.windows: dict[str, tuple[NDArray[Any], Affine, CRS]] = {}
        """Href to the pixels around the grid, and where they lie."""

    def read(self) -> None:
        """Read every file."""
        for href, signed in self.signed.items():
            with rasterio.open(signed) as file:
                bounds = transform_bounds(f"EPSG:{self.grid.epsg}", file.crs, *self.grid.grown(MARGIN_PX).bounds)
                whole = Window(0, 0, file.width, file.height)
                window = from_bounds(*bounds, file.transform).round_offsets().round_lengths().intersection(whole)
                values = file.read(1, window=window)
                self.windows[href] = (values, moved(file.transform, window.row_off, window.col_off), file.crs)

    def layer(self, href: str, rule: PixelRule) -> Layer:
        """Bring what was read of a file onto the grid."""
        return onto_grid(self.masked(href, rule), self.grid, rule)

    def masked(self, href: str, rule: PixelRule) -> RasterWindow:
        """Return what was read of a file, and where it has data."""
        values, transform, crs = self.windows[href]
        valid = rule.valid(values)
        return RasterWindow(np.where(valid, values, rule.nodata).astype(rule.dtype), valid, transform, crs)


def check_same(one: SceneArrays, other: SceneArrays) -> None:
    """Check that two ways gave the same pixels.

    Raises:
        SystemExit: they did not.
    """
    same = np.array_equal(one.data, other.data) and np.array_equal(one.valid, other.valid)
    if not same or one.unreadable or other.unreadable:
        sys.exit(f"{one.scene.id}: two ways of reading gave different pixels")


def joined(scene: Scene, plain: Plain) -> SceneArrays:
    """Put a scene together from what was read the plain way; its granules show the whole grid.

    Raises:
        SystemExit: one does not.
    """
    if scene.sensor is Sensor.DEM:
        windows = [plain.masked(granule.assets["DEM"], RULES[scene.sensor]) for granule in scene.granules]
        layer = elevation_layer(windows, plain.grid)
        return SceneArrays(scene, layer.values[np.newaxis], layer.valid)
    granule = scene.granules[0]
    layers = [plain.layer(granule.assets[name], RULES[scene.sensor]) for name in BANDS[scene.sensor]]
    valid = np.logical_and.reduce([layer.valid for layer in layers])
    if not valid.all() or len(scene.granules) > 1:
        sys.exit(f"{scene.id} does not show the whole grid, or in several granules")
    if SCL in granule.assets:
        valid &= scl_usable(plain.layer(granule.assets[SCL], SCL_PIXELS).values)
    return SceneArrays(scene, np.stack([layer.values for layer in layers]), valid)


def measure(name: str, read: Callable[[], object], server: Loopback, rounds: int) -> Way:
    """Run a way of reading."""
    seconds = []
    for _ in range(rounds):
        before, cpu, started = server.served(), time.process_time(), time.perf_counter()
        read()
        seconds.append(time.perf_counter() - started)
        used, served = time.process_time() - cpu, server.served().since(before)
    return Way(name=name, seconds=tuple(seconds), cpu_seconds=used, requests=served.requests, bytes=served.bytes)


def run(server: Loopback, grid: PixelGrid, *, workers: int, rounds: int, serial: int) -> ReadReport:
    """Read in all three ways and compare.

    Args:
        server: has the year's imagery.
        grid: of the tile-year.
        workers: of the parallel way.
        rounds: how often it is run.
        serial: how often each of the serial ways is run; 0 leaves them out.
    """
    tile_year = open_tile_year(server.profile, grid)
    kept: list[SceneArrays] = []

    def read(count: int) -> Callable[[], None]:
        return lambda: deque(tile_year.read(count), maxlen=0).clear()

    def read_and_keep() -> None:
        kept[:] = tile_year.read(1)

    ways = [measure(f"as a tile-year, {workers} workers", read(workers), server, rounds)]
    if serial:
        plain = Plain(tile_year)
        ways.append(measure("as a tile-year, 1 worker", read_and_keep, server, serial))
        ways.append(measure("rasterio, GDAL's defaults, serial", plain.read, server, serial))
        for scene, one, other in zip(tile_year.scenes, kept, tile_year.read(workers), strict=True):
            check_same(one, other)
            check_same(one, joined(scene, plain))
    sensors = Counter(scene.sensor for scene in tile_year.scenes)
    return ReadReport(
        date=datetime.now(UTC).replace(microsecond=0),
        machine=this_machine(),
        shape=grid.shape,
        s2=sensors[Sensor.S2_L2A],
        s1=sensors[Sensor.S1],
        files=len(tile_year.hrefs),
        latency_s=server.latency_s,
        ways=tuple(ways),
    )


def table(report: ReadReport) -> str:
    """Show a report."""
    first = report.ways[0]
    lines = [
        f"{report.machine.cpu}, {report.machine.cores} cores; {report.date:%Y-%m-%d}",
        f"{report.s2} Sentinel-2 and {report.s1} Sentinel-1 scenes and the DEM, {report.files} files, onto "
        f"{report.shape[0]} x {report.shape[1]} px; synthetic files of about that size, {1000 * report.latency_s:.0f} "
        "ms before each answer",
        "",
        f"{'way':<36}{'seconds':>9}{'ratio':>7}{'CPU s':>7}{'requests':>10}{'MB':>7}",
    ]
    for way in report.ways:
        seconds = median(way.seconds)
        ratio = f"{seconds / median(first.seconds):.1f}" if way is not first else ""
        lines.append(
            f"{way.name:<36}{seconds:>9.2f}{ratio:>7}{way.cpu_seconds:>7.1f}{way.requests:>10,}{way.bytes / 1e6:>7.0f}"
        )
    if len(report.ways) > 1:
        lines += ["", f"all gave the same pixels; required of the last: {LEAST_RATIO:.0f} x"]
    return "\n".join(lines)


def exit_status(report: ReadReport) -> int:
    """Return 1 where the parallel way is not fast enough beside the plain one."""
    parallel, plain = report.ways[0], report.ways[-1]
    return int(parallel is not plain and median(plain.seconds) < LEAST_RATIO * median(parallel.seconds))


def main() -> int:
    """Measure, print the table and keep the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="folder of what is painted")
    parser.add_argument("--s2", type=int, default=24, help="Sentinel-2 passes")
    parser.add_argument("--s1", type=int, default=4, help="Sentinel-1 passes")
    parser.add_argument("--spacing", type=float, default=10.0, help="of the Major TOM grid, km; smaller to try it out")
    parser.add_argument("--latency", type=float, default=LATENCY_S, help="seconds before each answer")
    parser.add_argument("--workers", type=int, default=DEFAULT_WORKERS, help="files read at once")
    parser.add_argument("--rounds", type=int, default=3, help="of the parallel way")
    parser.add_argument("--serial", type=int, default=1, help="rounds of the serial ways; 0 leaves them out")
    parser.add_argument("--keep", action="store_true", help="write the report into benchmarks/results")
    args = parser.parse_args()
    grid = pixel_grid(MajorTomGrid(1000 * args.spacing).cell_at(*DEMO_LONLAT))
    items = paint(args.cache, Wanted(grid, YEAR, optical=args.s2, radar=args.s1))
    with (
        tempfile.TemporaryDirectory() as scratch,
        loopback(items, Path(scratch), latency_s=args.latency) as server,
    ):
        report = run(server, grid, workers=args.workers, rounds=args.rounds, serial=args.serial)
    print(table(report))
    if args.keep:
        (RESULTS / f"read-{report.machine.slug}.json").write_text(report.model_dump_json(indent=2) + "\n")
    return exit_status(report)


if __name__ == "__main__":
    sys.exit(main())

"""What a year would take, before anything but the scene classifications is read: scenes, bytes, minutes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from betaearth.inference.annual import InferenceOptions
from betaearth.inference.blocks import Block
from betaearth.inference.model import BetaEarth
from betaearth.inference.windows import extents, window_origins
from betaearth.pipeline.annual import blocks_of
from betaearth.pipeline.choice import Choice, choose
from betaearth.pipeline.job import Job
from betaearth.products.embedding import DIMENSIONS
from betaearth.products.options import WRITTEN
from betaearth.scenes.model import BANDS, SCL, Scene, Sensor, Source
from betaearth.scenes.options import DEFAULT_WORKERS

FILE_BLOCK_M = {10: 5120.0, 20: 10240.0, 30: 30720.0}
"""Edge on the ground of a block of 512 x 512 px of a COG, or 1024 px of the DEM's, by resolution in metres: reads are
whole blocks."""
PACKED = 0.75
"""Bytes over the network for a byte of pixels; a tile-year of 24 + 4 scenes then comes to about 0.6 GB."""
RESOLUTIONS = {"B05": 20, "B06": 20, "B07": 20, "B11": 20, "B12": 20, SCL: 20, "DEM": 30}
"""Metres; 10 where a band is not named."""
TRIAL_PX = 448


@dataclass(frozen=True)
class Estimate:
    """What a year would take. Everything but the counts of scenes is reckoned, not measured."""

    year: int
    granules: int
    """Found."""
    scenes: int
    """Chosen."""
    files: int
    """To be read: bands of granules."""
    bytes_: int
    """To be read over the network."""
    windows: int
    """Windows to embed, over all observations."""
    seconds: float
    """Of computing, at the pace that this machine showed in a trial just now; reading goes on beside it."""
    device: str
    output_bytes: int
    """Of `{year}.tif`."""


def estimate_year(job: Job, source: Source, model: BetaEarth, *, workers: int = DEFAULT_WORKERS) -> Estimate:
    """Search, choose, and reckon what the rest would take.

    Raises:
        ConfigError: the source cannot give the variant the inputs that it needs.
        TransientError: the source did not answer.
    """
    choice = choose(job, source, model, workers=workers)
    parts = blocks_of(job)
    scenes = [*choice.scenes, *([choice.dem] if choice.dem and choice.scenes else [])]
    observations = len(choice.programme.observations)
    windows = observations * sum(_windows(part) for part in parts)
    pixels = job.grid.width * job.grid.height * DIMENSIONS * np.dtype(job.options.product.dtype).itemsize
    return Estimate(
        year=job.year,
        granules=len(choice.candidates),
        scenes=len(choice.scenes),
        files=sum(len(granule.assets) for scene in scenes for granule in scene.granules) * len(parts),
        bytes_=sum(_bytes(scene, job, part) for scene in scenes for part in parts),
        windows=windows,
        seconds=round(windows * seconds_per_window(model, choice, job.options.inference), 1) if windows else 0.0,
        device=model.device_name,
        output_bytes=round(pixels * WRITTEN[job.options.product.dtype]),
    )


def seconds_per_window(model: BetaEarth, choice: Choice, options: InferenceOptions) -> float:
    """Embed a small made-up place and return the seconds per window; the first time is not counted."""
    sensor = Sensor.S1 if all(scene.sensor is Sensor.S1 for scene in choice.scenes) else Sensor.S2_L2A
    rng = np.random.default_rng(0)
    shape = (len(BANDS[sensor]), TRIAL_PX, TRIAL_PX)
    data = rng.integers(1, 4000, shape).astype(np.uint16) if sensor is Sensor.S2_L2A else rng.random(shape, np.float32)
    dem = rng.random((1, TRIAL_PX, TRIAL_PX), np.float32) if "dem" in model.variant.inputs else None
    observer = model.observer((TRIAL_PX, TRIAL_PX), dem=dem, precision=options.precision, **options.windows)
    took = []
    for _ in range(2):
        started = time.perf_counter()
        observer.observe({sensor: data}, doy=182 if model.variant.doy else None)
        took.append(time.perf_counter() - started)
    return min(took) / len(window_origins(TRIAL_PX, **options.windows)) ** 2


def _windows(block: Block) -> int:
    """Count the windows of a block."""
    return sum(1 for _ in block.tiling.windows())


def _bytes(scene: Scene, job: Job, block: Block) -> int:
    """Reckon the bytes of a scene over a block: whole blocks of its files around what is read."""
    height, width = (size * job.grid.resolution for size in extents(block.outer))
    total = 0.0
    for granule in scene.granules:
        for band in granule.assets:
            resolution = RESOLUTIONS.get(band, 10)
            edge = FILE_BLOCK_M[resolution]
            itemsize = 1 if band == SCL else 2 if granule.sensor in {Sensor.S2_L2A, Sensor.S2_L1C} else 4
            # A window that lies anywhere touches half a block more at each end, on average.
            touched = (height + edge) * (width + edge) / resolution**2
            total += touched * itemsize * PACKED / len(scene.granules)
    return math.ceil(total)

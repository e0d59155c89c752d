"""Tile-years per hour on a CUDA GPU, the memory they move, and their share of the roofline.

One tile-year of seeded scenes, in float32 and in bfloat16: with the scenes ready in memory, and read from files while
the device computes, as a tile-year does. FLOP are those of `benchmarks.flops`, bytes those of `benchmarks.traffic`, and
peaks are measured in the same run (`benchmarks.roofline`). The bfloat16 rows are held against the device's bfloat16
peak, though what follows the encoders is float32.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from benchmarks.flops import TILE_YEAR, Year, flop_per_tile_year
from benchmarks.imagery import Imagery, write_imagery
from benchmarks.machine import Machine, slug, this_machine
from benchmarks.roofline import Peaks, Roofline, measure_peaks, roofline, timed
from benchmarks.seeded import write_weights
from benchmarks.traffic import TrafficCounter
from betaearth import __version__
from betaearth.inference.annual import InferenceOptions, Inputs, annual_embedding
from betaearth.inference.blocks import whole
from betaearth.inference.model import BetaEarth
from betaearth.inference.precision import Precision
from betaearth.scenes.model import SceneArrays

RESULTS = Path(__file__).with_name("results")
HOUR = 3600
GIB = 2**30


class Part(BaseModel):
    """A part of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Device(Part):
    """The accelerator."""

    name: str
    memory_gib: float
    multiprocessors: int
    capability: str
    """CUDA compute capability."""
    driver: str
    """Version of the driver; empty where nothing tells."""
    cuda: str
    """Version that torch was built for."""


class Result(Part):
    """A tile-year in one precision."""

    precision: Precision
    in_memory_seconds: tuple[float, ...]
    """With all scenes read before."""
    reading_seconds: tuple[float, ...]
    """With scenes read from files meanwhile."""
    tile_years_per_hour: float
    """Of the scenes in memory, by the median."""
    tile_years_per_hour_reading: float
    """With reading, by the median."""
    moved_bytes: int
    """Memory traffic of a tile-year, by the model of `benchmarks.traffic`."""
    peak_bytes: int
    """Most memory that was allocated on the device; 0 where it is not a GPU."""
    roofline: Roofline
    """Of the scenes in memory."""


class GpuReport(Part):
    """A whole run."""

    schema_version: Literal[1] = 1
    date: datetime
    machine: Machine
    device: Device
    versions: dict[str, str]
    shape: tuple[int, int]
    s2: int
    s1: int
    flop_per_tile_year: int
    peaks: Peaks
    results: tuple[Result, ...]


def run(
    weights: str,
    year: Year,
    options: InferenceOptions,
    device: torch.device,
    folder: Path,
    *,
    peaks: Peaks,
    rounds: int,
) -> GpuReport:
    """Measure.

    Args:
        weights: what `BetaEarth.from_pretrained` is given.
        year: the tile-year.
        options: the windows.
        device: where to compute; a CPU serves to try this out.
        folder: for imagery.
        peaks: of the device.
        rounds: how often each case is run.
    """
    imagery = write_imagery(folder, year)
    flop = flop_per_tile_year(BetaEarth.from_pretrained(weights, device="cpu"), year=year, options=options)
    model = BetaEarth.from_pretrained(weights, device=device)
    results = [
        _measure(
            model,
            imagery,
            options.model_copy(update={"precision": precision}),
            flop=flop,
            peaks=peaks,
            rounds=rounds,
        )
        for precision in Precision
        if model.arithmetic(precision) is precision  # a GPU without bfloat16 would measure float32 again
    ]
    return GpuReport(
        date=datetime.now(UTC).replace(microsecond=0),
        machine=this_machine(),
        device=describe(device),
        versions={"python": platform.python_version(), "betaearth": __version__, "torch": torch.__version__},
        shape=year.shape,
        s2=year.s2,
        s1=year.s1,
        flop_per_tile_year=flop,
        peaks=peaks,
        results=tuple(results),
    )


def _observation(arrays: SceneArrays) -> Inputs:
    return Inputs({arrays.scene.sensor: arrays.data}, arrays.scene.doy, arrays.valid.astype(np.uint16))


def _measure(
    model: BetaEarth, imagery: Imagery, options: InferenceOptions, *, flop: int, peaks: Peaks, rounds: int
) -> Result:
    dem = imagery.read_dem()
    ready = [_observation(arrays) for arrays in imagery.read()]
    block = whole(imagery.grid.shape, **options.windows)

    def embed(scenes: Callable[[], Iterable[Inputs]]) -> Callable[[], object]:
        return lambda: annual_embedding(model, scenes(), dem, block, options)

    in_memory = embed(lambda: ready)
    reading = embed(lambda: map(_observation, imagery.read()))
    in_memory()  # the first run of anything is slow
    with TrafficCounter(model.device) as traffic:
        in_memory()
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(model.device)
    pairs = [(timed(in_memory, model.device), timed(reading, model.device)) for _ in range(rounds)]
    memory_seconds, reading_seconds = zip(*pairs, strict=True)
    return Result(
        precision=options.precision,
        in_memory_seconds=memory_seconds,
        reading_seconds=reading_seconds,
        tile_years_per_hour=HOUR / median(memory_seconds),
        tile_years_per_hour_reading=HOUR / median(reading_seconds),
        moved_bytes=traffic.bytes,
        peak_bytes=torch.cuda.max_memory_allocated(model.device) if model.device.type == "cuda" else 0,
        roofline=roofline(
            flop=flop,
            moved=traffic.bytes,
            seconds=median(memory_seconds),
            peak_flop=peaks.flop_per_second[options.precision],
            peak_bytes=peaks.bytes_per_second,
        ),
    )


def describe(device: torch.device) -> Device:
    """Describe a device."""
    if device.type != "cuda":
        return Device(name=device.type, memory_gib=0.0, multiprocessors=0, capability="", driver="", cuda="")
    properties = torch.cuda.get_device_properties(device)
    return Device(
        name=properties.name,
        memory_gib=round(properties.total_memory / GIB, 1),
        multiprocessors=properties.multi_processor_count,
        capability=f"{properties.major}.{properties.minor}",
        driver=_driver(),
        cuda=torch.version.cuda or "",
    )


def _driver() -> str:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    query = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    said = subprocess.run(query, check=False, capture_output=True, text=True).stdout
    return said.partition("\n")[0].strip()


def table(report: GpuReport) -> str:
    """Lay a report out for people."""
    peaks = report.peaks
    lines = [
        "precision  tile-years/h  with reading  s/tile-year  TFLOP/s  GB moved  GB/s  share of roofline  GiB at peak",
        *map(_line, report.results),
        "",
        f"one tile-year: {report.shape[0]} x {report.shape[1]} px, {report.s2} S2 + {report.s1} S1 + DEM, "
        f"{report.flop_per_tile_year / 1e12:.2f} TFLOP",
        "measured peaks: "
        + ", ".join(f"{rate / 1e12:.1f} TFLOP/s {name}" for name, rate in peaks.flop_per_second.items())
        + f", {peaks.bytes_per_second / 1e9:.0f} GB/s",
        f"{report.device.name}, driver {report.device.driver or 'unknown'}, CUDA {report.device.cuda}, "
        f"{report.machine.cpu}, torch {report.versions['torch']}",
    ]
    return "\n".join(lines)


def _line(result: Result) -> str:
    line = result.roofline
    return (
        f"{result.precision:<9}  {result.tile_years_per_hour:>12.1f}  {result.tile_years_per_hour_reading:>12.1f}  "
        f"{median(result.in_memory_seconds):>11.2f}  {line.flop_per_second / 1e12:>7.1f}  "
        f"{result.moved_bytes / 1e9:>8.1f}  {line.bytes_per_second / 1e9:>4.0f}  "
        f"{f'{line.share:.0%} of {line.limit}':>17}  {result.peak_bytes / GIB:>11.2f}"
    )


def main() -> None:
    """Measure the first GPU, or say that there is none."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each case (5)")
    parser.add_argument("--out", type=Path, help="JSON to write; by default one named by the device in results/")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA GPU: not run")
        return
    device = torch.device("cuda", 0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        weights = str(write_weights(folder))
        peaks = measure_peaks(device)
        report = run(weights, TILE_YEAR, InferenceOptions(), device, folder, peaks=peaks, rounds=args.rounds)
    out: Path = args.out or RESULTS / f"gpu-{slug(report.device.name)}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    print(table(report))
    print(f"written to {out}")


if __name__ == "__main__":
    main()

"""Peak memory and time of AOI mode over the README's area, 51 x 56 km, from search to files.

`betaearth generate` runs in a process of its own against a loopback Planetary Computer whose imagery was painted
before. The demo network is used by default, so that the time is that of everything else; its memory is a little less
than that of a full-size network. Memory must not grow with the area: `--bbox` makes another one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from benchmarks.loopback import LATENCY_S, Loopback, loopback
from benchmarks.machine import Machine, this_machine
from benchmarks.painting import DEFAULT_CACHE, Wanted, paint
from betaearth.grid.patch import area_pixel_grid
from betaearth.grid.pixels import Bounds

RESULTS = Path(__file__).with_name("results")
BETAEARTH = Path(sys.executable).with_name("betaearth")
README_BBOX = (13.1, 48.7, 13.8, 49.2)
YEAR = 2021
GIB = 2**30
POLL_S = 0.2
"""Seconds between looks at the process's memory, whose high-water mark the kernel keeps."""


class AreaReport(BaseModel):
    """A whole run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    date: datetime
    machine: Machine
    bbox: tuple[float, float, float, float]
    """(west, south, east, north), degrees."""
    shape: tuple[int, int]
    """(y, x) in pixels."""
    model: str
    scenes: int
    """That were used."""
    options: tuple[str, ...]
    """Of `betaearth generate`, besides the area."""
    seconds: float
    peak_bytes: int
    """Most memory that the process held."""
    file_bytes: int
    """Size of `{year}.tif`."""
    requests: int
    """For assets."""
    bytes: int
    """Of their bodies."""


def run(server: Loopback, bbox: Bounds, *, model: str, options: tuple[str, ...], folder: Path) -> AreaReport:
    """Make a year of an area and measure.

    Args:
        server: has the imagery.
        bbox: (west, south, east, north), degrees.
        model: what `--model` is given.
        options: further options of `betaearth generate`.
        folder: for its output.

    Raises:
        SystemExit: it failed.
    """
    command = [str(BETAEARTH), "generate", "--years", str(YEAR), "--model", model]
    command += ["--bbox", *map(str, bbox), "--source", str(server.profile), "--output-dir", str(folder)]
    command += ["--name", "area", *options]
    before, started = server.served(), time.perf_counter()
    peak = peak_memory(command)
    seconds, served = time.perf_counter() - started, server.served().since(before)
    made = folder / "area" / f"{YEAR}.tif"
    manifest = json.loads((folder / "area" / f"{YEAR}_manifest.json").read_text())
    return AreaReport(
        date=datetime.now(UTC).replace(microsecond=0),
        machine=this_machine(),
        bbox=bbox,
        shape=area_pixel_grid(bbox).shape,
        model=model,
        scenes=len(manifest["scenes"]),
        options=options,
        seconds=seconds,
        peak_bytes=peak,
        file_bytes=made.stat().st_size,
        requests=served.requests,
        bytes=served.bytes,
    )


def peak_memory(command: list[str]) -> int:
    """Run a command and return the most bytes of memory that its process held.

    What `getrusage` says of a child includes what its parent held when it was started; `VmHWM` is the program's own.

    Raises:
        SystemExit: the command failed.
    """
    process = subprocess.Popen(command, stdout=sys.stderr, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    status, peak = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        if own := re.search(r"VmHWM:\s*(\d+) kB", status.read_text()):
            peak = max(peak, 1024 * int(own[1]))
        time.sleep(POLL_S)
    if process.returncode:
        sys.exit(f"betaearth generate ended with {process.returncode}")
    return peak


def table(report: AreaReport) -> str:
    """Show a report."""
    height, width = report.shape
    megapixels = math.prod(report.shape) / 1e6
    rows = [
        ("peak memory", f"{report.peak_bytes / GIB:.2f} GiB"),
        ("seconds", f"{report.seconds:.0f}"),
        ("seconds per scene and megapixel", f"{report.seconds / report.scenes / megapixels:.2f}"),
        (f"{YEAR}.tif", f"{report.file_bytes / 1e9:.2f} GB"),
        ("requests", f"{report.requests:,}"),
        ("read", f"{report.bytes / 1e6:,.0f} MB"),
    ]
    lines = [
        f"{report.machine.cpu}, {report.machine.cores} cores; {report.date:%Y-%m-%d}",
        f"bbox {' '.join(map(str, report.bbox))}: {width} x {height} px, {report.scenes} scenes, model {report.model}"
        f"{''.join(f' {option}' for option in report.options)}",
        "",
        *(f"{name:<34}{value:>12}" for name, value in rows),
    ]
    return "\n".join(lines)


def main() -> None:
    """Paint, measure, print the table and keep the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="folder of what is painted")
    parser.add_argument("--bbox", type=float, nargs=4, default=README_BBOX, metavar=("W", "S", "E", "N"))
    parser.add_argument("--model", default="demo", help="a file of weights for full size")
    parser.add_argument("--s2", type=int, default=4, help="Sentinel-2 passes")
    parser.add_argument("--s1", type=int, default=1, help="Sentinel-1 passes")
    parser.add_argument("--latency", type=float, default=LATENCY_S, help="seconds before each answer")
    parser.add_argument("--output-dir", type=Path, help="where to keep what is made; else it is removed")
    parser.add_argument("--keep", action="store_true", help="write the report into benchmarks/results")
    args, options = parser.parse_known_args()
    bbox = (args.bbox[0], args.bbox[1], args.bbox[2], args.bbox[3])
    items = paint(args.cache, Wanted(area_pixel_grid(bbox), YEAR, optical=args.s2, radar=args.s1))
    with (
        tempfile.TemporaryDirectory() as scratch,
        loopback(items, Path(scratch), latency_s=args.latency) as server,
    ):
        folder = args.output_dir or Path(scratch)
        report = run(server, bbox, model=args.model, options=tuple(options), folder=folder)
    print(table(report))
    if args.keep:
        (RESULTS / f"area-{report.machine.slug}.json").write_text(report.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()

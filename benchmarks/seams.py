"""How far the embeddings of two neighbouring cells differ where the cells overlap, for several halos.

Cells of the 10 km grid share a strip of 680 m. What a cell sees ends at its rim, so the same pixel differs a little
from cell to cell; a halo moves the rim outwards. The windows of two cells do not lie on one lattice either, which no
halo changes. Two cells, one west of the other in the same zone, are embedded from the same scenes of the synthetic
Earth. Only the block of each that lies at the strip is made, which gives the numbers of the whole.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from benchmarks.machine import Machine, this_machine
from benchmarks.painting import DEFAULT_CACHE, Wanted, paint
from benchmarks.seeded import write_weights
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.annual import InferenceOptions, Inputs, annual_embedding
from betaearth.inference.blocks import Block, blocks
from betaearth.inference.model import BetaEarth
from betaearth.inference.windows import Place
from betaearth.products.embedding import Embedding
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.masks import DEM_NODATA
from betaearth.scenes.model import Scene, SceneArrays, Sensor, Source
from betaearth.scenes.options import DEFAULT_WORKERS, ReadingOptions, SceneOptions
from betaearth.scenes.reading import read_scenes
from betaearth.scenes.sources import open_source

RESULTS = Path(__file__).with_name("results")
HALOS = (0, 56, 112, 224)
"""Quarters, halves and wholes of a window. As an option a halo is a multiple of 6 px, which changes nothing here: a
scene is read onto the same lattice."""
SCALINGS: tuple[Literal["cell", "fixed"], ...] = ("cell", "fixed")
YEAR = 2021
LONLAT = (13.45, 48.95)
"""In the western cell (longitude, latitude); the zone's edge is far."""
SHARE = 3
"""A cell's edge is cut into as many blocks, of which the middle one at the strip is made."""


class Part(BaseModel):
    """A part of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Seam(Part):
    """How alike two cells are where they overlap."""

    halo: int
    """Pixels."""
    dem_scaling: Literal["cell", "fixed"]
    pixels: int
    """That both observed."""
    mean: float
    """Cosine between the two embeddings of a pixel."""
    percentile: float
    """First percentile of the cosine."""
    least: float
    seconds: float


class SeamsReport(Part):
    """A whole run."""

    schema_version: Literal[1] = 1
    date: datetime
    machine: Machine
    cells: tuple[str, str]
    spacing_km: float
    model: str
    scenes: int
    seams: tuple[Seam, ...]


@dataclass(frozen=True)
class Year:
    """What the cells are made from."""

    scenes: tuple[Scene, ...]
    """That both cells lie in, the DEM apart."""
    dem: Scene
    source: Source

    def read(self, scenes: Iterable[Scene], grid: PixelGrid) -> Iterator[SceneArrays]:
        """Read scenes onto a grid."""
        return read_scenes(
            scenes,
            grid,
            files=self.source.files,
            profile=self.source.profile,
            options=SceneOptions(),
            workers=DEFAULT_WORKERS,
        )


@dataclass(frozen=True)
class Strip:
    """The part of a cell that lies at its neighbour."""

    area: PixelGrid
    """The cell and its halo."""
    block: Block

    @property
    def kept(self) -> PixelGrid:
        """Where the part's own pixels lie."""
        return self.area.part(*self.block.kept)

    def embed(self, year: Year, model: BetaEarth, options: InferenceOptions) -> Embedding:
        """Embed it."""
        scenes = year.read(year.scenes, self.area.part(*self.block.outer))
        inputs = (
            Inputs({arrays.scene.sensor: arrays.data}, arrays.scene.doy, arrays.valid.astype(np.uint16))
            for arrays in scenes
        )
        (dem,) = year.read([year.dem], self.area.part(*self.block.heights))
        metres = np.where(dem.valid, dem.data, DEM_NODATA).astype(np.float32)
        return annual_embedding(model, inputs, metres, self.block, options)


def strips(cells: tuple[PixelGrid, PixelGrid], halo: int, options: InferenceOptions) -> tuple[Strip, Strip]:
    """Return the eastern middle of the western cell, and the western middle of the eastern one."""
    west, east = cells
    edge = math.ceil(west.height / SHARE)
    one = blocks(west.shape, halo=halo, edge=edge, **options.windows)
    other = blocks(east.shape, halo=halo, edge=edge, **options.windows)
    middle = SHARE // 2 * SHARE
    return Strip(west.grown(halo), one[middle + SHARE - 1]), Strip(east.grown(halo), other[middle])


def shared(one: PixelGrid, other: PixelGrid) -> tuple[Place, Place]:
    """Return where the pixels that two grids of one lattice share lie in each of them."""
    west, south = max(one.west, other.west), max(one.bounds[1], other.bounds[1])
    north, east = min(one.north, other.north), min(one.bounds[2], other.bounds[2])

    def within(grid: PixelGrid) -> Place:
        rows = (round((grid.north - edge) / grid.resolution) for edge in (north, south))
        columns = (round((edge - grid.west) / grid.resolution) for edge in (west, east))
        return slice(*rows), slice(*columns)

    return within(one), within(other)


def cosines(one: Embedding, other: Embedding, places: tuple[Place, Place]) -> NDArray[np.float64]:
    """Return the cosine at every pixel that both observed."""
    first, second = one.vectors[places[0]], other.vectors[places[1]]
    seen = one.valid[places[0]] & other.valid[places[1]]
    alike: NDArray[np.float64] = np.einsum("ij,ij->i", first[seen], second[seen], dtype=np.float64)
    return alike


def measure(
    year: Year, model: BetaEarth, cells: tuple[PixelGrid, PixelGrid], halo: int, scaling: Literal["cell", "fixed"]
) -> Seam:
    """Embed both sides of a seam and compare."""
    options, started = InferenceOptions(dem_scaling=scaling), time.perf_counter()
    west, east = strips(cells, halo, options)
    one, other = (strip.embed(year, model, options) for strip in (west, east))
    alike = cosines(one, other, shared(west.kept, east.kept))
    return Seam(
        halo=halo,
        dem_scaling=scaling,
        pixels=alike.size,
        mean=float(alike.mean()),
        percentile=float(np.percentile(alike, 1)),
        least=float(alike.min()),
        seconds=time.perf_counter() - started,
    )


def open_year(cache: Path, cells: tuple[PixelGrid, PixelGrid], *, s2: int, s1: int, halo: int = max(HALOS)) -> Year:
    """Paint what both cells and the largest halo need."""
    grid = around([cell.grown(halo) for cell in cells])
    items = paint(cache, Wanted(grid, YEAR, optical=s2, radar=s1))
    source = open_source(str(items), cache=cache, reading=ReadingOptions())
    scenes = to_scenes(source.search(grid, YEAR, frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM})), grid.epsg).scenes
    (dem,) = (scene for scene in scenes if scene.sensor is Sensor.DEM)
    return Year(tuple(scene for scene in scenes if scene is not dem), dem, source)


def around(grids: Sequence[PixelGrid]) -> PixelGrid:
    """Return the grid around others of one lattice."""
    bounds = np.array([grid.bounds for grid in grids])
    (west, south), (east, north) = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
    step = grids[0].resolution
    return PixelGrid(grids[0].epsg, west, north, round((east - west) / step), round((north - south) / step), step)


def table(report: SeamsReport) -> str:
    """Show a report."""
    lines = [
        f"{report.machine.cpu}, {report.machine.cores} cores; {report.date:%Y-%m-%d}",
        f"cosine between cells {' and '.join(report.cells)} of the {report.spacing_km:g} km grid where they overlap; "
        f"scenes of the synthetic Earth: {report.scenes}; {report.model}",
        "",
        f"{'halo px':>8}{'elevation':>11}{'pixels':>9}{'mean':>11}{'1 %':>11}{'least':>11}{'seconds':>9}",
    ]
    lines += [
        f"{seam.halo:>8}{seam.dem_scaling:>11}{seam.pixels:>9,}{seam.mean:>11.6f}{seam.percentile:>11.6f}"
        f"{seam.least:>11.6f}{seam.seconds:>9.0f}"
        for seam in report.seams
    ]
    return "\n".join(lines)


def run(
    year: Year, model: BetaEarth, cells: tuple[Cell, Cell], *, caption: str, halos: Sequence[int] = HALOS
) -> SeamsReport:
    """Measure every seam."""
    west, east = map(pixel_grid, cells)
    return SeamsReport(
        date=datetime.now(UTC).replace(microsecond=0),
        machine=this_machine(),
        cells=(cells[0].id, cells[1].id),
        spacing_km=cells[0].grid.spacing_m / 1000,
        model=caption,
        scenes=len(year.scenes),
        seams=tuple(measure(year, model, (west, east), halo, scaling) for scaling, halo in product(SCALINGS, halos)),
    )


def main() -> None:
    """Paint, measure, print the table and keep the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="folder of what is painted")
    parser.add_argument(
        "--model", help="variant or weights, such as released ones; seeded ones of full size if left out"
    )
    parser.add_argument("--spacing", type=float, default=10.0, help="of the Major TOM grid, km; smaller to try it out")
    parser.add_argument("--s2", type=int, default=2, help="Sentinel-2 passes")
    parser.add_argument("--s1", type=int, default=1, help="Sentinel-1 passes")
    parser.add_argument("--keep", action="store_true", help="write the report into benchmarks/results")
    args = parser.parse_args()
    cell = MajorTomGrid(1000 * args.spacing).cell_at(*LONLAT)
    cells = (cell, Cell(cell.row, cell.column + 1, cell.grid))
    year = open_year(args.cache, (pixel_grid(cells[0]), pixel_grid(cells[1])), s2=args.s2, s1=args.s1)
    with tempfile.TemporaryDirectory() as scratch:
        model = BetaEarth.from_pretrained(args.model or write_weights(Path(scratch)), device="cpu")
    report = run(year, model, cells, caption=args.model or "full-size network, UNTRAINED (seeded weights)")
    print(table(report))
    if args.keep:
        (RESULTS / f"seams-{report.machine.slug}.json").write_text(report.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()

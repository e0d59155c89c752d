"""The benchmark of seams: where two cells overlap, and that a part of a cell is compared with the same ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.painting import Wanted
from benchmarks.seams import LONLAT, around, cosines, open_year, run, shared, strips, table
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.annual import InferenceOptions
from betaearth.inference.model import BetaEarth
from betaearth.products.embedding import Embedding

Cells = tuple[Cell, Cell]


def cells(spacing_m: float) -> Cells:
    west = MajorTomGrid(spacing_m).cell_at(*LONLAT)
    return west, Cell(west.row, west.column + 1, west.grid)


def centres(grid: PixelGrid) -> np.ndarray:
    easts = grid.west + (np.arange(grid.width) + 0.5) * grid.resolution
    norths = grid.north - (np.arange(grid.height) + 0.5) * grid.resolution
    return np.stack(np.meshgrid(easts, norths), axis=-1)


def test_shared_pixels_lie_on_the_same_ground() -> None:
    one, other = map(pixel_grid, cells(10_000.0))
    assert one.epsg == other.epsg
    first, second = shared(one, other)
    mine, theirs = centres(one)[first], centres(other)[second]
    np.testing.assert_array_equal(mine, theirs)
    common = {tuple(xy) for xy in centres(one)[:, -200:].reshape(-1, 2)} & {
        tuple(xy) for xy in centres(other)[:, :200].reshape(-1, 2)
    }
    assert mine.shape[0] * mine.shape[1] == len(common)


@pytest.mark.parametrize("halo", [0, 56, 224])
def test_strips_meet_whatever_the_halo(halo: int) -> None:
    west, east = strips(tuple(map(pixel_grid, cells(10_000.0))), halo, InferenceOptions())  # type: ignore[arg-type]
    bare = strips(tuple(map(pixel_grid, cells(10_000.0))), 0, InferenceOptions())  # type: ignore[arg-type]
    assert (west.kept, east.kept) == (bare[0].kept, bare[1].kept)
    rows, columns = shared(west.kept, east.kept)[0]
    assert rows.stop - rows.start > 300
    assert 60 <= columns.stop - columns.start <= 80


def test_the_grid_around_holds_both() -> None:
    one, other = PixelGrid(32633, 0.0, 100.0, 5, 4), PixelGrid(32633, 30.0, 120.0, 5, 4)
    assert around([one, other]) == PixelGrid(32633, 0.0, 120.0, 8, 6)


def test_cosines_are_of_pixels_that_both_observed() -> None:
    def embedding(vectors: list[list[float]], count: list[int]) -> Embedding:
        padded = np.zeros((1, len(count), 64), np.float32)
        padded[0, :, :2] = vectors
        return Embedding(padded, np.array([count], np.uint16), np.zeros((1, len(count)), np.float32))

    one = embedding([[1, 0], [0, 1], [0, 0]], [1, 1, 0])
    other = embedding([[1, 0], [1, 0], [1, 0]], [1, 1, 1])
    everything = (slice(0, 1), slice(0, 3))
    np.testing.assert_allclose(cosines(one, other, (everything, everything)), [1.0, 0.0])


def test_seams_of_a_small_grid(tmp_path: Path) -> None:
    pair = cells(1000.0)
    grids = (pixel_grid(pair[0]), pixel_grid(pair[1]))
    year = open_year(tmp_path, grids, s2=1, s1=0, halo=6)
    report = run(year, BetaEarth.from_pretrained("demo", device="cpu"), pair, caption="demo", halos=(0, 6))
    assert [(seam.halo, seam.dem_scaling) for seam in report.seams] == [
        (0, "cell"),
        (6, "cell"),
        (0, "fixed"),
        (6, "fixed"),
    ]
    for seam in report.seams:
        assert seam.pixels > 100
        assert -1 <= seam.least <= seam.percentile <= seam.mean <= 1.000001
        assert seam.mean > 0.5
    assert "demo" in table(report)
    assert Wanted(around([grid.grown(6) for grid in grids]), 2021, optical=1, radar=0).name in {
        path.name for path in tmp_path.iterdir()
    }

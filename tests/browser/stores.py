"""Small real catalogs for the viewer, made once for all processes of a test session, and what numpy makes of them."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from betaearth.events import ignore
from betaearth.pipeline.demo import demo_cells
from betaearth.pipeline.local import run_region
from betaearth.pipeline.plan import plan
from betaearth.products.options import ProductOptions
from betaearth.products.quantise import dequantise
from betaearth.scenes.selection import SelectionOptions
from betaearth.settings import Settings
from betaearth.wiring import open_workshop, store_of

SPACING_KM = 1.0
YEARS = (2021, 2022)

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Tile:
    """A tile-year of a folder, as numpy and rasterio read it."""

    item_path: Path

    @cached_property
    def item(self) -> dict[str, Any]:
        """Its STAC Item."""
        document: dict[str, Any] = json.loads(self.item_path.read_text())
        return document

    @property
    def id(self) -> str:
        """Id of the Item."""
        return str(self.item["id"])

    @property
    def cell(self) -> str:
        """Such as `5410U_8397L`."""
        return str(self.item["properties"]["grid:code"]).rpartition("-")[2]

    @property
    def year(self) -> int:
        """Calendar year."""
        return int(self.item["properties"]["start_datetime"][:4])

    def file(self, asset: str) -> Path:
        """Path of an asset."""
        href: str = self.item["assets"][asset]["href"]
        return (self.item_path.parent / href).resolve()

    @cached_property
    def vectors(self) -> Vectors:
        """Unit vectors (row, column, band)."""
        with rasterio.open(self.file("embeddings")) as file:
            stored = np.moveaxis(file.read(), 0, -1)
        if stored.dtype == np.int8:
            return dequantise(stored)
        unit: Vectors = stored / np.linalg.norm(stored, axis=-1, keepdims=True)
        return unit

    def quality(self, band: int) -> NDArray[np.float64]:
        """A quality band as it is meant (row, column)."""
        with rasterio.open(self.file("quality")) as file:
            return np.asarray(file.read(band) * file.scales[band - 1], np.float64)

    def similarity(self, column: int, row: int) -> NDArray[np.float64]:
        """Cosine of every pixel with one (row, column)."""
        vectors = self.vectors.astype(np.float64)
        cosines: NDArray[np.float64] = vectors @ vectors[row, column]
        return cosines

    def change(self, other: Tile) -> NDArray[np.float64]:
        """Cosine distance to another year (row, column)."""
        distances: NDArray[np.float64] = 1.0 - np.einsum("rcb,rcb->rc", self.vectors.astype(np.float64), other.vectors)
        return distances


@dataclass(frozen=True)
class Catalog:
    """A catalog in a folder."""

    folder: Path

    @cached_property
    def tiles(self) -> list[Tile]:
        """Its tile-years, by cell and year."""
        items = sorted(self.folder.glob("*/2*/*/*/*/*_2???.json"))
        return sorted((Tile(path) for path in items), key=lambda tile: (tile.cell, tile.year))

    @property
    def cells(self) -> list[str]:
        """Its cells."""
        return sorted({tile.cell for tile in self.tiles})

    @property
    def collection(self) -> str:
        """Id of its only collection."""
        return str(self.tiles[0].item["collection"])

    def tile(self, year: int, cell: str | None = None) -> Tile:
        """The tile-year of a cell, or of the first one."""
        return next(tile for tile in self.tiles if tile.year == year and tile.cell == (cell or self.cells[0]))


def make_catalog(folder: Path, *, cells: int, dtype: str, cache: Path) -> None:
    """Make and publish tile-years on the synthetic Earth, with as few scenes as a year may have."""
    settings = Settings(
        store=str(folder),
        source="synthetic",
        model="demo",
        device="cpu",
        spacing_km=SPACING_KM,
        cache=cache,
        selection=SelectionOptions(max_per_quarter=1),
        product=ProductOptions.model_validate({"dtype": dtype}),
    )
    workshop, store = open_workshop(settings, ignore), store_of(settings)
    planned = plan(
        demo_cells(workshop.grid)[:cells],
        YEARS,
        model=workshop.model,
        source=workshop.source,
        options=workshop.options,
        store=store,
    )
    report = run_region(planned, source=workshop.source, model=workshop.model, store=store)
    assert len(report.made) == cells * len(YEARS)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Let the first process of a session make a folder, and all others wait for it."""
    shared = factory.getbasetemp()
    if "gw" in shared.name:  # pytest-xdist gives each worker a folder of its own in that of the session
        shared = shared.parent
    folder = shared / f"viewer-{name}"
    with (shared / f"viewer-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            make(unfinished)
            unfinished.rename(folder)
    return folder

"""A small workshop: the demo network, the synthetic Earth, a 500 m grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import TileYear, tile_year
from betaearth.pipeline.options import ProductionOptions
from betaearth.scenes.files import Files
from betaearth.scenes.model import Granule, Scene, SceneArrays, Sensor, Source
from betaearth.scenes.options import SceneOptions
from betaearth.scenes.profile import SourceProfile
from betaearth.scenes.reading import read_scene
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.storage.open import open_store
from betaearth.storage.store import Store
from betaearth.synthetic.source import DEMO_LONLAT


@dataclass(frozen=True)
class Workshop:
    """What the tests of the pipeline share."""

    model: BetaEarth
    source: Source
    cell: Cell

    def job(self, year: int = 2021, options: ProductionOptions | None = None, cell: Cell | None = None) -> TileYear:
        """Describe a tile-year."""
        return tile_year(
            cell or self.cell,
            year,
            model=self.model,
            source=self.source,
            options=options or ProductionOptions(),
        )


def read(scene: Scene, grid: PixelGrid, source: Source, options: SceneOptions | None = None) -> SceneArrays:
    """Read one scene of a source onto a grid."""
    return read_scene(
        scene, grid, files=source.files, profile=source.profile, options=options or SceneOptions(), workers=4
    )


@dataclass(frozen=True)
class Relay:
    """A source that is another one, but for what a test changes."""

    source: Source

    @property
    def identity(self) -> str:
        return self.source.identity

    @property
    def title(self) -> str:
        return self.source.title

    @property
    def synthetic(self) -> bool:
        return self.source.synthetic

    @property
    def profile(self) -> SourceProfile:
        return self.source.profile

    @property
    def files(self) -> Files:
        return self.source.files

    def portable(self, href: str) -> str:
        return self.source.portable(href)

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        return self.source.search(grid, year, sensors)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(
        model=BetaEarth.from_pretrained("demo", device="cpu"),
        source=SyntheticSource(tmp_path_factory.mktemp("cache")),
        cell=MajorTomGrid(500.0).cell_at(*DEMO_LONLAT),
    )


@pytest.fixture
def new_store(tmp_path: Path) -> Callable[[str], Store]:
    def make(name: str) -> Store:
        return open_store(str(tmp_path / name))

    return make


@pytest.fixture
def store(new_store: Callable[[str], Store]) -> Store:
    return new_store("store")

"""A small workshop: the demo network, the synthetic Earth, a 500 m grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import TileYear, tile_year
from betaearth.pipeline.options import ProductionOptions
from betaearth.scenes.model import Source
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.storage.folder import FolderStore
from betaearth.storage.open import open_store
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


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(
        model=BetaEarth.from_pretrained("demo", device="cpu"),
        source=SyntheticSource(tmp_path_factory.mktemp("cache")),
        cell=MajorTomGrid(500.0).cell_at(*DEMO_LONLAT),
    )


@pytest.fixture
def new_store(tmp_path: Path) -> Callable[[str], FolderStore]:
    def make(name: str) -> FolderStore:
        return open_store(str(tmp_path / name))

    return make


@pytest.fixture
def store(new_store: Callable[[str], FolderStore]) -> FolderStore:
    return new_store("store")

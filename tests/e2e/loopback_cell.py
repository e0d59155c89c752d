"""A small cell of the loopback Planetary Computer, whose tile-year is made while tests disturb it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from betaearth.events import Event, GranuleDropped
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import tile_year
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.products.manifest import GranuleRecord, Manifest
from betaearth.scenes.files import Files
from betaearth.scenes.http import Client, Patience
from betaearth.scenes.model import Source
from betaearth.scenes.profile import load_profile
from betaearth.scenes.selection import SelectionOptions
from betaearth.scenes.signing import PlanetaryComputerSigner, TokenBudget
from betaearth.scenes.stac_api import StacApiSource, patient_retry
from betaearth.scenes.synthetic_source import sites
from betaearth.storage.open import open_store
from betaearth.synthetic.source import DEMO_LONLAT, write_source
from tests.planetary_computer import PlanetaryComputer, forget_tokens

YEAR = 2021
SPACING_KM = 0.5
CELL = MajorTomGrid(1000 * SPACING_KM).cell_at(*DEMO_LONLAT)
BRISK = Patience(connect_s=2.0, read_s=5.0, retries=5, backoff_s=0.01)
"""Tries as often as it must, and does not wait between."""
WORKERS = 8


def write_items(folder: Path, cell: Cell = CELL) -> Path:
    """Paint what a cell saw in the year; returns its `items.json`."""
    ((name, site),) = sites(pixel_grid(cell))
    return write_source(folder / name, site, YEAR)


@contextmanager
def serving(items: Path, folder: Path, **options: Any) -> Iterator[PlanetaryComputer]:
    """Serve Items, and lead this process to the server."""
    with PlanetaryComputer(items, **options) as server, pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY", "PC_SDK_SUBSCRIPTION_KEY"):
            patch.delenv(name, raising=False)
        for name, value in server.environment.items():
            patch.setenv(name, value)
        server.write_profile(folder)
        forget_tokens()
        yield server
    forget_tokens()


@dataclass(frozen=True)
class Made:
    """A tile-year that was made."""

    manifest: Manifest
    events: list[Event]
    store: Path

    @property
    def dropped(self) -> dict[str, str]:
        """Granule id to reason, as the events say."""
        return {event.granule: event.reason for event in self.events if isinstance(event, GranuleDropped)}

    @property
    def files(self) -> dict[str, bytes]:
        """File name to content."""
        return {name: (self.store / record.key).read_bytes() for name, record in self.manifest.files.items()}

    def granule(self, granule: str) -> GranuleRecord:
        """The record of one candidate."""
        return next(record for record in self.manifest.granules if record.id == granule)


@dataclass(frozen=True)
class Bench:
    """A cell, a network, and the server of the cell's imagery."""

    server: PlanetaryComputer
    model: BetaEarth
    pristine: list[dict[str, Any]]
    """The server's Items as they were."""
    files: dict[str, Path]
    """The server's files as they were."""
    options: ProductionOptions = field(
        default_factory=lambda: ProductionOptions(selection=SelectionOptions(max_per_quarter=1))
    )

    @classmethod
    def of(cls, server: PlanetaryComputer) -> Bench:
        return cls(
            server,
            BetaEarth.from_pretrained("demo", device="cpu"),
            copy.deepcopy(server.catalog.items),
            dict(server.catalog.files),
        )

    def restore(self) -> None:
        """Undo what a test did to the server."""
        self.server.heal()
        catalog = self.server.catalog
        catalog.items[:] = copy.deepcopy(self.pristine)
        catalog.files.clear()
        catalog.files.update(self.files)
        catalog.most = 1000
        catalog.searches.clear()
        for counter in (self.server.requests, self.server.statuses, self.server.bytes):
            counter.clear()
        forget_tokens()

    def item(self, start: str) -> dict[str, Any]:
        """The Item whose id starts so; it may be changed."""
        (found,) = (item for item in self.server.catalog.items if item["id"].startswith(start))
        return found

    def place(self, start: str, asset: str) -> str:
        """Where on the server an asset of an Item lies."""
        return str(self.item(start)["assets"][asset]["href"]).partition(".net/")[2]

    def source(self, patience: Patience = BRISK, **profile: object) -> Source:
        """The server as a source, with little patience and tokens enough."""
        rules = load_profile(self.server.profile).model_copy(update=profile)
        signer = PlanetaryComputerSigner(client=Client(patience=patience), budget=TokenBudget(1000))
        retry = patient_retry()
        retry.backoff_factor = patience.backoff_s
        return StacApiSource(self.server.catalog.root, rules, Files(signer=signer, patience=patience), retry=retry)

    def make(self, store: Path, source: Source | None = None, **selection: object) -> Made:
        """Make the tile-year in a folder."""
        source = source or self.source()
        chosen = self.options.selection.model_copy(update=selection)
        options = self.options.model_copy(update={"selection": chosen})
        events: list[Event] = []
        manifest = run_tile_year(
            tile_year(CELL, YEAR, model=self.model, source=source, options=options),
            source=source,
            model=self.model,
            store=open_store(str(store)),
            workers=WORKERS,
            emit=events.append,
        )
        return Made(manifest, events, store)

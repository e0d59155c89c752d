"""What would run, and why: the tile-years of a region against what the store holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from betaearth.grid.majortom import Cell
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import TileYear, tile_year
from betaearth.pipeline.options import ProductionOptions
from betaearth.products.keys import parse_manifest_key
from betaearth.scenes.model import Source
from betaearth.storage.folder import FolderStore


class State(StrEnum):
    """What the store holds of a tile-year."""

    MISSING = "missing"
    """No manifest at all."""
    STALE = "stale"
    """Manifests of other requests only: other weights, options, source or algorithm."""
    CURRENT = "current"
    """A manifest of this very request; a run skips it."""


@dataclass(frozen=True)
class Planned:
    """A tile-year and its state."""

    job: TileYear
    state: State


def plan(
    cells: Iterable[Cell],
    years: Iterable[int],
    *,
    model: BetaEarth,
    source: Source,
    options: ProductionOptions,
    store: FolderStore,
) -> list[Planned]:
    """Compare what is asked for with what the store holds, from one listing of it.

    Returns:
        One entry a tile-year, in the order of the cells, then of the years.

    Raises:
        DataError: no imagery of a year can exist.
    """
    years = list(dict.fromkeys(years))
    jobs = [tile_year(cell, year, model=model, source=source, options=options) for cell in cells for year in years]
    held = held_requests(store, {job.collection for job in jobs})
    return [Planned(job, state_of(job, held.get(job.prefix, frozenset()))) for job in jobs]


def held_requests(store: FolderStore, collections: Iterable[str]) -> dict[str, frozenset[str]]:
    """List which requests have a manifest: tile-year prefix to the heads of their request digests."""
    held: dict[str, frozenset[str]] = {}
    for collection in sorted(collections):
        for key in store.list(f"{collection}/"):
            if name := parse_manifest_key(key):
                held[name.prefix] = held.get(name.prefix, frozenset()) | {name.request12}
    return held


def state_of(job: TileYear, requests: frozenset[str]) -> State:
    """Tell a tile-year's state from the requests that its folder has manifests of."""
    if job.digest[:12] in requests:
        return State.CURRENT
    return State.STALE if requests else State.MISSING

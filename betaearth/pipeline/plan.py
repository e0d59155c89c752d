"""What would run, and why: the tile-years of a region against what the store holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from betaearth.errors import DataError
from betaearth.grid.majortom import Cell
from betaearth.grid.patch import pixel_grid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.choice import choose
from betaearth.pipeline.ingredients import HEAD, UNREADABLE, Ingredients, KnownRequests, Place, outlineless
from betaearth.pipeline.job import TileYear, check_year, tile_year
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.upstream import SourceNews, source_news
from betaearth.products.keys import parse_manifest_key, tile_year_prefix
from betaearth.scenes.model import Source
from betaearth.scenes.options import DEFAULT_WORKERS
from betaearth.stac.versions import read_manifest
from betaearth.storage.store import Store

LISTINGS = 16
"""Blocks that are listed at once: a page of a bucket's listing takes about as long wherever it is."""


class State(StrEnum):
    """What the store holds of a tile-year."""

    MISSING = "missing"
    """No manifest at all."""
    STALE = "stale"
    """Made from other ingredients: other weights, options, source, algorithm or, where asked, granules."""
    CURRENT = "current"
    """A manifest of this very request, be it of a product or of an empty year; a run skips it."""


@dataclass(frozen=True)
class Asked:
    """What is asked of every tile-year alike."""

    model: BetaEarth
    source: Source
    options: ProductionOptions

    def tile_year(self, cell: Cell, year: int) -> TileYear:
        """Describe the tile-year of a cell.

        Raises:
            DataError: no imagery of that year can exist.
        """
        return tile_year(cell, year, model=self.model, source=self.source, options=self.options)


@dataclass(frozen=True)
class Planned:
    """A tile-year and its state."""

    asked: Asked = field(repr=False, compare=False)
    cell: Cell
    year: int
    prefix: str
    """Folder of the tile-year below the store, without a final slash."""
    digest: str
    """The request digest."""
    state: State
    because: tuple[str, ...] = ()
    """Why it is stale, an ingredient each: `selection.max_cloud 20.0 -> 10.0`."""
    manifests: tuple[str, ...] = ()
    """Keys of the manifests of this very request."""
    news: SourceNews | None = None
    """What changed upstream; None where nobody looked, or where there is nothing to compare with."""

    @property
    def name(self) -> str:
        """Cell id."""
        return self.cell.id

    @property
    def collection(self) -> str:
        """Collection that it belongs to."""
        return self.prefix.partition("/")[0]

    @cached_property
    def job(self) -> TileYear:
        """The job that makes it, outlines and all: a plan of many tile-years does without."""
        return self.asked.tile_year(self.cell, self.year)


def plan(
    cells: Iterable[Cell],
    years: Iterable[int],
    *,
    model: BetaEarth,
    source: Source,
    options: ProductionOptions,
    store: Store,
) -> list[Planned]:
    """Compare what is asked for with what the store holds: listings, and a manifest of each unknown request.

    Returns:
        One entry a tile-year, in the order of the cells, then of the years.

    Raises:
        DataError: no imagery of a year can exist.
    """
    places, years = list(cells), [check_year(year) for year in dict.fromkeys(years)]
    if not places or not years:
        return []
    asked = Asked(model, source, options)
    example = asked.tile_year(places[0], years[0])
    ingredients = Ingredients(example.request)
    known = KnownRequests(store, ingredients)
    prefixes = [tile_year_prefix(example.collection, year, cell) for cell in places for year in years]
    held = held_manifests(store, prefixes)

    def planned() -> Iterator[Planned]:
        remaining = iter(prefixes)
        for cell in places:
            record = outlineless(pixel_grid(cell), spacing_m=cell.grid.spacing_m)
            for year in years:
                place, prefix = Place(cell.id, year, record), next(remaining)
                digest, keys = ingredients.digest(place), held.get(prefix, [])
                same = tuple(key for key in keys if key.startswith(f"{prefix}/{digest[:HEAD]}-"))
                state = state_of(keys, same)
                because = known.because(place, keys) if state is State.STALE else ()
                yield Planned(asked, cell, year, prefix, digest, state, because, same)

    return list(planned())


def held_manifests(store: Store, prefixes: Iterable[str]) -> Mapping[str, list[str]]:
    """List the manifests of tile-years, by their folders; one listing a block of 16 x 16 cells and a year."""
    wanted = set(prefixes)
    held: dict[str, list[str]] = {}

    def listed(block: str) -> list[tuple[str, str]]:
        named = ((parse_manifest_key(key), key) for key in store.list(f"{block}/"))
        return [(name.prefix, key) for name, key in named if name and name.prefix in wanted]

    with ThreadPoolExecutor(LISTINGS, thread_name_prefix="plan") as pool:
        for found in pool.map(listed, sorted({prefix.rpartition("/")[0] for prefix in wanted})):
            for prefix, key in found:
                held.setdefault(prefix, []).append(key)
    return held


def state_of(manifests: Sequence[str], same: Sequence[str]) -> State:
    """Tell a tile-year's state from its manifests and from those of this very request."""
    if same:
        return State.CURRENT
    return State.STALE if manifests else State.MISSING


def check_sources(planned: Sequence[Planned], *, store: Store, workers: int = DEFAULT_WORKERS) -> list[Planned]:
    """Search upstream for the tile-years that are current, choose scenes as a run would, and compare.

    Returns:
        The plan, in which a tile-year is stale where the source has news of it.

    Raises:
        TransientError: the source did not answer.
        ConfigError: it refuses, or cannot give the variant the inputs that it needs.
    """
    return [_with_news(entry, store, workers) if entry.state is State.CURRENT else entry for entry in planned]


def _with_news(entry: Planned, store: Store, workers: int) -> Planned:
    try:
        versions = [read_manifest(store, key) for key in entry.manifests]
    except DataError as error:
        return replace(entry, state=State.STALE, because=(f"{UNREADABLE}: {error}",))
    choice = choose(entry.job, entry.asked.source, entry.asked.model, workers=workers)
    newest_first = sorted(versions, key=lambda stored: stored.order, reverse=True)
    found = [source_news(stored.manifest, choice) for stored in newest_first]
    # The source may have gone back to what an earlier product rests on.
    news = next((news for news in found if not news), found[0])
    return replace(entry, state=State.STALE, because=(f"sources: {news}",), news=news) if news else entry

"""How long a plan of 100,000 tile-years takes, and how many manifests it reads, by what the store holds of them.

The store is a listing in memory, five keys a tile-year, so that what is timed is the plan and not a server.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from betaearth.events import ignore
from betaearth.grid.majortom import Cell
from betaearth.grid.region import Region
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.plan import Planned, State, plan
from betaearth.products.fingerprint import fingerprint
from betaearth.products.keys import manifest_key
from betaearth.products.manifest import Manifest
from betaearth.scenes.selection import SelectionOptions
from betaearth.settings import load_settings
from betaearth.storage.folder import FolderStore
from betaearth.wiring import Workshop, open_workshop

BOX = (-10.0, 35.0, 14.0, 60.0)
TILE_YEARS = 100_000
YEARS = (2023, 2024)
SOURCES = "0" * 64


class ListedStore(FolderStore):
    """A store whose listings are made up; a manifest is made when it is read, and counted."""

    entries_of: dict[str, Planned]
    keys: list[str]
    reads: int

    @classmethod
    def of(cls, entries: list[Planned]) -> ListedStore:
        """Hold an empty tile-year of each entry."""
        store = cls.__new__(cls)
        found = {manifest_key(entry.prefix, entry.digest, SOURCES): entry for entry in entries}
        others = ("embeddings.tif", "quality.tif", "preview.png")
        files = [f"{entry.prefix}/0123456789ab/{name}" for entry in entries for name in others]
        items = [f"{entry.prefix}/{entry.collection}_{entry.name.lower()}_{entry.year}.json" for entry in entries]
        object.__setattr__(store, "entries_of", found)
        object.__setattr__(store, "keys", sorted([*found, *files, *items]))
        object.__setattr__(store, "reads", 0)
        return store

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys below a prefix."""
        start = bisect.bisect_left(self.keys, prefix)
        while start < len(self.keys) and self.keys[start].startswith(prefix):
            yield self.keys[start]
            start += 1

    def read(self, key: str, *, limit: int | None = None) -> bytes:  # noqa: ARG002  -- the signature of a store
        """Make a manifest."""
        object.__setattr__(self, "reads", self.reads + 1)
        return empty_manifest(self.entries_of[key]).to_bytes()


def empty_manifest(entry: Planned) -> Manifest:
    """Make the manifest of a tile-year of which nothing was found."""
    job = entry.job
    return Manifest(
        outcome="empty",
        reason="no scene",
        collection=job.collection,
        item_id=job.item_id,
        request=job.request,
        request_digest=job.digest,
        sources_digest=SOURCES,
        fingerprint=fingerprint(job.digest, SOURCES),
        product_digest=None,
        dtype=None,
        nodata=None,
        files={},
        statistics=None,
        source_title="none",
        granules=[],
        scenes=[],
        software={},
        created=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=0,
        attribution=[],
    )


def planned(cells: list[Cell], workshop: Workshop, options: ProductionOptions, store: ListedStore) -> list[Planned]:
    """Plan."""
    return plan(cells, YEARS, model=workshop.model, source=workshop.source, options=options, store=store)


def main() -> None:
    """Print the table."""
    workshop = open_workshop(load_settings({"source": "synthetic", "model": "demo", "device": "cpu"}), ignore)
    cells = list(Region.from_bbox(BOX).cells(workshop.grid))[: TILE_YEARS // len(YEARS)]
    older = workshop.options.model_copy(update={"selection": SelectionOptions(max_cloud=10.0)})
    nothing = ListedStore.of([])
    stores = {
        "nothing": nothing,
        "all of it": ListedStore.of(planned(cells, workshop, workshop.options, nothing)),
        "all with another option": ListedStore.of(planned(cells, workshop, older, nothing)),
    }
    print("the store holds           tile-years    states             seconds   manifests read")
    for name, store in stores.items():
        started = time.perf_counter()
        entries = planned(cells, workshop, workshop.options, store)
        seconds = time.perf_counter() - started
        states = {state.value: sum(entry.state is state for entry in entries) for state in State}
        counted = ", ".join(f"{count:,} {state}" for state, count in states.items() if count)
        print(f"{name:<24} {len(entries):>11,}    {counted:<16} {seconds:>9.1f} {store.reads:>16,}")


if __name__ == "__main__":
    main()

"""What a plan says of tile-years, why, and how little it reads to know it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import pytest

from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline import ingredients as module
from betaearth.pipeline.ingredients import FALSE_DIGEST, Ingredients
from betaearth.pipeline.job import TileYear
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.plan import Planned, State, held_manifests, plan
from betaearth.products.fingerprint import fingerprint, request_digest, sources_digest
from betaearth.products.keys import manifest_key
from betaearth.products.manifest import Manifest, Request
from betaearth.storage.store import Store
from betaearth.synthetic.source import DEMO_LONLAT
from tests.pipeline.conftest import Workshop

GRID = MajorTomGrid(500.0)
LOOSE = ProductionOptions()
STRICT = ProductionOptions.model_validate({"selection": {"max_cloud": 10.0}})


@dataclass(frozen=True)
class Counting:
    """A store that counts what is asked of it."""

    store: Store
    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def list(self, prefix: str = "") -> Iterator[str]:
        self.asked.append("list")
        return self.store.list(prefix)

    def read(self, key: str, *, limit: int | None = None) -> bytes:
        self.asked.append("read")
        return self.store.read(key, limit=limit)


def neighbours(count: int) -> list[Cell]:
    """Cells of the demo's place and to the east and north of it."""
    first = GRID.cell_at(*DEMO_LONLAT)
    edge = round(count**0.5) + 1
    cells = [
        replace(first, row=first.row + up, column=first.column + right) for up in range(edge) for right in range(edge)
    ]
    return cells[:count]


def told(job: TileYear, request: Request | None = None, *, digest: str | None = None) -> tuple[str, Manifest]:
    """Say of a tile-year that there was nothing; the manifest and its key."""
    request = request or job.request
    digest, sources = digest or request_digest(request), sources_digest([])
    manifest = Manifest(
        outcome="empty",
        reason="no scene",
        collection=job.collection,
        item_id=job.item_id,
        request=request,
        request_digest=digest,
        sources_digest=sources,
        fingerprint=fingerprint(digest, sources),
        product_digest=None,
        dtype=None,
        nodata=None,
        files={},
        statistics=None,
        source_title="none",
        granules=[],
        scenes=[],
        software={},
        created=datetime(2026, 11, 22, tzinfo=UTC),
        seconds=1.0,
        attribution=[],
    )
    return manifest_key(job.prefix, digest, sources), manifest


def put(store: Store, *told_of: tuple[str, Manifest]) -> None:
    for key, manifest in told_of:
        assert store.create(key, manifest.to_bytes())


def planned(
    workshop: Workshop, store: Any, cells: list[Cell], options: ProductionOptions = LOOSE, **changes: Any
) -> list[Planned]:
    given = {"model": workshop.model, "source": workshop.source, **changes}
    return plan(cells, [2021], options=options, store=store, **given)


def other_model(workshop: Workshop, **changes: Any) -> BetaEarth:
    model = workshop.model
    fields = {
        "variant": model.variant,
        "trained": model.trained,
        "weights_sha256": model.weights_sha256,
        "origin": model.origin,
        "backbone": model.backbone,
    }
    return cast("BetaEarth", SimpleNamespace(**{**fields, **changes}))


def test_the_digest_of_a_plan_is_that_of_its_job(workshop: Workshop, store: Store) -> None:
    for entry in planned(workshop, store, neighbours(3), STRICT):
        assert entry.digest == entry.job.digest
        assert entry.prefix == entry.job.prefix
        assert (entry.name, entry.year) == (entry.job.name, entry.job.year)
        assert Ingredients(entry.job.request).differences(Ingredients(entry.job.request)) == ()


@pytest.mark.parametrize(
    ("changed", "because"),
    [
        pytest.param({"options": STRICT}, "selection.max_cloud 20.0 -> 10.0", id="option"),
        pytest.param({"model": {"weights_sha256": "0" * 64, "origin": "hub/x"}}, "(sha256 000000000000)", id="weights"),
        pytest.param(
            {"model": {"backbone": SimpleNamespace(origin="dino", sha256="b" * 64, pretraining=None)}},
            "backbone none -> dino (sha256 bbbbbbbbbbbb)",
            id="backbone",
        ),
        pytest.param(
            {"source": SimpleNamespace(identity="elsewhere:v2", synthetic=True)}, "-> elsewhere:v2", id="source"
        ),
    ],
)
def test_the_ingredient_that_changed_is_named(
    changed: dict[str, Any], because: str, workshop: Workshop, store: Store
) -> None:
    put(store, told(workshop.job()))
    if isinstance(changed.get("model"), dict):
        changed = {"model": other_model(workshop, **changed["model"])}
    (entry,) = planned(workshop, store, [workshop.cell], **changed)
    assert entry.state is State.STALE
    assert len(entry.because) == 1
    assert because in entry.because[0]


def test_an_earlier_algorithm_and_another_grid_are_named(workshop: Workshop, store: Store) -> None:
    job = workshop.job()
    grid = job.request.grid.model_copy(update={"west": job.request.grid.west + 60})
    put(store, told(job, job.request.model_copy(update={"algorithm_version": "0", "grid": grid})))
    (entry,) = planned(workshop, store, [workshop.cell])
    west = job.request.grid.west
    assert entry.because == ("algorithm_version 0 -> 1", f"grid.west {west + 60} -> {west}")


def test_an_empty_year_is_current(workshop: Workshop, store: Store) -> None:
    put(store, told(workshop.job()))
    (entry,) = planned(workshop, store, [workshop.cell])
    assert (entry.state, entry.because, entry.manifests) == (State.CURRENT, (), (told(workshop.job())[0],))


def test_one_manifest_tells_of_all_that_were_made_alike(workshop: Workshop, store: Store) -> None:
    cells = neighbours(60)
    jobs = [workshop.job(cell=cell) for cell in cells]
    tight = ProductionOptions.model_validate({"selection": {"max_cloud": 5.0}})
    put(store, *(told(job) for job in jobs[:30]))
    put(store, *(told(workshop.job(cell=cell, options=tight)) for cell in cells[30:50]))
    counting = Counting(store)
    entries = planned(workshop, counting, cells, STRICT)
    assert counting.asked.count("read") == 2
    assert counting.asked.count("list") <= 9, "one a block of 16 x 16 cells"
    reasons = [entry.because for entry in entries]
    assert reasons[:30] == [("selection.max_cloud 20.0 -> 10.0",)] * 30
    assert reasons[30:50] == [("selection.max_cloud 5.0 -> 10.0",)] * 20
    assert [entry.state for entry in entries[50:]] == [State.MISSING] * 10
    current = Counting(store)
    planned(workshop, current, cells[:30])
    assert "read" not in current.asked


class Together(Counting):
    """Lets no listing end before another one has begun."""

    def list(self, prefix: str = "") -> Iterator[str]:
        self.barrier.wait(timeout=20)
        return super().list(prefix)

    barrier = Barrier(2)


def test_blocks_are_listed_at_once(workshop: Workshop, store: Store) -> None:
    year = 2020
    prefixes = [workshop.job(cell=workshop.cell, year=year).prefix]
    folder, _, cell = prefixes[0].rpartition("/")
    prefixes.append(f"{folder.rpartition('/')[0]}/r000-c000/{cell}")
    assert held_manifests(Together(store), prefixes) == {}


def test_the_nearest_of_several_requests_is_told(workshop: Workshop, store: Store) -> None:
    far = ProductionOptions.model_validate({"selection": {"max_cloud": 5.0}, "product": {"dtype": "float32"}})
    put(store, told(workshop.job()), told(workshop.job(options=far)))
    (entry,) = planned(workshop, store, [workshop.cell], STRICT)
    assert entry.because == ("selection.max_cloud 20.0 -> 10.0",)


def test_manifests_that_cannot_be_read_are_a_reason(workshop: Workshop, store: Store) -> None:
    job = workshop.job()
    key, manifest = told(job, digest="a" * 64)
    put(store, (key, manifest))
    (entry,) = planned(workshop, store, [workshop.cell])
    assert entry.because == (FALSE_DIGEST,)

    nowhere = replace(workshop.cell, row=workshop.cell.row + 1)
    store.create(manifest_key(workshop.job(cell=nowhere).prefix, "b" * 64, "c" * 64), b"{")
    options = {**job.request.options, "deep\x1b[2J": float("nan")}
    third = replace(workshop.cell, row=workshop.cell.row + 2)
    hostile = workshop.job(cell=third)
    bad = hostile.request.model_copy(update={"options": options})
    broken, manifest = told(hostile, bad, digest="d" * 64)
    text = manifest.to_bytes().decode().replace('[2J": null', '[2J": NaN')
    store.create(broken, text.encode())
    first, second = planned(workshop, store, [nowhere, third])
    assert (first.state, second.state) == (State.STALE, State.STALE)
    assert first.because[0].startswith("its manifest cannot be read: ")
    assert "\x1b" not in "".join(second.because)


def test_no_more_than_so_many_manifests_are_read(
    workshop: Workshop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_READ", 3)
    cells = neighbours(6)
    for number, cell in enumerate(cells):
        options = ProductionOptions.model_validate({"selection": {"max_cloud": float(number)}})
        put(store, told(workshop.job(cell=cell, options=options)))
    counting = Counting(store)
    entries = planned(workshop, counting, cells, STRICT)
    assert counting.asked.count("read") == 3
    assert [entry.because == (module.NOT_READ,) for entry in entries] == [False] * 3 + [True] * 3


def test_values_are_spelled_short_and_tame() -> None:
    assert module.shown("\x1b[2J") == '"\\u001b[2J"'
    assert len(module.shown("x" * 1000)) == module.LONGEST

"""What is new upstream, and that only that is computed again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from betaearth.events import Event, TileYearSkipped, TileYearStarted
from betaearth.grid.pixels import PixelGrid
from betaearth.pipeline.choice import choose
from betaearth.pipeline.local import run_region
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.plan import Planned, State, check_sources, plan
from betaearth.pipeline.tile_year import find_manifests, run_tile_year
from betaearth.pipeline.upstream import SourceNews, source_news
from betaearth.products.manifest import Fate, Manifest, ObservationRecord
from betaearth.scenes.model import Granule, Sensor
from betaearth.storage.folder import FolderStore
from betaearth.storage.store import Store
from betaearth.synthetic.source import OCEAN_LONLAT
from tests.pipeline.conftest import Relay, Workshop

OPTIONS = ProductionOptions.model_validate({"selection": {"max_per_quarter": 1, "min_scenes": 1}})


@dataclass(frozen=True)
class Changed(Relay):
    """A source that withdrew a granule, or issued one anew."""

    gone: str = ""
    reissued: str = ""

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        found = [granule for granule in super().search(grid, year, sensors) if granule.id != self.gone]
        return [
            replace(granule, generated="2030-01-01T00:00:00Z") if granule.id == self.reissued else granule
            for granule in found
        ]


@pytest.fixture(scope="module")
def made(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    store = FolderStore(tmp_path_factory.mktemp("made"))
    return store, run_tile_year(
        workshop.job(options=OPTIONS), source=workshop.source, model=workshop.model, store=store
    )


def news_of(manifest: Manifest, workshop: Workshop, **changes: Any) -> SourceNews:
    source = Changed(workshop.source, **changes)
    return source_news(manifest, choose(workshop.job(options=OPTIONS), source, workshop.model))


def used_optical(manifest: Manifest) -> str:
    return next(record.id for record in manifest.granules if record.fate is Fate.USED and record.sensor == "s2_l2a")


def planned(workshop: Workshop, store: Store, **changes: Any) -> list[Planned]:
    source = Changed(workshop.source, **changes)
    return plan([workshop.cell], [2021], model=workshop.model, source=source, options=OPTIONS, store=store)


def test_a_source_that_stays_the_same_has_no_news(made: tuple[Store, Manifest], workshop: Workshop) -> None:
    store, manifest = made
    assert not news_of(manifest, workshop)
    (entry,) = check_sources(planned(workshop, store), store=store)
    assert (entry.state, entry.because, entry.news) == (State.CURRENT, (), None)


def test_a_withdrawn_granule_is_news_and_so_is_what_comes_for_it(
    made: tuple[Store, Manifest], workshop: Workshop
) -> None:
    store, manifest = made
    gone = used_optical(manifest)
    (entry,) = check_sources(planned(workshop, store, gone=gone), store=store)
    assert entry.state is State.STALE
    assert entry.news is not None
    assert entry.news.removed == (gone,)
    assert entry.because == (f"sources: {entry.news}",)
    assert set(entry.news.added).isdisjoint(record.id for record in manifest.granules if record.fate is Fate.USED)


def test_a_new_issue_is_news(made: tuple[Store, Manifest], workshop: Workshop) -> None:
    _, manifest = made
    anew = used_optical(manifest)
    assert news_of(manifest, workshop, reissued=anew) == SourceNews((anew,), (anew,))


def test_what_was_never_chosen_is_no_news(made: tuple[Store, Manifest], workshop: Workshop) -> None:
    _, manifest = made
    chosen = {granule for scene in manifest.scenes for granule in scene.granules}
    idle = next(record.id for record in manifest.granules if record.sensor == "s2_l2a" and record.id not in chosen)
    assert not news_of(manifest, workshop, gone=idle)


def test_what_could_not_be_read_is_no_news_and_neither_is_its_stand_in(
    made: tuple[Store, Manifest], workshop: Workshop
) -> None:
    """As if the first optical scene had been lost, and another one had come in its place."""
    _, manifest = made
    first = next(scene for scene in manifest.scenes if scene.sensor == "s2_l2a")
    spare = next(record for record in manifest.granules if record.sensor == "s2_l2a" and record.scene is None)
    lost: dict[str, dict[str, Any]] = {name: {"fate": Fate.UNREADABLE, "reason": "damaged"} for name in first.granules}
    came: dict[str, dict[str, Any]] = {spare.id: {"fate": Fate.USED, "reason": None, "scene": "spare"}}
    stand_in = first.model_copy(update={"id": "spare", "granules": [spare.id], "in_place_of": first.id})
    told = manifest.model_copy(
        update={
            "granules": [record.model_copy(update={**lost, **came}.get(record.id, {})) for record in manifest.granules],
            "scenes": [*(scene for scene in manifest.scenes if scene.id != first.id), stand_in],
            "observations": [*manifest.observations, ObservationRecord(scenes=["spare"], doy=1)],
        }
    )
    assert not news_of(told, workshop)
    assert news_of(told, workshop, reissued=first.granules[0]).added == (first.granules[0],)
    withdrawn = news_of(told, workshop, gone=first.granules[0])
    assert spare.id in withdrawn.removed or not withdrawn.removed, "unless it is chosen for itself now"


def test_an_unreadable_manifest_is_said(workshop: Workshop, store: Store) -> None:
    (entry,) = planned(workshop, store)
    store.create(f"{entry.prefix}/{entry.digest[:12]}-00000000.manifest.json", b"[]")
    (checked,) = check_sources(planned(workshop, store), store=store)
    assert checked.state is State.STALE
    assert checked.because[0].startswith("its manifest cannot be read: ")


def test_refreshing_computes_only_what_has_news(workshop: Workshop, store: Store) -> None:
    job = workshop.job(options=OPTIONS)

    def run(source: Changed, events: list[Event], *, refresh: bool) -> Manifest:
        return run_tile_year(job, source=source, model=workshop.model, store=store, refresh=refresh, emit=events.append)

    first = run(Changed(workshop.source), [], refresh=True)
    again: list[Event] = []
    assert run(Changed(workshop.source), again, refresh=True) == first
    assert again == [TileYearStarted(workshop.cell.id, 2021), TileYearSkipped(workshop.cell.id, 2021)]

    withdrawn = Changed(workshop.source, gone=used_optical(first))
    assert run(withdrawn, [], refresh=False) == first
    second = run(withdrawn, [], refresh=True)
    assert (second.request_digest, second.outcome) == (first.request_digest, "product")
    assert second.sources_digest != first.sources_digest
    assert {manifest.sources_digest for manifest in find_manifests(job, store)} == {
        first.sources_digest,
        second.sources_digest,
    }
    assert run(withdrawn, [], refresh=True) == second
    assert run(Changed(workshop.source), [], refresh=True) == first, "what the source went back to is there"


def test_a_run_refreshes_what_is_current(made: tuple[Store, Manifest], workshop: Workshop, store: Store) -> None:
    _, manifest = made
    report = run_region(
        planned(workshop, store), source=workshop.source, model=workshop.model, store=store, refresh=True
    )
    assert len(report.made) == 1
    withdrawn = Changed(workshop.source, gone=used_optical(manifest))
    entries = planned(workshop, store)
    assert entries[0].state is State.CURRENT
    kept = run_region(entries, source=withdrawn, model=workshop.model, store=store)
    assert (kept.made, len(kept.skipped)) == ([], 1)
    anew = run_region(entries, source=withdrawn, model=workshop.model, store=store, refresh=True)
    assert (len(anew.made), anew.skipped) == (1, [])
    calm = run_region(entries, source=withdrawn, model=workshop.model, store=store, refresh=True)
    assert (calm.made, len(calm.skipped)) == ([], 1)


def test_the_ocean_has_no_news(workshop: Workshop, store: Store) -> None:
    ocean = workshop.cell.grid.cell_at(*OCEAN_LONLAT)
    job = workshop.job(cell=ocean, options=OPTIONS)
    manifest = run_tile_year(job, source=workshop.source, model=workshop.model, store=store)
    assert manifest.outcome == "empty"
    assert not source_news(manifest, choose(job, workshop.source, workshop.model))


@pytest.mark.parametrize(
    ("news", "text"),
    [
        (SourceNews(("a", "b", "c"), ("d",)), "+3 granules, -1 granule"),
        (SourceNews(removed=("a", "b")), "-2 granules"),
        (SourceNews(added=("a",) * 1200), "+1,200 granules"),
    ],
)
def test_news_are_counted(news: SourceNews, text: str) -> None:
    assert str(news) == text

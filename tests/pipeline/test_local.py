"""The local runner: one failure does not stop the others, and a run over a finished store does nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pystac
import pytest

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import CatalogPublished, Event, Notice, RunPlanned, TileYearFailed, TileYearSkipped
from betaearth.grid.pixels import PixelGrid
from betaearth.pipeline.local import PATIENCE, RunReport, run_region
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.plan import Planned, plan
from betaearth.pipeline.runs import NOT_REACHED
from betaearth.products.runs import RunReport as RecordedReport
from betaearth.scenes.model import Granule, Sensor, Source
from betaearth.storage.store import Store
from tests.pipeline.conftest import Relay, Workshop


@dataclass(frozen=True)
class FailsIn(Relay):
    """A source that fails in one year."""

    year: int
    error: DataError | TransientError | ConfigError

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        if year == self.year:
            raise self.error
        return super().search(grid, year, sensors)


def run(workshop: Workshop, store: Store, source: Source, events: list[Event]) -> RunReport:
    return run_region(
        planned(workshop, store, source), source=source, model=workshop.model, store=store, emit=events.append
    )


def planned(workshop: Workshop, store: Store, source: Source) -> list[Planned]:
    options = ProductionOptions()
    return plan([workshop.cell], [2021, 2022], model=workshop.model, source=source, options=options, store=store)


@pytest.mark.parametrize("error", [DataError("never"), TransientError("not now")])
def test_a_failure_does_not_stop_the_others(
    error: DataError | TransientError, workshop: Workshop, store: Store
) -> None:
    events: list[Event] = []
    report = run(workshop, store, FailsIn(workshop.source, 2021, error), events)
    assert report.failed == {f"{workshop.cell.id} 2021": error}
    assert [manifest.request.year for manifest in report.made] == [2022]
    assert [event.error for event in events if isinstance(event, TileYearFailed)] == [str(error)]
    items = list(pystac.Catalog.from_file(store.href("catalog.json")).get_items(recursive=True))
    assert len(items) == 1

    mended = run(workshop, store, workshop.source, events)
    assert [manifest.request.year for manifest in mended.made] == [2021]
    assert mended.published[0].items == 2


def test_a_wrong_set_up_stops_the_run(workshop: Workshop, store: Store) -> None:
    events: list[Event] = []
    with pytest.raises(ConfigError, match="refused"):
        run(workshop, store, FailsIn(workshop.source, 2021, ConfigError("refused")), events)
    run_keys = sorted(key.rpartition("/")[2] for key in store.list())
    assert run_keys == ["00000.jsonl", "plan.json", "report.json"]
    key = next(key for key in store.list("runs/") if key.endswith("report.json"))
    told = RecordedReport.model_validate_json(store.read(key)).failed
    assert [told[entry.prefix] for entry in planned(workshop, store, workshop.source)] == ["refused", NOT_REACHED]


def test_a_second_run_does_nothing(workshop: Workshop, store: Store) -> None:
    first: list[Event] = []
    run(workshop, store, workshop.source, first)
    held = {key: store.read(key) for key in store.list()}
    second: list[Event] = []
    report = run(workshop, store, workshop.source, second)
    assert report.made == []
    assert second == [
        RunPlanned(tile_years=2, missing=0),
        TileYearSkipped(workshop.cell.id, 2021),
        TileYearSkipped(workshop.cell.id, 2022),
        CatalogPublished(items=2, written=0),
    ]
    assert {key: store.read(key) for key in store.list()} == held


def test_a_source_that_stays_away_is_not_asked_for_ever(workshop: Workshop, store: Store) -> None:
    class Away(FailsIn):
        def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:  # noqa: ARG002
            raise self.error

    away = Away(workshop.source, 0, TransientError("no answer"))
    years = [2016, 2017, 2018, 2019, 2020]
    entries = plan([workshop.cell], years, model=workshop.model, source=away, options=ProductionOptions(), store=store)
    events: list[Event] = []
    report = run_region(entries, source=away, model=workshop.model, store=store, emit=events.append)
    assert len(report.failed) == PATIENCE
    assert any(isinstance(event, Notice) and "left for later" in event.message for event in events)

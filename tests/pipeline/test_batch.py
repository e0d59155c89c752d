"""Several tile-years of one pod."""

from __future__ import annotations

import pytest

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import Event, Notice, TileYearFailed
from betaearth.pipeline.batch import check_planned, run_batch
from betaearth.pipeline.job import TileYear
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.products.manifest import Manifest
from betaearth.storage.store import Store
from tests.pipeline.conftest import Workshop


def failing(error: Exception, *years: int, workshop: Workshop, store: Store) -> tuple[object, list[int]]:
    """A maker that fails in some years, and the years that it was asked for."""
    asked: list[int] = []

    def make(job: TileYear) -> Manifest:
        asked.append(job.year)
        if job.year in years:
            raise error
        return run_tile_year(job, source=workshop.source, model=workshop.model, store=store)

    return make, asked


@pytest.mark.parametrize("error", [DataError("torn"), TransientError("busy")])
def test_one_that_fails_does_not_stop_the_others(error: Exception, workshop: Workshop, store: Store) -> None:
    make, asked = failing(error, 2019, workshop=workshop, store=store)
    events: list[Event] = []
    done: list[Manifest] = []
    jobs = [workshop.job(year) for year in (2019, 2020)]
    failed = run_batch(jobs, make, done=done.append, emit=events.append)  # type: ignore[arg-type]
    cell = workshop.cell.id
    assert (failed, asked) == ({f"{cell} 2019": error}, [2019, 2020])
    assert [manifest.request.year for manifest in done] == [2020]
    assert events == [TileYearFailed(cell, 2019, error=str(error))]


def test_failures_that_follow_each_other_leave_the_rest_for_later(workshop: Workshop, store: Store) -> None:
    years = (2018, 2019, 2020, 2021)
    make, asked = failing(TransientError("busy"), *years, workshop=workshop, store=store)
    events: list[Event] = []
    jobs = [workshop.job(year) for year in years]
    assert len(run_batch(jobs, make, done=print, emit=events.append)) == 3  # type: ignore[arg-type]
    assert asked == [2018, 2019, 2020]
    assert isinstance(events[-1], Notice)


def test_a_wrong_set_up_stops_at_once(workshop: Workshop, store: Store) -> None:
    make, asked = failing(ConfigError("no key"), 2018, workshop=workshop, store=store)
    with pytest.raises(ConfigError, match="no key"):
        run_batch([workshop.job(2018), workshop.job(2019)], make, done=print)  # type: ignore[arg-type]
    assert asked == [2018]


def test_a_job_is_the_one_that_was_planned(workshop: Workshop) -> None:
    job, other = workshop.job(2018), workshop.job(2019)
    check_planned(job, job.digest[:12])
    check_planned(job, None)
    with pytest.raises(
        ConfigError, match=f"{workshop.cell.id} 2018 .* not {other.digest[:12]}: .*`betaearth resubmit`"
    ):
        check_planned(job, other.digest[:12])

"""A few tile-years that one process makes one after the other, with the weights loaded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import Emit, Notice, TileYearFailed, ignore
from betaearth.pipeline.job import TileYear
from betaearth.pipeline.local import PATIENCE, gave_up
from betaearth.products.manifest import Manifest


def check_planned(job: TileYear, request: str | None) -> None:
    """Hold a tile-year against what a run was planned with: what differs, the run would never find.

    Args:
        job: what this process would make.
        request: first digits of the request digest in the plan; None where there is no plan.

    Raises:
        ConfigError: this process is set up otherwise than the one that planned.
    """
    if request is not None and not job.digest.startswith(request):
        raise ConfigError(
            f"{job.name} {job.year} would be of the request {job.digest[: len(request)]}, not {request}: settings, "
            "options or weights are not those that the run was planned with; `betaearth resubmit` plans anew"
        )


def run_batch(
    jobs: Iterable[TileYear],
    make: Callable[[TileYear], Manifest],
    *,
    done: Callable[[Manifest], None],
    emit: Emit = ignore,
) -> dict[str, DataError | TransientError]:
    """Make tile-years, or find them made; one that fails does not stop the others.

    Failures of network or store that follow each other do, each of which has cost minutes of retries: whoever repeats
    the batch later makes what is left.

    Args:
        jobs: what to make.
        make: makes one of them.
        done: called with each manifest as soon as it is there.
        emit: told of failures.

    Returns:
        `cell year` of what failed to its error.

    Raises:
        ConfigError: the set-up is wrong; no later tile-year would fare better.
    """
    failed: dict[str, DataError | TransientError] = {}
    streak: list[Exception] = []
    for job in jobs:
        try:
            manifest = make(job)
        except (DataError, TransientError) as error:
            emit(TileYearFailed(job.name, job.year, error=str(error)))
            failed[f"{job.name} {job.year}"] = error
            streak.append(error)
            if gave_up(streak):
                emit(Notice(f"{PATIENCE} tile-years failed alike, one after the other: the others are left for later"))
                break
        else:
            streak.clear()
            done(manifest)
    return failed

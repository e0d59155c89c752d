"""Writing down what a run is about to make, and what became of it: a gap is told from what nobody wanted by that."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from betaearth._version import __version__
from betaearth.errors import ConfigError, TransientError
from betaearth.pipeline.plan import Planned, State
from betaearth.products.runs import (
    REQUEST12,
    SHARD_SIZE,
    Record,
    RunPlan,
    RunReport,
    ShardEntry,
    plan_key,
    report_key,
    shard_bytes,
    shard_key,
)
from betaearth.storage.store import Store

NOT_REACHED = "the run ended before its turn came"


@dataclass
class Tally:
    """What became of a run's tile-years so far."""

    run: str | None = None
    """Name of the run, under which its records lie; None where nothing had to be made."""
    made: set[str] = field(default_factory=set)
    """Folders of tile-years."""
    skipped: set[str] = field(default_factory=set)
    """Those that were there already."""
    failed: dict[str, str] = field(default_factory=dict)
    """Folder to the sentence that says why there is no product."""

    def left(self, prefixes: Sequence[str]) -> Mapping[str, str]:
        """Name what has no product, with the reason: what failed, and what was not come to."""
        done = self.made | self.skipped
        return {prefix: self.failed.get(prefix, NOT_REACHED) for prefix in prefixes if prefix not in done}


@contextmanager
def recorded(store: Store, planned: Sequence[Planned], *, refresh: bool = False) -> Iterator[Tally]:
    """Write a run's plan and shards, then, when it is over, its report.

    Only what has to be made is written down: where nothing has, nothing is. A run without a report was killed.

    Args:
        store: what the run fills.
        planned: everything that was asked for.
        refresh: whether what is current is to be looked at again, and so written down, too.

    Yields:
        What the run fills while it goes on.

    Raises:
        TransientError: the store did not answer, or another run took the same name in the same second.
        ConfigError: it cannot be written.
    """
    tally = Tally()
    missing = [entry for entry in planned if refresh or entry.state is not State.CURRENT]
    if not missing:
        yield tally
        return
    tally.run = run = run_name(datetime.now(UTC))
    write_plan(store, run, missing)
    try:
        yield tally
    except ConfigError as error:
        # Whatever else ends a run says nothing about its tile-years.
        _fail_next(tally, missing, str(error))
        write_report(store, run, missing, tally)
        raise
    write_report(store, run, missing, tally)


def run_name(now: datetime) -> str:
    """Name a run by when it began, and by chance: `20261122T103000Z-1a2b3c`."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def write_plan(store: Store, run: str, missing: Sequence[Planned]) -> None:
    """Write the shards of a run, then its plan.

    Raises:
        TransientError: there is a run of that name.
    """
    shards = [shard_bytes(entries) for entries in shards_of(missing, SHARD_SIZE)]
    for index, data in enumerate(shards):
        _create(store, shard_key(run, index), data)
    _create(store, plan_key(run), record_bytes(plan_record(run, missing, shards=shards)))


def shards_of(missing: Sequence[Planned], size: int) -> list[list[ShardEntry]]:
    """Cut what a run makes into shards."""
    entries = [
        ShardEntry(cell=entry.name, year=entry.year, prefix=entry.prefix, request=entry.digest[:REQUEST12])
        for entry in missing
    ]
    return [entries[start : start + size] for start in range(0, len(entries), size)]


def plan_record(
    run: str, missing: Sequence[Planned], *, shards: Sequence[bytes], asked: str | None = None, refresh: bool = False
) -> RunPlan:
    """Describe what a run makes, and its shards as they are written."""
    return RunPlan(
        run=run,
        created=datetime.now(UTC).replace(microsecond=0),
        collections=sorted({entry.collection for entry in missing}),
        years=sorted({entry.year for entry in missing}),
        tile_years=len(missing),
        shards=len(shards),
        software=f"betaearth {__version__}",
        asked=asked,
        refresh=refresh,
        digests=tuple(hashlib.sha256(data).hexdigest() for data in shards),
    )


def write_report(store: Store, run: str, missing: Sequence[Planned], tally: Tally) -> None:
    """Write what became of a run.

    Raises:
        TransientError: there is a report already.
    """
    prefixes = [entry.prefix for entry in missing]
    report = RunReport(
        run=run,
        finished=datetime.now(UTC).replace(microsecond=0),
        made=len(tally.made.intersection(prefixes)),
        skipped=len(tally.skipped.intersection(prefixes)),
        failed=dict(tally.left(prefixes)),
    )
    _create(store, report_key(run), record_bytes(report))


def _fail_next(tally: Tally, missing: Sequence[Planned], why: str) -> None:
    """Give the reason that stopped a run to the tile-year at which it stopped."""
    stopped = next(iter(tally.left([entry.prefix for entry in missing if entry.prefix not in tally.failed])), None)
    if stopped:
        tally.failed[stopped] = why


def _create(store: Store, key: str, data: bytes) -> None:
    if not store.create(key, data):
        raise TransientError(f"{key} is there already: another run has that name; start again")


def record_bytes(record: Record) -> bytes:
    """Serialise a record."""
    return (record.model_dump_json(indent=2) + "\n").encode()

"""Runs that a workflow carries out: planned by one pod, dealt out shard by shard, reported by the last one.

Each step may be repeated, since a workflow tries a lost pod again: the same run has the same plan, a shard is dealt out
as far as it is not made yet, and a report says what the store holds.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from pydantic import ValidationError

from betaearth.errors import DataError, TransientError
from betaearth.pipeline.counting import counted
from betaearth.pipeline.limits import MOST_SHARDS, larger_shards
from betaearth.pipeline.plan import Planned, held_manifests
from betaearth.pipeline.runs import plan_record, record_bytes, shards_of
from betaearth.products.runs import (
    LARGEST,
    RunPlan,
    RunReport,
    ShardEntry,
    check_run_name,
    plan_key,
    report_key,
    shard_bytes,
    shard_from_bytes,
    shard_id,
    shard_index,
    shard_key,
    shard_prefix,
)
from betaearth.storage.store import Store

AT_ONCE = 16
"""Records that are read or written at once."""
NAMED = 10
"""Tile-years that a message names."""
NO_MANIFEST = "no manifest of what was asked: the log of its pod, or the state of its workflow, says why"


@dataclass(frozen=True)
class Dealt:
    """A shard as pods get it."""

    pods: tuple[tuple[ShardEntry, ...], ...]
    """What each pod makes."""
    made: int
    """Tile-years that are there already."""


@dataclass(frozen=True)
class Outcome:
    """What the store holds of the tile-years that a run asked for."""

    made: int
    """Tile-years with a manifest, of a product or of an empty year."""
    lost: tuple[ShardEntry, ...]
    """Those without."""

    def lost_text(self) -> str:
        """Say what is lost, and name the first of it."""
        first = ", ".join(f"{entry.cell} {entry.year}" for entry in self.lost[:NAMED])
        more = f" and {len(self.lost) - NAMED:,} more" if len(self.lost) > NAMED else ""
        whole = counted(self.made + len(self.lost), "tile-year")
        return f"{len(self.lost):,} of {whole} without a product: {first}{more}"


def find_plan(store: Store, run: str) -> RunPlan | None:
    """Read a run's plan; None where it has none.

    Raises:
        DataError: it is no name of a run, or the record is no plan.
    """
    stored = store.find(plan_key(check_run_name(run)), limit=LARGEST)
    if stored is None:
        return None
    try:
        return RunPlan.model_validate_json(stored.data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]["msg"]
        raise DataError(f"{plan_key(run)} is no plan of a run: {first}; give the run another name") from error


def read_plan(store: Store, run: str) -> RunPlan:
    """Read a run's plan.

    Raises:
        DataError: it has none.
    """
    plan = find_plan(store, run)
    if plan is None:
        raise DataError(f"{store.uri} holds no plan of a run {run}: `betaearth plan --run {run}` writes it")
    return plan


def same_plan(plan: RunPlan, asked: str) -> RunPlan:
    """Return a plan that is there if it is of the same words.

    Raises:
        DataError: the run of that name was asked for something else.
    """
    if plan.asked != asked:
        raise DataError(
            f"the run {plan.run} was planned for another region, other years or options, or by another version; give "
            "this one another name"
        )
    return plan


def write_run(
    store: Store, run: str, missing: Sequence[Planned], *, asked: str, shard_size: int, refresh: bool = False
) -> RunPlan:
    """Write a run's shards, then its plan, which makes them count.

    What an attempt left that died before its plan is replaced. Of two attempts at once the first to write the plan has
    the say, and puts right what the other one had replaced by then.

    Args:
        store: of the run.
        run: its name.
        missing: what it makes.
        asked: digest of the words that it was asked with.
        shard_size: tile-years of a shard.
        refresh: whether what is there is looked at again.

    Raises:
        DataError: there are too many shards, or the run is there and was asked for something else.
        TransientError: the store did not answer, or another attempt changed it at the same moment.
    """
    check_run_name(run)
    shards = [shard_bytes(entries) for entries in shards_of(missing, shard_size)]
    if len(shards) > MOST_SHARDS:
        raise DataError(
            f"{counted(len(missing), 'tile-year')} make {counted(len(shards), 'shard')} of {shard_size:,}, and a run "
            f"has {MOST_SHARDS:,} at most: ask for fewer years or a smaller region at a time{larger_shards(shard_size)}"
        )
    plan = plan_record(run, missing, shards=shards, asked=asked, refresh=refresh)
    contents = {shard_key(run, index): data for index, data in enumerate(shards)}
    _for_each(contents, partial(_put_shard, store, run))
    for key in [key for key in store.list(shard_prefix(run)) if key not in contents]:
        if not store.exists(plan_key(run)):
            store.delete(key)
    if not store.create(plan_key(run), record_bytes(plan)):
        return same_plan(read_plan(store, run), asked)
    _for_each(contents, partial(_restore_shard, store))
    return plan


def _for_each(contents: Mapping[str, bytes], write: Callable[[str, bytes], None]) -> None:
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="plan") as pool:
        for _ in pool.map(write, contents.keys(), contents.values()):
            pass


def _put_shard(store: Store, run: str, key: str, data: bytes) -> None:
    """Write a shard unless the run has a plan, which speaks of the shards that are there."""
    if not store.create(key, data) and not store.exists(plan_key(run)):
        _restore_shard(store, key, data)


def _restore_shard(store: Store, key: str, data: bytes) -> None:
    """Write a shard where another attempt has written something else, or removed it."""
    stored = store.find(key, limit=LARGEST)
    if stored and stored.data == data:
        return
    written = store.update(key, data, stored.etag) if stored else store.create(key, data)
    if not written:
        raise TransientError(f"{key} is being written by another attempt at the same run; try again")


def shard_ids(plan: RunPlan) -> list[str]:
    """List the ids of a run's shards."""
    return [shard_id(index) for index in range(plan.shards)]


def read_shard(store: Store, plan: RunPlan, shard: str) -> list[ShardEntry]:
    """Read a shard of a run.

    Raises:
        DataError: the run has no such shard, or the record is none, or not the one that the plan speaks of.
    """
    index = shard_index(shard)
    if index >= plan.shards:
        raise DataError(
            f"the run {plan.run} has {counted(plan.shards, 'shard')}, counted from 00000; {shard} is none of them"
        )
    key = shard_key(plan.run, index)
    data = store.read(key, limit=LARGEST)
    if plan.digests and hashlib.sha256(data).hexdigest() != plan.digests[index]:
        raise DataError(f"{key} is not what the run's plan speaks of: `betaearth resubmit {plan.run}` plans anew")
    return shard_from_bytes(data, where=key)


def read_shards(store: Store, plan: RunPlan) -> list[ShardEntry]:
    """Read all shards of a run.

    Raises:
        DataError: they are not what the plan speaks of.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="shards") as pool:
        return list(
            itertools.chain.from_iterable(pool.map(lambda shard: read_shard(store, plan, shard), shard_ids(plan)))
        )


def deal(store: Store, plan: RunPlan, shard: str, *, tiles_per_pod: int) -> Dealt:
    """Deal a shard out to pods, without what is made already, unless the run looks at that again.

    Raises:
        DataError: the run has no such shard.
    """
    entries = read_shard(store, plan, shard)
    due = entries if plan.refresh else list(outcome_of(store, entries).lost)
    pods = (tuple(due[start : start + tiles_per_pod]) for start in range(0, len(due), tiles_per_pod))
    return Dealt(tuple(pods), len(entries) - len(due))


def outcome_of(store: Store, entries: Iterable[ShardEntry]) -> Outcome:
    """Look which tile-years have a manifest of what was asked for: listings alone."""
    entries = list(entries)
    held = held_manifests(store, [entry.prefix for entry in entries])
    lost = [
        entry for entry in entries if not any(key.startswith(entry.manifests) for key in held.get(entry.prefix, ()))
    ]
    return Outcome(len(entries) - len(lost), tuple(lost))


def write_outcome(store: Store, run: str, outcome: Outcome) -> RunReport:
    """Write what became of a run; a report that says the same stays, one that says something else is replaced.

    Raises:
        TransientError: another one was written at the same moment.
    """
    report = RunReport(
        run=run,
        finished=datetime.now(UTC).replace(microsecond=0),
        made=outcome.made,
        skipped=0,
        failed={entry.prefix: NO_MANIFEST for entry in outcome.lost},
    )
    key = report_key(run)
    stored = store.find(key, limit=LARGEST)
    if stored is None:
        written = store.create(key, record_bytes(report))
    elif _says_the_same(stored.data, report):
        return RunReport.model_validate_json(stored.data)
    else:
        written = store.update(key, record_bytes(report), stored.etag)
    if not written:
        raise TransientError(f"{key} was written by another process at the same moment; try again")
    return report


def _says_the_same(data: bytes, report: RunReport) -> bool:
    try:
        there = RunReport.model_validate_json(data)
    except ValidationError:
        return False
    # A run in one process tells what it made from what it found, and why something failed.
    return (there.made + there.skipped, there.failed.keys()) == (report.made, report.failed.keys())

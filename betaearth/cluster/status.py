"""How far a run is: every tile-year's state with its reason, read from Workflows and pods alone.

Nothing is asked here. Each Workflow is made a `Part` by itself, so that a run of hundreds of them is read one after
the other and a change costs one; the parts together are the `RunStatus`. What the cluster does not tell is said in
`RunStatus.notes`, and counted nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from betaearth.cluster.nodes import FINAL
from betaearth.cluster.parts import SHARD, Part, State, Step, TileYear
from betaearth.cluster.reasons import Reason
from betaearth.pipeline.counting import counted


@dataclass(frozen=True)
class RunStatus:
    """How far a run is."""

    run: str
    phase: str
    """Argo's word for the region's Workflow; `Unknown` where it is gone."""
    reason: Reason | None
    started: str | None
    finished: str | None
    steps: tuple[Step, ...]
    """The region's own, and those of shards that are not done."""
    shards: Mapping[str, State]
    """Shard id to where it is."""
    tile_years: tuple[TileYear, ...]
    """Those that the cluster tells of."""
    notes: tuple[str, ...]
    """What is not known, and why."""

    @property
    def over(self) -> bool:
        """Whether nothing goes on any more."""
        busy = {State.PENDING, State.RUNNING}
        return self.phase in {*FINAL, "Unknown"} and not busy & {row.state for row in self.tile_years}

    @property
    def counts(self) -> dict[State, int]:
        """Tile-years in each state; every state is there."""
        counted = Counter(row.state for row in self.tile_years)
        return {state: counted[state] for state in State}

    @property
    def retried(self) -> int:
        """Tile-years that were tried more than once."""
        return sum(row.attempts > 1 for row in self.tile_years)

    def troubles(self) -> list[tuple[State, Reason, int]]:
        """Why tile-years wait, failed or are tried again: what most of them have first."""
        rows = [row for row in self.tile_years if row.reason and row.state is not State.DONE]
        counted = Counter((row.state, row.reason.kind, row.reason.text) for row in rows if row.reason)
        first: dict[tuple[State, str, str], Reason] = {}
        for row in rows:
            if row.reason:
                first.setdefault((row.state, row.reason.kind, row.reason.text), row.reason)
        return [(key[0], first[key], count) for key, count in counted.most_common()]


def run_status(run: str, parts: Iterable[Part]) -> RunStatus:
    """Put the parts of a run together.

    Args:
        run: name of the run, which is the name of its region's Workflow.
        parts: of its Workflows, in any order: the region's, and one a shard.
    """
    by_name = {part.name: part for part in parts}
    region = by_name.pop(run, None)
    children = {part.labels.get(SHARD, part.name): part for part in by_name.values()}
    ids = [*(region.shards or () if region else ()), *(region.making if region else ()), *children]
    shards = {shard: _shard_state(shard, region, children) for shard in sorted(dict.fromkeys(ids))}
    everything = [part for part in (region, *children.values()) if part]
    own = region.steps if region else ()
    return RunStatus(
        run=run,
        phase=region.phase or "Pending" if region else "Unknown",
        reason=region.reason if region else None,
        started=region.started if region else None,
        finished=region.finished if region else None,
        steps=(*own, *_open_steps(shards, region, children)),
        shards=shards,
        tile_years=tuple(row for part in everything for row in part.tile_years),
        notes=tuple(_notes(region, children, shards)),
    )


def _shard_state(shard: str, region: Part | None, children: Mapping[str, Part]) -> State:
    if shard in children:
        return children[shard].state
    if region and shard in region.making:
        return region.making[shard].state
    return State.STOPPED if region is None or region.over else State.PENDING


def _open_steps(shards: Mapping[str, State], region: Part | None, children: Mapping[str, Part]) -> Iterator[Step]:
    """What shards still have to do beside tile-years, and shards whose Workflow could not be made."""
    for shard in shards:
        if shard in children:
            yield from (step for step in children[shard].steps if step.state is not State.DONE)
        elif region and shard in region.making and region.making[shard].state is not State.DONE:
            yield region.making[shard]


def _notes(region: Part | None, children: Mapping[str, Part], shards: Mapping[str, State]) -> Iterator[str]:
    """Say what is not known."""
    if region is None and not children:
        yield "nothing of this run is left in the cluster; what it made is in the store"
    elif region is None:
        yield "the region's Workflow is gone: shards that are gone too are not counted"
    elif region.labels.get("part") in {None, "region"} and region.shards is None and not region.hidden:
        yield "the plan is not made yet, so how many tile-years there are is not known"
    elif region.shards == ():
        yield "the plan found nothing to make: every tile-year is there already"
    if hidden := [part.name for part in (region, *children.values()) if part and part.hidden]:
        yield (
            f"the nodes of {_some(hidden)} are kept in Argo's database or compressed, and their tile-years are not "
            "counted: BETAEARTH_CLUSTER__ARGO_SERVER names the server that can show them"
        )
    gone = [shard for shard, state in shards.items() if shard not in children and state is State.DONE]
    if gone:
        yield (
            f"the tile-years of {counted(len(gone), 'shard')} are not counted here, which are done and removed: "
            f"`runs/{region.name if region else '...'}/report.json` in the store counts them"
        )
    unlisted = [
        shard
        for shard, state in shards.items()
        if state is not State.DONE and (shard not in children or not (children[shard].listed or children[shard].hidden))
    ]
    if unlisted:
        size = region.arguments.get("shard-size", "") if region else ""
        bound = f", {len(unlisted) * int(size):,} at most," if size.isdigit() else ""
        yield f"the tile-years of {counted(len(unlisted), 'shard')}{bound} are not counted: no list of them is made yet"


def _some(names: list[str], shown: int = 3) -> str:
    listed = ", ".join(names[:shown])
    return f"{listed} and {len(names) - shown} more" if len(names) > shown else listed

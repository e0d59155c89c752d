"""What one Workflow tells of a run: the state of its tile-years and of its other steps, with reasons.

Pure functions of objects as the Kubernetes API gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from betaearth.cluster.nodes import (
    FINAL,
    NODE_ID,
    Node,
    Work,
    labels_of,
    listed_shards,
    listed_tile_years,
    parameters_of,
    read_nodes,
    work_of,
    workflow_name,
)
from betaearth.cluster.reasons import NOT_STARTED, UNSEEN, Reason, pod_evidence, reason_of

Object = Mapping[str, Any]
"""An object of the Kubernetes API, as JSON."""
Evidence = tuple[str, int | None]
"""What a pod tells, as `pod_evidence` reads it: (message, exit code of the main container)."""
SHARD = "shard"
"""Label of a child Workflow, and input of the pod that makes it."""


class State(StrEnum):
    """Where a tile-year, a step or a shard is."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    """Left undone because the run was stopped or ended before."""


@dataclass(frozen=True)
class Step:
    """A pod that is no tile-year's: plan, list, publish, index."""

    name: str
    workflow: str
    state: State
    attempts: int
    reason: Reason | None
    """Why it waits or failed; None where there is nothing to say."""
    pod: str | None
    """Of the last attempt; None where there was none."""


@dataclass(frozen=True)
class TileYear:
    """One tile-year of the run."""

    name: str
    """`433U_1046R/2024`."""
    workflow: str
    state: State
    attempts: int
    """Pods that tried it, the running one included."""
    reason: Reason | None
    """Why it waits or failed; of one that is tried again, why it failed before."""
    pod: str | None
    """Of the last attempt; None where there was none."""
    together: int = 1
    """Tile-years of the same pod, which share their state: which of them failed only the log says."""

    @property
    def cell(self) -> str:
        """Id of the cell."""
        return self.name.partition("/")[0]

    @property
    def year(self) -> str:
        """The calendar year; empty where the pod's argument does not say it."""
        return self.name.partition("/")[2]


@dataclass(frozen=True)
class Part:
    """What one Workflow tells."""

    name: str
    labels: Mapping[str, str]
    """Ours, without their prefix: run, shard, part."""
    phase: str
    """Argo's word: Pending, Running, Succeeded, Failed, Error; empty where the controller has not seen it."""
    reason: Reason | None
    """Why the Workflow as a whole waits or failed."""
    started: str | None
    finished: str | None
    """Times as the API spells them, ISO 8601 UTC."""
    arguments: Mapping[str, str]
    steps: tuple[Step, ...]
    making: Mapping[str, Step]
    """Shard id to the pod that makes its Workflow and waits for it."""
    tile_years: tuple[TileYear, ...]
    shards: tuple[str, ...] | None
    """Ids that the plan gave out; None before."""
    listed: bool
    """Whether it is known which tile-years it is to make."""
    hidden: bool
    """Whether its nodes are kept where the API does not show them."""

    @property
    def over(self) -> bool:
        """Whether the Workflow has ended."""
        return self.phase in FINAL

    @property
    def state(self) -> State:
        """Its phase in our words."""
        return _PHASES.get(self.phase, State.PENDING)


_PHASES = {
    "Running": State.RUNNING,
    "Succeeded": State.DONE,
    "Failed": State.FAILED,
    "Error": State.FAILED,
    "Skipped": State.STOPPED,
    "Omitted": State.STOPPED,
}


def part_of(workflow: Object, pods: Mapping[str, Evidence]) -> Part:
    """Read one Workflow.

    Args:
        workflow: as the API gives it.
        pods: what they tell by the id of their node, as `evidence_of` gives it; may be empty.
    """
    status = workflow.get("status") or {}
    phase = str(status.get("phase", ""))
    nodes = read_nodes(workflow)
    name, labels = workflow_name(workflow), labels_of(workflow)
    works = list(work_of(nodes or {}))
    ended = phase in FINAL
    tile_years = [row for work in works for row in _tile_years(work, name, pods, ended=ended)]
    listed = listed_tile_years(nodes or {})
    begun = {row.name for row in tile_years}
    rest = State.STOPPED if ended else State.PENDING
    waiting = None if ended else NOT_STARTED
    tile_years += [TileYear(it, name, rest, 0, waiting, None) for it in listed or () if it not in begun]
    steps = [(work, _step(work, name, pods, ended=ended)) for work in works if not work.tile_years]
    children = {work.node.inputs[SHARD]: step for work, step in steps if _makes_shard(work, labels)}
    shards = listed_shards(nodes or {})
    return Part(
        name=name,
        labels=labels,
        phase=phase,
        reason=_whole(phase, str(status.get("message", ""))),
        started=status.get("startedAt"),
        finished=status.get("finishedAt"),
        arguments=parameters_of((workflow.get("spec") or {}).get("arguments")),
        steps=tuple(step for work, step in steps if not _makes_shard(work, labels)),
        making=children,
        tile_years=tuple(tile_years),
        shards=None if shards is None or _is_shard(labels) else tuple(shards),
        listed=listed is not None or bool(tile_years),
        hidden=nodes is None,
    )


def evidence_of(pods: Iterable[Object]) -> dict[str, Evidence]:
    """Read what pods tell by the id of the node that they belong to; those in order tell nothing."""
    found = {}
    for pod in pods:
        node = (pod.get("metadata", {}).get("annotations") or {}).get(NODE_ID)
        if node and (evidence := pod_evidence(pod))[0]:
            found[node] = evidence
    return found


def _whole(phase: str, message: str) -> Reason | None:
    """Why a Workflow as a whole waits or failed."""
    if not phase:
        return UNSEEN
    return None if phase == "Succeeded" else reason_of(message, None)


def _makes_shard(work: Work, labels: Mapping[str, str]) -> bool:
    """Tell the region's pods that make a shard's Workflow: pods of a shard have its id as an input, too."""
    return bool(work.node.inputs.get(SHARD)) and not _is_shard(labels) and not work.tile_years


def _is_shard(labels: Mapping[str, str]) -> bool:
    return SHARD in labels or labels.get("part") == SHARD


def _step(work: Work, workflow: str, pods: Mapping[str, Evidence], *, ended: bool) -> Step:
    state, reason = _judged(work, pods, ended=ended)
    last = work.last
    return Step(_plain(work.node), workflow, state, len(work.attempts), reason, last.pod if last else None)


def _tile_years(work: Work, workflow: str, pods: Mapping[str, Evidence], *, ended: bool) -> Iterator[TileYear]:
    if not work.tile_years:
        return
    state, reason = _judged(work, pods, ended=ended)
    pod = work.last.pod if work.last else None
    for name in work.tile_years:
        yield TileYear(name, workflow, state, len(work.attempts), reason, pod, len(work.tile_years))


def _judged(work: Work, pods: Mapping[str, Evidence], *, ended: bool) -> tuple[State, Reason | None]:
    """Where a piece of work is, and why."""
    phase = work.node.phase
    if phase == "Succeeded":
        return State.DONE, None
    reason = _reason(work, pods)
    if phase in FINAL:
        stopped = phase in {"Skipped", "Omitted"} or (reason is not None and reason.kind == "stopped")
        return (State.STOPPED if stopped else State.FAILED), reason
    if ended:
        return State.STOPPED, reason
    running = work.last is not None and work.last.phase in {"Running", "Succeeded"}
    return (State.RUNNING if running else State.PENDING), reason


def _reason(work: Work, pods: Mapping[str, Evidence]) -> Reason | None:
    """Why work waits or failed: of the last attempt that says something, since a running one says nothing."""
    own = reason_of(work.node.message, None)
    if own is not None and (own.kind == "stopped" or not work.attempts):
        return own
    for attempt in reversed(work.attempts):
        message, code = attempt.message, attempt.exit_code
        if attempt.id in pods and not message:
            message, seen = pods[attempt.id]
            code = seen if code is None else code
        if attempt.phase == "Succeeded":
            continue
        if (found := reason_of(message, code)) is not None:
            return found
    return None


def _plain(node: Node) -> str:
    """Name of a step without its items: `shard(3:00003)` is `shard`, said of the pod's input where it has one."""
    base = node.display.partition("(")[0]
    return f"{base} {node.inputs[SHARD]}" if node.inputs.get(SHARD) else base

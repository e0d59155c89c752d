"""A run on the cluster: a region's Workflow and its shards', which are ended, awaited and made again together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from betaearth.cluster.nodes import read_nodes, workflow_name
from betaearth.cluster.submission import resubmission
from betaearth.cluster.workflows import RUN, Shutdown, Submission, Workflows
from betaearth.errors import ConfigError, DataError, TransientError

FINAL = frozenset({"Succeeded", "Failed", "Error"})
"""Phases that a Workflow does not leave."""
ROUNDS = 3
"""Times that shards are looked for while a run is ended: one may just be made."""
EXIT_KINDS: tuple[tuple[int, type[Exception], str], ...] = (
    (78, ConfigError, "the set-up of its pods must change first (exit code 78)"),
    (75, TransientError, "its pods could not reach what they need (exit code 75): `betaearth resubmit {name}` later"),
    (65, DataError, "tile-years have no product (exit code 65)"),
)
"""Exit code of a pod, what the run's failure is to us, and what is said of it; the first that occurred counts."""


def phase_of(workflow: Mapping[str, Any]) -> str:
    """Phase of a Workflow; Pending before the controller has seen it."""
    return str((workflow.get("status") or {}).get("phase") or "Pending")


def shards_of(workflows: Workflows, run: str) -> Iterator[dict[str, Any]]:
    """Yield the Workflows of a run's shards."""
    return (child for child in workflows.list({RUN: run}) if workflow_name(child) != run)


def end_run(workflows: Workflows, run: str, how: Shutdown) -> list[str]:
    """End a run: the region first, so that it makes no more shards, then its shards.

    Returns:
        Names of the Workflows that were told to end; empty where all were over.

    Raises:
        DataError: there is no such run.
    """
    ended: list[str] = []
    if phase_of(workflows.get(run)) not in FINAL:
        _end(workflows, run, how)
        ended.append(run)
    for _ in range(ROUNDS):
        running = sorted(
            name
            for shard in shards_of(workflows, run)
            if phase_of(shard) not in FINAL and (name := workflow_name(shard)) not in ended
        )
        if not running:
            break
        for name in running:
            _end(workflows, name, how)
        ended += running
    return ended


def _end(workflows: Workflows, name: str, how: Shutdown) -> None:
    """End a Workflow; one that ended or vanished in the meantime is as good.

    An argo-server says 500 of one that is over.
    """
    try:
        workflows.shutdown(name, how)
    except (DataError, ConfigError, TransientError):
        if not _over(workflows, name):
            raise


def _over(workflows: Workflows, name: str) -> bool:
    try:
        return phase_of(workflows.get(name)) in FINAL
    except DataError:
        return True


def submission_again(workflows: Workflows, run: str) -> Submission:
    """Make the submission of a run that is over, to be submitted again.

    Raises:
        DataError: there is no such run, it is none of a region, or it still runs.
    """
    earlier = workflows.get(run)
    if (phase := phase_of(earlier)) not in FINAL:
        raise DataError(f"{run} is {phase}: wait for its end or stop it first, or tile-years are made twice")
    return resubmission(earlier)


def await_run(workflows: Workflows, run: str, tell: Callable[[str], None]) -> None:
    """Wait for the end of a run.

    Args:
        workflows: where it runs.
        run: its name.
        tell: gets a line whenever its phase or its progress changes.

    Raises:
        DataError: tile-years failed, or the run was deleted.
        TransientError: it was stopped, or failed for what may pass, or the cluster does not answer any more.
        ConfigError: it failed since the set-up is wrong.
    """
    told = ""
    for workflow in workflows.watch({}, name=run):
        status = workflow.get("status") or {}
        line = " ".join(filter(None, [phase_of(workflow), status.get("progress", "")]))
        if line != told:
            tell(f"{run}: {line}")
            told = line
        if phase_of(workflow) in FINAL:
            raise_failure(workflow)
            return
        if "deletionTimestamp" in workflow["metadata"]:
            raise DataError(f"{run} was deleted before its end")


def raise_failure(workflow: Mapping[str, Any]) -> None:
    """Raise what the end of a run means; nothing where it succeeded.

    Raises:
        DataError: tile-years failed, or a pod did for a reason that will not pass.
        TransientError: it was stopped, or failed for what may pass.
        ConfigError: the set-up of its pods is wrong.
    """
    phase, name = phase_of(workflow), workflow_name(workflow)
    if phase == "Succeeded":
        return
    if how := (workflow.get("spec") or {}).get("shutdown"):
        raise TransientError(f"{name} was ended ({how}): `betaearth resubmit {name}` goes on")
    nodes = (read_nodes(workflow) or {}).values()
    codes = {node.exit_code for node in nodes if node.phase in {"Failed", "Error"}}
    for code, kind, sentence in EXIT_KINDS:
        if code in codes:
            raise kind(f"{name}: {sentence.format(name=name)}; `betaearth status {name}` tells which")
    said = (workflow.get("status") or {}).get("message") or "it says no more"
    kind = TransientError if phase == "Error" else DataError
    raise kind(f"{name}: {phase}: {said}; `betaearth status {name}` tells more")

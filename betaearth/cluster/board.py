"""Reading a run from the cluster, once or as it goes on."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from typing import Any

from betaearth.cluster.inbox import Inbox
from betaearth.cluster.nodes import workflow_name
from betaearth.cluster.parts import Evidence, Part, State, TileYear, evidence_of, part_of
from betaearth.cluster.status import RunStatus, run_status
from betaearth.cluster.workflows import LABELS, RUN, Workflows
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.discretion import discreet

EVERY_S = 2.0
"""Seconds between two looks at a run that is followed; its end is told at once."""
READ_ARCHIVED = 20
"""Archived runs, the newest, that are read one by one for what an argo-server's list leaves out."""
LAST_LINES = 3
"""Of a failed pod."""
ASKED_PODS = 5
"""Failed pods whose last lines are fetched: those of a hundred would say the same."""


def read_run(client: Workflows, run: str) -> dict[str, Part]:
    """Read the Workflows of a run, by their names.

    Raises:
        DataError: there is no such run.
        ConfigError: the cluster refuses, or there is none.
        TransientError: the cluster did not answer.
    """
    absent = None
    labels = {RUN: run}
    pods: dict[str, Evidence] = {}
    with suppress(ConfigError):  # nodes say nearly as much as pods, to those who may not see these
        pods = evidence_of(client.pods(labels))
    parts: dict[str, Part] = {}
    try:
        parts[run] = part_of(client.get(run), pods)
    except DataError as error:
        absent = error
    # One after the other: each Workflow of a large run is a megabyte, and only what it tells is kept.
    for workflow in client.list(labels):
        name = workflow_name(workflow)
        if name != run:
            part = part_of(workflow, pods)
            parts[name] = part_of(client.get(name), pods) if part.hidden else part
    if absent and not parts:
        raise absent
    return parts


def follow_run(client: Workflows, run: str, *, every_s: float = EVERY_S) -> Iterator[RunStatus]:
    """Yield how far a run is, now and as it changes, until it is over.

    Args:
        client: of the run's namespace.
        run: name of the region's Workflow.
        every_s: least seconds between two.

    Raises:
        DataError: there is no such run.
        ConfigError: the cluster refuses, or there is none.
        TransientError: the cluster did not answer.
    """
    parts = read_run(client, run)
    status = run_status(run, parts.values())
    yield status
    if status.over:
        return
    told, held = time.monotonic(), False
    with closing(Inbox(_changes(client, run))) as inbox:
        while not (status.over or inbox.ended):
            # What was held back is told when its time has come, even if nothing changes any more.
            changes = inbox.take(max(0.0, told + every_s - time.monotonic()) if held else None)
            for name, part in changes:
                if part is None:
                    parts.pop(name, None)
                else:
                    parts[name] = part
            held = held or bool(changes)
            at_once = inbox.ended or any(name == run and (part is None or part.over) for name, part in changes)
            if held and (at_once or time.monotonic() - told >= every_s):
                status = run_status(run, parts.values())
                yield status
                told, held = time.monotonic(), False


def _changes(client: Workflows, run: str) -> Generator[tuple[str, Part | None], None, None]:
    """Yield a run's Workflows by their names as they change; None for one that is gone."""
    for workflow in client.watch({RUN: run}):
        part = part_of(workflow, {})
        if "deletionTimestamp" in workflow["metadata"]:
            yield part.name, None
        elif part.hidden:
            with suppress(DataError):  # it is gone meanwhile, which will be told
                yield part.name, part_of(client.get(part.name), {})
        else:
            yield part.name, part


def list_runs(client: Workflows) -> list[Part]:
    """Read the regions' Workflows, the newest first; older ones in the archive come without arguments, and hidden.

    Raises:
        ConfigError: the cluster refuses, or there is none.
        TransientError: the cluster did not answer.
    """
    parts = [part_of(workflow, {}) for workflow in client.list({f"{LABELS}part": "region"})]
    parts.sort(key=lambda part: (part.started is None, part.started or "", part.name), reverse=True)
    extracts = [index for index, part in enumerate(parts) if part.hidden and not part.arguments]
    for index in extracts[:READ_ARCHIVED]:
        with suppress(DataError):  # it is gone meanwhile
            parts[index] = part_of(client.get(parts[index].name), {})
    return parts


def last_lines(client: Workflows, rows: Iterable[TileYear]) -> dict[str, list[str]]:
    """Read the last lines of the first pods that failed, by the pod's name; empty where they can be read no more."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if len(found) == ASKED_PODS:
            break
        if row.state is State.FAILED and row.pod and row.pod not in found:
            found[row.pod] = _tail(client, row.workflow, row.pod)
    return {pod: lines for pod, lines in found.items() if lines}


def _tail(client: Workflows, workflow: str, pod: str) -> list[str]:
    lines: list[str] = []
    # A pod that is gone, or whose log may not be read, is no reason to say nothing of the run.
    with suppress(DataError, ConfigError, TransientError):
        lines = [line.text for line in client.logs(workflow, pod=pod, tail=LAST_LINES, follow=False)]
    return lines[-LAST_LINES:]


def region_words(arguments: Mapping[str, Any]) -> str:
    """Say which region a run was given, in few words."""
    for name in ("bbox", "cells", "osm-relation", "geojson"):
        if value := str(arguments.get(name, "")).strip():
            words = discreet(value)  # an address of GeoJSON may be a signed one
            return f"{name} {words if len(words) <= 40 else words[:39] + '…'}"
    return ""

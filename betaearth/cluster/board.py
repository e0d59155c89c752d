"""Reading a run from the cluster, once or as it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from betaearth.cluster.nodes import workflow_name
from betaearth.cluster.parts import Part, State, TileYear, part_of, pods_by_node
from betaearth.cluster.status import RunStatus, run_status
from betaearth.cluster.workflows import LABELS, RUN, Workflows
from betaearth.errors import ConfigError, DataError, TransientError

EVERY_S = 2.0
"""Seconds between two looks at a run that is followed; the end is told at once."""
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
    pods: dict[str, Any] = {}
    with suppress(ConfigError):  # nodes say nearly as much as pods, to those who may not see these
        pods = pods_by_node(client.pods(labels))
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
    told = time.monotonic()
    changes = iter(()) if status.over else client.watch({RUN: run})
    for workflow in changes:
        part = part_of(workflow, {})
        gone = "deletionTimestamp" in workflow["metadata"]
        if gone:
            parts.pop(part.name, None)
        elif not part.hidden:
            parts[part.name] = part
        if not (gone or part.over) and time.monotonic() - told < every_s:
            continue
        status = run_status(run, parts.values())
        yield status
        told = time.monotonic()
        if status.over:
            return


def list_runs(client: Workflows) -> list[Part]:
    """Read the regions' Workflows, the newest first.

    Raises:
        ConfigError: the cluster refuses, or there is none.
        TransientError: the cluster did not answer.
    """
    parts = [part_of(workflow, {}) for workflow in client.list({f"{LABELS}part": "region"})]
    return sorted(parts, key=lambda part: (part.started is None, part.started or "", part.name), reverse=True)


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
            return f"{name} {value if len(value) <= 40 else value[:39] + '…'}"
    return ""

"""What a run's pods wrote: of a tile-year, found by the pod that makes it, or of the whole run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from betaearth.cluster.nodes import read_nodes, tile_year_of, work_of, workflow_name
from betaearth.cluster.runs import shards_of
from betaearth.cluster.workflows import LABELS, RUN, WORKFLOW, LogLine, Workflows
from betaearth.errors import ConfigError, DataError
from betaearth.grid.majortom import MIN_SPACING_M, MajorTomGrid
from betaearth.pipeline.job import check_year

TILE_YEARS = f"{LABELS}tile-years"
"""Annotation of a pod: the tile-years that it makes."""


@dataclass(frozen=True)
class PodOf:
    """A pod and the Workflow that it belongs to."""

    workflow: str
    pod: str


def tile_year_word(cell: str, year: int) -> str:
    """Spell a tile-year as pods are told of it: `433U_1046R/2024`.

    A run may have any spacing, and the finest grid has the cells of every other.

    Raises:
        DataError: no grid has such a cell, or there can be no imagery of the year.
    """
    return f"{MajorTomGrid(MIN_SPACING_M).cell(cell).id}/{check_year(year)}"


def tile_year_logs(
    workflows: Workflows, run: str, tile_year: str, *, tail: int | None = None, follow: bool = False
) -> Iterator[LogLine]:
    """Yield what the latest pod of a tile-year wrote.

    Args:
        workflows: where the run is.
        run: its name.
        tile_year: `433U_1046R/2024`.
        tail: lines, the last ones; None for all.
        follow: go on until the pod is done.

    Raises:
        DataError: no pod of the run makes it, or the pod is gone.
        ConfigError: the Workflows do not say which pod it is.
    """
    found = living_pod(workflows.pods({RUN: run}), tile_year) or _known_pod(workflows, run, tile_year)
    yield from workflows.logs(found.workflow, pod=found.pod, tail=tail, follow=follow)


def living_pod(pods: Iterable[Mapping[str, Any]], tile_year: str) -> PodOf | None:
    """Find the latest pod whose annotation names a tile-year; None where none does.

    Args:
        pods: as the API gives them, in any order.
        tile_year: `433U_1046R/2024`.
    """
    latest, found = "", None
    for pod in pods:
        metadata = pod["metadata"]
        workflow, made = (metadata.get("labels") or {}).get(WORKFLOW), str(metadata.get("creationTimestamp", ""))
        if not workflow or made < latest:
            continue
        if tile_year in _words((metadata.get("annotations") or {}).get(TILE_YEARS, "")):
            latest, found = made, PodOf(workflow, metadata["name"])
    return found


def noted_pod(workflow: Mapping[str, Any], tile_year: str) -> PodOf | None:
    """Find the latest pod of a tile-year in the nodes of a Workflow; None where it has none.

    Raises:
        ConfigError: the nodes lie where only an argo-server reads them.
    """
    nodes = read_nodes(workflow)
    if nodes is None:
        raise ConfigError(
            f"Workflow {workflow_name(workflow)} keeps its nodes in Argo's database, which an argo-server reads: "
            "--argo-server"
        )
    for work in work_of(nodes):
        if tile_year in work.tile_years and work.last is not None and work.last.pod is not None:
            return PodOf(workflow_name(workflow), work.last.pod)
    return None


def run_logs(workflows: Workflows, run: str, *, tail: int | None = None, follow: bool = False) -> Iterator[LogLine]:
    """Yield what the pods of a run wrote: the region's, then each shard's; followed, the region's alone.

    Raises:
        DataError: there is no such run, or its pods are gone.
    """
    workflows.get(run)
    names = [run] if follow else [run, *sorted(map(workflow_name, shards_of(workflows, run)))]
    gone: DataError | None = None
    some = False
    for name in names:
        try:
            for line in workflows.logs(name, pod=None, tail=tail, follow=follow):
                some = True
                yield line
        except DataError as error:
            gone = error
    if gone is not None and not some:
        raise gone


def _known_pod(workflows: Workflows, run: str, tile_year: str) -> PodOf:
    for workflow in shards_of(workflows, run):
        whole = workflows.get(workflow_name(workflow)) if read_nodes(workflow) is None else workflow
        if found := noted_pod(whole, tile_year):
            return found
    workflows.get(run)
    raise DataError(
        f"no pod of {run} makes {tile_year}: it waits for its turn, was there already, or belongs to another run; "
        f"`betaearth status {run}` tells"
    )


def _words(listed: str) -> list[str]:
    return [tile_year_of(word) for word in re.split(r"[,\s]+", listed) if word]

"""The nodes of a Workflow's status: what Argo knows of each pod that it started, and of those that it will start.

Argo keeps a tree: steps and tasks hold retry nodes, which hold one pod node an attempt. What matters here are the
pieces of work, which are retry nodes, and pods that are no attempt of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from betaearth.cluster.workflows import LABELS

RETRY, POD = "Retry", "Pod"
FINAL = frozenset({"Succeeded", "Failed", "Error", "Skipped", "Omitted"})
"""Phases that a node does not leave; of a Workflow the first three."""
TILE_YEARS = "tile-years"
"""Input of a pod, and key of the items that pods are fanned out over."""
NODE_ID = "workflows.argoproj.io/node-id"
"""Annotation of a pod: the node that it belongs to."""
POD_NAME_FORMAT = "workflows.argoproj.io/pod-name-format"
ARCHIVED = "workflows.argoproj.io/workflow-archiving-status"
"""Label of a Workflow that is to be in the archive, or is there."""
LONGEST_PREFIX = 253 - 10 - 1
"""Characters of a pod's name before its hash."""


@dataclass(frozen=True)
class Node:
    """One node, as far as we read it."""

    id: str
    name: str
    """Path in the tree: `run-00000.tiles(0:tile-years:433U_1046R/2024)(1)`."""
    display: str
    type: str
    phase: str
    template: str
    message: str
    exit_code: int | None
    """Of the main container; None before its end, and where nobody saw it."""
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    children: tuple[str, ...]
    pod: str | None
    """Name of its pod; None for what is no pod."""

    @property
    def over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.phase in FINAL


@dataclass(frozen=True)
class Work:
    """A piece of work: something that is done in a pod, tried perhaps several times."""

    node: Node
    attempts: tuple[Node, ...]
    """Pod nodes, the first first; empty where none was made yet."""
    tile_years: tuple[str, ...] = field(default=())
    """`433U_1046R/2024`; empty for what is no pod of tile-years."""

    @property
    def last(self) -> Node | None:
        """The latest attempt; None where there was none."""
        return self.attempts[-1] if self.attempts else None


def workflow_name(workflow: Mapping[str, Any]) -> str:
    """Name of a Workflow."""
    return str(workflow.get("metadata", {}).get("name", ""))


def labels_of(resource: Mapping[str, Any]) -> dict[str, str]:
    """Our labels of an object, without their prefix."""
    labels = resource.get("metadata", {}).get("labels") or {}
    return {name.removeprefix(LABELS): value for name, value in labels.items() if name.startswith(LABELS)}


def read_nodes(workflow: Mapping[str, Any]) -> dict[str, Node] | None:
    """Read the nodes of a Workflow by their ids.

    Returns:
        None where the object does not hold them: they are compressed, or kept in a database or the archive.
    """
    status = workflow.get("status") or {}
    nodes = status.get("nodes")
    if nodes is None:
        hidden = status.get("compressedNodes") or status.get("offloadNodeStatusVersion") or _is_extract(workflow)
        return None if hidden else {}
    metadata = workflow.get("metadata", {})
    newer = (metadata.get("annotations") or {}).get(POD_NAME_FORMAT, "v2") != "v1"
    return {key: _node(key, entry, workflow_name(workflow), newer=newer) for key, entry in nodes.items()}


def _is_extract(workflow: Mapping[str, Any]) -> bool:
    """Tell an entry of the archive's list: a Workflow that is over, and of whose spec it is not said what it runs."""
    spec = workflow.get("spec") or {}
    runs = spec.get("workflowTemplateRef") or spec.get("entrypoint") or spec.get("templates")
    return ARCHIVED in (workflow.get("metadata", {}).get("labels") or {}) and not runs


def work_of(nodes: Mapping[str, Node]) -> Iterator[Work]:
    """Yield the pieces of work."""
    tries = {node.id: _attempts(node, nodes) for node in nodes.values() if node.type == RETRY}
    attempts = {attempt.id for found in tries.values() for attempt in found}
    for node in nodes.values():
        if node.type == RETRY:
            yield Work(node, tries[node.id], _listed(node))
        elif node.id not in attempts and (node.type == POD or _never_ran(node)):
            yield Work(node, (node,) if node.type == POD and node.phase else (), _listed(node))


def listed_tile_years(nodes: Mapping[str, Node]) -> list[str] | None:
    """Read the tile-years that a shard is going to make from what its `list` pod gave out.

    Returns:
        None where it has not done so yet.
    """
    for items in _output_lists(nodes):
        if all(isinstance(item, dict) and TILE_YEARS in item for item in items):
            return [tile_year for item in items for tile_year in _split(str(item[TILE_YEARS]))]
    return None


def listed_shards(nodes: Mapping[str, Node]) -> list[str] | None:
    """Read the ids of a run's shards from what its `plan` pod gave out; None where it has not done so yet."""
    for items in _output_lists(nodes):
        if all(isinstance(item, str) for item in items):
            return items
    return None


def _output_lists(nodes: Mapping[str, Node]) -> Iterator[list[Any]]:
    for node in nodes.values():
        if node.type != POD:
            continue
        for value in node.outputs.values():
            if value.lstrip().startswith("["):
                try:
                    yield json.loads(value)
                except ValueError:
                    continue


def _attempts(node: Node, nodes: Mapping[str, Node]) -> tuple[Node, ...]:
    """The children of a retry node that are attempts, which are called `name(0)`, `name(1)`, ...; hooks are not."""
    found = {}
    for child in node.children:
        known = nodes.get(child)
        number = known.name.removeprefix(node.name) if known else ""
        if known and number[:1] == "(" and number[-1:] == ")" and number[1:-1].isdigit():
            found[int(number[1:-1])] = known
    return tuple(found[number] for number in sorted(found))


def _never_ran(node: Node) -> bool:
    """Tell work that was left out, whose type Argo calls Skipped, from an empty fan-out, which has no inputs."""
    return node.type == "Skipped" and bool(node.inputs)


def _listed(node: Node) -> tuple[str, ...]:
    return tuple(_split(node.inputs.get(TILE_YEARS, "")))


def _split(words: str) -> list[str]:
    return [tile_year_of(word) for word in re.split(r"[,\s]+", words) if word]


def tile_year_of(word: str) -> str:
    """Name the tile-year of a pod's argument: `433U_1046R/2024` of `433U_1046R/2024/0123456789ab`."""
    return "/".join(word.split("/")[:2])


def _node(key: str, entry: Mapping[str, Any], workflow: str, *, newer: bool) -> Node:
    reference = entry.get("templateRef") or {}
    template = str(entry.get("templateName") or reference.get("template") or "")
    name = str(entry.get("name", ""))
    code = str((entry.get("outputs") or {}).get("exitCode", ""))
    is_pod = entry.get("type") == POD
    return Node(
        id=str(entry.get("id", key)),
        name=name,
        display=str(entry.get("displayName", name)),
        type=str(entry.get("type", "")),
        phase=str(entry.get("phase", "")),
        template=template,
        message=str(entry.get("message", "")),
        exit_code=int(code) if re.fullmatch(r"-?\d+", code) else None,
        inputs=parameters_of(entry.get("inputs")),
        outputs=parameters_of(entry.get("outputs")),
        children=tuple(entry.get("children") or ()),
        pod=_pod_name(workflow, name, template, str(entry.get("id", key)), newer=newer) if is_pod else None,
    )


def parameters_of(group: Mapping[str, Any] | None) -> dict[str, str]:
    """Read the parameters that have a value, from arguments, inputs or outputs.

    Argo takes values that are no text as the JSON that they are: `true`, `[1, 2]`.
    """
    listed = (group or {}).get("parameters") or []
    values = {entry["name"]: entry["value"] for entry in listed if entry.get("value") is not None}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _pod_name(workflow: str, name: str, template: str, node_id: str, *, newer: bool) -> str:
    """Name of a node's pod: `{workflow}-{template}-{hash}`, where the id of the node is `{workflow}-{hash}`.

    The rule is Argo's `GeneratePodName`; pods are not labelled with it, and the nodes do not say it.
    """
    if not newer or name == workflow:
        return node_id
    prefix = workflow if ".inline" in name else f"{workflow}-{template}"
    return f"{prefix[:LONGEST_PREFIX]}-{node_id.rpartition('-')[2]}"

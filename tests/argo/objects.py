"""Workflow objects as Argo would keep them, at the size that we promise: what etcd, pods and parameters have to hold.

A model of Argo's status, checked against its schema: a node for every task, attempt and group, each with its inputs,
message, host and durations; templates stored beside them. Texts are as long as real ones get. Every leaf was tried as
often as it may be: its first pod was evicted, the others ended by themselves. What the API server notes beside it
(managedFields) is left out: of packed nodes it notes one text.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.argo.expressions import rendered
from tests.argo.manifests import Bundle, Document, dict_of

ATTEMPTS = 5
"""Of a leaf: one, and four retries."""
HOST = "ip-10-{}-{}-{}.eu-central-1.compute.internal"
FAILED = "main: Error (exit code 75)"
EVICTED = (
    "The node was low on resource: ephemeral-storage. Threshold quantity: {}, available: {}Ki. Container main was "
    "using {}Ki, request is 4Gi, has larger consumption of ephemeral-storage."
)
WAITING = "Waiting for embeddings/ConfigMap/betaearth-semaphores/imagery lock. Lock status: 0/50"
STORE = "s3://a-bucket-with-a-rather-long-name-in-europe/a/prefix/of/several/parts/embeddings"
RUN = "betaearth-region-x7k2p"
IMAGE = f"registry.example.org/a-team/of-a-company/betaearth@sha256:{'a' * 64}"


@dataclass(frozen=True)
class Size:
    """Bytes of an object."""

    plain: int
    """As JSON."""
    packed: int
    """With its nodes in gzip and base64, as Argo keeps them once the plain ones are too large."""


def size_of(workflow: Document) -> Size:
    """Measure a Workflow."""
    status = dict(workflow["status"])
    nodes = json_bytes(status.pop("nodes"))
    packed = base64.b64encode(gzip.compress(nodes, compresslevel=6)).decode()
    rest = {**workflow, "status": {**status, "compressedNodes": packed}}
    return Size(len(json_bytes(workflow)), len(json_bytes(rest)))


def json_bytes(value: Any) -> bytes:
    """Write JSON as Go does, without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def child_manifest(bundle: Bundle, *, run: str = RUN, shard: str = "00017", **given: str) -> Document:
    """Fill in the manifest that a region applies for a shard."""
    template = bundle.template("betaearth-region", "shard")
    values = {entry["name"]: "" for entry in template["inputs"]["parameters"]}
    values |= {"run": run, "shard": shard, "refresh": "false", "tiles-per-pod": "1"}
    values |= {name.replace("_", "-"): value for name, value in given.items()}
    scope = {f"inputs.parameters.{name}": value for name, value in values.items()} | {
        "workflow.parameters.image": IMAGE
    }
    return dict_of(yaml.safe_load(rendered(template["resource"]["manifest"], scope)))


def region_object(bundle: Bundle, shards: int, values: Mapping[str, str]) -> Document:
    """Make the Workflow of a region after its last retry; every shard's pod was lost four times."""
    nodes = Nodes(RUN)
    ids = [f"{index:05d}" for index in range(shards)]
    root = nodes.add("", "DAG", "region", values=values)
    plan = {name: values.get(name, "") for name in names_of(bundle, "betaearth-region", "plan")}
    nodes.leaf(".plan", "plan", plan, outputs={"shards": json.dumps(ids)}, parent=root)
    steps = [f".shards({index}:{shard})" for index, shard in enumerate(ids)]
    nodes.add(".shards", "TaskGroup", "shard", parent=root, children=[nodes.id(step) for step in steps])
    common = {name: values.get(name, "") for name in names_of(bundle, "betaearth-region", "shard")}
    for step, shard in zip(steps, ids, strict=True):
        nodes.leaf(step, "shard", {**common, "run": RUN, "shard": shard}, parent=root, then=".index")
    end = {"store": values.get("store", ""), "run": RUN, "shard": ""}
    nodes.leaf(".index", "publish", end, parent=root, reference=("betaearth-publish", "publish"))
    return workflow_object(bundle, "betaearth-region", RUN, values, nodes, [("betaearth-publish", "publish")])


def shard_object(bundle: Bundle, tile_years: int, values: Mapping[str, str], *, per_pod: int = 1) -> Document:
    """Make the Workflow of a shard after its last retry; every tile-year failed four times."""
    name = f"{RUN}-00017"
    nodes = Nodes(name)
    items = pods_of(tile_years, per_pod)
    root = nodes.add("", "DAG", "shard", values=values)
    first = {key: values.get(key, "") for key in names_of(bundle, "betaearth-shard", "list")}
    nodes.leaf(".list", "list", first, outputs={"pods": json.dumps(items)}, parent=root)
    steps = [f".tiles({index}:tile-years:{item['tile-years']})" for index, item in enumerate(items)]
    tile = ("betaearth-tile-year", "tile-year")
    nodes.add(".tiles", "TaskGroup", "", parent=root, reference=tile, children=[nodes.id(step) for step in steps])
    common = {key: values.get(key, "") for key in names_of(bundle, *tile)}
    for step, item in zip(steps, items, strict=True):
        nodes.leaf(step, "tile-year", {**common, **item}, parent=root, then=".publish", reference=tile)
    publish = ("betaearth-publish", "publish")
    end = {key: values.get(key, "") for key in ("store", "run", "shard")}
    nodes.leaf(".publish", "publish", end, parent=root, reference=publish)
    return workflow_object(bundle, "betaearth-shard", name, values, nodes, [tile, publish])


def pods_of(tile_years: int, per_pod: int) -> list[dict[str, str]]:
    """List a shard's pods as `betaearth shard` does; cells along a row, in one year."""
    chance = random.Random(7)  # request digests pack badly, too
    cells = [f"{433 + index // 1000}U_{1046 + index % 1000}R" for index in range(tile_years)]
    names = [f"{cell}/2024/{chance.randbytes(6).hex()}" for cell in cells]
    return [{"tile-years": ",".join(names[start : start + per_pod])} for start in range(0, tile_years, per_pod)]


def names_of(bundle: Bundle, workflow: str, template: str) -> list[str]:
    """List a template's inputs."""
    return [entry["name"] for entry in bundle.template(workflow, template)["inputs"]["parameters"]]


class Nodes:
    """The nodes of a workflow's status."""

    def __init__(self, workflow: str) -> None:
        """Start with none."""
        self.workflow = workflow
        self.nodes: dict[str, Document] = {}
        self.chance = random.Random(6)  # what differs from pod to pod packs badly

    def id(self, step: str) -> str:
        """Name a node as Argo does: by a hash of its step."""
        digest = int.from_bytes(hashlib.sha256(step.encode()).digest()[:4], "big")
        return self.workflow if not step else f"{self.workflow}-{digest}"

    def number(self, most: int) -> int:
        """Draw a number."""
        return self.chance.randrange(most)

    def time(self) -> str:
        """Draw a time."""
        return f"2026-11-{23 + self.number(7)}T{self.number(24):02d}:{self.number(60):02d}:{self.number(60):02d}Z"

    def add(
        self,
        step: str,
        kind: str,
        template: str,
        *,
        parent: str = "",
        values: Mapping[str, str] | None = None,
        children: list[str] | None = None,
        reference: tuple[str, str] | None = None,
        **more: Any,
    ) -> str:
        """Add a node; returns its id."""
        made = self.id(step)
        node: Document = {
            "id": made,
            "name": f"{self.workflow}{step}",
            "displayName": step.lstrip(".") or self.workflow,
            "type": kind,
            "templateScope": f"local/{self.workflow}",
            "phase": "Failed",
            "startedAt": self.time(),
            "finishedAt": self.time(),
            "progress": "0/1",
            "resourcesDuration": {name: self.number(10**5) for name in ("cpu", "memory", "nvidia.com/gpu")},
            "taskResultSynced": True,
            **more,
        }
        if reference:
            node["templateRef"] = {"name": reference[0], "template": reference[1]}
        elif template:
            node["templateName"] = template
        if parent:
            node["boundaryID"] = parent
        if children is not None:
            node["children"] = children
        if values is not None:
            node["inputs"] = {"parameters": [{"name": key, "value": value} for key, value in values.items()]}
        self.nodes[made] = node
        return made

    def leaf(
        self,
        step: str,
        template: str,
        values: Mapping[str, str],
        *,
        parent: str,
        then: str = "",
        outputs: Mapping[str, str] | None = None,
        reference: tuple[str, str] | None = None,
    ) -> None:
        """Add a leaf's node and those of its attempts."""
        attempts = [f"{step}({number})" for number in range(ATTEMPTS)]
        held = {
            "exitCode": "75",
            "parameters": [
                {"name": key, "value": value, "valueFrom": {"path": f"/tmp/outputs/{key}.json"}}
                for key, value in (outputs or {}).items()
            ],
        }
        common: Document = {"parent": parent, "values": values, "reference": reference, "outputs": held}
        waits: Document = {"synchronizationStatus": {"waiting": WAITING}}
        children = [self.id(attempt) for attempt in attempts]
        self.add(step, "Retry", template, children=children, message="No more retries left", **common, **waits)
        for number, attempt in enumerate(attempts):
            more: Document = {"hostNodeName": self.host(), "nodeFlag": {"retried": True}}
            more["message"] = FAILED if number else self.eviction()
            self.add(attempt, "Pod", template, children=[self.id(then)] if then else [], **common, **more)

    def host(self) -> str:
        """Draw the name of a node of the cluster."""
        return HOST.format(self.number(256), self.number(256), self.number(256))

    def eviction(self) -> str:
        """Write what an evicted pod ends with."""
        return EVICTED.format(self.number(10**10), self.number(10**7), self.number(10**8))


def workflow_object(
    bundle: Bundle,
    template: str,
    name: str,
    values: Mapping[str, str],
    nodes: Nodes,
    stored: list[tuple[str, str]],
) -> Document:
    """Put a Workflow together, as it is read from the API."""
    spec = bundle.templates[template]["spec"]
    pods = [node["id"] for node in nodes.nodes.values() if node["type"] == "Pod"]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": name,
            "namespace": "embeddings",
            "uid": "0a7e6d0e-5f0b-4c53-8a5c-0d5a3c1b2f4e",
            "resourceVersion": "123456789",
            "labels": {**spec["workflowMetadata"]["labels"], "betaearth.github.io/run": RUN},
            "annotations": spec["workflowMetadata"]["annotations"],
        },
        "spec": {
            "workflowTemplateRef": {"name": template},
            "arguments": {"parameters": [{"name": key, "value": value} for key, value in values.items()]},
        },
        "status": {
            "phase": "Failed",
            "nodes": nodes.nodes,
            "storedTemplates": {
                f"namespaced/{home}/{part}": bundle.template(home, part)
                for home, part in [*stored, *own(bundle, template)]
            },
            "storedWorkflowTemplateSpec": {
                **spec,
                "arguments": {"parameters": list(parameters(bundle, template, values))},
            },
            "taskResultsCompletionStatus": dict.fromkeys(pods, True),
            "synchronization": {"semaphore": {"waiting": [{"semaphore": WAITING, "holders": pods[:50]}]}},
            "conditions": [{"type": "PodRunning", "status": "False"}, {"type": "Completed", "status": "True"}],
        },
    }


def own(bundle: Bundle, workflow: str) -> Iterator[tuple[str, str]]:
    """Yield the templates of a WorkflowTemplate."""
    for template in bundle.templates[workflow]["spec"]["templates"]:
        yield workflow, template["name"]


def parameters(bundle: Bundle, workflow: str, values: Mapping[str, str]) -> Iterator[Document]:
    """Yield a WorkflowTemplate's arguments with the values that they got."""
    for name, parameter in bundle.parameters(workflow).items():
        yield {**parameter, "value": values.get(name, parameter.get("value", ""))}

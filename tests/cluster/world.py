"""What a cluster knows: WorkflowTemplates, Workflows, pods and logs, each change with a version."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jsonschema
from hera.workflows import models

Object = dict[str, Any]
FINAL = {"Succeeded", "Failed", "Error"}


class Wrong(Exception):  # noqa: N818  # an answer, not an error of ours
    """An answer that is not 2xx."""

    def __init__(self, status: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.details = status, reason, message, details


@cache
def strict_schema() -> Any:
    """JSON schema of a Workflow that takes no field that Argo does not know."""
    schema = models.Workflow.model_json_schema(by_alias=True)
    for definition in [schema, *schema.get("$defs", {}).values()]:
        if "properties" in definition:
            definition["additionalProperties"] = False
    return jsonschema.Draft202012Validator(schema)


def check_workflow(body: Object, *, strict: bool) -> None:
    """Refuse a Workflow as an API server with Argo's full CRDs does."""
    if body.get("apiVersion") != "argoproj.io/v1alpha1" or body.get("kind") != "Workflow":
        raise Wrong(400, "BadRequest", f"no kind is registered for {body.get('kind')} {body.get('apiVersion')}")
    if not (body.get("metadata") or {}).keys() & {"name", "generateName"}:
        raise Wrong(422, "Invalid", "name or generateName is required")
    for error in strict_schema().iter_errors(body):
        place = ".".join(str(part) for part in error.absolute_path)
        if error.validator == "additionalProperties":
            if strict:
                raise Wrong(400, "BadRequest", f'strict decoding error: unknown field at "{place}": {error.message}')
            continue
        cause = {"field": place, "message": error.message[:200], "reason": "FieldValueInvalid"}
        raise Wrong(422, "Invalid", "Workflow is invalid", kind="Workflow", causes=[cause])


def matches(item: Object, selector: str, fields: str = "") -> bool:
    """Tell whether an object has all labels of a selector, which knows nothing but equality."""
    labels = item["metadata"].get("labels") or {}
    for word in filter(None, selector.split(",")):
        name, equals, value = word.partition("=")
        if not equals or not name or "!" in name:
            raise Wrong(400, "BadRequest", f"unable to parse requirement: {word}")
        if labels.get(name) != value:
            return False
    for word in filter(None, fields.split(",")):
        name, _, value = word.partition("=")
        if name != "metadata.name":
            raise Wrong(400, "BadRequest", f"field label not supported: {name}")
        if item["metadata"]["name"] != value:
            return False
    return True


@dataclass
class World:
    """A namespace. What is changed by its methods is seen by who watches."""

    namespace: str = "earth"
    templates: dict[str, Object] = field(default_factory=dict)
    workflows: dict[str, Object] = field(default_factory=dict)
    pods: dict[str, Object] = field(default_factory=dict)
    logs: dict[str, list[str]] = field(default_factory=dict)
    """Pod to the lines of its main container."""
    archive: dict[tuple[str, str], str] = field(default_factory=dict)
    """(Workflow, node id) to the log that Argo kept."""
    events: list[tuple[int, str, Object]] = field(default_factory=list)
    version: int = 100
    oldest: int = 0
    """Versions before it are forgotten: a watch from them is Gone."""
    page: int = 1000
    """Most objects that a list gives at once."""
    packed: bool = False
    """Whether nodes are kept compressed."""
    offloaded: bool = False
    """Whether nodes are kept in a database."""
    archived: set[str] = field(default_factory=set)
    """Names of Workflows of which an argo-server lists what its archive says in brief."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def create(self, body: Object) -> Object:
        """Make a Workflow of what was sent."""
        workflow = copy.deepcopy(body)
        metadata = workflow["metadata"]
        name = metadata.get("name") or f"{metadata['generateName']}{len(self.workflows):05d}"
        if name in self.workflows:
            raise Wrong(409, "AlreadyExists", f'workflows.argoproj.io "{name}" already exists', kind="workflows")
        metadata |= {
            "name": name,
            "namespace": self.namespace,
            "creationTimestamp": f"2026-01-01T00:00:{len(self.workflows):02d}Z",
        }
        self.put(workflow, "ADDED")
        return workflow

    def put(self, workflow: Object, kind: str = "MODIFIED") -> None:
        """Keep a Workflow's new state."""
        with self.changed:
            self.version += 1
            workflow["metadata"]["resourceVersion"] = str(self.version)
            self.workflows[workflow["metadata"]["name"]] = workflow
            self.events.append((self.version, kind, copy.deepcopy(workflow)))
            self.changed.notify_all()

    def after(self, version: int, seconds: float) -> list[tuple[int, str, Object]]:
        """Give the events after a version, as soon as there are some; none where none comes in time."""

        def fresh() -> list[tuple[int, str, Object]]:
            return [event for event in self.events if event[0] > version]

        with self.changed:
            self.changed.wait_for(fresh, seconds)
            return fresh()

    def report(self, name: str, **status: Any) -> None:
        """Let the controller write a Workflow's status."""
        workflow = copy.deepcopy(self.workflows[name])
        workflow.setdefault("status", {}).update(status)
        self.put(workflow)

    def remove(self, name: str) -> None:
        """Delete a Workflow."""
        workflow = self.workflows.pop(name)
        with self.changed:
            self.version += 1
            workflow["metadata"]["resourceVersion"] = str(self.version)
            self.events.append((self.version, "DELETED", workflow))
            self.changed.notify_all()

    def shut(self, name: str, how: str) -> Object:
        """Set `spec.shutdown`."""
        workflow = copy.deepcopy(self.one(name))
        workflow["spec"]["shutdown"] = how
        self.put(workflow)
        return workflow

    def one(self, name: str) -> Object:
        """Find a Workflow."""
        if name not in self.workflows:
            raise Wrong(404, "NotFound", f'workflows.argoproj.io "{name}" not found', kind="workflows", name=name)
        return self.workflows[name]

    def template(self, name: str) -> Object:
        """Find a WorkflowTemplate."""
        if name not in self.templates:
            message = f'workflowtemplates.argoproj.io "{name}" not found'
            raise Wrong(404, "NotFound", message, kind="workflowtemplates", name=name)
        return self.templates[name]

    def run_pod(self, workflow: str, name: str, lines: list[str], *, phase: str = "Running", **metadata: Any) -> None:
        """Let a Workflow have a pod that wrote something."""
        state: dict[str, Any] = {"running": {}} if phase == "Running" else {"terminated": {"exitCode": 0}}
        if phase == "Pending":
            state = {"waiting": {"reason": "PodInitializing"}}
        labels = {"workflows.argoproj.io/workflow": workflow, **metadata.get("labels", {})}
        self.pods[name] = {
            "metadata": {
                "name": name,
                "creationTimestamp": f"2026-01-01T00:01:{len(self.pods):02d}Z",
                "labels": labels,
                "annotations": metadata.get("annotations", {}),
            },
            "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]},
        }
        self.logs[name] = lines

    def listed(self, items: Mapping[str, Object], query: Mapping[str, str], *, prefix: str = "") -> Object:
        """Give a page of a list."""
        found = [item for item in items.values() if matches(item, *(query.get(prefix + key, "") for key in SELECTORS))]
        start = int(query.get(prefix + "continue", "next:0").removeprefix("next:"))
        size = min(int(query.get(prefix + "limit", "0")) or self.page, self.page)
        metadata = {"resourceVersion": str(self.version)}
        if start + size < len(found):
            metadata["continue"] = f"next:{start + size}"
        return {"metadata": metadata, "items": found[start : start + size]}

    def stored(self, workflow: Object) -> Object:
        """A Workflow as etcd has it: large nodes are packed, or elsewhere."""
        nodes = (workflow.get("status") or {}).get("nodes")
        if nodes is None or not (self.packed or self.offloaded):
            return workflow
        status = {key: value for key, value in workflow["status"].items() if key != "nodes"}
        if self.packed:
            status["compressedNodes"] = base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()
        else:
            status["offloadNodeStatusVersion"] = "fnv:784127"
        return {**workflow, "status": status}

    def listed_by_argo(self, workflow: Object) -> Object:
        """A Workflow as an argo-server lists it: of archived ones neither spec nor nodes."""
        if workflow["metadata"]["name"] not in self.archived:
            return workflow
        labels = {
            **workflow["metadata"].get("labels", {}),
            "workflows.argoproj.io/workflow-archiving-status": "Persisted",
        }
        kept = {key: value for key, value in workflow["status"].items() if key != "nodes"}
        return {"metadata": {**workflow["metadata"], "labels": labels}, "spec": {"arguments": {}}, "status": kept}


SELECTORS = ("labelSelector", "fieldSelector")

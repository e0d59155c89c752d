"""Workflows and pods as Argo's controller and Kubernetes write them, made small, and checked against their models."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hera.workflows import models

PREFIX = "betaearth.github.io/"
STARTED = "2026-03-01T10:00:00Z"


def fnv32a(text: str) -> int:
    """FNV-1a of 32 bits, by which Argo makes ids of names."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) % 2**32
    return value


@dataclass
class Story:
    """A Workflow that is told node by node."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    phase: str = "Running"
    message: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def id_of(self, name: str) -> str:
        return self.name if name == self.name else f"{self.name}-{fnv32a(name)}"

    def node(self, path: str, kind: str, phase: str, **more: Any) -> str:
        """Add a node called `{workflow}{path}`; return its id."""
        name = f"{self.name}{path}"
        entry = {
            "id": self.id_of(name),
            "name": name,
            "displayName": path.rpartition(".")[2] or self.name,
            "type": kind,
            "phase": phase,
            "templateScope": f"local/{self.name}",
            "startedAt": STARTED,
            "finishedAt": STARTED if phase in {"Succeeded", "Failed", "Error"} else None,
            "progress": "0/1",
            **more,
        }
        self.nodes[entry["id"]] = {key: value for key, value in entry.items() if value is not None}
        return str(entry["id"])

    def pod(
        self,
        path: str,
        phase: str,
        *,
        template: str,
        message: str | None = None,
        code: int | None = None,
        inputs: dict[str, str] | None = None,
        outputs: dict[str, str] | None = None,
        **more: Any,
    ) -> str:
        given: dict[str, Any] = {}
        if code is not None:
            given["exitCode"] = str(code)
        if outputs:
            given["parameters"] = parameters_of(outputs)
        return self.node(
            path,
            "Pod",
            phase,
            templateName=template,
            message=message,
            inputs={"parameters": parameters_of(inputs)} if inputs else None,
            outputs=given or None,
            **more,
        )

    def tile(
        self,
        index: int,
        tile_years: str,
        phase: str,
        *tries: tuple[str, str | None, int | None],
        message: str | None = None,
    ) -> list[str]:
        """Add a tile-year's retry node with its attempts `(phase, message, exit code)`; return the attempts' ids."""
        path = f".tiles({index}:tile-years:{tile_years})"
        reference = {"name": "betaearth-tile-year", "template": "tile-year"}
        inputs = {"tile-years": tile_years, "run": "region-x", "shard": self.labels.get("shard", "")}
        made = [
            self.node(
                f"{path}({number})",
                "Pod",
                entry[0],
                templateRef=reference,
                message=entry[1],
                inputs={"parameters": parameters_of(inputs)},
                outputs=None if entry[2] is None else {"exitCode": str(entry[2])},
                nodeFlag={"retried": True},
            )
            for number, entry in enumerate(tries)
        ]
        self.node(
            path,
            "Retry",
            phase,
            templateRef=reference,
            message=message,
            inputs={"parameters": parameters_of(inputs)},
            children=made or None,
        )
        return made

    def document(self) -> dict[str, Any]:
        """The Workflow as the API gives it."""
        status: dict[str, Any] = {"phase": self.phase, "startedAt": STARTED}
        if self.phase in {"Succeeded", "Failed", "Error"}:
            status["finishedAt"] = STARTED
        if self.message:
            status["message"] = self.message
        if self.nodes:
            status["nodes"] = self.nodes
        document = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {
                "name": self.name,
                "namespace": "earth",
                "annotations": {"workflows.argoproj.io/pod-name-format": "v2"},
                "labels": {f"{PREFIX}{key}": value for key, value in self.labels.items()},
            },
            "spec": {"arguments": {"parameters": parameters_of(self.parameters)}},
            "status": status,
        }
        check_workflow(document)
        return document


def parameters_of(values: dict[str, str] | None) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in (values or {}).items()]


def check_workflow(document: dict[str, Any]) -> None:
    """Refuse a document that says what Argo's model does not know: what is read back must be what was written."""
    read = models.Workflow.model_validate(document)
    assert json.loads(read.model_dump_json(by_alias=True, exclude_unset=True)) == document


def pod_of(node_id: str, name: str, **status: Any) -> dict[str, Any]:
    """A pod of a node, as the API gives it, its status checked against the model of the kubernetes client."""
    check_names(status, "V1PodStatus")
    return {
        "metadata": {"name": name, "annotations": {"workflows.argoproj.io/node-id": node_id}},
        "status": status,
    }


def check_names(value: Any, kind: str) -> None:
    """Refuse keys that the Kubernetes API does not have at their place."""
    from kubernetes.client import models as kubernetes_models

    if kind.startswith("list["):
        for entry in value:
            check_names(entry, kind[5:-1])
        return
    model = getattr(kubernetes_models, kind, None)
    if model is None:
        return
    kinds = {json_name: model.openapi_types[name] for name, json_name in model.attribute_map.items()}
    for key, inner in value.items():
        assert key in kinds, f"{kind} has no {key}"
        check_names(inner, kinds[key])

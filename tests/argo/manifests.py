"""The documents of argo/, read once and taken apart: what can be submitted, what submits, and what a cluster holds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]

ARGO = Path(__file__).parents[2] / "argo"
CHILD = "betaearth-region/shard"
"""Where the manifest of a child workflow stands."""


@dataclass(frozen=True)
class Bundle:
    """Everything that is applied to a namespace; a test changes a copy of it to see that it is refused."""

    templates: dict[str, Document]
    """WorkflowTemplates by name."""
    starters: dict[str, Document]
    """What names a WorkflowTemplate to run: the CronWorkflow and the examples, by where they stand."""
    setup: dict[tuple[str, str], Document]
    """Objects that Kubernetes itself knows, by kind and name."""

    def copied(self) -> Bundle:
        """Copy it, to change it."""
        return copy.deepcopy(self)

    def template(self, workflow: str, name: str) -> Document:
        """Find a template of a WorkflowTemplate."""
        (found,) = (entry for entry in self.templates[workflow]["spec"]["templates"] if entry["name"] == name)
        return dict_of(found)

    def every_template(self) -> Iterator[tuple[str, Document]]:
        """Yield each template, and `WorkflowTemplate/template`."""
        for workflow, document in self.templates.items():
            for template in document["spec"]["templates"]:
                yield f"{workflow}/{template['name']}", template

    def every_document(self) -> Iterator[tuple[str, Document]]:
        """Yield each document of Argo's kinds, and where it stands."""
        yield from self.templates.items()
        yield from self.starters.items()

    def parameters(self, workflow: str) -> dict[str, Document]:
        """List what a WorkflowTemplate is submitted with, by name."""
        return {entry["name"]: entry for entry in self.templates[workflow]["spec"]["arguments"]["parameters"]}

    def data(self, name: str) -> dict[str, str]:
        """Read a ConfigMap of the set-up."""
        return dict_of(self.setup["ConfigMap", name]["data"])


def dict_of(value: Any) -> dict[str, Any]:
    """Say that a value of a document is a mapping."""
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no mapping")
    return value


def read_bundle() -> Bundle:
    """Read argo/ as it is."""
    bundle = Bundle({}, {}, {})
    for path in sorted(ARGO.rglob("*.yaml")):
        for document in documents_of(path):
            name = document["metadata"].get("name", document["metadata"].get("generateName"))
            if document["kind"] == "WorkflowTemplate":
                bundle.templates[name] = document
            elif document["apiVersion"].startswith("argoproj.io/"):
                bundle.starters[f"{path.name} {document['kind']}"] = document
            else:
                bundle.setup[document["kind"], name] = document
    return bundle


def documents_of(path: Path) -> list[Document]:
    """Read the documents of a file."""
    return [dict_of(document) for document in yaml.safe_load_all(path.read_text())]


def texts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text inside a value, and the path to it."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{where}[{index}]")


def mappings(value: Any, where: str = "") -> Iterator[tuple[str, Document]]:
    """Yield each mapping inside a value, itself first, and the path to it."""
    if isinstance(value, dict):
        yield where, value
        for key, inner in value.items():
            yield from mappings(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from mappings(inner, f"{where}[{index}]")

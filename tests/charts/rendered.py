"""The chart as Helm itself renders it, and what Argo makes of the patches that it holds."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "betaearth"
ARGO = ROOT / "argo"
SETTINGS = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}
"""The chart's own sets of values, by name."""
NAMES = ["default", *SETTINGS]
OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()
"""Kubernetes versions that objects are held against."""
MERGED_BY = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
}
"""Lists of a PodSpec that a strategic merge joins by a key; others are replaced."""
MERGED_BY["volumeMounts"] = "mountPath"

Document = dict[str, Any]


def values_of(name: str) -> Document:
    """The chart's own values of a name; none for `default`."""
    return {} if name == "default" else dict(yaml.safe_load(SETTINGS[name].read_text()))


def rendered(values: Mapping[str, Any] | None = None, *, chart: Path = CHART) -> dict[str, str]:
    """What Helm makes of the chart's templates: path inside the chart to text."""
    with helm_python.Chart.load(chart) as loaded:
        return loaded.render(dict(values or {}), name="betaearth", namespace="earth")


def documents_of(values: Mapping[str, Any] | None = None, *, chart: Path = CHART) -> list[Document]:
    """Every object that Helm would install with these values."""
    texts = (text for path, text in rendered(values, chart=chart).items() if not path.endswith("NOTES.txt"))
    return [document for text in texts for document in yaml.load_all(text, yaml.CSafeLoader) if document]


@functools.cache
def installed(name: str) -> list[Document]:
    """What the chart's own values of a name, or `default`, install; change copies alone."""
    return documents_of(values_of(name))


def the(documents: Iterable[Document], kind: str, name: str) -> Document:
    """The one object of a kind and name."""
    (found,) = (each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name)
    return found


def is_argo(document: Document) -> bool:
    """Whether Argo defines the object's kind."""
    return str(document["apiVersion"]).startswith("argoproj.io/")


def check_core(document: Document) -> None:
    """Hold an object against Kubernetes' strict schema of the oldest and newest version.

    Raises:
        kubernetes_validate.ValidationError: a field is unknown, or holds what it must not.
    """
    _check_core(json.dumps(document))


@functools.cache
def _check_core(text: str) -> None:
    for version in (OLDEST, NEWEST):
        kubernetes_validate.validate(json.loads(text), version, strict=True)


def merged(original: Any, patch: Any, field: str = "") -> Any:
    """A strategic merge patch, as the API server's library does it, for the fields that our patches have.

    Source: Kubernetes, "Update API objects in place using kubectl patch": maps are merged, null deletes, lists are
    replaced unless the field has a merge key, `$patch: delete` takes an element out.
    """
    if isinstance(original, dict) and isinstance(patch, dict):
        kept = {key: deepcopy(value) for key, value in original.items() if patch.get(key, 0) is not None}
        return kept | {key: merged(kept.get(key), value, key) for key, value in patch.items() if value is not None}
    if isinstance(patch, list) and field in MERGED_BY:
        return _joined(original or [], patch, MERGED_BY[field])
    if isinstance(patch, dict):
        return {key: merged(None, value, key) for key, value in patch.items() if value is not None}
    return deepcopy(patch)


def _joined(original: list[Document], patch: list[Document], key: str) -> list[Document]:
    elements = {element[key]: element for element in original}
    for element in patch:
        if element.get("$patch") == "delete":
            elements.pop(element[key], None)
        else:
            elements[element[key]] = merged(elements.get(element[key], {}), element)
    return list(elements.values())


def workflow_pods(documents: list[Document]) -> list[Document]:
    """The pods that Argo makes of the chart's workflow templates, one a template of containers and patch, with its own
    container beside ours, which mirrors the mounts.
    """
    data = the(documents, "ConfigMap", "betaearth")["data"]
    pods = []
    for document in documents:
        if document["kind"] != "WorkflowTemplate":
            continue
        for template in document["spec"]["templates"]:
            if "container" in template:
                names = [name for name in ("pod", "retry-pod", "cpu-pod") if _reads(template["podSpecPatch"], name)]
                assert names, f"{document['metadata']['name']}/{template['name']} is patched by nothing"
                pods += [pod_of(document["spec"], template, json.loads(data[name]), data["image"]) for name in names]
    return pods


def shard_pods(documents: list[Document]) -> list[Document]:
    """The pods that wait for a shard: Argo's executor alone, with the patch that the template names."""
    data = the(documents, "ConfigMap", "betaearth")["data"]
    region = the(documents, "WorkflowTemplate", "betaearth-region")["spec"]
    pods = []
    for template in region["templates"]:
        if "resource" in template:
            (name,) = (name for name in data if _reads(template["podSpecPatch"], name))
            argos = {**template, "container": {"command": ["argoexec", "resource"]}}
            pod = pod_of(region, argos, json.loads(data[name]), "argoexec")
            pod["spec"]["containers"] = [each for each in pod["spec"]["containers"] if each["name"] == "main"]
            pods.append(pod)
    return pods


def _reads(expression: str, name: str) -> bool:
    return any(form in expression for form in (f"parameters.{name}}}", f"parameters['{name}']", f"parameters.{name} :"))


def pod_of(workflow: Document, template: Document, patch: Document, image: str) -> Document:
    """The pod of one template: the main container, Argo's beside it, volumes that are declared, and the patches."""
    main = {**template["container"], "name": "main", "image": image}
    mirrored = [{**mount, "mountPath": f"/mainctrfs{mount['mountPath']}"} for mount in main.get("volumeMounts", [])]
    wait = {"name": "wait", "image": "argoexec", "volumeMounts": mirrored}
    spec: Document = {
        "serviceAccountName": template.get("serviceAccountName", workflow["serviceAccountName"]),
        "automountServiceAccountToken": workflow["automountServiceAccountToken"],
        "securityContext": workflow["securityContext"],
        "restartPolicy": "Never",
        "containers": [wait, main],
        "volumes": [*template.get("volumes", []), *workflow.get("volumes", [])],
    }
    spec = merged(merged(spec, json.loads(workflow.get("podSpecPatch", "{}"))), patch)
    labels = {**workflow["podMetadata"]["labels"], **template.get("metadata", {}).get("labels", {})}
    labels = {key: value for key, value in labels.items() if "{{" not in value}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": template["name"], "labels": labels}, "spec": spec}

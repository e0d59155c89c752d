"""What no object of the chart may do, each rule as a function that says what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.charts.rendered import Document

CREDENTIAL = re.compile(r"(?i)(secret|token|password|_key$|_key_id$)")
"""Names of variables that would hold a credential."""


def pod_specs(document: Document) -> Iterator[Document]:
    """The PodSpecs inside a core object."""
    if document["kind"] == "Pod":
        yield document["spec"]
    elif "template" in document.get("spec", {}):
        yield document["spec"]["template"]["spec"]


def unrestricted(spec: Document, *, ours: str | None = None) -> list[str]:
    """Where a pod breaks the restricted Pod Security Standard, or has a root file system that it could write.

    Args:
        spec: the PodSpec.
        ours: name of the only container to look at; None: all.
    """
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    for volume in spec.get("volumes", []):
        found += [f"volume {volume['name']}: {kind}" for kind in volume.keys() - {"name"} - allowed]
    context = spec.get("securityContext", {})
    found += ["runAsNonRoot of the pod"] if context.get("runAsNonRoot") is not True else []
    found += ["seccompProfile of the pod"] if context.get("seccompProfile") != {"type": "RuntimeDefault"} else []
    found += ["runAsUser 0"] if context.get("runAsUser", 1) == 0 else []
    found += ["service links"] if spec.get("enableServiceLinks") is not False else []
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        if ours in {None, container["name"]}:
            found += [f"{container['name']}: {problem}" for problem in _container_problems(container)]
    return found


def _container_problems(container: Document) -> Iterator[str]:
    context: Document = container.get("securityContext", {})
    wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True}
    yield from (f"{name} is not {value}" for name, value in wanted.items() if context.get(name) is not value)
    if context.get("privileged"):
        yield "privileged"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "capabilities"
    resources = container.get("resources", {})
    yield from (f"no request for {name}" for name in ("cpu", "memory") if name not in resources.get("requests", {}))
    if "memory" not in resources.get("limits", {}):
        yield "no limit of memory"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "hostPort"


def unmounted(spec: Document) -> list[str]:
    """Mounts of a pod that name no volume of it."""
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    mounts = [mount for container in containers for mount in container.get("volumeMounts", [])]
    return [f"{mount['mountPath']}: no volume {mount['name']}" for mount in mounts if mount["name"] not in volumes]


def overreaching(role: Document) -> list[str]:
    """Rules of a Role that say more than they need: wildcards, what makes rights of rights, Secrets without a name."""
    found = []
    for rule in role.get("rules", []):
        words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        found += [f"wildcard in {rule}"] if any("*" in word for word in words) else []
        found += [
            f"{word} in {rule}" for word in words & {"bind", "escalate", "impersonate", "pods/exec", "nodes/proxy"}
        ]
        if "secrets" in rule["resources"] and (not rule.get("resourceNames") or set(rule["verbs"]) != {"get"}):
            found.append(f"Secrets by other than their names: {rule}")
    return found


def revealing(document: Document) -> list[str]:
    """Where an object holds a credential itself instead of referring to a Secret."""
    found = []
    if document["kind"] == "Secret" and (document.get("data") or document.get("stringData")):
        found.append(f"Secret {document['metadata']['name']} has data")
    if document["kind"] == "ConfigMap":
        data = document.get("data", {})
        found += [f"{name} in {document['metadata']['name']}" for name in data if CREDENTIAL.search(name)]
    for variable in _variables(document):
        if CREDENTIAL.search(variable["name"]) and "value" in variable:
            found.append(f"{variable['name']} has a value")
    found += [f"an address with credentials: {text}" for text in _texts(document) if re.search(r"://[^/?#\s]*@", text)]
    return found


def _variables(value: Any) -> Iterator[Document]:
    if isinstance(value, dict):
        yield from (each for each in value.get("env", []) if isinstance(each, dict))
        for inner in value.values():
            yield from _variables(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _variables(inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)

"""GPUs: whether there are nodes that can take the pods that ask for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from betaearth.cluster.doctor.cluster_checks import may_not
from betaearth.cluster.doctor.findings import Finding, failed, ok, warning
from betaearth.cluster.doctor.reader import Reader
from betaearth.cluster.doctor.setup_checks import pod_patch

KEEPING_AWAY = frozenset({"NoSchedule", "NoExecute"})
"""Effects of taints that keep pods away; PreferNoSchedule does not."""
AWAY = frozenset({"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
"""Taints by which Kubernetes says that a node is not there for the moment, whatever is tolerated."""
NODES = "/api/v1/nodes"
TRIED = ("pod", "retry-pod")
"""Keys of the ConfigMap `betaearth`: the pod of first attempts, and of later ones."""


@dataclass(frozen=True)
class Wanted:
    """What a pod of tile-years asks of a node."""

    resources: tuple[str, ...]
    """Names of devices, such as `nvidia.com/gpu`: all whose name has a slash."""
    tolerations: tuple[Mapping[str, Any], ...]
    selector: Mapping[str, str]
    affinity: bool
    """Whether it requires an affinity to nodes, too, which is not compared with theirs."""


@dataclass(frozen=True)
class Device:
    """What a cluster has of a device."""

    total: int
    """On all nodes that take pods."""
    fitting: int
    """On those of them that the pod's tolerations and selector fit."""
    taints: tuple[str, ...]
    """`key=value:effect` that keep the pod away."""


def wanted_of(patch: Mapping[str, Any]) -> Wanted:
    """Read what a `podSpecPatch` asks for."""
    names: dict[str, None] = {}
    for container in patch.get("containers") or []:
        resources = container.get("resources") or {}
        for group in ("limits", "requests"):
            names.update(dict.fromkeys(name for name in resources.get(group) or {} if "/" in name))
    affinity = (patch.get("affinity") or {}).get("nodeAffinity") or {}
    required = bool(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"))
    return Wanted(tuple(names), tuple(patch.get("tolerations") or ()), patch.get("nodeSelector") or {}, required)


def check_gpus(reader: Reader) -> Iterator[Finding]:
    """Look whether the cluster has the devices that pods ask for, on nodes that take these pods."""
    data = reader.named("configmaps", "betaearth").data
    asked = {key: wanted_of(patch) for key in TRIED if (patch := pod_patch(data.get(key, ""))) is not None}
    if not any(wanted.resources for wanted in asked.values()):
        if asked:
            yield ok("gpu", "pods ask for no GPU: tile-years are made on CPUs")
        return
    nodes: list[Mapping[str, Any]] = []
    for page in reader.pages(NODES):
        if not page.there:
            yield may_not("gpu", "list", "nodes", None)
            return
        nodes += page.body.get("items") or []
    for key, wanted in asked.items():
        for resource in wanted.resources:
            device = device_of(resource, nodes, wanted)
            yield _judged(f"gpu/{key}", resource, device, _offered(nodes), affinity=wanted.affinity)


def device_of(resource: str, nodes: Sequence[Mapping[str, Any]], wanted: Wanted) -> Device:
    """Count a device on nodes.

    Args:
        resource: its name, such as `nvidia.com/gpu`.
        nodes: as the API gives them; cordoned ones, and those that are not ready, are left out.
        wanted: by the pod.
    """
    total = fitting = 0
    taints: dict[str, None] = {}
    for node in nodes:
        spec = node.get("spec") or {}
        count = _allocatable(node).get(resource, 0)
        if not count or spec.get("unschedulable") or _is_away(spec):
            continue
        total += count
        labels = (node.get("metadata") or {}).get("labels") or {}
        against = [taint for taint in spec.get("taints") or [] if not _tolerated(taint, wanted.tolerations)]
        if not against and wanted.selector.items() <= labels.items():
            fitting += count
        taints.update(dict.fromkeys(map(_spelled, against)))
    return Device(total, fitting, tuple(taints))


def _judged(check: str, resource: str, device: Device, offered: Sequence[str], *, affinity: bool) -> Finding:
    if device.fitting:
        elsewhere = f" of {device.total}" if device.total > device.fitting else ""
        unseen = "; their affinity was not looked at" if affinity else ""
        return ok(check, f"{device.fitting}{elsewhere} {resource} on nodes that take these pods{unseen}")
    if device.total and device.taints:
        return failed(
            check,
            f"all {device.total} {resource} are on nodes that keep these pods away: {', '.join(device.taints)}",
            "add these taints to the chart's `tolerations`",
        )
    if device.total:
        return failed(
            check, f"no node with {resource} has the labels of the nodeSelector", "correct the chart's `nodeSelector`"
        )
    others = f"; nodes offer {', '.join(offered)}" if offered else ""
    return warning(
        check,
        f"pods ask for {resource}, and no node has one now{others}",
        "an autoscaler may bring such nodes when pods wait; else add GPU nodes and their device plugin, set "
        "`gpu.resourceName` of the chart to what nodes offer, or `gpu.enabled: false` for CPUs",
    )


def _offered(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted({name for node in nodes for name, count in _allocatable(node).items() if count and _is_device(name)})


def _is_device(name: str) -> bool:
    return "/" in name and not name.startswith(("kubernetes.io/", "attachable-volumes"))


def _allocatable(node: Mapping[str, Any]) -> dict[str, int]:
    """Whole devices of a node; quantities of CPU and memory are left out."""
    listed = (node.get("status") or {}).get("allocatable") or {}
    return {name: int(count) for name, count in listed.items() if "/" in name and str(count).isdigit()}


def _is_away(spec: Mapping[str, Any]) -> bool:
    return any(taint.get("key") in AWAY for taint in spec.get("taints") or [])


def _tolerated(taint: Mapping[str, Any], tolerations: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a taint keeps no pod of these tolerations away (Kubernetes, "Taints and Tolerations")."""
    return taint.get("effect") not in KEEPING_AWAY or any(_matches(taint, entry) for entry in tolerations)


def _matches(taint: Mapping[str, Any], toleration: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in {None, "", taint.get("effect")}:
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in {None, "", taint.get("key")}
    same = (toleration.get("key"), toleration.get("value") or "")
    return same == (taint.get("key"), taint.get("value") or "")


def _spelled(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"

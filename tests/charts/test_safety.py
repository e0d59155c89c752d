from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import kubernetes_validate
import pytest

from tests.charts.rendered import NAMES, Document, check_core, installed, is_argo, the, workflow_pods
from tests.charts.safety import overreaching, pod_specs, revealing, unmounted, unrestricted

ROLES = ("Role", "ClusterRole")


@pytest.mark.parametrize("name", NAMES)
def test_that_kubernetes_takes_every_object(name: str) -> None:
    core = [document for document in installed(name) if not is_argo(document)]

    for document in core:
        check_core(document)

    assert len(core) >= 17


@pytest.mark.parametrize("name", NAMES)
def test_that_pods_are_restricted(name: str) -> None:
    specs = [spec for document in installed(name) for spec in pod_specs(document)]

    assert specs
    assert [problem for spec in specs for problem in unrestricted(spec) + unmounted(spec)] == []


@pytest.mark.parametrize("name", NAMES)
def test_that_the_pods_of_workflows_are_valid_and_restricted(name: str) -> None:
    pods = workflow_pods(installed(name))

    for pod in pods:
        check_core(pod)

    assert len(pods) >= 6
    problems = {pod["metadata"]["name"]: unrestricted(pod["spec"], ours="main") for pod in pods}
    assert not any(problems.values()), problems
    assert not [problem for pod in pods for problem in unmounted(pod["spec"])]


def test_that_volumes_are_declared_where_argo_looks_for_them() -> None:
    """Argo refuses a mount without a declared volume before it lays a patch over the pod."""
    for document in installed("default"):
        if document["kind"] == "WorkflowTemplate":
            declared = {volume["name"] for volume in document["spec"].get("volumes", [])}
            for template in document["spec"]["templates"]:
                own = {volume["name"] for volume in template.get("volumes", [])}
                mounts = {mount["name"] for mount in template.get("container", {}).get("volumeMounts", [])}
                assert mounts <= declared | own, f"{document['metadata']['name']}/{template['name']}"


@pytest.mark.parametrize("name", NAMES)
def test_that_rights_are_few(name: str) -> None:
    documents = installed(name)

    assert [problem for each in documents if each["kind"] in ROLES for problem in overreaching(each)] == []
    bound = {subject["name"] for each in documents if "roleRef" in each for subject in each["subjects"]}
    assert "betaearth" not in bound, "main containers have no rights in the cluster"


@pytest.mark.parametrize("name", NAMES)
def test_that_no_object_holds_a_credential(name: str) -> None:
    assert [problem for each in installed(name) for problem in revealing(each)] == []


def test_that_only_an_administrator_gives_rights_outside_the_namespace() -> None:
    kinds = {each["kind"] for each in installed("default")}

    assert not kinds & {"ClusterRole", "ClusterRoleBinding", "PriorityClass"}
    assert {"ClusterRole", "ClusterRoleBinding", "PriorityClass"} <= {e["kind"] for e in installed("gpu")}


@pytest.mark.parametrize("name", NAMES)
def test_that_argo_finds_the_tokens_of_executors(name: str) -> None:
    # Argo takes the first of a service account's secrets, and a Secret by name only where there is none.
    for account in ("betaearth-executor", "betaearth-region"):
        first, *_ = the(installed(name), "ServiceAccount", account)["secrets"]
        secret = the(installed(name), "Secret", first["name"])
        assert secret["type"] == "kubernetes.io/service-account-token"
        assert secret["metadata"]["annotations"]["kubernetes.io/service-account.name"] == account


def put(*path: str | int, value: Any) -> Callable[[Document], None]:
    """A change of one field."""

    def change(document: Document) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def take(*path: str | int) -> Callable[[Document], None]:
    """The loss of one field."""

    def change(document: Document) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("spec", "hostNetwork", value=True),
        put("spec", "enableServiceLinks", value=True),
        put("spec", "volumes", 0, value={"name": "scratch", "hostPath": {"path": "/var/run"}}),
        put("spec", "securityContext", "runAsUser", value=0),
        take("spec", "securityContext", "seccompProfile"),
        take("spec", "containers", 0, "securityContext", "runAsNonRoot"),
        take("spec", "containers", 0, "securityContext", "capabilities"),
        put("spec", "containers", 0, "securityContext", "privileged", value=True),
        put("spec", "containers", 0, "securityContext", "readOnlyRootFilesystem", value=False),
        put("spec", "containers", 0, "securityContext", "allowPrivilegeEscalation", value=True),
        put("spec", "initContainers", value=[{"name": "first", "image": "other"}]),
        take("spec", "containers", 0, "resources", "requests"),
        take("spec", "containers", 0, "resources", "limits"),
        put("spec", "containers", 0, "ports", value=[{"containerPort": 1, "hostPort": 1}]),
    ],
)
def test_that_an_unsafe_pod_is_seen(change: Callable[[Document], None]) -> None:
    pod = deepcopy(the(installed("default"), "Pod", "betaearth-doctor"))
    assert unrestricted(pod["spec"]) == []

    change(pod)

    assert unrestricted(pod["spec"])


def test_that_a_mount_of_nothing_is_seen() -> None:
    pod = deepcopy(the(installed("default"), "Pod", "betaearth-doctor"))
    del pod["spec"]["volumes"][0]

    assert unmounted(pod["spec"]) == ["/tmp: no volume scratch"]


@pytest.mark.parametrize(
    "rule",
    [
        {"apiGroups": ["*"], "resources": ["workflows"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["*"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/*"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get", "update"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"]},
    ],
)
def test_that_a_right_too_many_is_seen(rule: Document) -> None:
    assert overreaching({"rules": [rule]})


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "Secret", "metadata": {"name": "a"}, "stringData": {"a": "b"}},
        {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"AWS_SECRET_ACCESS_KEY": "b"}},
        {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"MIRROR": "https://me:word@host/path"}},
        {"kind": "Pod", "spec": {"containers": [{"env": [{"name": "HF_TOKEN", "value": "b"}]}]}},
    ],
)
def test_that_a_credential_is_seen(document: Document) -> None:
    assert revealing(document)


@pytest.mark.parametrize(
    "change",
    [
        put("spec", "containers", 0, "readinessProb", value={}),
        put("spec", "containers", 0, "env", 0, value={"name": "HOME", "value": 1}),
        put("spec", "terminationGracePeriodSeconds", value="30s"),
    ],
)
def test_that_kubernetes_refuses_what_it_does_not_know(change: Callable[[Document], None]) -> None:
    pod = deepcopy(the(installed("default"), "Pod", "betaearth-doctor"))
    change(pod)

    with pytest.raises(kubernetes_validate.ValidationError):
        check_core(pod)

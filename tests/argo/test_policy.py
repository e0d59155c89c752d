"""What every document of argo/ has to have, whatever it does: descriptions, limits, clean-up, the least of rights."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes_validate
import pytest

from betaearth._version import __version__
from betaearth.settings import variable_names
from tests.argo.manifests import ARGO, Bundle, Document, mappings

NAMES = ("region", "shard", "tile-year", "publish", "audit", "reconcile")
PREFIX = "betaearth.github.io/"
OURS = {"app.kubernetes.io/name": "betaearth", "app.kubernetes.io/part-of": "betaearth"}
LOCKED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
PODS = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Of a pod: without a user in it Kubernetes does not start Argo's containers, whose image is root's."""
KUBERNETES = "1.33"


def specs(bundle: Bundle) -> dict[str, Document]:
    return {name.removeprefix("betaearth-"): document["spec"] for name, document in bundle.templates.items()}


def containers(bundle: Bundle) -> dict[str, Document]:
    return {where: template for where, template in bundle.every_template() if "container" in template}


def violations(bundle: Bundle) -> Iterator[str]:
    """Yield what any document asks for that a locked-down cluster refuses, or that is more than it needs."""
    for where, document in bundle.every_document():
        yield from reaching_out(where, document)
    for key, document in bundle.setup.items():
        yield from reaching_out(str(key), document)
        yield from excessive(str(key), document)
    for where, template in containers(bundle).items():
        if template["container"].get("securityContext") != LOCKED:
            yield f"{where}: its container is not locked"
    for name, spec in specs(bundle).items():
        if spec.get("securityContext") != PODS:
            yield f"{name}: its pods are not locked"
        if spec.get("automountServiceAccountToken") is not False or spec.get("serviceAccountName") != "betaearth":
            yield f"{name}: its pods get a token"


def reaching_out(where: str, document: Document) -> Iterator[str]:
    """Yield what reaches beyond a pod, or to root."""
    for path, mapping in mappings(document):
        for key in ("privileged", "hostPath", "hostNetwork", "hostPID", "hostIPC", "procMount"):
            if key in mapping:
                yield f"{where}{path}.{key}"
        if mapping.get("runAsUser", PODS["runAsUser"]) != PODS["runAsUser"]:
            yield f"{where}{path}.runAsUser"


def excessive(where: str, document: Document) -> Iterator[str]:
    """Yield rights that nobody here needs."""
    if document["kind"] in {"ClusterRole", "ClusterRoleBinding"}:
        yield f"{where}: rights in the whole cluster"
    for rule in document.get("rules", []):
        if "*" in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]:
            yield f"{where}: a wildcard"
        if "secrets" in rule["resources"] and (set(rule["verbs"]) != {"get"} or not rule.get("resourceNames")):
            yield f"{where}: secrets by any name"
        if {"pods/exec", "pods"} & set(rule["resources"]) and "create" in rule["verbs"]:
            yield f"{where}: pods of its own"


def test_nothing_asks_for_more_than_it_needs(bundle: Bundle) -> None:
    assert list(violations(bundle)) == []


def put(place: Any, key: Any, value: Any) -> None:
    place[key] = value


TOO_MUCH: dict[str, Callable[[Bundle], None]] = {
    "privileged": lambda b: put(container_of(b)["securityContext"], "privileged", False),
    "hostPath": lambda b: put(b.template("betaearth-audit", "audit"), "volumes", [{"name": "a", "hostPath": {}}]),
    "a wildcard": lambda b: b.setup["Role", "betaearth-region"]["rules"][0]["verbs"].append("*"),
    "rights in the whole cluster": lambda b: put(b.setup["Role", "betaearth-region"], "kind", "ClusterRole"),
    "secrets by any name": lambda b: b.setup["Role", "betaearth-doctor"]["rules"][2].pop("resourceNames"),
    "pods of its own": lambda b: b.setup["Role", "betaearth-operator"]["rules"][2]["verbs"].append("create"),
    "runAsUser": lambda b: put(container_of(b)["securityContext"], "runAsUser", 0),
    "shard: its pods are not locked": lambda b: specs(b)["shard"]["securityContext"].pop("runAsUser"),
    "container is not locked": lambda b: put(container_of(b)["securityContext"], "readOnlyRootFilesystem", False),
    "pods are not locked": lambda b: specs(b)["shard"].pop("securityContext"),
    "get a token": lambda b: specs(b)["shard"].pop("automountServiceAccountToken"),
}


def test_pods_run_as_the_user_of_the_image() -> None:
    dockerfile = (ARGO.parent / "docker" / "Dockerfile").read_text()

    assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE) == [f"{PODS['runAsUser']}:{PODS['runAsGroup']}"]


def container_of(bundle: Bundle) -> Document:
    found: Document = bundle.template("betaearth-tile-year", "tile-year")["container"]
    return found


@pytest.mark.parametrize("what", TOO_MUCH)
def test_too_much_is_found(bundle: Bundle, what: str) -> None:
    broken = bundle.copied()
    TOO_MUCH[what](broken)

    assert any(what in violation for violation in violations(broken)), list(violations(broken))


def test_a_file_has_one_document_and_its_name() -> None:
    files = sorted(path.name for path in ARGO.glob("*.yaml"))

    assert files == sorted([*(f"betaearth-{name}.yaml" for name in NAMES), "betaearth-reconcile-cron.yaml"])
    for path in ARGO.glob("*.yaml"):
        assert path.read_text().count("\n---") == 0
        assert f"\n  name: {path.stem.removesuffix('-cron')}\n" in path.read_text()


def test_applying_the_folder_starts_nothing(bundle: Bundle) -> None:
    started = {where for where, document in bundle.starters.items() if document["kind"] == "Workflow"}

    assert started == {"example-region.yaml Workflow"}
    assert [path.name for path in ARGO.rglob("example-*.yaml")] == ["example-region.yaml"]
    assert not list(ARGO.glob("example-*.yaml"))


def test_no_line_is_helms() -> None:
    for path in ARGO.rglob("*.yaml"):
        assert not re.search(r"\{\{-|-\}\}|\.Values|\.Release", path.read_text()), path


def test_every_parameter_says_what_it_is(bundle: Bundle) -> None:
    for workflow in bundle.templates:
        for name, parameter in bundle.parameters(workflow).items():
            assert re.fullmatch(r"[A-Z].{15,}\.", parameter["description"]), (workflow, name)
            assert parameter.keys() <= {"name", "description", "value", "enum", "valueFrom"}
            assert "enum" not in parameter or parameter["value"] in parameter["enum"]


def test_the_same_parameter_is_the_same_everywhere(bundle: Bundle) -> None:
    seen: dict[str, Document] = {}
    for workflow in sorted(bundle.templates):
        for name, parameter in bundle.parameters(workflow).items():
            if name not in {"run", "shard"}:  # required of a shard, left out of the others
                assert seen.setdefault(name, parameter) == parameter, (workflow, name)


def test_every_document_says_whose_it_is_and_of_which_version(bundle: Bundle) -> None:
    for name, document in bundle.templates.items():
        part = name.removeprefix("betaearth-")
        labels = {**OURS, f"{PREFIX}part": part}
        metadata, spec = document["metadata"], document["spec"]
        assert metadata["labels"] == labels
        assert metadata["annotations"][f"{PREFIX}version"] == __version__
        assert spec["workflowMetadata"]["labels"] == labels
        assert spec["workflowMetadata"]["annotations"] == {f"{PREFIX}version": __version__}
        assert spec["podMetadata"]["labels"] == OURS
        assert "namespace" not in metadata
    for document in bundle.setup.values():
        assert document["metadata"]["labels"].items() >= OURS.items()


def test_every_pod_says_of_which_run_it_is(bundle: Bundle) -> None:
    for where, template in bundle.every_template():
        if "dag" in template:
            continue
        labels = template["metadata"]["labels"]
        assert labels[f"{PREFIX}part"] in NAMES, where
        assert f"{PREFIX}run" in labels or where.endswith("/audit")
    tile = bundle.template("betaearth-tile-year", "tile-year")["metadata"]
    assert tile["annotations"] == {f"{PREFIX}tile-years": "{{inputs.parameters.tile-years}}"}
    assert specs(bundle)["region"]["workflowMetadata"]["labelsFrom"] == {
        f"{PREFIX}run": {"expression": "workflow.name"}
    }


def test_everything_is_cleaned_up(bundle: Bundle) -> None:
    for spec in specs(bundle).values():
        assert spec["podGC"] == {"strategy": "OnPodSuccess", "deleteDelayDuration": "600s"}
        assert spec["ttlStrategy"]["secondsAfterFailure"] > spec["ttlStrategy"]["secondsAfterSuccess"] > 0
        assert "archiveLogs" not in spec  # on where the cluster has a place for logs, and an error where it has none


def test_every_container_has_a_deadline_and_time_to_end(bundle: Bundle) -> None:
    assert all(template["activeDeadlineSeconds"] > 0 for template in containers(bundle).values())
    assert bundle.template("betaearth-tile-year", "tile-year")["activeDeadlineSeconds"] == 14400
    for spec in specs(bundle).values():
        assert json.loads(spec["podSpecPatch"]) == {"enableServiceLinks": False, "terminationGracePeriodSeconds": 30}


def test_pods_at_once_are_limited_twice(bundle: Bundle) -> None:
    def semaphores(workflow: str, template: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = bundle.template(workflow, template)["synchronization"]["semaphores"]
        return [entry["configMapKeyRef"] for entry in found]

    assert specs(bundle)["region"]["parallelism"] == 100
    assert specs(bundle)["shard"]["parallelism"] == 250
    assert semaphores("betaearth-region", "shard") == [{"name": "betaearth-semaphores", "key": "shards"}]
    assert semaphores("betaearth-tile-year", "tile-year") == [{"name": "betaearth-semaphores", "key": "imagery"}]
    assert all(int(number) > 0 for number in bundle.data("betaearth-semaphores").values())


def test_running_tile_years_are_not_evicted(bundle: Bundle) -> None:
    guarded = {name for name, spec in specs(bundle).items() if "podDisruptionBudget" in spec}

    assert guarded == {"shard", "tile-year"}


def test_metrics_have_few_series(bundle: Bundle) -> None:
    found = [
        metric
        for _, document in bundle.every_document()
        for _, mapping in mappings(document)
        for metric in mapping.get("prometheus", [])
    ]

    labels = {metric["name"]: [label["value"] for label in metric.get("labels", [])] for metric in found}
    assert labels == {
        "betaearth_region_seconds": ["{{workflow.status}}"],
        "betaearth_tile_years": ["{{status}}"],
        "betaearth_tile_pod_seconds": [],
    }
    assert all(re.fullmatch(r"[a-z_]+", metric["name"]) and metric["help"] for metric in found)
    for metric in found:
        buckets = metric.get("histogram", {"buckets": []})["buckets"]
        assert buckets == sorted(set(buckets))


def test_every_container_is_set_up_alike(bundle: Bundle) -> None:
    for where, template in containers(bundle).items():
        container = template["container"]
        assert container["image"] == "{{workflow.parameters.image}}", where
        assert container["envFrom"] == [
            {"configMapRef": {"name": "betaearth-settings"}},
            {"secretRef": {"name": "betaearth-secrets", "optional": True}},
        ]
        assert {entry["name"]: entry["value"] for entry in container["env"]} == {
            "HOME": "/tmp",
            "BETAEARTH_CACHE": "/cache",
            "BETAEARTH_IMAGE": "{{workflow.parameters.image}}",
        }
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts == {"scratch": "/tmp", "cache": "/cache"}
        assert {"BETAEARTH_CACHE", "BETAEARTH_IMAGE"} <= set(variable_names())


def test_nothing_needs_an_artifact_repository_or_a_memo(bundle: Bundle) -> None:
    # What a pod makes is in the store: an artifact would be a second copy, and a memo is a ConfigMap of 1 MiB at most.
    for where, document in bundle.every_document():
        for path, mapping in mappings(document):
            assert not {"artifacts", "artifactRepositoryRef", "memoize"} & mapping.keys(), where + path


def test_the_schedule_cannot_overtake_itself(bundle: Bundle) -> None:
    (cron,) = (document["spec"] for document in bundle.starters.values() if document["kind"] == "CronWorkflow")

    assert [len(schedule.split()) for schedule in cron["schedules"]] == [5]
    assert cron["concurrencyPolicy"] == "Forbid"
    assert cron["startingDeadlineSeconds"] > 600
    assert cron["successfulJobsHistoryLimit"] > 0
    assert cron["failedJobsHistoryLimit"] > 0
    assert cron["workflowMetadata"]["labels"] == {**OURS, f"{PREFIX}part": "reconcile"}


def test_the_set_up_is_what_kubernetes_takes(bundle: Bundle) -> None:
    for document in bundle.setup.values():
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    misspelt = bundle.copied().setup["ServiceAccount", "betaearth"]
    misspelt["automountToken"] = misspelt.pop("automountServiceAccountToken")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, KUBERNETES, strict=True)
    kinds = {kind for kind, _ in bundle.setup}
    assert kinds == {"ServiceAccount", "Secret", "Role", "RoleBinding", "ConfigMap"}


@pytest.mark.parametrize("name", ["pod", "retry-pod", "cpu-pod"])
def test_a_pod_of_the_set_up_is_what_kubernetes_takes(bundle: Bundle, name: str) -> None:
    patch = json.loads(bundle.data("betaearth")[name])
    (main,) = patch["containers"]
    container = {**container_of(bundle), **main, "env": [*container_of(bundle)["env"], *main.get("env", [])]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {**patch, "containers": [container]}}

    kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    assert {volume["name"]: set(volume) for volume in patch["volumes"]} == {
        "scratch": {"name", "emptyDir"},
        "cache": {"name", "emptyDir"},
    }
    assert all(volume["emptyDir"]["sizeLimit"] for volume in patch["volumes"])
    assert ("nvidia.com/gpu" in main["resources"]["limits"]) == (name != "cpu-pod")


def test_a_pod_that_waits_for_a_shard_is_placed_and_no_more(bundle: Bundle) -> None:
    # Its only container is Argo's executor, which has resources of its own and none of our volumes.
    patch = json.loads(bundle.data("betaearth")["shard-pod"])
    spec = {**patch, "containers": [{"name": "main", "image": "argoexec"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}

    kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    assert patch == {"enableServiceLinks": False, "terminationGracePeriodSeconds": 30}


def test_settings_of_the_set_up_are_settings(bundle: Bundle) -> None:
    assert set(bundle.data("betaearth-settings")) <= set(variable_names())


def test_roles_are_bound_to_their_accounts(bundle: Bundle) -> None:
    bound = {
        name: (binding["roleRef"]["name"], [subject["name"] for subject in binding["subjects"]])
        for (kind, name), binding in bundle.setup.items()
        if kind == "RoleBinding"
    }

    assert bound == {name: (name, [name]) for name in ("betaearth-executor", "betaearth-region", "betaearth-doctor")}
    assert ("Role", "betaearth-operator") in bundle.setup  # for people, whom nobody here knows
    assert ("Role", "betaearth") not in bundle.setup  # who main containers are has no rights


def test_each_account_may_do_what_it_has_to(bundle: Bundle) -> None:
    def rights(role: str) -> dict[str, set[str]]:
        rules = bundle.setup["Role", role]["rules"]
        return {resource: set(rule["verbs"]) for rule in rules for resource in rule["resources"]}

    assert rights("betaearth-executor") == {"workflowtaskresults": {"create", "patch"}}
    assert rights("betaearth-region") == {
        "workflowtaskresults": {"create", "patch"},
        "workflows": {"create", "get", "list", "watch", "patch"},
        "workflows/finalizers": {"update"},
    }
    assert "delete" in rights("betaearth-operator")["workflows"]
    doctor = rights("betaearth-doctor")
    assert doctor.pop("localsubjectaccessreviews") == {"create"}  # a question, of which nothing is kept
    assert set().union(*doctor.values()) == {"get", "list"}


def test_the_pod_that_starts_a_shard_is_the_executor_with_those_rights(bundle: Bundle) -> None:
    # Argo mounts the executor's token into the main container of a resource pod: what it applies, it applies as that.
    template = bundle.template("betaearth-region", "shard")

    assert template["executor"] == {"serviceAccountName": "betaearth-region"}
    assert template["serviceAccountName"] == "betaearth-region"
    assert template["resource"]["action"] == "apply"
    assert template["resource"]["setOwnerReference"] is True

"""What the pages say of rights is what the Roles give, and what they say of installing without Helm is what works."""

from __future__ import annotations

import pytest

from tests.charts.rendered import CHART, ROOT, documents_of, installed, the

README = (CHART / "README.md").read_text()
RUNBOOK = (ROOT / "docs" / "cluster" / "runbook.md").read_text()


def rights(name: str) -> dict[str, set[str]]:
    """Resource to verbs of a Role of a namespace, or of the whole cluster."""
    verbs: dict[str, set[str]] = {}
    for document in installed("gpu"):
        if document["kind"] in {"Role", "ClusterRole"} and document["metadata"]["name"] in {name, f"{name}-earth"}:
            for rule in document["rules"]:
                for resource in rule["resources"]:
                    verbs.setdefault(resource, set()).update(rule["verbs"])
    return verbs


@pytest.mark.parametrize("name", ["betaearth-executor", "betaearth-region", "betaearth-doctor"])
def test_that_all_that_an_account_may_is_told(name: str) -> None:
    (row,) = (line for line in README.splitlines() if line.startswith(f"| ServiceAccount `{name}` |"))

    assert rights(name)
    assert [resource for resource in rights(name) if f"`{resource}`" not in row] == []


def test_that_what_operators_may_not_is_told() -> None:
    may = rights("betaearth-operator")

    assert may["configmaps"] == {"get", "list", "watch"}
    assert "delete" not in may["pods"]
    assert "update" not in may["workflows"]
    assert "What changes ConfigMaps, Secrets, templates,\nnodes or the controller is an admin's." in RUNBOOK
    assert "deletes pods and updates workflows, which\n`betaearth-operator` may not" in RUNBOOK


def test_that_lost_pods_are_told_to_be_tried_again() -> None:
    (leaf,) = (
        template
        for template in the(installed("default"), "WorkflowTemplate", "betaearth-tile-year")["spec"]["templates"]
        if "retryStrategy" in template
    )

    assert leaf["retryStrategy"]["expression"].startswith('lastRetry.status == "Error" || ')
    assert "where Argo has it as an `Error`" in RUNBOOK
    assert "`InvalidImageName`" in RUNBOOK


def test_that_pods_without_gpus_come_by_one_command() -> None:
    install = (ROOT / "docs" / "cluster" / "install.md").read_text()
    pods = the(documents_of({"gpu": {"enabled": False}}), "ConfigMap", "betaearth")["data"]

    assert "--set gpu.enabled=false --show-only templates/configuration.yaml" in install
    assert (CHART / "templates" / "configuration.yaml").is_file()
    assert not [name for name, pod in pods.items() if "nvidia.com/gpu" in pod]
    assert "nvidia.com/gpu" in the(installed("default"), "ConfigMap", "betaearth")["data"]["pod"]


def test_that_installing_without_helm_names_the_namespace() -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "cluster" / "install.md"):
        assert "kubectl -n betaearth apply -f argo/setup -f argo" in page.read_text()
        assert "kubectl apply -f argo/setup" not in page.read_text()

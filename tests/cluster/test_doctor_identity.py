"""What the doctor takes for an identity of the pods: annotations that are enough by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from betaearth.cluster.doctor.examination import examine_cluster
from betaearth.cluster.doctor.findings import Finding, Outcome
from betaearth.cluster.options import ClusterOptions
from betaearth.settings import variable_names
from tests.cluster.doctor_api import DoctorApi, serving, write_kubeconfig


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DoctorApi]:
    for name in ("ARGO_SERVER", "ARGO_NAMESPACE", "ARGO_TOKEN", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving() as server:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", server.url)))
        server.remove("secrets/betaearth-secrets")
        yield server


def findings() -> dict[str, Finding]:
    found = examine_cluster(ClusterOptions(timeout_s=5), known=variable_names(), store="s3://earth/v1")
    return {finding.check: finding for finding in found}


@pytest.mark.parametrize("annotation", ["eks.amazonaws.com/role-arn", "iam.gke.io/gcp-service-account"])
def test_an_annotation_that_gives_an_identity(api: DoctorApi, annotation: str) -> None:
    api["serviceaccounts/betaearth"]["metadata"]["annotations"] = {annotation: "a-role"}
    found = findings()
    assert found["setup/secret/betaearth-secrets"].outcome is Outcome.OK
    assert found["setup/serviceaccount/betaearth"].detail == f"identity by {annotation}"


def test_an_annotation_that_gives_none_without_a_label_of_the_pods(api: DoctorApi) -> None:
    annotations = {"azure.workload.identity/client-id": "00000000-0000-0000-0000-000000000000"}
    api["serviceaccounts/betaearth"]["metadata"]["annotations"] = annotations
    found = findings()
    assert found["setup/secret/betaearth-secrets"].outcome is Outcome.WARNING
    assert found["setup/serviceaccount/betaearth"].detail == "is there"


def test_every_pod_of_the_configuration_is_looked_for(api: DoctorApi) -> None:
    del api["configmaps/betaearth"]["data"]["shard-pod"]
    found = findings()["setup/betaearth"]
    assert (found.outcome, found.detail) == (Outcome.FAILED, "the ConfigMap lacks shard-pod")

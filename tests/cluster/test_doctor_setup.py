"""What the doctor looks for is what `argo/` and `argo/setup/` install: a fresh cluster with them is in good order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from betaearth.cluster.doctor import cluster_checks, permission_checks, setup_checks
from betaearth.cluster.doctor.examination import examine_cluster
from betaearth.cluster.doctor.findings import Finding, Outcome
from betaearth.cluster.options import ClusterOptions
from betaearth.settings import variable_names
from tests.cluster.doctor_api import ARGO, CORE, OURS, DoctorApi, serving, write_kubeconfig

ROOT = Path(__file__).parents[2] / "argo"
PLACES = {
    "WorkflowTemplate": f"{OURS}/workflowtemplates",
    "CronWorkflow": f"{OURS}/cronworkflows",
    "ConfigMap": f"{CORE}/configmaps",
    "ServiceAccount": f"{CORE}/serviceaccounts",
    "Secret": f"{CORE}/secrets",
}


def documents() -> list[dict[str, Any]]:
    files = [*ROOT.glob("*.yaml"), *(ROOT / "setup").glob("*.yaml")]
    return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]


def rights_of(account: str) -> set[tuple[str, str]]:
    """(verb, resource) that Roles bound to a service account grant."""
    found = documents()
    bound = {
        document["roleRef"]["name"]
        for document in found
        if document["kind"] == "RoleBinding" and any(it["name"] == account for it in document["subjects"])
    }
    return granted(bound)


def granted(roles: set[str]) -> set[tuple[str, str]]:
    return {
        (verb, resource)
        for document in documents()
        if document["kind"] == "Role" and document["metadata"]["name"] in roles
        for rule in document["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DoctorApi]:
    for name in ("ARGO_SERVER", "ARGO_NAMESPACE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving() as server:
        kept = {path: entry for path, entry in server.objects.items() if path in {"/version", ARGO}}
        server.objects = kept | {
            f"{PLACES[document['kind']]}/{document['metadata']['name']}": document
            for document in documents()
            if document["kind"] in PLACES
        }
        for account in (*permission_checks.ACCOUNTS, "jane"):
            may = granted({"betaearth-operator"}) if account == "jane" else rights_of(account)
            asked = permission_checks.ACCOUNTS.get(account, (*permission_checks.SUBMITTING, *permission_checks.HELPFUL))
            server.denied |= {
                (account, right.verb, right.resource) for right in asked if (right.verb, right.resource) not in may
            }
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", server.url)))
        yield server


def findings() -> dict[str, Finding]:
    looks = examine_cluster(ClusterOptions(timeout_s=5), known=variable_names(), store=None)
    return {finding.check: finding for finding in looks}


def test_a_fresh_installation_is_in_good_order(api: DoctorApi) -> None:
    assert api.denied == set()
    bad = {name: found.detail for name, found in findings().items() if found.outcome is not Outcome.OK}
    assert bad == {"setup/betaearth-settings": "BETAEARTH_STORE is empty"}


def test_every_document_that_is_installed_is_looked_at(api: DoctorApi) -> None:
    findings()
    asked = {line.removeprefix("GET ") for line in api.asked}
    missed = api.objects.keys() - asked
    assert missed == {f"{CORE}/serviceaccounts/betaearth-doctor"}


def test_what_a_role_lacks_is_found(api: DoctorApi) -> None:
    for account, rights in permission_checks.ACCOUNTS.items():
        for right in rights:
            api.denied = {(account, right.verb, right.resource)}
            assert findings()[f"rbac/{account}"].outcome is Outcome.FAILED


def test_names_are_those_of_the_files() -> None:
    found = {document["metadata"]["name"] for document in documents() if document["kind"] == "WorkflowTemplate"}
    assert set(cluster_checks.TEMPLATES) == found
    accounts = {document["metadata"]["name"] for document in documents() if document["kind"] == "ServiceAccount"}
    assert {*setup_checks.ACCOUNTS, permission_checks.ONLOOKER} == accounts

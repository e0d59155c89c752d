"""The doctor's look at a cluster: each check over HTTP, once as it should be and once as it should not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from betaearth.cluster.doctor.examination import examine_cluster
from betaearth.cluster.doctor.findings import Finding, Outcome
from betaearth.cluster.options import ClusterOptions
from betaearth.settings import variable_names
from tests.cluster.clients import cluster
from tests.cluster.doctor_api import ARGO, GPU_POD, SECRET_VALUE, TOKEN, DoctorApi, gpu_node, serving, write_kubeconfig
from tests.cluster.server import Cluster

__all__ = ["cluster"]

OK, WARNING, FAILED, UNKNOWN = Outcome.OK, Outcome.WARNING, Outcome.FAILED, Outcome.UNKNOWN
STORE = "s3://earth/v1"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DoctorApi]:
    for name in ("ARGO_SERVER", "ARGO_NAMESPACE", "ARGO_TOKEN", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving() as server:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", server.url)))
        yield server


def findings(store: str | None = STORE) -> dict[str, Finding]:
    found = list(examine_cluster(ClusterOptions(timeout_s=5), known=variable_names(), store=store))
    assert len({finding.check for finding in found}) == len(found)
    return {finding.check: finding for finding in found}


def outcome(check: str, store: str | None = STORE) -> tuple[Outcome, str]:
    finding = findings(store)[check]
    assert finding.outcome is OK or finding.fix
    return finding.outcome, finding.detail


@pytest.mark.usefixtures("api")
def test_a_cluster_in_good_order() -> None:
    found = findings()
    assert {finding.outcome for finding in found.values()} == {OK}, [f for f in found.values() if f.outcome is not OK]
    assert set(found) >= {
        "kubernetes",
        "argo/crds",
        "argo/betaearth-region",
        "argo/betaearth-reconcile-cron",
        "setup/betaearth",
        "setup/image",
        "setup/betaearth-settings",
        "setup/betaearth-semaphores",
        "setup/serviceaccount/betaearth-executor",
        "setup/secret/betaearth-executor.service-account-token",
        "setup/secret/betaearth-secrets",
        "rbac/you",
        "rbac/betaearth-executor",
        "rbac/betaearth-region",
        "gpu/pod",
        "gpu/retry-pod",
    }
    assert found["gpu/pod"].detail.startswith("3 nvidia.com/gpu")


def test_no_secret_is_read_or_said(api: DoctorApi) -> None:
    said = repr(findings())
    assert SECRET_VALUE not in said
    assert TOKEN not in said
    assert any("/secrets/" in asked for asked in api.asked)


def test_a_cluster_that_is_too_old(api: DoctorApi) -> None:
    api.objects["/version"]["gitVersion"] = "v1.29.9"
    assert outcome("kubernetes")[0] is WARNING
    api.objects["/version"] = {}
    assert outcome("kubernetes")[0] is UNKNOWN


def test_nothing_is_asked_behind_a_cluster_that_does_not_know_us(
    api: DoctorApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "other", api.url, token="no-such-token")))
    found = findings()
    assert {name: finding.outcome for name, finding in found.items()} == {"kubernetes": FAILED}
    assert "401" in found["kubernetes"].detail
    assert "no-such-token" not in repr(found)
    assert not found["kubernetes"].transient


def test_a_cluster_that_does_not_answer_may_do_so_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", refused)))
    found = findings()
    assert list(found) == ["kubernetes"]
    assert found["kubernetes"].outcome is FAILED
    assert found["kubernetes"].transient


def test_no_cluster_at_all_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    found = findings()
    assert {name: finding.outcome for name, finding in found.items()} == {"kubernetes": FAILED}
    assert not found["kubernetes"].transient
    assert "--skip cluster" in found["kubernetes"].fix


def test_no_cluster_but_an_argo_server(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("ARGO_SERVER", cluster.url)
    monkeypatch.setenv("ARGO_TOKEN", cluster.token)
    monkeypatch.setenv("ARGO_NAMESPACE", cluster.world.namespace)
    found = findings()
    assert {name: finding.outcome for name, finding in found.items()} == {"argo/server": OK, "kubernetes": UNKNOWN}


@pytest.mark.usefixtures("api")
def test_a_context_that_is_not_there_is_one() -> None:
    found = list(examine_cluster(ClusterOptions(context="elsewhere"), known=(), store=None))
    assert [finding.outcome for finding in found] == [FAILED]
    assert "elsewhere" in found[0].detail


def test_a_fault_in_the_middle_leaves_the_other_checks(api: DoctorApi) -> None:
    api.faults[ARGO] = 500
    found = findings()
    assert found["argo/crds"].outcome is FAILED
    assert found["argo/crds"].transient
    assert found["rbac/you"].outcome is OK


def test_an_argo_server_is_asked_too(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_SERVER", cluster.url)
    monkeypatch.setenv("ARGO_TOKEN", cluster.token)
    assert outcome("argo/server") == (OK, "it answers, namespace earth")
    monkeypatch.setenv("ARGO_TOKEN", "expired-token")
    state, detail = outcome("argo/server")
    assert (state, "expired-token" in detail) == (FAILED, False)
    monkeypatch.delenv("ARGO_SERVER")
    assert "argo/server" not in findings()


def test_argo_is_not_installed(api: DoctorApi) -> None:
    del api.objects[ARGO]
    assert outcome("argo/crds") == (FAILED, "the cluster does not know argoproj.io/v1alpha1")


def test_a_kind_of_argo_is_not_served(api: DoctorApi) -> None:
    kinds = api.objects[ARGO]["resources"]
    api.objects[ARGO]["resources"] = [kind for kind in kinds if kind["name"] != "workflowtaskresults"]
    assert outcome("argo/crds") == (FAILED, "argoproj.io/v1alpha1 lacks workflowtaskresults")


def test_a_template_is_missing(api: DoctorApi) -> None:
    api.remove("betaearth-shard")
    state, detail = outcome("argo/betaearth-shard")
    assert state is FAILED
    assert "namespace earth" in detail


def test_a_template_is_of_another_version(api: DoctorApi) -> None:
    api["workflowtemplates/betaearth-region"]["metadata"]["annotations"]["betaearth.github.io/version"] = "0.0.9"
    del api["workflowtemplates/betaearth-audit"]["metadata"]["annotations"]
    state, detail = outcome("argo/betaearth-region")
    assert (state, "0.0.9" in detail) == (FAILED, True)
    assert outcome("argo/betaearth-audit")[0] is WARNING


@pytest.mark.parametrize(
    ("name", "check", "permission"),
    [
        ("workflowtemplates/betaearth-shard", "argo/betaearth-shard", "get workflowtemplates.argoproj.io"),
        ("cronworkflows/betaearth-reconcile", "argo/betaearth-reconcile-cron", "get cronworkflows.argoproj.io"),
        ("configmaps/betaearth", "setup/betaearth", "get configmaps"),
        ("configmaps/betaearth-settings", "setup/betaearth-settings", "get configmaps"),
        ("configmaps/betaearth-semaphores", "setup/betaearth-semaphores", "get configmaps"),
        ("secrets/betaearth-secrets", "setup/secret/betaearth-secrets", "get secrets"),
        ("serviceaccounts/betaearth", "setup/serviceaccount/betaearth", "get serviceaccounts"),
        ("/nodes", "gpu", "list nodes in the whole cluster"),
        ("/localsubjectaccessreviews", "rbac/betaearth-region", "create localsubjectaccessreviews"),
        ("/selfsubjectaccessreviews", "rbac/you", "create selfsubjectaccessreviews"),
        (ARGO, "argo/crds", ARGO),
    ],
)
def test_what_may_not_be_looked_at_is_unknown_with_the_permission(
    api: DoctorApi, name: str, check: str, permission: str
) -> None:
    api.forbid(name)
    finding = findings()[check]
    assert finding.outcome is UNKNOWN
    assert permission in finding.fix


def test_a_suspended_or_missing_cron_is_a_warning(api: DoctorApi) -> None:
    api["cronworkflows/betaearth-reconcile"]["spec"]["suspend"] = True
    assert outcome("argo/betaearth-reconcile-cron")[0] is WARNING
    api.remove("cronworkflows/betaearth-reconcile")
    assert outcome("argo/betaearth-reconcile-cron")[0] is WARNING


def test_the_configuration_lacks_something(api: DoctorApi) -> None:
    configuration = api["configmaps/betaearth"]
    del configuration["metadata"]["labels"]
    assert "configmap-type: Parameter" in outcome("setup/betaearth")[1]
    del configuration["data"]["retry-pod"]
    assert outcome("setup/betaearth") == (FAILED, "the ConfigMap lacks retry-pod")
    api.remove("configmaps/betaearth")
    assert outcome("setup/betaearth")[0] is FAILED


def test_a_pod_is_no_json(api: DoctorApi) -> None:
    api["configmaps/betaearth"]["data"]["cpu-pod"] = "resources: {}"
    assert outcome("setup/betaearth/cpu-pod")[0] is FAILED


@pytest.mark.parametrize(
    ("image", "state"),
    [
        ("ghcr.io/x/betaearth:{version}@sha256:abc", OK),
        ("localhost:5000/betaearth:v{version}-cuda", OK),
        ("ghcr.io/x/betaearth:0.0.9", FAILED),
        ("ghcr.io/x/betaearth:latest", WARNING),
        ("ghcr.io/x/betaearth@sha256:abc", UNKNOWN),
        ("localhost:5000/betaearth", UNKNOWN),
    ],
)
def test_the_image_is_of_our_version(api: DoctorApi, image: str, state: Outcome) -> None:
    from betaearth._version import __version__

    api["configmaps/betaearth"]["data"]["image"] = image.format(version=__version__)
    assert outcome("setup/image")[0] is state


def test_a_setting_that_is_none(api: DoctorApi) -> None:
    data = api["configmaps/betaearth-settings"]["data"]
    data["BETAEARTH_SELECTION__MAX_CLOUDS"] = "10"
    state, detail = outcome("setup/betaearth-settings")
    assert state is FAILED
    assert "BETAEARTH_SELECTION__MAX_CLOUDS" in detail
    data.clear()
    assert outcome("setup/betaearth-settings")[0] is WARNING


@pytest.mark.parametrize("limit", ["", "0", "many"])
def test_a_semaphore_that_lets_nobody_through(api: DoctorApi, limit: str) -> None:
    api["configmaps/betaearth-semaphores"]["data"]["imagery"] = limit
    assert outcome("setup/betaearth-semaphores")[0] is FAILED


def test_a_service_account_or_its_token_is_missing(api: DoctorApi) -> None:
    api.remove("serviceaccounts/betaearth-region")
    api.remove("secrets/betaearth-executor.service-account-token")
    assert outcome("setup/serviceaccount/betaearth-region")[0] is FAILED
    assert outcome("setup/secret/betaearth-executor.service-account-token")[0] is FAILED


def test_a_secret_is_needed_where_nothing_else_gives_credentials(api: DoctorApi) -> None:
    api.remove("secrets/betaearth-secrets")
    assert outcome("setup/secret/betaearth-secrets")[0] is WARNING
    assert outcome("setup/secret/betaearth-secrets", store=None)[0] is OK
    api["serviceaccounts/betaearth"]["metadata"]["annotations"] = {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"
    }
    assert outcome("setup/secret/betaearth-secrets")[0] is OK


def test_whoever_asks_may_not_submit(api: DoctorApi) -> None:
    api.denied.add(("jane", "get", "pods/log"))
    state, detail = outcome("rbac/you")
    assert (state, detail) == (WARNING, "jane may submit, but not get pods/log")
    api.denied |= {("jane", "create", "workflows"), ("jane", "patch", "workflows")}
    state, detail = outcome("rbac/you")
    assert state is FAILED
    assert "create, patch workflows.argoproj.io" in detail


def test_the_chart_s_own_doctor_needs_not_submit(api: DoctorApi) -> None:
    api.user = "system:serviceaccount:earth:betaearth-doctor"
    api.denied.add(("betaearth-doctor", "create", "workflows"))
    assert outcome("rbac/you")[0] is OK


def test_a_service_account_may_not_do_its_work(api: DoctorApi) -> None:
    api.denied.add(("betaearth-executor", "patch", "workflowtaskresults"))
    assert outcome("rbac/betaearth-executor") == (FAILED, "it may not patch workflowtaskresults.argoproj.io")
    assert outcome("rbac/betaearth-region")[0] is OK


def set_pod(api: DoctorApi, **changes: Any) -> None:
    api["configmaps/betaearth"]["data"]["pod"] = json.dumps({**GPU_POD, **changes})


def test_no_gpu_is_asked_for(api: DoctorApi) -> None:
    for key in ("pod", "retry-pod"):
        api["configmaps/betaearth"]["data"][key] = json.dumps({"containers": [{"name": "main"}]})
    assert outcome("gpu")[0] is OK
    assert not any("nodes" in asked for asked in api.asked)


def test_no_node_has_the_gpu_that_is_asked_for(api: DoctorApi) -> None:
    api.nodes = [gpu_node("a", 7, "nvidia.com/mig-1g.10gb")]
    state, detail = outcome("gpu/pod")
    assert state is WARNING
    assert "nvidia.com/mig-1g.10gb" in detail
    assert "autoscaler" in findings()["gpu/pod"].fix


def test_the_taint_of_gpu_nodes_is_not_tolerated(api: DoctorApi) -> None:
    set_pod(api, tolerations=[])
    state, detail = outcome("gpu/pod")
    assert state is FAILED
    assert "nvidia.com/gpu=present:NoSchedule" in detail
    assert outcome("gpu/retry-pod")[0] is OK


@pytest.mark.parametrize(
    ("toleration", "state"),
    [
        ({"operator": "Exists"}, OK),
        ({"key": "nvidia.com/gpu", "operator": "Exists"}, OK),
        ({"key": "nvidia.com/gpu", "operator": "Equal", "value": "present"}, OK),
        ({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}, OK),
        ({"key": "nvidia.com/gpu", "value": "absent"}, FAILED),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}, FAILED),
        ({"key": "amd.com/gpu", "operator": "Exists"}, FAILED),
    ],
)
def test_tolerations_are_understood_as_the_scheduler_does(
    api: DoctorApi, toleration: dict[str, str], state: Outcome
) -> None:
    set_pod(api, tolerations=[toleration])
    assert outcome("gpu/pod")[0] is state


def test_a_preference_keeps_nobody_away_and_a_cordoned_node_everybody(api: DoctorApi) -> None:
    set_pod(api, tolerations=[])
    api.nodes = [gpu_node("a", 4, taints=[{"key": "x", "effect": "PreferNoSchedule"}])]
    assert outcome("gpu/pod")[0] is OK
    api.nodes = [gpu_node("a", 4, unschedulable=True)]
    assert outcome("gpu/pod")[0] is WARNING


@pytest.mark.parametrize("reason", ["not-ready", "unreachable"])
def test_a_node_that_is_not_there_counts_for_nothing(api: DoctorApi, reason: str) -> None:
    set_pod(api, tolerations=[{"operator": "Exists"}])
    away = [{"key": f"node.kubernetes.io/{reason}", "effect": "NoExecute"}]
    api.nodes = [gpu_node("a", 4, taints=away)]
    assert outcome("gpu/pod")[0] is WARNING
    api.nodes.append(gpu_node("b", 1))
    assert outcome("gpu/pod")[1].startswith("1 nvidia.com/gpu")


def test_an_affinity_is_said_not_to_be_looked_at(api: DoctorApi) -> None:
    assert "affinity" not in outcome("gpu/pod")[1]
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
    wish = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": terms[0]}]}
    set_pod(api, affinity={"nodeAffinity": wish})
    assert "affinity" not in outcome("gpu/pod")[1]
    need = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    set_pod(api, affinity={"nodeAffinity": need})
    state, detail = outcome("gpu/pod")
    assert state is OK
    assert "affinity was not looked at" in detail


def test_the_node_selector_fits_no_node(api: DoctorApi) -> None:
    set_pod(api, nodeSelector={"kind": "other"})
    assert outcome("gpu/pod")[0] is FAILED
    set_pod(api, nodeSelector={"kind": "gpu"})
    assert outcome("gpu/pod")[0] is OK

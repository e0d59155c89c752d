"""Both clients of the loopback cluster, set up as their users do: by a kubeconfig, and by ARGO_SERVER."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from betaearth.cluster.open import open_workflows
from betaearth.cluster.options import ClusterOptions
from betaearth.cluster.workflows import Submission, Workflows
from tests.cluster.server import Cluster, serving

SUBMISSION = Submission(
    "betaearth-region",
    {"bbox": "13.1 48.7 13.4 48.9", "years": "2023 2024", "options": "--max-cloud 10"},
    "betaearth-region-",
    {"betaearth.github.io/part": "region", "app.kubernetes.io/name": "betaearth"},
)


def kubeconfig(cluster: Cluster, **user: Any) -> str:
    """A kubeconfig of the loopback cluster, as JSON, which is YAML."""
    context = {"cluster": "loopback", "user": "me", "namespace": cluster.world.namespace}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [
                {"name": "here", "context": context},
                {"name": "elsewhere", "context": {**context, "namespace": "mars"}},
            ],
            "clusters": [{"name": "loopback", "cluster": {"server": cluster.url}}],
            "users": [{"name": "me", "user": user or {"token": cluster.token}}],
        }
    )


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster with betaearth's template, and a kubeconfig that names it."""
    for name in ("ARGO_SERVER", "ARGO_TOKEN", "ARGO_NAMESPACE", "ARGO_SECURE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving() as found:
        found.world.templates["betaearth-region"] = {"metadata": {"name": "betaearth-region"}}
        path = tmp_path / "kubeconfig"
        path.write_text(kubeconfig(found))
        monkeypatch.setenv("KUBECONFIG", str(path))
        monkeypatch.setattr("betaearth.cluster.kubeconfig.IN_POD", tmp_path / "no-pod")
        yield found


def through_kube(**options: Any) -> Workflows:
    """The Kubernetes API as KUBECONFIG names it."""
    return patient(open_workflows(ClusterOptions(argo_server="", **options)))


def through_argo(cluster: Cluster, **options: Any) -> Workflows:
    """The argo-server of the loopback cluster."""
    given = {"argo_server": cluster.url, "argo_token": cluster.token, **options}
    return patient(open_workflows(ClusterOptions(**given)))


def patient(workflows: Workflows) -> Workflows:
    """Let a client wait for nothing between two attempts."""
    workflows.pause = lambda _: None  # type: ignore[attr-defined]  # both clients have it
    return workflows

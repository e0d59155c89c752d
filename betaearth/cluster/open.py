"""Who is asked for workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betaearth.cluster.argo_server import open_argo_server, server_of
from betaearth.cluster.kube import open_kube

if TYPE_CHECKING:
    from betaearth.cluster.options import ClusterOptions
    from betaearth.cluster.workflows import Workflows


def open_workflows(options: ClusterOptions) -> Workflows:
    """Choose an argo-server where one is set, or else the Kubernetes API.

    Raises:
        ConfigError: neither is set up here.
    """
    return open_argo_server(options) if server_of(options) else open_kube(options)

"""The whole examination, area by area."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from betaearth.cluster.argo_server import server_of
from betaearth.cluster.doctor import cluster_checks, gpu_checks, permission_checks, setup_checks
from betaearth.cluster.doctor.findings import Finding, looked, ok
from betaearth.cluster.options import ClusterOptions

AREAS = ("cluster", "store", "imagery", "weights")
"""What can be left out."""
NOBODY = {"betaearth.github.io/run": "nobody"}
"""Labels that no Workflow has: a question whose answer is short."""


def area_of(finding: Finding) -> str:
    """Say which of `AREAS` a finding is of: all that is not named after another one is the cluster's."""
    first = finding.check.partition("/")[0]
    return first if first in AREAS else AREAS[0]


def examine_cluster(options: ClusterOptions, *, known: Collection[str], store: str | None) -> Iterator[Finding]:
    """Look at the cluster; where it does not answer, at nothing behind that.

    Args:
        options: which cluster.
        known: names of the environment variables that are settings.
        store: where products go; None where it is not known here.
    """
    by_server = bool(server_of(options))
    if by_server:
        yield from looked("argo/server", "check ARGO_SERVER and ARGO_TOKEN", lambda: _argo_server(options))
    reader, found = cluster_checks.open_reader(options, by_server=by_server)
    yield from found
    if reader is None:
        return
    repair = cluster_checks.INSTALL.format(namespace=reader.namespace)
    looks = {
        "argo/crds": lambda: cluster_checks.check_argo(reader),
        "argo/templates": lambda: cluster_checks.check_templates(reader),
        "argo/cron": lambda: cluster_checks.check_cron(reader),
        "setup/betaearth": lambda: setup_checks.check_configuration(reader),
        "setup/betaearth-settings": lambda: setup_checks.check_settings(reader, known),
        "setup/betaearth-semaphores": lambda: setup_checks.check_semaphores(reader),
        "setup/accounts": lambda: setup_checks.check_accounts(reader),
        "setup/secret": lambda: setup_checks.check_secret(reader, store),
        "rbac/you": lambda: permission_checks.check_caller(reader),
        "rbac/accounts": lambda: permission_checks.check_accounts(reader),
        "gpu": lambda: gpu_checks.check_gpus(reader),
    }
    for check, look in looks.items():
        yield from looked(check, repair, look)


def _argo_server(options: ClusterOptions) -> Iterator[Finding]:
    """Ask the argo-server for the Workflows that nobody has."""
    from betaearth.cluster.open import open_workflows

    client = open_workflows(options)
    list(client.list(NOBODY))
    yield ok("argo/server", f"it answers, namespace {client.namespace}")

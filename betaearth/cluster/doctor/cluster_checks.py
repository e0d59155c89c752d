"""The cluster: whether it answers, knows Argo, and holds our templates in our version."""

from __future__ import annotations

import re
from collections.abc import Iterator

from betaearth._version import __version__
from betaearth.cluster.doctor.findings import Finding, Outcome, failed, looked, ok, unknown, warning
from betaearth.cluster.doctor.reader import ABSENT, Reader
from betaearth.cluster.kubeconfig import open_kubernetes
from betaearth.cluster.options import ClusterOptions
from betaearth.cluster.workflows import LABELS
from betaearth.errors import ConfigError

ARGO = "argoproj.io/v1alpha1"
OLDEST = (1, 30)
"""Version of Kubernetes."""
SERVED = ("workflows", "workflowtemplates", "cronworkflows", "workflowtaskresults")
TEMPLATES = tuple(f"betaearth-{name}" for name in ("region", "shard", "tile-year", "publish", "audit", "reconcile"))
CRON = "betaearth-reconcile"
INSTALL = (
    "`helm upgrade --install betaearth charts/betaearth`, or `kubectl apply -f argo/setup -f argo/`, in the namespace "
    "{namespace}"
)
NOTHING_SET_UP = "no cluster is set up here"
"""How the message of `open_kubernetes` begins where nothing names a cluster."""


def open_reader(options: ClusterOptions, *, by_server: bool = False) -> tuple[Reader | None, list[Finding]]:
    """Find the cluster; None, and why, where there is none or it does not answer.

    Args:
        options: which cluster.
        by_server: whether an argo-server is named, through which regions are made without the Kubernetes API.
    """
    try:
        reader = Reader(open_kubernetes(options))
    except ConfigError as error:
        if by_server and options.context is None and str(error).startswith(NOTHING_SET_UP):
            fix = "set KUBECONFIG: templates, permissions and GPUs are looked at through the Kubernetes API"
            return None, [unknown("kubernetes", str(error), fix)]
        fix = "set KUBECONFIG, or give --context; --skip cluster leaves the cluster out"
        return None, [failed("kubernetes", str(error), fix)]
    found = looked("kubernetes", "check the kubeconfig and log in again", lambda: check_version(reader))
    reached = not any(finding.outcome is Outcome.FAILED for finding in found)
    return (reader if reached else None), found


def check_version(reader: Reader) -> Iterator[Finding]:
    """Look whether the cluster answers, and is new enough."""
    body = reader.get("/version").body
    said = str(body.get("gitVersion", ""))
    match = re.match(r"v?(\d+)\.(\d+)", said)
    where = f"Kubernetes {said or '(unknown version)'} at {reader.kubernetes.host}, namespace {reader.namespace}"
    if match is None:
        yield unknown("kubernetes", where, "the server does not say its version; 1.30 or newer is needed")
    elif (int(match[1]), int(match[2])) < OLDEST:
        yield warning("kubernetes", where, f"{OLDEST[0]}.{OLDEST[1]} or newer is what betaearth is made for: upgrade")
    else:
        yield ok("kubernetes", where)


def check_argo(reader: Reader) -> Iterator[Finding]:
    """Look whether Argo's kinds are served."""
    answer = reader.get(f"/apis/{ARGO}")
    install = "install Argo Workflows 3.6 or newer: https://argo-workflows.readthedocs.io/en/latest/installation/"
    if answer.forbidden:
        yield unknown(
            "argo/crds", "may not be looked at", f"permission: get /apis/{ARGO} (ClusterRole system:discovery)"
        )
        return
    served = {str(entry.get("name")) for entry in answer.body.get("resources") or []}
    lacking = [name for name in SERVED if name not in served]
    if answer.status == ABSENT or not served:
        yield failed("argo/crds", f"the cluster does not know {ARGO}", install)
    elif lacking:
        yield failed("argo/crds", f"{ARGO} lacks {', '.join(lacking)}", install)
    else:
        yield ok("argo/crds", f"{ARGO} is served")


def check_templates(reader: Reader) -> Iterator[Finding]:
    """Look whether our templates are there, in our version."""
    fix = INSTALL.format(namespace=reader.namespace)
    for name in TEMPLATES:
        check = f"argo/{name}"
        answer = reader.named(f"{ARGO}/workflowtemplates", name)
        version = answer.annotations.get(f"{LABELS}version")
        if answer.forbidden:
            yield may_not(check, "get", f"workflowtemplates.{ARGO.partition('/')[0]}", reader.namespace)
        elif not answer.there:
            yield failed(check, f"the WorkflowTemplate is not in the namespace {reader.namespace}", fix)
        elif version is None:
            yield warning(check, f"it does not say its version ({LABELS}version)", fix)
        elif version != __version__:
            yield failed(check, f"it is of version {version}, and this is betaearth {__version__}", fix)
        else:
            yield ok(check, f"version {version}")


def check_cron(reader: Reader) -> Iterator[Finding]:
    """Look whether what a stopped run leaves is published."""
    check = f"argo/{CRON}-cron"
    answer = reader.named(f"{ARGO}/cronworkflows", CRON)
    missing = "a run that is stopped is not published by itself: "
    if answer.forbidden:
        yield may_not(check, "get", "cronworkflows.argoproj.io", reader.namespace)
    elif not answer.there:
        yield warning(
            check, "there is no CronWorkflow", f"{missing}switch it on in the chart, or run `betaearth publish`"
        )
    elif (answer.body.get("spec") or {}).get("suspend"):
        yield warning(check, "it is suspended", f"{missing}`argo cron resume {CRON}`")
    else:
        yield ok(check, f"schedules {', '.join((answer.body.get('spec') or {}).get('schedules') or ['?'])}")


def may_not(check: str, verb: str, resource: str, namespace: str | None) -> Finding:
    """Say which permission is lacking to look at something."""
    scope = f"in the namespace {namespace}" if namespace else "in the whole cluster (ClusterRole)"
    return unknown(
        check,
        f"may not be looked at: you may not {verb} {resource} {scope}",
        f"permission: {verb} {resource} {scope}; the chart's Roles betaearth-operator and betaearth-doctor have what "
        "concerns a namespace, its `rbac.clusterReads` the rest",
    )

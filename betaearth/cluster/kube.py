"""Workflows through the Kubernetes API, as `kubectl` sees them: no argo-server is needed."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from betaearth.cluster.errors import api_errors
from betaearth.cluster.kubeconfig import Kubernetes, open_kubernetes
from betaearth.cluster.streams import WATCH_SECONDS, Workflow, lines_of, watched
from betaearth.cluster.submission import workflow_of
from betaearth.cluster.workflows import PAGE, WORKFLOW, LogLine, Shutdown, Submission
from betaearth.errors import DataError, TransientError

if TYPE_CHECKING:
    from betaearth.cluster.options import ClusterOptions

ARGO = {"group": "argoproj.io", "version": "v1alpha1"}
MAIN = "main"
"""Container of a pod that runs our command."""
FOLLOWED_SECONDS = 3600
"""Seconds of silence after which a followed log is given up."""
LOOKED_FOR_SECONDS = 2.0
"""Seconds between two looks for new pods."""
LARGEST_NODES = 256 * 2**20
"""Bytes of unpacked nodes: the region of 250,000 tile-years has a few megabytes of them."""
FINAL = frozenset({"Succeeded", "Failed", "Error"})
ARCHIVED = (
    "what pods wrote outlives them where the controller archives logs (archiveLogs), and an argo-server gives it out: "
    "--argo-server"
)
"""What to do where the pods are gone."""


def open_kube(options: ClusterOptions) -> KubeWorkflows:
    """Make it of a kubeconfig, or of the pod that this is.

    Raises:
        ConfigError: there is neither, or it is wrong.
    """
    return KubeWorkflows(open_kubernetes(options))


class KubeWorkflows:
    """The workflows of a namespace, through the Kubernetes API."""

    def __init__(self, kubernetes: Kubernetes, *, pause: Callable[[float], None] = time.sleep) -> None:
        from kubernetes.client import CoreV1Api, CustomObjectsApi

        self.kubernetes = kubernetes
        self.namespace = kubernetes.namespace
        self.host = kubernetes.host
        self.pause = pause
        self._objects = CustomObjectsApi(kubernetes.client)
        self._core = CoreV1Api(kubernetes.client)
        self._timeout = {"_request_timeout": kubernetes.timeout_s}
        self._workflows = {**ARGO, "namespace": self.namespace, "plural": "workflows"}

    def submit(self, submission: Submission) -> str:
        """Create a Workflow; return its name."""
        template = f"WorkflowTemplate {submission.template}"
        with api_errors(self._where(template)):
            # The API takes a Workflow of a template that is not there; the controller alone would complain.
            self._objects.get_namespaced_custom_object(
                **{**self._workflows, "plural": "workflowtemplates"}, name=submission.template, **self._timeout
            )
        with api_errors(self._where(f"a Workflow of {template}")):
            created = self._objects.create_namespaced_custom_object(
                **self._workflows, body=workflow_of(submission), field_validation="Strict", **self._timeout
            )
        return str(created["metadata"]["name"])

    def get(self, name: str) -> Workflow:
        """Read a Workflow, with `status.nodes` in clear."""
        with api_errors(self._where(f"Workflow {name}")):
            found = self._objects.get_namespaced_custom_object(**self._workflows, name=name, **self._timeout)
        return in_clear(found)

    def list(self, labels: Mapping[str, str]) -> Iterator[Workflow]:
        """Yield the Workflows that have all of some labels, asked for a page at a time."""
        yield from self._listed({"label_selector": selector(labels)})

    def shutdown(self, name: str, how: Shutdown) -> None:
        """End a Workflow by its `spec.shutdown`, which the controller acts upon."""
        with api_errors(self._where(f"Workflow {name}")):
            self._objects.patch_namespaced_custom_object(
                **self._workflows,
                name=name,
                body={"spec": {"shutdown": how}},
                field_validation="Strict",
                _content_type="application/merge-patch+json",
                **self._timeout,
            )

    def pods(self, labels: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the pods that have all of some labels, asked for a page at a time."""
        token: str | None = ""
        while token is not None:
            with api_errors(self._where("pods")):
                answer = self._core.list_namespaced_pod(
                    self.namespace,
                    label_selector=selector(labels),
                    limit=PAGE,
                    **({"_continue": token} if token else {}),
                    _preload_content=False,
                    **self._timeout,
                )
                page = json.loads(answer.data)
            yield from page.get("items") or []
            token = page["metadata"].get("continue") or None

    def logs(self, workflow: str, *, pod: str | None, tail: int | None, follow: bool) -> Iterator[LogLine]:
        """Yield what the main containers wrote; followed one pod after the other."""
        if pod is not None:
            yield from self._written(pod, tail=tail, follow=follow)
            return
        seen: set[str] = set()
        while True:
            # Asked before the pods are, so that none is missed that a Workflow made last.
            over = not follow or self.get(workflow).get("status", {}).get("phase") in FINAL
            begun = sorted(_age(found) for found in self.pods({WORKFLOW: workflow}) if has_begun(found))
            fresh = [name for _, name in begun if name not in seen]
            for name in fresh:
                with suppress(DataError):  # it was removed since it was listed: the others are told all the same
                    yield from self._written(name, tail=tail, follow=follow)
            seen.update(fresh)
            if over and not seen:
                raise DataError(self._where(f"Workflow {workflow} has no pods with logs (any more); {ARCHIVED}"))
            if over:
                return
            if not fresh:
                self.pause(LOOKED_FOR_SECONDS)

    def watch(self, labels: Mapping[str, str], *, name: str | None = None) -> Iterator[Workflow]:
        """Yield Workflows as they are, and as they change."""
        selected = {"label_selector": selector(labels)}
        if name is not None:
            selected["field_selector"] = f"metadata.name={name}"

        def stream(version: str) -> Any:  # noqa: ANN401  # a urllib3 response of an untyped library
            return self._objects.list_namespaced_custom_object(
                **self._workflows,
                **selected,
                watch=True,
                allow_watch_bookmarks=True,
                resource_version=version,
                timeout_seconds=WATCH_SECONDS,
                _preload_content=False,
                _request_timeout=(self.kubernetes.timeout_s, WATCH_SECONDS + self.kubernetes.timeout_s),
            )

        where = self._where("watching Workflows")
        for workflow in watched(lambda: self._listed(selected), stream, where=where, pause=self.pause):
            yield in_clear(workflow)

    def _listed(self, selected: Mapping[str, str]) -> Generator[Workflow, None, str]:
        """Yield what is on all pages of a list; return the version that a watch goes on from."""
        token = ""
        while True:
            with api_errors(self._where("Workflows")):
                page = self._objects.list_namespaced_custom_object(
                    **self._workflows,
                    **selected,
                    limit=PAGE,
                    **({"_continue": token} if token else {}),
                    **self._timeout,
                )
            yield from map(in_clear, page.get("items") or [])
            token = page["metadata"].get("continue") or ""
            if not token:
                return str(page["metadata"].get("resourceVersion", ""))

    def _written(self, pod: str, *, tail: int | None, follow: bool) -> Iterator[LogLine]:
        where = self._where(f"pod {pod}")
        silence = FOLLOWED_SECONDS if follow else self.kubernetes.timeout_s
        with _gone_errors(where), api_errors(where):
            found = json.loads(
                self._core.read_namespaced_pod(pod, self.namespace, _preload_content=False, **self._timeout).data
            )
        if not has_begun(found):
            if (found.get("status") or {}).get("phase") == "Failed":
                raise DataError(f"{where} never began: `betaearth status` tells why")
            raise TransientError(f"{where} has not begun: `betaearth status` tells what it waits for")
        with _gone_errors(where), api_errors(where):
            answer = self._core.read_namespaced_pod_log(
                pod,
                self.namespace,
                container=MAIN,
                follow=follow,
                **({} if tail is None else {"tail_lines": tail}),
                _preload_content=False,
                _request_timeout=(self.kubernetes.timeout_s, silence),
            )
            for line in lines_of(answer):
                yield LogLine(pod, line)

    def _where(self, what: str) -> str:
        return f"{what} in namespace {self.namespace} of {self.host}"


def selector(labels: Mapping[str, str]) -> str:
    """Spell labels as a selector that wants all of them."""
    return ",".join(f"{name}={value}" for name, value in labels.items())


@contextmanager
def _gone_errors(where: str) -> Iterator[None]:
    """Say of a pod that is not there any more where what it wrote may be."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{where} is gone; {ARCHIVED}") from error


def _age(pod: Mapping[str, Any]) -> tuple[str, str]:
    """What pods are sorted by, the oldest first, and their name."""
    return str(pod["metadata"].get("creationTimestamp", "")), str(pod["metadata"]["name"])


def has_begun(pod: Mapping[str, Any]) -> bool:
    """Tell whether the main container of a pod runs or ran."""
    status = pod.get("status") or {}
    states = [
        container.get("state") or {}
        for container in status.get("containerStatuses") or []
        if container.get("name") == MAIN
    ]
    if not states:  # one that failed so was evicted, or turned away by its node, before it began
        return status.get("phase") in {"Running", "Succeeded"}
    return any("running" in state or "terminated" in state for state in states)


def in_clear(workflow: Workflow) -> Workflow:
    """Unpack the nodes of a large Workflow, which Argo keeps as base64 of gzip of JSON.

    Raises:
        DataError: they cannot be unpacked, or are larger than any Workflow's.
    """
    status = workflow.get("status") or {}
    packed = status.get("compressedNodes")
    if not packed:
        return workflow
    where = f"Workflow {workflow.get('metadata', {}).get('name')}: its status.compressedNodes"
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(packed, validate=True))) as file:
            text = file.read(LARGEST_NODES + 1)
        if len(text) > LARGEST_NODES:
            raise DataError(f"{where} unpack to more than {LARGEST_NODES} bytes, which no Workflow of ours has")
        nodes = json.loads(text)
    except (binascii.Error, zlib.error, OSError, EOFError, ValueError) as error:
        raise DataError(f"{where} is no base64 of gzip of JSON") from error
    kept = {key: value for key, value in status.items() if key != "compressedNodes"}
    return {**workflow, "status": {**kept, "nodes": nodes}}

"""Workflows through an argo-server: its REST interface, spoken by Argo's own library."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from betaearth.cluster.errors import api_errors
from betaearth.cluster.kube import FOLLOWED_SECONDS, MAIN, in_clear, selector
from betaearth.cluster.kubeconfig import bounded_retries, namespace_of
from betaearth.cluster.streams import WATCH_SECONDS, Workflow, event_of, lines_of, watched
from betaearth.cluster.workflows import PAGE, LogLine, Shutdown, Submission
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.discretion import discreet

if TYPE_CHECKING:
    from betaearth.cluster.options import ClusterOptions

NO = frozenset({"0", "f", "false", "no"})
YES = frozenset({"1", "t", "true", "yes"})
COUNTED = "ext.showRemainingItemCount=true"
"""Field selector of a list; without it the server looks into its archive alone for whether there are further pages."""


def server_of(options: ClusterOptions, environ: Mapping[str, str] | None = None) -> str:
    """Find the argo-server's URL; empty for the Kubernetes API.

    `ARGO_SERVER` is read as Argo's own command does: `host:port`, spoken to by TLS unless `ARGO_SECURE` is false, below
    `ARGO_BASE_HREF`.
    """
    environ = os.environ if environ is None else environ
    if options.argo_server is not None:
        named = options.argo_server
    else:
        named = environ.get("ARGO_SERVER", "")
        base = environ.get("ARGO_BASE_HREF", "").strip("/")
        named = f"{named.rstrip('/')}/{base}" if named and base else named
    if named and "://" not in named:
        named = f"{'http' if environ.get('ARGO_SECURE', '').lower() in NO else 'https'}://{named}"
    return named.rstrip("/")


def open_argo_server(options: ClusterOptions) -> ArgoServerWorkflows:
    """Make a client of the argo-server that is set; nothing is asked of it.

    Raises:
        ConfigError: its address is none.
    """
    from argo_workflows import ApiClient, Configuration

    host = server_of(options)
    if not host.startswith(("https://", "http://")):
        raise ConfigError(
            "the argo-server's address must begin with https:// or http://, such as https://argo.org:2746"
        )
    if "@" in host.partition("://")[2].partition("/")[0]:
        raise ConfigError("the argo-server's address holds a login: give a token by ARGO_TOKEN instead")
    configuration = Configuration(host=host, discard_unknown_keys=True)
    configuration.retries = bounded_retries()
    trusting = os.environ.get("ARGO_INSECURE_SKIP_VERIFY", "").lower() in YES
    configuration.verify_ssl = options.verify_tls and not trusting
    proxies = getproxies()
    configuration.proxy, configuration.no_proxy = proxies.get(host.partition(":")[0]), proxies.get("no")
    configuration.ssl_ca_cert = os.environ.get("SSL_CERT_FILE") or None
    if token := token_of(options):
        configuration.api_key["BearerToken"] = token
    client = ApiClient(configuration)
    client.user_agent = "betaearth"
    return ArgoServerWorkflows(client, host, namespace_of(options), options.timeout_s)


def token_of(options: ClusterOptions) -> str:
    """Find the Authorization header's value; empty for an argo-server that asks for none."""
    given = options.argo_token.get_secret_value() if options.argo_token else os.environ.get("ARGO_TOKEN", "")
    token = given.strip()
    return f"Bearer {token}" if token and " " not in token else token


class ArgoServerWorkflows:
    """The workflows of a namespace, through an argo-server. It shows no pods."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401  # an ApiClient of an untyped library
        host: str,
        namespace: str,
        timeout_s: float,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        from argo_workflows.api.artifact_service_api import ArtifactServiceApi
        from argo_workflows.api.workflow_service_api import WorkflowServiceApi

        self.host, self.namespace, self.timeout_s, self.pause = discreet(host), namespace, timeout_s, pause
        self._api = WorkflowServiceApi(client)
        self._artifacts = ArtifactServiceApi(client)

    def submit(self, submission: Submission) -> str:
        """Create a Workflow; return its name."""
        from argo_workflows.model import io_argoproj_workflow_v1alpha1_submit_opts as opts
        from argo_workflows.model import io_argoproj_workflow_v1alpha1_workflow_submit_request as request

        body = request.IoArgoprojWorkflowV1alpha1WorkflowSubmitRequest(
            namespace=self.namespace,
            resource_kind="WorkflowTemplate",
            resource_name=submission.template,
            submit_options=opts.IoArgoprojWorkflowV1alpha1SubmitOpts(
                generate_name=submission.generate_name,
                parameters=[f"{name}={value}" for name, value in submission.parameters.items()],
                labels=selector(submission.labels),
            ),
        )
        created = self._asked(f"WorkflowTemplate {submission.template}", self._api.submit_workflow, body)
        return str(created["metadata"]["name"])

    def get(self, name: str) -> Workflow:
        """Read a Workflow; the argo-server unpacks its nodes, and finds it in the archive where there is one."""
        return self._asked(f"Workflow {name}", self._api.get_workflow, name)

    def list(self, labels: Mapping[str, str]) -> Iterator[Workflow]:
        """Yield the Workflows that have all of some labels, asked for a page at a time; archived ones have no nodes."""
        yield from self._listed({"list_options_label_selector": selector(labels)})

    def shutdown(self, name: str, how: Shutdown) -> None:
        """End a Workflow."""
        from argo_workflows.model import io_argoproj_workflow_v1alpha1_workflow_stop_request as stop
        from argo_workflows.model import io_argoproj_workflow_v1alpha1_workflow_terminate_request as terminate

        if how == "Stop":
            request = stop.IoArgoprojWorkflowV1alpha1WorkflowStopRequest(name=name, namespace=self.namespace)
            self._asked(f"Workflow {name}", self._api.stop_workflow, name, request)
        else:
            request = terminate.IoArgoprojWorkflowV1alpha1WorkflowTerminateRequest(name=name, namespace=self.namespace)
            self._asked(f"Workflow {name}", self._api.terminate_workflow, name, request)

    def pods(self, labels: Mapping[str, str]) -> Iterator[dict[str, Any]]:  # noqa: ARG002  # of the interface
        """Yield none: an argo-server does not show pods."""
        return iter(())

    def logs(self, workflow: str, *, pod: str | None, tail: int | None, follow: bool) -> Iterator[LogLine]:
        """Yield what the main containers wrote; of a pod that is gone, what the archive has."""
        where, some = self._where(f"logs of {pod or workflow}"), False
        with api_errors(where):
            answer = self._api.workflow_logs(
                self.namespace,
                workflow,
                **({} if pod is None else {"pod_name": pod}),
                **({} if tail is None else {"log_options_tail_lines": str(tail)}),
                log_options_container=MAIN,
                log_options_follow=follow,
                _preload_content=False,
                _request_timeout=(self.timeout_s, FOLLOWED_SECONDS if follow else self.timeout_s),
            )
            for line in lines_of(answer):
                if line:
                    said, some = event_of(line), True
                    yield LogLine(str(said.get("podName", pod or "")), str(said.get("content", "")))
        if not some:
            yield from self._archived(workflow, pod, tail)

    def watch(self, labels: Mapping[str, str], *, name: str | None = None) -> Iterator[Workflow]:
        """Yield Workflows as they are, and as they change."""
        selected = {"list_options_label_selector": selector(labels)}
        if name is not None:
            selected["list_options_field_selector"] = f"metadata.name={name}"

        def stream(version: str) -> Any:  # noqa: ANN401  # a urllib3 response of an untyped library
            return self._api.watch_workflows(
                self.namespace,
                **selected,
                list_options_resource_version=version,
                list_options_timeout_seconds=str(WATCH_SECONDS),
                _preload_content=False,
                _request_timeout=(self.timeout_s, WATCH_SECONDS + self.timeout_s),
            )

        where = self._where("watching Workflows")
        return watched(lambda: self._listed(selected), stream, where=where, pause=self.pause)

    def _listed(self, selected: Mapping[str, str]) -> Generator[Workflow, None, str]:
        """Yield what is on all pages of a list; return the version that a watch goes on from."""
        named = selected.get("list_options_field_selector")
        counted = {**selected, "list_options_field_selector": f"{named},{COUNTED}" if named else COUNTED}
        token = ""
        while True:
            further = {"list_options_continue": token} if token else {}
            page = self._asked(
                "Workflows", self._api.list_workflows, **counted, **further, list_options_limit=str(PAGE)
            )
            metadata = page.get("metadata") or {}
            items = page.get("items") or []
            yield from map(in_clear, items)
            token = metadata.get("continue") or ""
            if not token or not items:  # of an archive the server counts what has other labels, too, and never ends
                return str(metadata.get("resourceVersion", ""))

    def _archived(self, workflow: str, pod: str | None, tail: int | None) -> Iterator[LogLine]:
        """Yield what a pod wrote from the artifact that Argo keeps of it."""
        if pod is None:
            raise DataError(self._where(f"Workflow {workflow} has no pods with logs (any more)"))
        where = self._where(f"logs of {pod}")
        try:
            with api_errors(where):
                answer = self._artifacts.get_output_artifact(
                    self.namespace,
                    workflow,
                    node_id=node_of(workflow, pod),
                    artifact_name=f"{MAIN}-logs",
                    _preload_content=False,
                    _request_timeout=self.timeout_s,
                )
                lines = list(lines_of(answer))
        except (DataError, ConfigError) as error:
            raise DataError(
                f"{where}: the pod is gone or wrote nothing, and there is no archive of it: {error}"
            ) from error
        for line in lines if tail is None else lines[max(0, len(lines) - tail) :]:
            yield LogLine(pod, line)

    def _asked(self, what: str, call: Callable[..., Any], *words: object, **options: object) -> dict[str, Any]:
        """Ask for one object, taken as it was sent: the library's models leave out what they do not know."""
        where = self._where(what)
        with api_errors(where):
            answer = call(self.namespace, *words, **options, _preload_content=False, _request_timeout=self.timeout_s)
            body = answer.data
        try:
            said = json.loads(body)
        except ValueError as error:
            raise ConfigError(f"{where}: this is no argo-server's answer: is the address right?") from error
        if not isinstance(said, dict):
            raise TransientError(f"{where}: the argo-server's answer is no object")
        return said

    def _where(self, what: str) -> str:
        return f"{what} in namespace {self.namespace} of {self.host}"


def node_of(workflow: str, pod: str) -> str:
    """Id of the node of a pod, which share their hash: `{workflow}-{template}-{hash}` is of `{workflow}-{hash}`."""
    return workflow if pod == workflow else f"{workflow}-{pod.rpartition('-')[2]}"

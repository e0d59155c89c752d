"""A Kubernetes API and an argo-server on the loopback, over one world. Both take nothing that the real ones do not."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from argo_workflows import ApiClient, Configuration
from argo_workflows.api.workflow_service_api import WorkflowServiceApi
from argo_workflows.model import io_argoproj_workflow_v1alpha1_submit_opts as opts
from argo_workflows.model import io_argoproj_workflow_v1alpha1_workflow_stop_request as stopping
from argo_workflows.model import io_argoproj_workflow_v1alpha1_workflow_submit_request as submitting
from argo_workflows.model import io_argoproj_workflow_v1alpha1_workflow_terminate_request as terminating

from tests.cluster.world import FINAL, Object, World, Wrong, check_workflow, matches

LIST = {"labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch", "pretty"}
WATCH = LIST | {"watch", "allowWatchBookmarks", "timeoutSeconds", "sendInitialEvents"}
CREATE = {"dryRun", "fieldManager", "fieldValidation", "pretty"}
LOG = {"container", "follow", "tailLines", "previous", "sinceSeconds", "timestamps", "limitBytes", "pretty"}
HELD_OPEN = 5.0
"""Seconds after which a watch that nobody breaks ends, so that no test hangs."""


@dataclass
class Fault:
    """What goes wrong with the next requests of a path."""

    path: str
    """Part of it, with its query."""
    times: int
    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: int | None = None
    """Lines of a stream after which the connection breaks."""


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    type: str
    body: Any
    authorization: str = ""
    repeated: bool = False
    """Whether a query parameter is given twice."""


@dataclass
class Answer:
    """What is sent back: one document, a text, or lines one after the other."""

    document: Any = None
    text: str | None = None
    lines: Iterator[str] | None = None
    type: str = "application/json"
    status: int = 200


@dataclass
class Cluster:
    """A world, and who speaks of it."""

    world: World = field(default_factory=World)
    url: str = ""
    token: str = "secret-token-of-the-cluster"
    installed: bool = True
    """Whether the API knows Argo's group."""
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    held_open: float = HELD_OPEN
    """Seconds without a change after which a watch ends."""

    def fail(self, path: str, status: int = 0, *, times: int = 1000, **what: Any) -> None:
        """Let the next requests of a path fail."""
        self.faults.append(Fault(path, times, status, **what))

    def fault_of(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def answer(self, asked: Asked) -> Answer:
        """Find who is asked, and for what."""
        if asked.authorization != f"Bearer {self.token}":
            raise Wrong(401, "Unauthorized", "Unauthorized")
        if asked.repeated:
            raise Wrong(400, "BadRequest", "a query parameter is given twice")
        for method, pattern, handle in ROUTES:
            found = re.fullmatch(pattern, asked.path)
            if found and method == asked.method:
                if "argoproj" in pattern and not self.installed:
                    break
                words = [unquote(word) for word in found.groups()]
                if words[0] != self.world.namespace:
                    raise Wrong(403, "Forbidden", f'workflows is forbidden: no access in the namespace "{words[0]}"')
                return handle(self, asked, *words[1:])
        raise Wrong(404, "", "404 page not found")

    def watched(self, query: dict[str, str], *, prefix: str = "") -> Iterator[Object]:
        """Yield events after a version until the watch is ended."""
        since = int(query.get(f"{prefix}resourceVersion") or 0)
        selectors = [query.get(prefix + key, "") for key in ("labelSelector", "fieldSelector")]
        if since < self.world.oldest:
            message = f"too old resource version: {since} ({self.world.oldest})"
            yield {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": message}}
            return
        if truth(query.get("allowWatchBookmarks", "false")):
            yield {"type": "BOOKMARK", "object": {"kind": "Workflow", "metadata": {"resourceVersion": str(since)}}}
        while fresh := self.world.after(since, self.held_open):
            for version, kind, workflow in fresh:
                since = version
                if matches(workflow, *selectors):
                    yield {"type": kind, "object": workflow}


def allow(asked: Asked, names: set[str], *, body: bool = False, types: set[str] | None = None) -> None:
    """Refuse query parameters and bodies that such a request has not."""
    if unknown := asked.query.keys() - names:
        raise Wrong(400, "BadRequest", f"unknown query parameters: {sorted(unknown)}")
    if body != (asked.body is not None):
        raise Wrong(400, "BadRequest", "a body is needed" if body else "no body is taken")
    if body and asked.type not in (types or {"application/json"}):
        raise Wrong(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {asked.type}")


def truth(word: str) -> bool:
    """Read a flag as Go's ParseBool does."""
    if word not in {"1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"}:
        raise Wrong(400, "BadRequest", f"strconv.ParseBool: parsing {word!r}: invalid syntax")
    return word in {"1", "t", "T", "true", "TRUE", "True"}


def kube_list(cluster: Cluster, asked: Asked) -> Answer:
    if not truth(asked.query.get("watch", "false")):
        allow(asked, LIST)
        page = cluster.world.listed(cluster.world.workflows, asked.query)
        items = [cluster.world.stored(item) for item in page["items"]]
        return Answer({"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowList", **page, "items": items})
    allow(asked, WATCH - {"limit", "continue"})
    return Answer(
        lines=(
            json.dumps({**event, "object": cluster.world.stored(event["object"])})
            for event in cluster.watched(asked.query)
        )
    )


def kube_create(cluster: Cluster, asked: Asked) -> Answer:
    allow(asked, CREATE, body=True)
    check_workflow(asked.body, strict=asked.query.get("fieldValidation") == "Strict")
    return Answer(cluster.world.create(asked.body), status=201)


def kube_get(cluster: Cluster, asked: Asked, name: str) -> Answer:
    allow(asked, {"resourceVersion", "pretty"})
    return Answer(cluster.world.stored(cluster.world.one(name)))


def kube_patch(cluster: Cluster, asked: Asked, name: str) -> Answer:
    allow(asked, {*CREATE, "force"}, body=True, types={"application/merge-patch+json"})
    if asked.body.keys() != {"spec"} or asked.body["spec"].keys() != {"shutdown"}:
        raise Wrong(422, "Invalid", "only spec.shutdown may be patched here")
    if asked.body["spec"]["shutdown"] not in {"Stop", "Terminate"}:
        raise Wrong(422, "Invalid", "spec.shutdown: Unsupported value")
    return Answer(cluster.world.shut(name, asked.body["spec"]["shutdown"]))


def kube_template(cluster: Cluster, asked: Asked, name: str) -> Answer:
    allow(asked, {"resourceVersion", "pretty"})
    return Answer(cluster.world.template(name))


def kube_pods(cluster: Cluster, asked: Asked) -> Answer:
    allow(asked, LIST)
    return Answer({"apiVersion": "v1", "kind": "PodList", **cluster.world.listed(cluster.world.pods, asked.query)})


def pod_of(cluster: Cluster, name: str) -> Object:
    if name not in cluster.world.pods:
        raise Wrong(404, "NotFound", f'pods "{name}" not found', kind="pods", name=name)
    return cluster.world.pods[name]


def kube_pod(cluster: Cluster, asked: Asked, name: str) -> Answer:
    allow(asked, {"pretty"})
    return Answer(pod_of(cluster, name))


def kube_log(cluster: Cluster, asked: Asked, name: str) -> Answer:
    allow(asked, LOG)
    pod_of(cluster, name)
    if asked.query.get("container") not in {"main", "wait", "init"}:
        raise Wrong(400, "BadRequest", f"a container name must be specified for pod {name}")
    truth(asked.query.get("follow", "false"))
    return Answer(lines=iter(tail(cluster.world.logs[name], asked.query.get("tailLines"))), type="text/plain")


def tail(lines: list[str], count: str | None) -> list[str]:
    return lines if count is None else lines[len(lines) - min(int(count), len(lines)) :]


_SERVICE = WorkflowServiceApi(ApiClient(Configuration(host="http://127.0.0.1")))


def argo_query(operation: str) -> set[str]:
    """Query parameters of an operation, by Argo's OpenAPI document."""
    endpoint = getattr(_SERVICE, f"{operation}_endpoint")
    return {spelled for name, spelled in endpoint.attribute_map.items() if endpoint.location_map[name] == "query"}


def argo_body(body: Object, model: Any, at: str = "") -> None:
    """Hold a body against a model of Argo's OpenAPI document: names and types."""
    types = {model.attribute_map[name]: kinds for name, kinds in model.openapi_types.items()}
    for name, value in body.items():
        if name not in types:
            raise Wrong(400, "InvalidArgument", f'unknown field "{at}{name}"')
        kind = types[name][0]
        if isinstance(kind, list):
            fits = isinstance(value, list) and all(isinstance(entry, kind[0]) for entry in value)
        else:
            fits = isinstance(value, kind if kind in {str, bool, int} else dict)
        if not fits:
            raise Wrong(400, "InvalidArgument", f'"{at}{name}" is a {type(value).__name__}')


def argo_list(cluster: Cluster, asked: Asked) -> Answer:
    """Give a page; whether there are more is known where all are counted, and archived ones are extracts."""
    allow(asked, argo_query("list_workflows"))
    words = asked.query.get("listOptions.fieldSelector", "").split(",")
    counted = "ext.showRemainingItemCount=true" in words
    fields = ",".join(word for word in words if not word.startswith("ext."))
    query = {**asked.query, "listOptions.fieldSelector": fields}
    page = cluster.world.listed(cluster.world.workflows, query, prefix="listOptions.")
    if not counted:
        page["metadata"].pop("continue", None)
    elif cluster.world.archived and "listOptions.continue" in query:  # what has other labels is counted, too
        start = int(query["listOptions.continue"].removeprefix("next:"))
        page["metadata"]["continue"] = f"next:{start + len(page['items'])}"
    return Answer({**page, "items": [cluster.world.listed_by_argo(item) for item in page["items"]]})


def argo_get(cluster: Cluster, asked: Asked, name: str) -> Answer:
    allow(asked, argo_query("get_workflow"))
    return Answer(cluster.world.one(name))


def argo_submit(cluster: Cluster, asked: Asked) -> Answer:
    """Make a Workflow of a template as argo-server does: reference, arguments, and a label that says whence."""
    allow(asked, set(), body=True)
    argo_body(asked.body, submitting.IoArgoprojWorkflowV1alpha1WorkflowSubmitRequest)
    options = asked.body.get("submitOptions") or {}
    argo_body(options, opts.IoArgoprojWorkflowV1alpha1SubmitOpts, "submitOptions.")
    if asked.body.get("resourceKind") != "WorkflowTemplate":
        raise Wrong(400, "InvalidArgument", f"resource kind '{asked.body.get('resourceKind')}' is not supported")
    template = cluster.world.template(asked.body["resourceName"])["metadata"]["name"]
    parameters = [
        dict(zip(("name", "value"), word.split("=", 1), strict=True)) for word in options.get("parameters", [])
    ]
    labels = dict(word.split("=") for word in filter(None, options.get("labels", "").split(",")))
    spec: Object = {"workflowTemplateRef": {"name": template}, "arguments": {"parameters": parameters}}
    if "serviceAccount" in options:
        spec["serviceAccountName"] = options["serviceAccount"]
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "generateName": options.get("generateName") or f"{template}-",
            "labels": {**labels, "workflows.argoproj.io/workflow-template": template},
        },
        "spec": spec,
    }
    check_workflow(workflow, strict=True)
    return Answer(cluster.world.create(workflow))


def argo_shut(cluster: Cluster, asked: Asked, name: str, verb: str) -> Answer:
    allow(asked, set(), body=True)
    argo_body(
        asked.body,
        stopping.IoArgoprojWorkflowV1alpha1WorkflowStopRequest
        if verb == "stop"
        else terminating.IoArgoprojWorkflowV1alpha1WorkflowTerminateRequest,
    )
    if asked.body.get("name") != name:
        raise Wrong(400, "InvalidArgument", "name and path differ")
    if (cluster.world.one(name).get("status") or {}).get("phase") in FINAL:
        raise Wrong(500, "Internal", "cannot shutdown a completed workflow")
    return Answer(cluster.world.shut(name, {"stop": "Stop", "terminate": "Terminate"}[verb]))


def argo_log(cluster: Cluster, asked: Asked, name: str) -> Answer:
    allow(asked, argo_query("workflow_logs"))
    cluster.world.one(name)
    truth(asked.query.get("logOptions.follow", "false"))
    if asked.query.get("logOptions.container") != "main":
        raise Wrong(400, "InvalidArgument", "no such container")
    wanted = asked.query.get("podName")
    of_workflow = f"workflows.argoproj.io/workflow={name}"
    return Answer(
        lines=(
            json.dumps({"result": {"content": line, "podName": pod}})
            for pod, held in cluster.world.pods.items()
            if matches(held, of_workflow) and wanted in {None, pod}
            for line in tail(cluster.world.logs[pod], asked.query.get("logOptions.tailLines"))
        )
    )


def argo_watch(cluster: Cluster, asked: Asked) -> Answer:
    allow(asked, argo_query("watch_workflows"))

    def lines() -> Iterator[str]:
        for event in cluster.watched(asked.query, prefix="listOptions."):
            if event["type"] == "ERROR":
                error = {"grpc_code": 3, "http_code": 400, "message": event["object"]["message"]}
                yield json.dumps({"error": error})
                return
            yield json.dumps({"result": event})
        yield json.dumps({"error": {"grpc_code": 8, "http_code": 429, "message": "EOF"}})

    return Answer(lines=lines())


def argo_artifact(cluster: Cluster, asked: Asked, name: str, node: str) -> Answer:
    allow(asked, set())
    if (name, node) not in cluster.world.archive:
        raise Wrong(404, "NotFound", "artifact not found")
    return Answer(text=cluster.world.archive[name, node], type="text/plain")


KUBE = r"/apis/argoproj\.io/v1alpha1/namespaces/([^/]+)"
PODS = r"/api/v1/namespaces/([^/]+)/pods"
ARGO = r"/api/v1/workflows/([^/]+)"
ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", rf"{KUBE}/workflows", kube_list),
    ("POST", rf"{KUBE}/workflows", kube_create),
    ("GET", rf"{KUBE}/workflows/([^/]+)", kube_get),
    ("PATCH", rf"{KUBE}/workflows/([^/]+)", kube_patch),
    ("GET", rf"{KUBE}/workflowtemplates/([^/]+)", kube_template),
    ("GET", PODS, kube_pods),
    ("GET", rf"{PODS}/([^/]+)", kube_pod),
    ("GET", rf"{PODS}/([^/]+)/log", kube_log),
    ("GET", ARGO, argo_list),
    ("POST", rf"{ARGO}/submit", argo_submit),
    ("GET", rf"{ARGO}/([^/]+)", argo_get),
    ("PUT", rf"{ARGO}/([^/]+)/(stop|terminate)", argo_shut),
    ("GET", rf"{ARGO}/([^/]+)/log", argo_log),
    ("GET", r"/api/v1/workflow-events/([^/]+)", argo_watch),
    ("GET", r"/artifacts/([^/]+)/([^/]+)/([^/]+)/main-logs", argo_artifact),
]


def handler_of(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            self.serve()

        def do_POST(self) -> None:
            self.serve()

        def do_PUT(self) -> None:
            self.serve()

        def do_PATCH(self) -> None:
            self.serve()

        def serve(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = cluster.fault_of(self.path)
            try:
                if fault and fault.hang:
                    cluster.released.wait(HELD_OPEN)
                if fault and fault.status:
                    self.whole(fault.status, fault.body, fault.headers)
                    return
                words = parse_qsl(address.query, keep_blank_values=True, strict_parsing=bool(address.query))
                asked = Asked(
                    self.command,
                    address.path,
                    dict(words),
                    self.headers.get("Content-Type", ""),
                    json.loads(body) if body else None,
                    self.headers.get("Authorization", ""),
                    len(words) != len(dict(words)),
                )
                cluster.asked.append(asked)
                self.send(cluster.answer(asked), fault)
            except Wrong as wrong:
                self.whole(wrong.status, refusal(asked.path, wrong), {})
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def send(self, answer: Answer, fault: Fault | None) -> None:
            if answer.lines is None:
                data = answer.text if answer.text is not None else json.dumps(answer.document)
                self.whole(answer.status, data.encode(), {"Content-Type": answer.type})
                return
            self.send_response(200)
            self.send_header("Content-Type", answer.type)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number, line in enumerate(answer.lines):
                if fault and fault.cut is not None and number >= fault.cut:
                    self.close_connection = True
                    return
                self.chunk(f"{line}\n".encode())
            if fault and fault.cut is not None:
                self.close_connection = True
                return
            self.chunk(b"")

        def chunk(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()

        def whole(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def refusal(path: str, wrong: Wrong) -> bytes:
    """Spell a refusal as the API of a path does: a Status, or gRPC's few words."""
    if not wrong.reason:
        return wrong.message.encode() + b"\n"
    if not path.startswith(("/apis/", "/api/v1/namespaces/")):
        return json.dumps({"code": 5 if wrong.status == 404 else 3, "message": wrong.message}).encode()
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": wrong.status}
    return json.dumps({**status, "message": wrong.message, "reason": wrong.reason, "details": wrong.details}).encode()


@contextmanager
def serving() -> Iterator[Cluster]:
    """Serve a fresh world."""
    cluster = Cluster()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(cluster))
    http.daemon_threads = True
    http.block_on_close = False
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    cluster.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield cluster
    finally:
        cluster.released.set()
        http.shutdown()
        thread.join()
        http.server_close()

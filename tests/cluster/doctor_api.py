"""A Kubernetes API on the loopback, as far as a doctor asks it: strict in what it takes, true in what it refuses."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from betaearth._version import __version__
from tests.cluster.documents import check_names

TOKEN = "a-token-of-the-operator"
NAMESPACE = "earth"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
ARGO = "/apis/argoproj.io/v1alpha1"
OURS = f"{ARGO}/namespaces/{NAMESPACE}"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
SELF = f"{AUTHORIZATION}/selfsubjectaccessreviews"
LOCAL = f"{AUTHORIZATION}/namespaces/{NAMESPACE}/localsubjectaccessreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEWS = {
    SELF: "V1SelfSubjectAccessReview",
    LOCAL: "V1LocalSubjectAccessReview",
    WHO: "V1SelfSubjectReview",
}
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=1"
GPU_POD = {
    "containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "12Gi"}}}],
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
}
SECRET_VALUE = "c2VjcmV0LXZhbHVl"


def named(name: str, **more: Any) -> dict[str, Any]:
    """An object with a name; labels and annotations by these words."""
    metadata = {"name": name, "namespace": NAMESPACE}
    metadata |= {key: more.pop(key) for key in ("labels", "annotations") if key in more}
    return {"metadata": metadata, **more}


def gpu_node(name: str, count: int = 1, resource: str = "nvidia.com/gpu", **spec: Any) -> dict[str, Any]:
    """A node with devices."""
    taints = [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    node = {
        "metadata": {"name": name, "labels": {"kind": "gpu"}},
        "spec": {"taints": taints, **spec},
        "status": {"allocatable": {"cpu": "7910m", "memory": "32Gi", resource: str(count)}},
    }
    check_names(node, "V1Node")
    return node


def whole() -> dict[str, dict[str, Any]]:
    """Everything that a doctor looks for, in good order."""
    pods = json.dumps(GPU_POD)
    data = {"image": f"ghcr.io/x/betaearth:{__version__}", "pod": pods, "retry-pod": pods}
    data |= {"cpu-pod": "{}", "shard-pod": "{}"}
    kinds = ("workflows", "workflowtemplates", "cronworkflows", "workflowtaskresults", "workflows/status")
    templates = ("region", "shard", "tile-year", "publish", "audit", "reconcile")
    objects: dict[str, dict[str, Any]] = {
        "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.2-eks-1"},
        ARGO: {"kind": "APIResourceList", "resources": [{"name": name, "namespaced": True} for name in kinds]},
        f"{OURS}/cronworkflows/betaearth-reconcile": named("betaearth-reconcile", spec={"schedules": ["17 * * * *"]}),
        f"{CORE}/configmaps/betaearth": named(
            "betaearth", labels={"workflows.argoproj.io/configmap-type": "Parameter"}, data=data
        ),
        f"{CORE}/configmaps/betaearth-settings": named(
            "betaearth-settings", data={"BETAEARTH_STORE": "s3://earth/v1", "OMP_NUM_THREADS": "4"}
        ),
        f"{CORE}/configmaps/betaearth-semaphores": named(
            "betaearth-semaphores", data={"imagery": "32", "shards": "10"}
        ),
        f"{CORE}/secrets/betaearth-secrets": named("betaearth-secrets", data={"AWS_SECRET_ACCESS_KEY": SECRET_VALUE}),
    }
    for name in templates:
        template = named(f"betaearth-{name}", annotations={"betaearth.github.io/version": __version__}, spec={})
        objects[f"{OURS}/workflowtemplates/betaearth-{name}"] = template
    for name in ("betaearth", "betaearth-executor", "betaearth-region"):
        objects[f"{CORE}/serviceaccounts/{name}"] = named(name)
    for name in ("betaearth-executor", "betaearth-region"):
        secret = named(f"{name}.service-account-token", data={"token": SECRET_VALUE})
        objects[f"{CORE}/secrets/{name}.service-account-token"] = secret
    return objects


@dataclass
class DoctorApi:
    """What there is, who may do what, and what was asked."""

    url: str = ""
    objects: dict[str, dict[str, Any]] = field(default_factory=whole)
    """Path to object."""
    nodes: list[dict[str, Any]] = field(default_factory=lambda: [gpu_node("a", 2), gpu_node("b", 1)])
    forbidden: set[str] = field(default_factory=set)
    """Paths that answer 403."""
    faults: dict[str, int] = field(default_factory=dict)
    """Path to the status that it answers."""
    user: str = "jane"
    denied: set[tuple[str, str, str]] = field(default_factory=set)
    """(user, verb, resource) that a review denies; a subresource stands after a slash."""
    page: int = 1
    """Nodes of a page at most."""
    asked: list[str] = field(default_factory=list)
    """Every request, as `METHOD path`."""

    def __getitem__(self, name: str) -> dict[str, Any]:
        """The one object whose path ends so."""
        (found,) = (entry for path, entry in self.objects.items() if path.endswith(f"/{name}"))
        return found

    def remove(self, name: str) -> None:
        """Let an object not be there."""
        (path,) = (path for path in self.objects if path.endswith(f"/{name}"))
        del self.objects[path]

    def forbid(self, name: str) -> None:
        """Let an object, or a kind of question, be refused."""
        self.forbidden |= {path for path in (*self.objects, *REVIEWS, "/api/v1/nodes", ARGO) if path.endswith(name)}

    def get(self, path: str, query: dict[str, list[str]], accept: str) -> tuple[int, dict[str, Any]]:
        if path == "/api/v1/nodes":
            return self._nodes(query)
        if query:
            return 400, {"message": f"unknown parameters {sorted(query)}"}
        if path not in self.objects:
            return 404, {"message": f"{path} not found", "reason": "NotFound"}
        found = copy.deepcopy(self.objects[path])
        if "/secrets/" in path:
            if accept != METADATA_ONLY:
                return 406, {"message": "a test lets nobody read a Secret's values"}
            found = {"kind": "PartialObjectMetadata", "metadata": found["metadata"]}
        return 200, found

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path not in REVIEWS:
            return 404, {"message": f"{path} not found"}
        kind = REVIEWS[path]
        if body.get("kind") != kind.removeprefix("V1"):
            return 400, {"message": f"kind {body.get('kind')} at {path}"}
        check_names(body, kind)
        if path == WHO:
            return 201, {**body, "status": {"userInfo": {"username": self.user}}}
        wanted = body["spec"]["resourceAttributes"]
        user = body["spec"].get("user", self.user).rpartition(":")[2]
        resource = "/".join(filter(None, (wanted["resource"], wanted.get("subresource"))))
        allowed = (user, wanted["verb"], resource) not in self.denied and wanted["namespace"] == NAMESPACE
        return 201, {**body, "status": {"allowed": allowed}}

    def _nodes(self, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if strange := query.keys() - {"limit", "continue"}:
            return 400, {"message": f"unknown parameters {sorted(strange)}"}
        start = int(query.get("continue", ["0"])[0])
        stop = start + min(self.page, int(query["limit"][0]))
        metadata = {"continue": str(stop)} if stop < len(self.nodes) else {}
        return 200, {"kind": "NodeList", "metadata": metadata, "items": self.nodes[start:stop]}


def _handler(api: DoctorApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # headers and body in one packet, or each answer waits for an acknowledgement

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._answer(parts.path, lambda: api.get(parts.path, parse_qs(parts.query), self.headers["Accept"]))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = urlsplit(self.path).path
            self._answer(path, lambda: api.post(path, body))

        def _answer(self, path: str, answer: Any) -> None:
            api.asked.append(f"{self.command} {path}")
            if self.headers.get("Authorization", "").lower() != f"bearer {TOKEN}":
                status, body = 401, dict[str, Any](message="Unauthorized")
            elif path in api.forbidden:
                status, body = 403, {"message": f"{path} is forbidden", "reason": "Forbidden"}
            elif path in api.faults:
                status, body = api.faults[path], {"message": "out of order"}
            else:
                try:
                    status, body = answer()
                except AssertionError as error:
                    status, body = 422, {"message": str(error)}
            if status >= 400:
                body = {**body, "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[DoctorApi]:
    """Serve an API in good order."""
    api = DoctorApi()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    api.url = f"http://127.0.0.1:{http.server_port}"
    yield api
    http.shutdown()
    thread.join()
    http.server_close()


def write_kubeconfig(path: Path, url: str, *, token: str = TOKEN, namespace: str = NAMESPACE) -> Path:
    """Write a kubeconfig with one context."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path

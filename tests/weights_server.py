"""A loopback server of weights: what `huggingface_hub` asks of a hub, and plain files, with faults on demand."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from betaearth.nn.weight_files import find_weights

LARGE = ".safetensors"
"""Files of this ending have their digest as ETag, as the hub's large files do."""


@dataclass
class Fault:
    """What goes wrong with the next requests of a kind."""

    method: str
    path: str
    """Part of it."""
    times: int
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Bytes of the body after which the connection breaks."""
    wait: threading.Event | None = None
    """Waited for after the bytes before the cut."""


@dataclass
class WeightsServer:
    """Repositories as {repo: {revision: commit}} and {(repo, commit): {file: bytes}}, and files by their path."""

    url: str = ""
    revisions: dict[str, dict[str, str]] = field(default_factory=dict)
    commits: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Every request as `METHOD /path`."""
    promised: dict[str, str] = field(default_factory=dict)
    """File to a digest that is claimed in place of the right one."""
    authorised: list[str] = field(default_factory=list)
    """The Authorization header of every request that had one."""

    def publish(self, repo: str, files: dict[str, bytes], *revisions: str) -> str:
        """Make a commit of a repository, and let revisions mean it; "main" where none is named."""
        commit = hashlib.sha1(repr((repo, sorted(files.items()))).encode()).hexdigest()
        self.commits[repo, commit] = files
        self.revisions.setdefault(repo, {}).update(dict.fromkeys([*(revisions or ("main",)), commit], commit))
        return commit

    def fail(self, method: str, path: str, *, times: int = 1000, **what: Any) -> None:
        """Let the next requests of a kind fail."""
        self.faults.append(Fault(method, path, times, **what))

    def fault_of(self, method: str, path: str) -> Fault | None:
        """Take the fault of a request; None where all is well."""
        for fault in self.faults:
            if fault.method == method and fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Find status, headers and body of a path."""
        words = [unquote(word) for word in path.strip("/").split("/")]
        if words[:2] == ["api", "models"]:
            return self._described("/".join(words[2:4]), words[5] if words[4:5] == ["revision"] else "main")
        if words[2:3] == ["resolve"]:
            return self._resolved("/".join(words[:2]), words[3], "/".join(words[4:]))
        body = self.files.get(unquote(path))
        return (404, {}, b"") if body is None else (200, {}, body)

    def _described(self, repo: str, revision: str) -> tuple[int, dict[str, str], bytes]:
        if repo not in self.revisions:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        commit = self.revisions[repo].get(revision)
        if commit is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        entries = []
        for name, data in self.commits[repo, commit].items():
            entry: dict[str, object] = {"rfilename": name, "size": len(data)}
            if name.endswith(LARGE):
                entry["lfs"] = {"sha256": self.promised.get(name, hashlib.sha256(data).hexdigest()), "size": len(data)}
            entries.append(entry)
        answer = {"id": repo, "sha": commit, "siblings": entries, "cardData": {"license": "cc-by-4.0"}}
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def _resolved(self, repo: str, commit: str, name: str) -> tuple[int, dict[str, str], bytes]:
        files = self.commits.get((repo, commit))
        if files is None or name not in files:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        digest = hashlib.sha256(files[name]).hexdigest()
        etag = digest if name.endswith(LARGE) else digest[:40]
        return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Accept-Ranges": "none"}, files[name]


def handler_of(server: WeightsServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.serve(with_body=True)

        def do_HEAD(self) -> None:
            self.serve(with_body=False)

        def serve(self, *, with_body: bool) -> None:
            path = urlsplit(self.path).path
            if path != "/api/agent-harnesses":  # asked once a process for the library's own User-Agent
                server.asked.append(f"{self.command} {path}")
            if "Authorization" in self.headers:
                server.authorised.append(self.headers["Authorization"])
            status, headers, body = server.answer(path)
            fault = server.fault_of(self.command, path)
            if fault:
                status, headers = (fault.status, fault.headers) if fault.status != 200 else (status, headers)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body if fault is None or fault.cut is None else body[: fault.cut])
            if fault and fault.wait:
                self.wfile.flush()
                fault.wait.wait(60)
            if fault and fault.cut is not None:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def weights_server() -> Iterator[WeightsServer]:
    """A server on the loopback, empty."""
    server = WeightsServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(server))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    yield server
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def hub(weights_server: WeightsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WeightsServer:
    """The server as the hub of this process, which waits for nothing between two attempts."""
    import huggingface_hub

    huggingface_hub.close_session()
    template = f"{weights_server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", weights_server.url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return weights_server


@pytest.fixture(scope="session")
def demo_files() -> dict[str, bytes]:
    """The shipped demo as a repository's files, under a name of its own so that nothing takes it for the demo."""
    folder = find_weights("demo").path.parent
    config = {**json.loads((folder / "config.json").read_text()), "variant": "small", "trained": True}
    return {
        "model.safetensors": (folder / "model.safetensors").read_bytes(),
        "config.json": json.dumps(config).encode(),
        "README.md": b"a card",
    }


@pytest.fixture
def refused() -> str:
    """An address on the loopback at which nothing listens."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    http.server_close()
    return f"http://127.0.0.1:{http.server_port}"

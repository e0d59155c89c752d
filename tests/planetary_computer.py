"""A Planetary Computer on the loopback: STAC API, token endpoint and blob storage, with faults where a test says so.

It serves the Items of an `items.json` whose assets lie on disk, such as the synthetic source writes, from
`http://{account}.blob.core.windows.net/{collection}/{item}/{file}`. No such host is asked for: the server is also the
HTTP proxy of the test, so it sees these addresses in the request line, as a proxy does. An asset is given only to
whoever shows a token of the token endpoint that has not expired.

In a test, with the fixture `planetary_computer`:

    def test_something(planetary_computer):
        server = planetary_computer(items)              # path of an items.json; keyword arguments of PlanetaryComputer
        source = open_source(str(server.profile), cache=..., reading=...)   # a profile whose endpoint is the server
        server.fail("B04.tif", 2, "503")                # the next two requests whose address holds B04.tif
        server.fail("/search", None, "504")             # every search from now on
        server.fail("/token/", 1, "429", retry_after=1)
        ...
        server.heal()                                   # no faults from now on
        assert server.requests["asset"] == 12           # kinds: landing, collection, search, token, asset, other
        assert server.statuses["asset", 503] == 2
        assert server.bytes["asset"] < 1e6              # of bodies sent

`match` is part of the address without its query, so `.blob.core.windows.net` means every signed asset. `times` None
means for ever; `skip` lets that many matching requests pass first. Faults of one address come in the order in which
they were said. The kinds are in `KINDS`. `expire_tokens()` makes all tokens that were given out worthless at once,
though their `msft:expiry` says otherwise; `token_life_s` is what `msft:expiry` says, and they do expire then.

Outside pytest, a benchmark says

    with PlanetaryComputer(items, latency_s=0.05) as server:
        os.environ.update(server.environment)           # before planetary_computer is used
        profile = server.write_profile(folder)

With `signed=False` the assets have plain addresses, `{url}/blob/{collection}/{item}/{file}`, and need no token.
"""

from __future__ import annotations

import json
import socket
import struct
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from betaearth.scenes.model import S2_BANDS
from tests.loopback_catalog import API, load

STORAGE = ".blob.core.windows.net"
AT_ONCE = struct.pack("ii", 1, 0)
"""Lingering for no time: closing sends RST in place of FIN."""
TOKENS = "/api/sas/v1/token/"
KINDS = {
    "401": "refused for lack of a key",
    "403": "refused, token or not",
    "404": "not there",
    "429": "throttled, with Retry-After where `retry_after` is given",
    "500": "a fault",
    "502": "a fault of a gateway",
    "503": "busy, with Retry-After where `retry_after` is given",
    "504": "a time-out of a gateway",
    "reset": "the connection is reset in the middle of the body",
    "cut": "the connection is closed in the middle of the body",
    "slow": "the answer comes after `seconds`",
    "corrupt": "the body has the right length and wrong bytes",
    "changed": "the file has another ETag from this request on",
    "whole": "the server ignores the range and sends the whole file with 200",
    "expire": "all tokens given out so far expire before this request is looked at",
}


@dataclass
class Fault:
    """What happens to the requests whose address holds `match`."""

    match: str
    kind: str
    times: int | None
    skip: int
    retry_after: float | None
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What is sent, unless a fault spoils it."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class PlanetaryComputer:
    """The server; it runs from construction until `close`."""

    def __init__(
        self,
        items: Path,
        *,
        latency_s: float = 0.0,
        token_life_s: float = 3600.0,
        account: str = "loopback",
        signed: bool = True,
    ) -> None:
        """Start to serve the Items of a file.

        Args:
            items: a FeatureCollection of Items whose hrefs are paths relative to it.
            latency_s: wait before every answer.
            token_life_s: how long a token lives.
            account: storage account.
            signed: whether assets lie on blob storage and need a token.
        """
        self.latency_s = latency_s
        self.token_life_s = token_life_s
        self.account = account
        self.requests: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.connections = 0
        self.busy = self.busiest = 0
        self.lock = Lock()
        self.profile = Path()
        self._faults: list[Fault] = []
        self._tokens: dict[str, float] = {}
        self._versions: Counter[str] = Counter()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        host = f"http://{account}{STORAGE}" if signed else f"{self.url}/blob"
        self.catalog = load(items, self.url, host)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead everything here. planetary_computer reads its own only once."""
        return {
            "http_proxy": self.url,
            "no_proxy": "127.0.0.1,localhost",
            "PC_SDK_SAS_URL": f"{self.url}{TOKENS.rstrip('/')}",
        }

    def write_profile(self, folder: Path) -> Path:
        """Write the profile of a source that is this server, with Level-1C where there are Items of it."""
        text = (resources.files("betaearth.scenes") / "profiles" / "planetary-computer.toml").read_text()
        lines = [line for line in text.splitlines() if not line.startswith(("name", "title", "endpoint", "#"))]
        head = ['name = "loopback"', 'title = "Loopback Planetary Computer"', f'endpoint = "{self.catalog.root}"']
        profile = "\n".join([*head, *lines, ""])
        if "sentinel-2-l1c" in self.catalog.collections:
            bands = "\n".join(f'{band} = "{band}"' for band in S2_BANDS)
            profile = profile.replace("[collections]\n", '[collections]\ns2_l1c = "sentinel-2-l1c"\n')
            profile += f"\n[assets.s2_l1c]\n{bands}\n"
        self.profile = folder / f"loopback-{self._server.server_address[1]}.toml"
        self.profile.write_text(profile)
        return self.profile

    def fail(
        self,
        match: str,
        times: int | None = 1,
        kind: str = "503",
        *,
        skip: int = 0,
        retry_after: float | None = None,
        seconds: float = 0.5,
    ) -> None:
        """Plan a fault of one of the `KINDS`."""
        if kind not in KINDS:
            raise ValueError(f"{kind} is no kind of fault: {sorted(KINDS)}")
        with self.lock:
            self._faults.append(Fault(match, kind, times, skip, retry_after, seconds))

    def heal(self) -> None:
        """Forget the faults that are planned."""
        with self.lock:
            self._faults.clear()

    def expire_tokens(self) -> None:
        """Make every token that was given out worthless."""
        with self.lock:
            self._tokens.clear()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fault_of(self, address: str) -> Fault | None:
        """Take the fault that is planned for a request."""
        with self.lock:
            for fault in self._faults:
                if fault.match not in address or fault.times == 0:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    def token(self, place: str) -> Answer:
        """Give out a token for `account/container`."""
        account, _, container = place.partition("/")
        if account != self.account or container not in self.catalog.collections:
            return Answer(404, b'{"detail": "no such container"}')
        expiry = datetime.now(UTC) + timedelta(seconds=self.token_life_s)
        with self.lock:
            signature = f"{container}-{self.requests['token']}-secret"
            self._tokens[signature] = expiry.timestamp()
        stamp = expiry.strftime("%Y-%m-%dT%H:%M:%SZ")
        token = f"st=2021-01-01T00%3A00%3A00Z&se={stamp.replace(':', '%3A')}&sp=rl&sv=2021-06-08&sr=c&sig={signature}"
        return _json({"msft:expiry": stamp, "token": token})

    def may_read(self, container: str, query: str) -> bool:
        """Tell whether a query holds a token that opens the container now."""
        signature = parse_qs(query).get("sig", [""])[0]
        with self.lock:
            return signature.startswith(f"{container}-") and self._tokens.get(signature, 0.0) > time.time()

    def asset(self, place: str, byte_range: str, fault: Fault | None) -> Answer:
        """Give a file, or a range of its bytes: `bytes=first-last`, `bytes=first-` or `bytes=-count`."""
        path = self.catalog.files.get(place)
        if path is None or not path.is_file():
            return Answer(404, b"BlobNotFound")
        kind = fault.kind if fault else ""
        with self.lock:
            self._versions[place] += kind == "changed"
            etag = f'"{path.stat().st_mtime_ns:x}-{self._versions[place]}"'
        size = path.stat().st_size
        headers = {"Accept-Ranges": "bytes", "ETag": etag, "Content-Type": "image/tiff"}
        first, last = _span(byte_range, size)
        if not byte_range or kind == "whole":
            return Answer(200, path.read_bytes(), headers)
        if first > last:
            return Answer(416, b"", headers | {"Content-Range": f"bytes */{size}"})
        with path.open("rb") as file:
            file.seek(first)
            body = file.read(last - first + 1)
        return Answer(206, body, headers | {"Content-Range": f"bytes {first}-{last}/{size}"})


def _span(byte_range: str, size: int) -> tuple[int, int]:
    """First and last byte of a range; first > last where there is none."""
    start, _, end = byte_range.removeprefix("bytes=").partition("-")
    if not start:
        return max(size - int(end or size), 0), size - 1
    return int(start), min(int(end or size), size - 1)


def _json(document: dict[str, Any] | None) -> Answer:
    if document is None:
        return Answer(404, b'{"code": "NotFoundError"}', {"Content-Type": "application/json"})
    return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, owner: PlanetaryComputer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; one that lingers for no time is reset, which an orderly shutdown would prevent."""
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(AT_ONCE)) == AT_ONCE:
            self.close_request(request)
        else:
            super().shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        with self.server.owner.lock:
            self.server.owner.connections += 1
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        self._attend()

    def do_HEAD(self) -> None:
        self._attend()

    def do_POST(self) -> None:
        self._attend()

    def _attend(self) -> None:
        """Count a request, answer it, and spoil the answer where a fault says so."""
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = urlsplit(self.path)
        address = f"{target.netloc}{unquote(target.path)}"
        kind = _kind(address)
        with owner.lock:
            owner.requests[kind] += 1
            owner.busy += 1
            owner.busiest = max(owner.busiest, owner.busy)
        try:
            time.sleep(owner.latency_s)
            fault = owner.fault_of(address)
            self._send(kind, self._answer(address, target.query, body, fault), fault)
        finally:
            with owner.lock:
                owner.busy -= 1

    def _answer(self, address: str, query: str, body: bytes, fault: Fault | None) -> Answer:
        owner = self.server.owner
        if fault and fault.kind.isdigit():
            headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            return Answer(int(fault.kind), b"trouble", headers)
        if fault and fault.kind == "expire":
            owner.expire_tokens()
        if fault and fault.kind == "slow":
            time.sleep(fault.seconds)
        host, _, path = address.partition("/")
        if host and (host != owner.account + STORAGE or not owner.may_read(path.partition("/")[0], query)):
            return Answer(403, b"AuthenticationFailed")
        if host or path.startswith("blob/"):
            return owner.asset(path.removeprefix("blob/"), self.headers.get("Range", ""), fault)
        if address.startswith(TOKENS):
            return owner.token(address.removeprefix(TOKENS))
        if address == f"{API}/search" and self.command == "POST":
            return _json(owner.catalog.search(json.loads(body)))
        return _json(owner.catalog.document(address.removeprefix(API)) if address.startswith(API) else None)

    def _send(self, kind: str, answer: Answer, fault: Fault | None) -> None:
        spoiled = fault.kind if fault else ""
        body = b"" if self.command == "HEAD" else answer.body
        if spoiled == "corrupt":
            body = bytes(byte ^ 0x5A for byte in body)
        if spoiled in {"reset", "cut"}:
            body = body[: len(body) // 2]
        owner = self.server.owner
        with owner.lock:
            owner.statuses[kind, answer.status] += 1
            owner.bytes[kind] += len(body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(body)
        if spoiled == "reset":
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        if spoiled in {"reset", "cut"}:
            self.close_connection = True


def _kind(address: str) -> str:
    host, _, path = address.partition("/")
    if host or path.startswith("blob/"):
        return "asset"
    if address.startswith(TOKENS):
        return "token"
    if address == f"{API}/search":
        return "search"
    if address.startswith(f"{API}/collections"):
        return "collection"
    return "landing" if address.rstrip("/") == API else "other"


@pytest.fixture
def planetary_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., PlanetaryComputer]]:
    """Starts servers; the last one is the proxy and the token endpoint of the test."""
    servers: list[PlanetaryComputer] = []

    def start(items: Path, **options: Any) -> PlanetaryComputer:
        server = PlanetaryComputer(items, **options)
        servers.append(server)
        server.write_profile(tmp_path)
        for name in ("HTTP_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY", "PC_SDK_SUBSCRIPTION_KEY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        forget_tokens()
        return server

    yield start
    for server in servers:
        server.close()
    forget_tokens()


def forget_tokens() -> None:
    """Make planetary_computer read its environment again and drop the tokens that it holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it configures pydantic in a way that is on its way out
        from planetary_computer.sas import TOKEN_CACHE
        from planetary_computer.settings import Settings
    Settings.get.cache_clear()
    TOKEN_CACHE.clear()

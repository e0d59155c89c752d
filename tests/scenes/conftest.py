"""Real small COGs, a file server with faults and an S3 server, all on this machine."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import SplitResult, urlsplit

import boto3
import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.warp import transform_bounds

from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.http import Patience
from betaearth.scenes.model import BANDS, SCL, Granule, Sensor


@pytest.fixture
def grid() -> PixelGrid:
    """48 x 60 pixels on the 60 m lattice, near the eastern edge of zone 31."""
    return PixelGrid(32631, 699960.0, 5600040.0, 60, 48)


@pytest.fixture
def make_granule() -> Callable[..., Granule]:
    """A granule with sensible fields, of which a test states those that matter."""

    def make(sensor: Sensor = Sensor.S2_L2A, **fields: Any) -> Granule:
        names = [*BANDS[sensor], *([SCL] if sensor is Sensor.S2_L2A else [])]
        defaults: dict[str, Any] = {
            "id": "granule",
            "collection": "collection",
            "sensed": datetime(2021, 4, 12, 10, 30, 21, tzinfo=UTC),
            "bounds": (5.0, 50.0, 6.5, 51.0),
            "assets": {name: f"/nowhere/{name}.tif" for name in names},
            "platform": "Sentinel-1A" if sensor is Sensor.S1 else "Sentinel-2A",
            "relative_orbit": 108,
        }
        return Granule(sensor=sensor, **(defaults | fields))

    return make


@pytest.fixture
def write_cog(tmp_path: Path) -> Callable[..., str]:
    """Writes a real COG and returns its path: (name, values, west, north, resolution, epsg, nodata)."""

    def write(
        name: str,
        values: NDArray[Any],
        *,
        west: float,
        north: float,
        resolution: float | tuple[float, float] = 10.0,
        epsg: int = 32631,
        nodata: float | None = None,
    ) -> str:
        across, down = resolution if isinstance(resolution, tuple) else (resolution, resolution)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path,
            "w",
            driver="COG",
            width=values.shape[1],
            height=values.shape[0],
            count=1,
            dtype=values.dtype,
            crs=f"EPSG:{epsg}",
            transform=Affine(across, 0.0, west, 0.0, -down, north),
            nodata=nodata,
            blocksize=128,
        ) as file:
            file.write(values, 1)
        return str(path)

    return write


@pytest.fixture
def make_item() -> Callable[..., dict[str, Any]]:
    """A STAC Item as the Planetary Computer spells it, around a pixel grid."""

    def make(grid: PixelGrid, **fields: Any) -> dict[str, Any]:
        west, south, east, north = transform_bounds(f"EPSG:{grid.epsg}", "EPSG:4326", *grid.bounds)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        item: dict[str, Any] = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": [],
            "id": "S2A_MSIL2A_20210412T103021_R108_T31UFS_20210413T000000",
            "collection": "sentinel-2-l2a",
            "links": [],
            "bbox": [west, south, east, north],
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {
                "datetime": "2021-04-12T10:30:21.024000Z",
                "platform": "Sentinel-2A",
                "proj:epsg": grid.epsg,
                "eo:cloud_cover": 12.5,
                "s2:mgrs_tile": "31UFS",
                "s2:processing_baseline": "03.00",
                "s2:generation_time": "2021-04-13T00:00:00Z",
                "sat:relative_orbit": 108,
                "sat:orbit_state": "descending",
            },
            "assets": {name: {"href": f"./{name}.tif"} for name in (*BANDS[Sensor.S2_L2A], SCL)},
        }
        properties = fields.pop("properties", {})
        item |= fields
        item["properties"] |= properties
        return item

    return make


@dataclass
class Fault:
    """What goes wrong with requests for a file."""

    kind: str
    """`status`, `reset` and `cut` (of the body), `slow`, `whole` (ranges are not known), `short` (half a range)."""
    first_byte: int = 0
    """From which byte on a request must begin to meet it."""
    times: int = 1
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass
class FileServer:
    """Serves a folder over HTTP with ranges, as itself or as a proxy for any host; blobs need a signature.

    `faults`: path to (status, from which byte on, how often), or to a `Fault`.
    """

    root: Path
    faults: dict[str, tuple[int, int, int] | Fault] = field(default_factory=dict)
    delay_s: float = 0.0
    url: str = ""
    served: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    seen: list[str] = field(default_factory=list)
    """Requests as they came: target and range."""
    hosts: set[str] = field(default_factory=set)
    headers: list[Message] = field(default_factory=list)
    etags: dict[str, list[str]] = field(default_factory=dict)
    """Path to the ETags of its answers, the last one for ever; an ETag of the content where there is none."""
    tokens: int = 0
    """Given out so far; only the latest one is accepted."""
    token_faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    token_body: bytes | None = None
    """What is given out in place of a token."""
    revoke_after: int = 10**9
    """Signed requests after which the token in use is revoked, once."""
    busiest: int = 0
    busy: int = 0
    lock: Lock = field(default_factory=Lock)

    def fault(self, path: str, first_byte: int) -> Fault | None:
        with self.lock:
            self.served[path] += 1
            fault = self.faults.get(path)
            if isinstance(fault, tuple):
                fault = self.faults[path] = Fault("status", fault[1], fault[2], fault[0])
            if fault is None or fault.times == 0 or first_byte < fault.first_byte:
                return None
            fault.times -= 1
            return fault

    def etag(self, path: str, data: bytes) -> str:
        with self.lock:
            known = self.etags.get(path)
            if not known:
                return f'"{zlib.crc32(data)}"'
            return known.pop(0) if len(known) > 1 else known[0]

    @property
    def token(self) -> str:
        return f"se=2099-01-01&sp=r&sig=hushhush{self.tokens}"

    def accepts(self, query: str) -> bool:
        with self.lock:
            self.revoke_after -= 1
            if self.revoke_after == 0:
                self.tokens += 1
            return query == self.token


class FileHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FileServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        state = self.state
        with state.lock:
            state.busy += 1
            state.busiest = max(state.busiest, state.busy)
            state.seen.append(f"{self.path} {self.headers.get('Range', '')}")
            state.headers.append(self.headers)
        try:
            time.sleep(state.delay_s)
            self.route(urlsplit(self.path))
        finally:
            with state.lock:
                state.busy -= 1

    def route(self, target: SplitResult) -> None:
        host = target.hostname or ""
        self.state.hosts.add(host)
        path = target.path.lstrip("/")
        if path.startswith("token/"):
            self.give_token()
        elif host.endswith(".blob.core.windows.net") and not self.state.accepts(target.query):
            self.send(403, b"<Error>AuthenticationFailed</Error>")
        else:
            self.give_file(path)

    def give_token(self) -> None:
        state = self.state
        if state.token_faults:
            status, headers = state.token_faults.pop(0)
            return self.send(status, b"no token for key letmein", headers)
        state.tokens += 1
        body = state.token_body or json.dumps({"msft:expiry": "2099-01-01T00:00:00Z", "token": state.token}).encode()
        return self.send(200, body)

    def give_file(self, path: str) -> None:
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        start = int(first or 0)
        fault = self.state.fault(path, start)
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.delay_s)
        if fault is not None and fault.kind == "status":
            return self.send(fault.status, b"", fault.headers)
        file = self.state.root / path
        if not file.is_file():
            return self.send(404, b"")
        data = file.read_bytes()
        headers = {"Accept-Ranges": "bytes", "ETag": self.state.etag(path, data)}
        if not last or (fault is not None and fault.kind == "whole"):
            return self.send(200, data, headers)
        if start >= len(data):
            return self.send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        body = data[start : int(last) + 1]
        if fault is not None and fault.kind == "short":
            body = body[: len(body) // 2]
        headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(data)}"
        return self.send(206, body, headers, broken=fault.kind if fault is not None else "")

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None, *, broken: str = "") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if broken in {"reset", "cut"}:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            if broken == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        self.state.sent += len(body)
        self.wfile.write(body)


@pytest.fixture
def file_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server of the test's folder; clients try again once, at once."""
    monkeypatch.setattr("betaearth.scenes.http.PATIENCE", Patience(connect_s=2.0, read_s=2.0, retries=1, backoff_s=0.0))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    state = FileServer(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (FileHandler,), {"state": state}))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


BLOBS = "http://imagery.blob.core.windows.net/container"


@pytest.fixture
def blobs(file_server: FileServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """The file server as blob storage at `BLOBS` and as the endpoint of its tokens."""
    monkeypatch.setenv("http_proxy", file_server.url)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("PC_SDK_SAS_URL", "http://tokens.example.org/token")
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "letmein")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from planetary_computer import sas
    sas.Settings.get.cache_clear()
    sas.TOKEN_CACHE.clear()
    yield file_server
    sas.Settings.get.cache_clear()
    sas.TOKEN_CACHE.clear()


@dataclass(frozen=True)
class S3Endpoint:
    """A running S3 server with one bucket."""

    url: str
    key: str
    secret: str
    bucket: str

    def put(self, key: str, data: bytes) -> str:
        """Store an object and return its URI."""
        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
        )
        client.put_object(Bucket=self.bucket, Key=key, Body=data)
        client.close()
        return f"s3://{self.bucket}/{key}"


@pytest.fixture(scope="session")
def s3_server(s3_endpoint: str, s3_owner: tuple[str, str]) -> S3Endpoint:
    """SeaweedFS with a bucket of imagery."""
    key, secret = s3_owner
    endpoint = S3Endpoint(s3_endpoint, key, secret, "imagery")
    client = boto3.client(
        "s3",
        endpoint_url=endpoint.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=endpoint.bucket)
    client.close()
    return endpoint


@pytest.fixture
def s3(s3_server: S3Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Endpoint:
    """The server as the environment's S3, and nothing else of the developer's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    return s3_server


@pytest.fixture
def noise() -> Callable[..., NDArray[Any]]:
    """Seeded whole numbers of a shape and a dtype, 1 to 9999."""

    def make(shape: tuple[int, int], dtype: str = "uint16", seed: int = 0) -> NDArray[Any]:
        return np.random.default_rng(seed).integers(1, 9999, shape).astype(dtype)

    return make

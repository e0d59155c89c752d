"""Real small COGs, a file server with faults and an S3 server, all on this machine."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import boto3
import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.warp import transform_bounds

from betaearth.grid.pixels import PixelGrid
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
class FileServer:
    """Serves a folder over HTTP with ranges; `faults`: path to (status, from which byte on, how often)."""

    root: Path
    faults: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    delay_s: float = 0.0
    url: str = ""
    served: Counter[str] = field(default_factory=Counter)
    busiest: int = 0
    busy: int = 0
    lock: Lock = field(default_factory=Lock)

    def fault(self, path: str, first_byte: int) -> int | None:
        with self.lock:
            self.served[path] += 1
            status, start, times = self.faults.get(path, (0, 0, 0))
            if times == 0 or first_byte < start:
                return None
            self.faults[path] = (status, start, times - 1)
            return status


@pytest.fixture
def file_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server of the test's folder; GDAL retries once, at once."""
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "1")
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "2")
    state = FileServer(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            with state.lock:
                state.busy += 1
                state.busiest = max(state.busiest, state.busy)
            try:
                time.sleep(state.delay_s)
                self.answer(body=True)
            finally:
                with state.lock:
                    state.busy -= 1

        def answer(self, *, body: bool) -> None:
            path = self.path.lstrip("/")
            span = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
            first = int(span[0] or 0)
            status = state.fault(path, first)
            file = state.root / path
            if status is None and not file.is_file():
                status = 404
            data = b"" if status else file.read_bytes()
            if status is None and first >= len(data):
                status, data = 416, b""
            last = min(int(span[2] or len(data)), len(data) - 1)
            self.send_response(status or (206 if span[1] else 200))
            self.send_header("Accept-Ranges", "bytes")
            if not status and span[1]:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
                data = data[first : last + 1]
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


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
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    return s3_server


@pytest.fixture
def noise() -> Callable[..., NDArray[Any]]:
    """Seeded whole numbers of a shape and a dtype, 1 to 9999."""

    def make(shape: tuple[int, int], dtype: str = "uint16", seed: int = 0) -> NDArray[Any]:
        return np.random.default_rng(seed).integers(1, 9999, shape).astype(dtype)

    return make

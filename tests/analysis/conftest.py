"""Small real products cut from one smooth field of the ground, and a server that counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from betaearth.analysis.sources import files
from betaearth.grid.patch import lonlat_bounds
from betaearth.grid.pixels import PixelGrid
from betaearth.grid.utm import lonlat_points, reproject_points
from betaearth.products.embedding import Embedding
from betaearth.products.options import Dtype, ProductOptions
from betaearth.products.product import render_product
from betaearth.scenes.http import Patience

HOME = 32632
"""Zone in whose metres the field is a function of the place."""
RNG = np.random.default_rng(7)
WAVES = RNG.uniform(-2e-3, 2e-3, (2, 64))
PHASES = RNG.uniform(0, 2 * np.pi, 64)
BIAS = RNG.normal(0, 0.05, (8, 64))


def field_at(xs: NDArray[np.float64], ys: NDArray[np.float64], bias: int | None = None) -> NDArray[np.float64]:
    """Unit vectors of the ground, (..., 64), at places in metres of `HOME`; each bias tilts them its own way."""
    x, y = xs[..., np.newaxis] - 600_000, ys[..., np.newaxis] - 5_500_000
    vectors = np.sin(x * WAVES[0] + y * WAVES[1] + PHASES)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    if bias is not None:
        vectors = vectors + BIAS[bias]
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors)


def places_of(grid: PixelGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres of a grid's pixels in metres of `HOME`, each (y, x)."""
    xs = grid.west + (np.arange(grid.width) + 0.5) * grid.resolution
    ys = grid.north - (np.arange(grid.height) + 0.5) * grid.resolution
    x, y = np.meshgrid(xs, ys)
    return (x, y) if grid.epsg == HOME else reproject_points(*lonlat_points(x, y, grid.epsg), HOME)


@dataclass(frozen=True)
class Product:
    """An Item on disk and what its files hold."""

    item: Path
    grid: PixelGrid
    embedding: Embedding

    @property
    def raster(self) -> Path:
        return self.item.with_name("embeddings.tif")

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(band, y, x); NaN where there is no data."""
        known = np.where(self.embedding.valid[..., np.newaxis], self.embedding.vectors, np.nan)
        return np.moveaxis(known, -1, 0).astype(np.float32)


MakeProduct = Callable[..., Product]


@pytest.fixture(scope="session")
def make_product(tmp_path_factory: pytest.TempPathFactory) -> MakeProduct:
    """Write a product of the field."""

    def make(
        grid: PixelGrid,
        *,
        dtype: Dtype = "int8",
        bias: int | None = None,
        missing: tuple[slice, slice] | None = None,
        name: str = "533u_77r",
        year: int = 2024,
        collection: str = "betaearth-robust-v1",
    ) -> Product:
        folder = tmp_path_factory.mktemp(name)
        vectors = field_at(*places_of(grid), bias).astype(np.float32)
        count = np.full(grid.shape, 5, np.uint16)
        count[0, 0] = 0
        if missing is not None:
            count[missing] = 0
        vectors[count == 0] = 0
        dispersion = np.where(count > 0, 0.03, 0.0).astype(np.float32)
        embedding = Embedding(vectors, count, dispersion)
        item_id = f"{collection}_{name}_{year}"
        tags = {"BETAEARTH_ITEM": item_id, "BETAEARTH_VARIANT": "robust"}
        render_product(embedding, grid, folder, ProductOptions(dtype=dtype), tags)
        path = folder / "item.json"
        path.write_text(json.dumps(item_of(item_id, collection, year, grid)))
        return Product(path, grid, embedding)

    return make


def item_of(item_id: str, collection: str, year: int, grid: PixelGrid) -> dict[str, Any]:
    west, south, east, north = lonlat_bounds(grid)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": item_id,
        "collection": collection,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": {
            "datetime": f"{year}-01-01T00:00:00Z",
            "start_datetime": f"{year}-01-01T00:00:00Z",
            "end_datetime": f"{year}-12-31T23:59:59Z",
            "betaearth:model": {"variant": "robust"},
        },
        "links": [],
        "assets": {
            "embeddings": {"href": "./embeddings.tif"},
            "quality": {"href": "./quality.tif"},
        },
    }


@pytest.fixture(scope="session")
def product(make_product: MakeProduct) -> Product:
    """An int8 product with overviews."""
    return make_product(PixelGrid(HOME, 600_000.0, 5_500_020.0, 600, 540), missing=(slice(100, 140), slice(30, 50)))


@dataclass
class CountingServer:
    """Serves a folder over HTTP with ranges."""

    root: Path
    url: str = ""
    status: int = 0
    """Answered in place of files; 0 for none."""
    sent: int = 0
    """Bytes of bodies so far."""
    targets: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: CountingServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        state = self.state
        file = state.root / urlsplit(self.path).path.lstrip("/")
        status = state.status or (200 if file.is_file() else 404)
        body, headers = b"", {}
        if status == 200:
            body = file.read_bytes()
            asked = self.headers.get("Range")
            if asked:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                total, body, status = len(body), body[int(first) : int(last) + 1], 206
                headers["Content-Range"] = f"bytes {first}-{int(first) + len(body) - 1}/{total}"
        with state.lock:
            state.sent += len(body)
            state.targets.append(self.path)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(product: Product, monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingServer]:
    """A server of the product's folder; clients try again once, at once."""
    monkeypatch.setattr("betaearth.scenes.http.PATIENCE", Patience(connect_s=2.0, read_s=5.0, retries=1, backoff_s=0.0))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    state = CountingServer(product.item.parent)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    httpd.daemon_threads = True
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    files.cache_clear()
    yield state
    files.cache_clear()
    httpd.shutdown()
    thread.join()
    httpd.server_close()

"""Static files over HTTP: CORS and ranges, through a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from betaearth.cli.server import catalog_server
from betaearth.errors import ConfigError


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "catalog.json").write_text('{"type": "Catalog"}')
    (tmp_path / "embeddings.tif").write_bytes(bytes(range(256)) * 40)
    server = uvicorn.Server(uvicorn.Config(catalog_server(tmp_path), port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def test_ranges_and_cors(address: str) -> None:
    answer = httpx.get(f"{address}/embeddings.tif", headers={"Range": "bytes=256-511", "Origin": "http://viewer"})
    assert answer.status_code == 206
    assert answer.content == bytes(range(256))
    assert answer.headers["content-range"] == "bytes 256-511/10240"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Content-Range" in answer.headers["access-control-expose-headers"]


def test_a_browser_may_ask_first(address: str) -> None:
    headers = {
        "Origin": "http://viewer",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "range",
    }
    answer = httpx.options(f"{address}/embeddings.tif", headers=headers)
    assert answer.status_code == 200
    assert "Range" in answer.headers["access-control-allow-headers"]


def test_the_root_leads_to_the_catalog(address: str) -> None:
    answer = httpx.get(address, follow_redirects=True)
    assert answer.json() == {"type": "Catalog"}
    assert answer.headers["content-type"] == "application/json"


def test_what_is_not_there_is_404(address: str) -> None:
    assert httpx.get(f"{address}/nothing.json").status_code == 404
    assert httpx.get(f"{address}/%2e%2e/%2e%2e/etc/passwd").status_code == 404


def test_a_folder_without_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"catalog\.json"):
        catalog_server(tmp_path)

"""A STAC API over HTTP as the source: the same granules, the same pixels as from the files themselves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.scenes.model import Sensor
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.synthetic.source import DEMO_LONLAT
from tests.e2e.conftest import Betaearth

PAGE = 7


def api(items: Path, asked: list[dict[str, Any]]) -> Starlette:
    """Serve an item collection as a STAC API with paging, and its files beside it."""
    features = json.loads(items.read_text())["features"]

    async def landing(request: Request) -> JSONResponse:
        base = str(request.base_url)
        search = {"rel": "search", "type": "application/geo+json", "href": f"{base}search"}
        return JSONResponse(
            {
                "type": "Catalog",
                "stac_version": "1.0.0",
                "id": "loopback",
                "description": "A STAC API of one folder.",
                "conformsTo": [
                    "https://api.stacspec.org/v1.0.0/core",
                    "https://api.stacspec.org/v1.0.0/collections",
                    "https://api.stacspec.org/v1.0.0/item-search",
                ],
                "links": [
                    {"rel": "self", "href": base},
                    {**search, "method": "POST"},
                    {**search, "method": "GET"},
                    {"rel": "data", "href": f"{base}collections", "type": "application/json"},
                ],
            }
        )

    async def collection(request: Request) -> JSONResponse:
        extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
        described = {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": request.path_params["name"],
            "description": "Granules of one kind.",
            "license": "other",
            "extent": extent,
            "links": [],
        }
        return JSONResponse(described)

    async def search(request: Request) -> JSONResponse:
        body = await request.json()
        asked.append(body)
        found = [feature for feature in features if matches(feature, body)]
        start = int(body.get("token", 0))
        links = []
        if start + PAGE < len(found):
            following = {**body, "token": start + PAGE}
            links.append({"rel": "next", "method": "POST", "href": str(request.url), "body": following})
        page = [absolute(feature, str(request.base_url)) for feature in found[start : start + PAGE]]
        return JSONResponse({"type": "FeatureCollection", "features": page, "links": links})

    return Starlette(
        routes=[
            Route("/", landing),
            Route("/collections/{name}", collection),
            Route("/search", search, methods=["POST"]),
            Mount("/files", StaticFiles(directory=items.parent)),
        ]
    )


def matches(feature: dict[str, Any], body: dict[str, Any]) -> bool:
    sensed = datetime.fromisoformat(feature["properties"]["datetime"])
    interval = body.get("datetime", "0001-01-01T00:00:00Z/9999-12-31T00:00:00Z")
    first, last = map(datetime.fromisoformat, interval.split("/"))
    return feature["collection"] in body["collections"] and first <= sensed <= last


def absolute(feature: dict[str, Any], base: str) -> dict[str, Any]:
    assets = {
        name: {**asset, "href": f"{base}files/{asset['href'].removeprefix('./')}"}
        for name, asset in feature["assets"].items()
    }
    return {**feature, "assets": assets}


@pytest.fixture(scope="module")
def items(synthetic_cache: Path) -> tuple[Path, str]:
    cell = MajorTomGrid(500.0).cell_at(*DEMO_LONLAT)
    source = SyntheticSource(synthetic_cache)
    found = source.search(pixel_grid(cell), 2021, frozenset({Sensor.S2_L2A}))
    return Path(found[0].assets["B02"]).parents[2] / "items.json", cell.id


@pytest.fixture
def address(items: tuple[Path, str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    asked: list[dict[str, Any]] = []
    server = uvicorn.Server(uvicorn.Config(api(items[0], asked), port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", asked
    server.should_exit = True
    thread.join()


def test_an_api_gives_the_pixels_that_the_files_give(
    betaearth: Betaearth,
    items: tuple[Path, str],
    address: tuple[str, list[dict[str, Any]]],
    tmp_path: Path,
) -> None:
    path, cell = items
    url, asked = address
    words = ("tile", cell, "2021", "--spacing-km", "0.5", "--device", "cpu")
    remote = betaearth(*words, "--source", url, "--store", tmp_path / "remote")
    assert remote.code == 0, remote.err
    local = betaearth(*words, "--source", path, "--store", tmp_path / "local")
    from_api, from_files = json.loads(remote.out), json.loads(local.out)
    np.testing.assert_array_equal(pixels(from_api, tmp_path / "remote"), pixels(from_files, tmp_path / "local"))
    assert from_api["sources_digest"] == from_files["sources_digest"]
    assert from_api["request_digest"] != from_files["request_digest"]
    assert any("token" in body for body in asked)
    assert all(href.startswith(url) for record in from_api["granules"] for href in record["hrefs"].values())


def pixels(manifest: dict[str, Any], store: Path) -> NDArray[np.int8]:
    with rasterio.open(store / manifest["files"]["embeddings.tif"]["key"]) as file:
        return np.asarray(file.read())


def test_an_api_that_is_not_there_is_worth_a_retry(betaearth: Betaearth, tmp_path: Path) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ("tile", "433U_1046R", "2021", "--source", f"http://127.0.0.1:{port}", "--store", tmp_path / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("urllib3.util.retry.Retry.sleep", lambda *_: None)  # eight pauses are minutes
        done = betaearth(*words)
    assert done.code == 75, done.err
    assert str(port) in done.message
    assert not list((tmp_path / "store").rglob("*.json"))

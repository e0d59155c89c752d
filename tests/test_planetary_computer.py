"""The loopback Planetary Computer is itself tested, against plain requests: the fault table rests on it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.planetary_computer import PlanetaryComputer

Start = Callable[..., PlanetaryComputer]
CONTENT = bytes(range(256)) * 400


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """Five Items of a file each, a month apart."""
    features = []
    for month in range(1, 6):
        name = f"item-{month}"
        (tmp_path / f"{name}.tif").write_bytes(CONTENT)
        ring = [[month, 0.0], [month + 0.5, 0.0], [month + 0.5, 1.0], [month, 1.0], [month, 0.0]]
        features.append(
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": name,
                "collection": "sentinel-2-l2a" if month < 5 else "cop-dem-glo-30",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "bbox": [month, 0.0, month + 0.5, 1.0],
                "properties": {"datetime": f"2021-0{month}-01T00:00:00Z", "eo:cloud_cover": 10.0 * month},
                "links": [],
                "assets": {"B02": {"href": f"./{name}.tif"}},
            }
        )
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def search(server: PlanetaryComputer, **body: Any) -> list[str]:
    found: list[str] = []
    link: dict[str, Any] = {"href": f"{server.catalog.root}/search", "body": body}
    while link:
        page = requests.post(link["href"], json=link["body"], timeout=5).json()
        found += [item["id"] for item in page["features"]]
        link = next((link for link in page["links"] if link["rel"] == "next"), {})
    return found


def href_of(server: PlanetaryComputer, item: int = 0) -> str:
    return str(server.catalog.items[item]["assets"]["B02"]["href"])


def token(server: PlanetaryComputer, container: str = "sentinel-2-l2a") -> str:
    answer = requests.get(f"{server.environment['PC_SDK_SAS_URL']}/{server.account}/{container}", timeout=5)
    return str(answer.json()["token"])


@pytest.mark.parametrize(
    ("body", "months"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"collections": ["sentinel-2-l2a"]}, [4, 3, 2, 1]),
        ({"ids": ["item-2"]}, [2]),
        ({"bbox": [2.4, 0.2, 3.1, 0.4]}, [3, 2]),
        ({"intersects": {"type": "Point", "coordinates": [2.2, 0.5]}}, [2]),
        ({"datetime": "2021-02-01T00:00:00Z/2021-03-01T00:00:00Z"}, [3, 2]),
        ({"datetime": "2021-04-01T00:00:00Z/.."}, [5, 4]),
        ({"query": {"eo:cloud_cover": {"lt": 30, "gte": 20}}}, [2]),
    ],
)
def test_a_search(body: dict[str, Any], months: list[int], items: Path, planetary_computer: Start) -> None:
    server = planetary_computer(items)
    assert search(server, **body) == [f"item-{month}" for month in months]
    assert search(server, **body, limit=2) == [f"item-{month}" for month in months]
    assert server.requests["search"] == 1 + max(-(-len(months) // 2), 1)


def test_an_asset_needs_a_token(items: Path, planetary_computer: Start) -> None:
    server = planetary_computer(items)
    href = href_of(server)
    assert href == "http://loopback.blob.core.windows.net/sentinel-2-l2a/item-1/item-1.tif"
    assert requests.get(href, timeout=5).status_code == 403
    assert requests.get(f"{href}?{token(server, 'cop-dem-glo-30')}", timeout=5).status_code == 403
    assert requests.get(f"{href}?{token(server)}", timeout=5).content == CONTENT
    assert server.requests == {"asset": 3, "token": 2}
    assert server.statuses["asset", 403] == 2
    assert server.bytes["asset"] == len(CONTENT) + 2 * len("AuthenticationFailed")


def test_tokens_expire(items: Path, planetary_computer: Start) -> None:
    server = planetary_computer(items, token_life_s=0.3)
    href = f"{href_of(server)}?{token(server)}"
    assert requests.get(href, timeout=5).ok
    time.sleep(0.3)
    assert requests.get(href, timeout=5).status_code == 403
    server.token_life_s = 60.0
    href = f"{href_of(server)}?{token(server)}"
    server.fail("item-1.tif", 1, "expire")
    assert [requests.get(href, timeout=5).status_code for _ in range(2)] == [403, 403]


@pytest.mark.parametrize(
    ("span", "status", "content"),
    [
        ("bytes=0-9", 206, CONTENT[:10]),
        ("bytes=102000-", 206, CONTENT[102000:]),
        ("bytes=102390-999999", 206, CONTENT[102390:]),
        ("bytes=-5", 206, CONTENT[-5:]),
        ("bytes=102400-102410", 416, b""),
    ],
)
def test_ranges(span: str, status: int, content: bytes, items: Path, planetary_computer: Start) -> None:
    server = planetary_computer(items, signed=False)
    answer = requests.get(href_of(server), headers={"Range": span}, timeout=5)
    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers["Content-Range"].endswith("/102400")


@pytest.mark.parametrize("kind", ["401", "403", "404", "429", "500", "502", "503", "504"])
def test_a_status_as_often_as_planned(kind: str, items: Path, planetary_computer: Start) -> None:
    server = planetary_computer(items, signed=False)
    server.fail("item-1", 2, kind, skip=1, retry_after=7)
    answers = [requests.get(href_of(server), timeout=5) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, int(kind), int(kind), 200]
    assert answers[1].headers["Retry-After"] == "7"
    assert requests.get(href_of(server, 1), timeout=5).ok


@pytest.mark.parametrize("kind", ["reset", "cut"])
def test_a_body_that_breaks_off(kind: str, items: Path, planetary_computer: Start) -> None:
    server = planetary_computer(items, signed=False)
    server.fail("item-1", 1, kind)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)) as caught:
        requests.get(href_of(server), timeout=5)
    assert ("reset" in str(caught.value)) == (kind == "reset")
    assert requests.get(href_of(server), timeout=5).content == CONTENT


def test_other_ways_to_spoil_an_answer(items: Path, planetary_computer: Start) -> None:
    server = planetary_computer(items, signed=False)
    href, span = href_of(server), {"Range": "bytes=0-9"}
    before = requests.get(href, headers=span, timeout=5)
    server.fail("item-1", 1, "corrupt")
    server.fail("item-1", 1, "changed")
    server.fail("item-1", 1, "whole")
    server.fail("item-1", None, "slow", seconds=0.2)
    corrupt, changed, whole = (requests.get(href, headers=span, timeout=5) for _ in range(3))
    assert len(corrupt.content) == 10
    assert corrupt.content != before.content == changed.content
    assert corrupt.headers["ETag"] == before.headers["ETag"] != changed.headers["ETag"]
    assert (whole.status_code, whole.content) == (200, CONTENT)
    with pytest.raises(requests.ReadTimeout):
        requests.get(href, timeout=0.05)
    server.heal()
    assert requests.get(href, timeout=5).ok


def test_many_readers_keep_their_connections(items: Path, planetary_computer: Start) -> None:
    server = planetary_computer(items, signed=False, latency_s=0.005)
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=16))

    def read(_: int) -> int:
        return len(session.get(href_of(server), headers={"Range": "bytes=0-999"}, timeout=5).content)

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(read, range(160))) == 160_000
    assert server.connections <= 16
    assert 2 <= server.busiest <= 16

"""Relations of OpenStreetMap from a loopback server in Nominatim's place."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyproj
import pytest
import shapely

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.grid.osm import USER_AGENT, osm_area, padded
from betaearth.grid.pixels import Bounds
from betaearth.grid.region import Region

PARK = {"type": "Polygon", "coordinates": [[[13.2, 48.8], [13.6, 48.8], [13.6, 49.1], [13.2, 49.1], [13.2, 48.8]]]}
ISLANDS = {
    "type": "MultiPolygon",
    "coordinates": [
        [[[177.0, -18.5], [180.0, -18.5], [180.0, -16.0], [177.0, -16.0], [177.0, -18.5]]],
        [[[-180.0, -18.5], [-178.5, -18.5], [-178.5, -16.0], [-180.0, -16.0], [-180.0, -18.5]]],
    ],
}
ROUTE = {"type": "MultiLineString", "coordinates": [[[13.0, 48.0], [14.0, 48.0]]]}


def found(geometry: dict[str, Any], relation: int = 62611) -> dict[str, Any]:
    """Answer as Nominatim's lookup does."""
    properties = {"osm_type": "relation", "osm_id": relation, "category": "boundary", "display_name": "a park"}
    feature = {"type": "Feature", "properties": properties, "bbox": [-180, -18.5, 180, -16], "geometry": geometry}
    return {"type": "FeatureCollection", "licence": "Data (c) OpenStreetMap contributors, ODbL", "features": [feature]}


UNKNOWN: dict[str, Any] = {"type": "FeatureCollection", "licence": "Data (c) OpenStreetMap", "features": []}


@dataclass
class Nominatim:
    """A server whose answers are scripted; the last one is repeated."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, list[str]], str]] = field(default_factory=list)
    """(path, query, User-Agent) of every request."""

    def answer(self, document: object, status: int = 200, **headers: str) -> None:
        """Append an answer."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, body))


@pytest.fixture
def nominatim(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nominatim]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    told = Nominatim()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            told.asked.append((parts.path, parse_qs(parts.query), self.headers["User-Agent"]))
            status, headers, body = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def test_an_area_is_found_and_then_kept(nominatim: Nominatim, tmp_path: Path) -> None:
    nominatim.answer(found(PARK))
    assert osm_area(62611, endpoint=f"{nominatim.url}/nominatim/", cache=tmp_path) == PARK
    ((path, query, agent),) = nominatim.asked
    assert path == "/nominatim/lookup"
    assert query == {"osm_ids": ["R62611"], "format": ["geojson"], "polygon_geojson": ["1"]}
    assert agent == USER_AGENT
    assert agent.startswith("betaearth/")
    assert [file.name for file in (tmp_path / "osm").iterdir()] == ["R62611.geojson"]
    assert "ODbL" in (tmp_path / "osm" / "R62611.geojson").read_text()
    assert osm_area(62611, endpoint="http://127.0.0.1:9", cache=tmp_path) == PARK
    assert len(nominatim.asked) == 1


def test_the_region_is_the_polygon(nominatim: Nominatim, tmp_path: Path) -> None:
    nominatim.answer(found(PARK))
    region = Region.from_geojson(osm_area(62611, endpoint=nominatim.url, cache=tmp_path))
    assert region.bounds == (13.2, 48.8, 13.6, 49.1)
    assert region.outline is not None
    assert region.outline.equals(shapely.box(13.2, 48.8, 13.6, 49.1))


def test_an_area_across_180_degrees_is_narrow(nominatim: Nominatim, tmp_path: Path) -> None:
    """The bbox that Nominatim gives for it goes around the Earth."""
    nominatim.answer(found(ISLANDS, 571747))
    region = Region.from_geojson(osm_area(571747, endpoint=nominatim.url, cache=tmp_path))
    assert region.bounds == (177.0, -18.5, -178.5, -16.0)
    west, _, east, _ = padded(region.bounds)
    assert west == pytest.approx(176.99, abs=0.001)
    assert east == pytest.approx(-178.49, abs=0.001)


@pytest.mark.parametrize("content", [b"", b'{"type": "FeatureColl', b"[]", json.dumps(found(PARK, 7)).encode()])
def test_a_damaged_copy_is_fetched_again(content: bytes, nominatim: Nominatim, tmp_path: Path) -> None:
    kept = tmp_path / "osm" / "R62611.geojson"
    kept.parent.mkdir()
    kept.write_bytes(content)
    nominatim.answer(found(PARK))
    assert osm_area(62611, endpoint=nominatim.url, cache=tmp_path) == PARK
    assert len(nominatim.asked) == 1
    assert json.loads(kept.read_bytes()) == found(PARK)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(UNKNOWN, "knows no such relation.*--geojson", id="unknown"),
        pytest.param(found(PARK, 5), "knows no such relation", id="another relation"),
        pytest.param(found(ROUTE), "is a MultiLineString, which has no area; .*--geojson", id="a route"),
        pytest.param(found({"type": "Point", "coordinates": [13, 48]}), "is a Point", id="a point"),
        pytest.param(b"<html>hello</html>", "no GeoJSON of Nominatim", id="a page"),
        pytest.param(b"\xff\xfe", "no GeoJSON of Nominatim", id="no text"),
        pytest.param({"error": {"code": 400}}, "no GeoJSON of Nominatim", id="an error"),
        pytest.param([found(PARK)], "no GeoJSON of Nominatim", id="a list"),
        pytest.param({"features": 3}, "no GeoJSON of Nominatim", id="features that are none"),
        pytest.param({"features": [{"properties": None}]}, "no GeoJSON of Nominatim", id="no properties"),
        pytest.param(found({"type": "Polygon", "coordinates": [[[200, 0]] * 4]}), "off the globe", id="off the globe"),
        pytest.param(found({"type": "Polygon", "coordinates": []}), "holds no area", id="an empty polygon"),
    ],
)
def test_what_is_no_area_is_refused_and_not_kept(
    answer: object, says: str, nominatim: Nominatim, tmp_path: Path
) -> None:
    nominatim.answer(answer)
    with pytest.raises(DataError, match=says) as caught:
        osm_area(62611, endpoint=nominatim.url, cache=tmp_path)
    assert "relation 62611" in str(caught.value)
    assert not list(tmp_path.rglob("*.geojson"))


@pytest.mark.parametrize("relation", [0, -62611, 1.5, "R62611", True, None])
def test_what_is_no_id_is_not_asked_for(relation: Any, nominatim: Nominatim, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="whole number above 0"):
        osm_area(relation, endpoint=nominatim.url, cache=tmp_path)
    assert nominatim.asked == []


def test_a_server_that_asks_to_wait_is_obeyed(nominatim: Nominatim, tmp_path: Path) -> None:
    nominatim.answer(b"slow down", 429, Retry_After="1")
    nominatim.answer(found(PARK))
    started = time.monotonic()
    assert osm_area(62611, endpoint=nominatim.url, cache=tmp_path) == PARK
    assert time.monotonic() - started >= 1
    assert len(nominatim.asked) == 2


def test_a_server_that_asks_for_minutes_is_not_obeyed(
    nominatim: Nominatim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("betaearth.grid.osm.LONGEST_WAIT_S", 0.1)
    nominatim.answer(b"slow down", 429, Retry_After="3600")
    started = time.monotonic()
    with pytest.raises(TransientError, match="429"):
        osm_area(62611, endpoint=nominatim.url, cache=tmp_path, retries=1)
    assert time.monotonic() - started < 30


def test_an_answer_that_breaks_off_is_asked_for_again(nominatim: Nominatim, tmp_path: Path) -> None:
    nominatim.answer(json.dumps(found(PARK)).encode()[:100], Content_Length="500")
    nominatim.answer(found(PARK))
    assert osm_area(62611, endpoint=nominatim.url, cache=tmp_path) == PARK


@pytest.mark.parametrize(
    ("status", "error", "asked"),
    [
        (503, TransientError, 2),
        (500, TransientError, 2),
        (429, TransientError, 2),
        (501, TransientError, 1),
        (400, DataError, 1),
        (401, ConfigError, 1),
        (403, ConfigError, 1),
        (404, ConfigError, 1),
    ],
)
def test_refusals(status: int, error: type[Exception], asked: int, nominatim: Nominatim, tmp_path: Path) -> None:
    nominatim.answer(b"no", status)
    with pytest.raises(error, match=f"relation 62611 at {nominatim.url}"):
        osm_area(62611, endpoint=nominatim.url, cache=tmp_path, retries=1)
    assert len(nominatim.asked) == asked
    assert not list(tmp_path.rglob("*.geojson"))


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="cannot be looked up now"):
        osm_area(62611, endpoint="http://127.0.0.1:9", cache=tmp_path, retries=0)


@pytest.mark.parametrize("endpoint", ["", "nominatim.org", "ftp://host", "http://", "http://host:port", "http://[::1"])
def test_an_endpoint_that_is_none(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Nominatim server"):
        osm_area(62611, endpoint=endpoint, cache=tmp_path)


@pytest.mark.parametrize("endpoint", ["https://me:s3cret@host", "https://host/?key=s3cret"])
def test_secrets_are_neither_taken_nor_repeated(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave them out") as caught:
        osm_area(62611, endpoint=endpoint, cache=tmp_path)
    assert "s3cret" not in str(caught.value)


def test_a_proxy_is_used(nominatim: Nominatim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", nominatim.url)
    monkeypatch.setenv("no_proxy", "")
    nominatim.answer(found(PARK))
    assert osm_area(62611, endpoint="http://nominatim.invalid", cache=tmp_path) == PARK
    assert len(nominatim.asked) == 1


def test_a_cache_that_cannot_be_written(nominatim: Nominatim, tmp_path: Path) -> None:
    (tmp_path / "osm").write_text("a file")
    nominatim.answer(found(PARK))
    with pytest.raises(ConfigError, match="cache cannot be written"):
        osm_area(62611, endpoint=nominatim.url, cache=tmp_path)


@pytest.mark.parametrize(
    "bounds",
    [
        (13.2, 48.8, 13.6, 49.1),
        (-70.0, -55.0, -65.0, -50.0),
        (20.0, 78.0, 25.0, 80.0),
        (-10.0, -5.0, 10.0, 5.0),
        (179.5, -18.0, -179.9, -17.0),
        (170.0, -1.0, 179.999, 1.0),
        (-180.0, 60.0, -175.0, 61.0),
    ],
)
def test_every_side_moves_by_a_kilometre(bounds: Bounds) -> None:
    """Against geodesics on the ellipsoid: no less than a kilometre, and little more."""
    geod = pyproj.Geod(ellps="WGS84")
    west, south, east, north = bounds
    wider_west, wider_south, wider_east, wider_north = padded(bounds)
    # Along the parallel that is nearer to a pole, where a degree is shortest.
    edge = max(south, north, key=abs)
    for before, after in ((west, wider_west), (east, wider_east)):
        distance = geod.line_length([before, after], [edge, edge])
        assert 999.9 < distance < 1020
    for before, after in ((south, wider_south), (north, wider_north)):
        assert 1000 <= geod.line_length([west, west], [before, after]) < 1020
    assert all(-180 <= lon <= 180 for lon in (wider_west, wider_east))


def test_bounds_around_the_earth_stay_so() -> None:
    assert padded((-180.0, -10.0, 180.0, 10.0))[::2] == (-180.0, 180.0)
    assert padded((-179.999, 60.0, 179.999, 70.0))[::2] == (-180.0, 180.0)
    assert padded((0.0, 80.0, 1.0, 90.0))[::2] == (-180.0, 180.0)
    assert padded((0.0, 80.0, 1.0, 90.0))[3] == 90.0
    assert math.isclose(padded((0.0, 0.0, 1.0, 1.0), metres=0)[2], 1.0)

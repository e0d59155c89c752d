"""Searches go over HTTP to a small STAC API on the loopback, which has faults where a test says so."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
from pystac_client.exceptions import APIError
from rasterio.warp import transform
from requests.exceptions import SSLError
from shapely.geometry import shape
from urllib3 import HTTPResponse, Retry
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes import paging
from betaearth.scenes.model import Sensor
from betaearth.scenes.profile import PLANETARY_COMPUTER_SPELLING, OffsetRule
from betaearth.scenes.stac_api import StacApiSource, api_errors, patient_retry

MakeItem = Callable[..., dict[str, Any]]
S2 = frozenset({Sensor.S2_L2A})
CONFORMS_TO = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
]


@dataclass
class Api:
    """A STAC API. `answers` holds what the next requests of a path get in place of the truth."""

    items: list[dict[str, Any]] = field(default_factory=list)
    collections: tuple[str, ...] = ("sentinel-2-l2a", "sentinel-1-rtc", "cop-dem-glo-30")
    page: int = 100
    answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    searches: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    conforms_to: list[str] = field(default_factory=lambda: list(CONFORMS_TO))
    url: str = ""

    def fails(self, path: str, status: int, *, times: int = 1, body: bytes = b"{}", **headers: str) -> None:
        answer = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        self.answers.setdefault(path, []).extend([answer] * times)

    def document(self, path: str) -> dict[str, Any] | None:
        if path == "/":
            search = {"rel": "search", "href": f"{self.url}/search", "type": "application/geo+json"}
            return {
                "type": "Catalog",
                "id": "loopback",
                "stac_version": "1.0.0",
                "description": "A STAC API of a test",
                "conformsTo": self.conforms_to,
                "links": [
                    {"rel": "root", "href": self.url},
                    {"rel": "self", "href": self.url},
                    {"rel": "data", "href": f"{self.url}/collections"},
                    search | {"method": "GET"},
                    search | {"method": "POST"},
                ],
            }
        collection = path.removeprefix("/collections/")
        if collection not in self.collections:
            return None
        extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
        return {
            "type": "Collection",
            "id": collection,
            "stac_version": "1.0.0",
            "description": collection,
            "license": "proprietary",
            "extent": extent,
            "links": [],
        }

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        self.searches.append(body)
        wanted = shape(body["intersects"])
        interval = body.get("datetime") or "0001-01-01T00:00:00Z/9999-12-31T00:00:00Z"
        begin, end = map(datetime.fromisoformat, interval.split("/"))
        found = [
            item
            for item in self.items
            if item["collection"] in body["collections"]
            and begin <= datetime.fromisoformat(item["properties"]["datetime"]) <= end
            and shape(item["geometry"]).intersects(wanted)
        ]
        start = int(body.get("token", 0))
        rest = len(found) > start + self.page
        next_link = {
            "rel": "next",
            "href": f"{self.url}/search",
            "method": "POST",
            "body": body | {"token": start + self.page},
        }
        return {
            "type": "FeatureCollection",
            "features": found[start : start + self.page],
            "links": [next_link] if rest else [],
        }


@pytest.fixture
def api() -> Iterator[Api]:
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path != "/search":
                return self.answer(state.document(path))
            asked = {key: values[0] for key, values in parse_qs(query).items()}
            body = {
                **asked,
                "collections": asked["collections"].split(","),
                "intersects": json.loads(asked["intersects"]),
            }
            return self.answer(lambda: state.search(body))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(lambda: state.search(body))

        def answer(self, document: dict[str, Any] | Callable[[], dict[str, Any]] | None) -> None:
            path = self.path.partition("?")[0]
            state.requests.append(f"{self.command} {path}")
            planned = state.answers.get(path, [])
            status, headers, data = planned.pop(0) if planned else (200 if document else 404, {}, b"")
            if not data:
                data = json.dumps(document() if callable(document) else document).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
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


@pytest.fixture
def source(api: Api) -> StacApiSource:
    """As in production, but for the pauses."""
    return StacApiSource(api.url, PLANETARY_COMPUTER_SPELLING, retry=patient_retry().new(total=3, backoff_factor=0))


def test_the_retry_of_production() -> None:
    retry = patient_retry()
    assert (retry.total, retry.backoff_factor) == (8, 1)
    assert all(retry.is_retry("POST", status) for status in (429, 500, 502, 503, 504))
    assert not any(retry.is_retry("POST", status) for status in (400, 403, 404))
    assert retry.respect_retry_after_header


def test_a_dead_api_fails_within_a_minute() -> None:
    """The pauses between attempts, were all of them refused, or all answered with a fault."""
    for count in ("connect", "status"):
        retry, slept = patient_retry(), 0.0
        for _ in range(getattr(retry, count)):
            refused = NewConnectionError(HTTPConnection("host"), "refused") if count == "connect" else None
            retry = retry.increment("POST", "/", HTTPResponse(status=503) if refused is None else None, refused)
            slept += retry.get_backoff_time()
        assert 2.0 < slept < 60.0


def test_a_server_that_wants_to_be_left_alone_for_an_hour_is_left_alone(
    api: Api, source: StacApiSource, grid: PixelGrid
) -> None:
    api.fails("/search", 503, Retry_After="3600")
    with pytest.raises(TransientError, match="3600 s"):
        source.search(grid, 2021, S2)
    assert api.requests.count("POST /search") == 1


def test_every_page_is_read_and_every_granule_comes_once(
    api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid
) -> None:
    api.page = 7
    names = [f"item {index:02d}" for index in range(30)]
    api.items = [make_item(grid, id=name) for name in [*names[::-1], *names[:5]]]
    assert [granule.id for granule in source.search(grid, 2021, S2)] == names
    assert len(api.searches) == 5


def test_an_empty_page_is_not_the_end(api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid) -> None:
    api.items = [make_item(grid, id=f"item {index}") for index in range(3)]
    link = {"rel": "next", "href": "/search", "method": "POST", "body": {"token": "1"}, "merge": True}
    api.fails("/search", 200, body=json.dumps({"type": "FeatureCollection", "features": [], "links": [link]}).encode())
    assert [granule.id for granule in source.search(grid, 2021, S2)] == ["item 1", "item 2"]


@pytest.mark.parametrize("fresh", [False, True])
def test_pages_without_end(fresh: bool, api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid) -> None:
    """The same page again and again, by the same link or by another one each time."""
    for index in range(100):
        link = {"rel": "next", "href": api.url + "/search", "method": "POST", "body": {"token": str(index * fresh)}}
        page = {"type": "FeatureCollection", "features": [make_item(grid)], "links": [link]}
        api.fails("/search", 200, body=json.dumps(page).encode())
    with pytest.raises(DataError, match="paging does not end"):
        source.search(grid, 2021, S2)
    assert api.requests.count("POST /search") < 20


def test_too_many_items(
    api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MOST_ITEMS", 5)
    api.items = [make_item(grid, id=f"item {index}") for index in range(5)]
    assert len(source.search(grid, 2021, S2)) == 5
    api.items.append(make_item(grid, id="one more"))
    with pytest.raises(DataError, match="more than 5 items; ask for a smaller area"):
        source.search(grid, 2021, S2)


def test_an_api_that_searches_by_get_alone(
    api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid
) -> None:
    api.items = [make_item(grid)]
    api.fails("/search", 405)
    assert len(source.search(grid, 2021, S2)) == 1
    assert api.requests[-2:] == ["POST /search", "GET /search"]


def test_a_search_a_sensor_with_the_year_but_for_the_dem(
    api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid
) -> None:
    api.items = [
        make_item(grid, id="s2"),
        make_item(grid, id="old", properties={"datetime": "2020-12-31T23:59:59Z"}),
        make_item(grid, id="s1", collection="sentinel-1-rtc"),
        make_item(grid, id="dem", collection="cop-dem-glo-30", properties={"datetime": "2014-01-01T00:00:00Z"}),
    ]
    found = source.search(grid, 2021, frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM}))
    assert [granule.id for granule in found] == ["dem", "s1", "s2"]
    asked = {body["collections"][0]: body.get("datetime") for body in api.searches}
    year = "2021-01-01T00:00:00Z/2021-12-31T23:59:59.999999Z"
    assert asked == {"sentinel-2-l2a": year, "sentinel-1-rtc": year, "cop-dem-glo-30": None}
    assert all(shape(body["intersects"]).area > 0 for body in api.searches)


def test_the_last_second_of_a_year_is_part_of_it(
    api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid
) -> None:
    api.items = [
        make_item(grid, id="last", properties={"datetime": "2021-12-31T23:59:59.5Z"}),
        make_item(grid, id="next", properties={"datetime": "2022-01-01T00:00:00Z"}),
    ]
    assert [granule.id for granule in source.search(grid, 2021, S2)] == ["last"]


def test_a_scene_of_new_year_belongs_to_the_year_in_which_its_sensing_began(
    api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid
) -> None:
    times = {"datetime": "2022-01-01T00:00:05Z", "start_datetime": "2021-12-31T23:59:55Z"}
    api.items = [make_item(grid, id="radar", collection="sentinel-1-rtc", properties=times)]
    assert source.search(grid, 2022, frozenset({Sensor.S1})) == []


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_trouble_of_a_moment_is_overcome(
    status: int, api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid
) -> None:
    api.items = [make_item(grid)]
    api.fails("/search", status, times=2, Retry_After="0")
    api.fails("/", status)
    assert len(source.search(grid, 2021, S2)) == 1
    assert api.requests.count("POST /search") == 3


def test_retry_after_is_obeyed(api: Api, make_item: MakeItem, grid: PixelGrid) -> None:
    api.items = [make_item(grid)]
    api.fails("/search", 429, Retry_After="1")
    waited: list[float] = []

    class Watched(Retry):
        def _sleep_backoff(self) -> None:
            pytest.fail("the server said when to come again")

        def sleep_for_retry(self, response: Any) -> bool:
            waited.append(self.get_retry_after(response) or 0.0)
            return True

    retry = Watched(total=2, status_forcelist=[429], allowed_methods=None)
    assert len(StacApiSource(api.url, PLANETARY_COMPUTER_SPELLING, retry=retry).search(grid, 2021, S2)) == 1
    assert waited == [1.0]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("path", ["/", "/search", "/collections/sentinel-2-l2a"])
def test_trouble_that_lasts_is_transient(
    status: int, path: str, api: Api, source: StacApiSource, grid: PixelGrid
) -> None:
    api.fails(path, status, times=9)
    with pytest.raises(TransientError, match=api.url):
        source.search(grid, 2021, S2)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("path", ["/", "/search"])
def test_a_refusal_is_a_matter_of_the_set_up(
    status: int, path: str, api: Api, source: StacApiSource, grid: PixelGrid
) -> None:
    api.fails(path, status, times=9)
    with pytest.raises(ConfigError, match=f"refuses the search .{status}"):
        source.search(grid, 2021, S2)


@pytest.mark.parametrize("path", ["/", "/search"])
def test_no_such_address(path: str, api: Api, source: StacApiSource, grid: PixelGrid) -> None:
    api.fails(path, 404, times=9)
    with pytest.raises(ConfigError, match="is not there"):
        source.search(grid, 2021, S2)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b"<html>Welcome</html>"),
        ("/", b'{"hello": "world"}'),
        ("/", b"[]"),
        ("/", b'{"type": "FeatureCollection", "features": []}'),
        ("/search", b"<html>Welcome</html>"),
        ("/search", b'{"features": [{"type": "Feature"}]}'),
        ("/search", b'{"features": ["x"]}'),
        ("/search", b'{"features": 3}'),
        ("/collections/sentinel-2-l2a", b"<html>Welcome</html>"),
        ("/collections/sentinel-2-l2a", b'{"type": "Collection"}'),
    ],
)
def test_what_is_not_stac(path: str, body: bytes, api: Api, source: StacApiSource, grid: PixelGrid) -> None:
    api.fails(path, 200, times=9, body=body)
    with pytest.raises(DataError, match="STAC"):
        source.search(grid, 2021, S2)


def test_a_catalog_without_search(api: Api, source: StacApiSource, grid: PixelGrid) -> None:
    api.conforms_to = CONFORMS_TO[:3]
    with pytest.raises(ConfigError, match="no item search"):
        source.search(grid, 2021, S2)


def test_an_unknown_answer_is_not_explained_away(api: Api, source: StacApiSource, grid: PixelGrid) -> None:
    api.fails("/search", 418, times=9, body=b"a teapot")
    with pytest.raises(Exception, match="a teapot") as caught:
        source.search(grid, 2021, S2)
    assert not isinstance(caught.value, DataError | ConfigError | TransientError)


def test_nobody_answers(grid: PixelGrid) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(TransientError, match="did not answer"):
        StacApiSource(url, PLANETARY_COMPUTER_SPELLING, retry=Retry(0)).search(grid, 2021, S2)


@pytest.mark.parametrize("status", [500, 200], ids=["answers with a fault", "is not there"])
def test_no_query_of_a_page_is_told(status: int, api: Api, source: StacApiSource, grid: PixelGrid) -> None:
    host = api.url if status == 500 else "http://127.0.0.1:1"
    following = {"rel": "next", "method": "GET", "href": f"{host}/search?token=hushhush"}
    page = {"type": "FeatureCollection", "features": [], "links": [following]}
    api.fails("/search", 200, body=json.dumps(page).encode())
    api.fails("/search", status, times=9)
    with pytest.raises(TransientError, match="/search") as caught:
        source.search(grid, 2021, S2)
    assert "hush" not in str(caught.value)


def test_a_certificate_is_a_matter_of_the_set_up() -> None:
    said = "HTTPSConnectionPool: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"
    for cause, expected in ((SSLError(said), ConfigError), (SSLError("EOF occurred"), TransientError)):
        error = APIError(str(cause))
        error.__context__ = cause
        with pytest.raises(expected, match=r"https://api\.org"), api_errors("https://api.org"):
            raise error


@pytest.mark.parametrize("url", ["http://", "https:///api", "http://.host", "http://[half", "https://u:hush@/api"])
def test_an_address_that_is_none(url: str, grid: PixelGrid) -> None:
    with pytest.raises(ConfigError, match="is not an address") as caught:
        StacApiSource(url, PLANETARY_COMPUTER_SPELLING, retry=Retry(0)).search(grid, 2021, S2)
    assert "hush" not in str(caught.value)


def test_level_1c_may_be_absent_and_nothing_else(
    api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid
) -> None:
    api.items = [make_item(grid)]
    both = frozenset({Sensor.S2_L1C, Sensor.S2_L2A})
    assert [granule.sensor for granule in source.search(grid, 2021, both)] == [Sensor.S2_L2A]
    api.collections = ("sentinel-2-l2a",)
    with pytest.raises(ConfigError, match="no collection sentinel-1-rtc"):
        source.search(grid, 2021, frozenset({Sensor.S1}))


def test_an_impossible_item_is_named(api: Api, source: StacApiSource, make_item: MakeItem, grid: PixelGrid) -> None:
    api.items = [make_item(grid, id="odd", properties={"platform": 2})]
    with pytest.raises(DataError, match="item odd"):
        source.search(grid, 2021, S2)


def test_what_it_says_of_itself(api: Api, source: StacApiSource) -> None:
    digest = PLANETARY_COMPUTER_SPELLING.digest()
    assert source.identity == f"stac-api:{digest[:12]}:{api.url}"
    assert source.title == "STAC API 127.0.0.1"
    assert not source.synthetic
    assert source.portable("https://host/B02.tif?a=b") == "https://host/B02.tif?a=b"
    assert source.portable("https://host/B02.tif?a=b&X-Amz-Signature=s") == "https://host/B02.tif?a=b"
    other = PLANETARY_COMPUTER_SPELLING.model_copy(update={"offsets": OffsetRule.REMOVED, "endpoint": api.url})
    assert StacApiSource(api.url, other).identity != source.identity
    assert StacApiSource(api.url, other).title == "STAC items"
    renamed = PLANETARY_COMPUTER_SPELLING.model_copy(update={"title": "Another", "name": "another"})
    assert StacApiSource(api.url, renamed).identity == source.identity


@pytest.mark.parametrize("url", ["https://me:secret@host/api", "https://host/api?key=secret"])
def test_an_address_with_a_secret_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(ConfigError, match="host/api: the address of a source may hold no user") as caught:
        StacApiSource(url, PLANETARY_COMPUTER_SPELLING)
    assert "secret" not in str(caught.value)


def test_recorded_items_of_the_planetary_computer(api: Api, source: StacApiSource, sample_data: Path) -> None:
    name = "item_sentinel-2-l2a_S2B_MSIL2A_20250312T014549_R074_T53NKG_20250312T041213.json"
    items = sample_data / "planetary_computer" / "items"
    api.items = [json.loads((items / name).read_text())]
    api.items += json.loads((items / "sentinel-2-l2a-pc.json").read_text())
    inside = shape(api.items[0]["geometry"]).representative_point()
    (west,), (north,) = transform("EPSG:4326", "EPSG:32653", [inside.x], [inside.y])
    palau = PixelGrid(32653, west, north, 10, 10)
    (granule,) = source.search(palau, 2025, S2)
    assert granule.mgrs_tile == "53NKG"
    assert granule.epsg == 32653
    assert granule.assets["B08"].startswith("https://sentinel2l2a01.blob.core.windows.net/")
    assert source.search(palau, 2024, S2) == []

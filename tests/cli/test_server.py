"""A store over HTTP: ranges, validators, caching and CORS, through a real socket."""

from __future__ import annotations

import http.client
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import cast

import httpx
import pytest
import uvicorn

from betaearth.cli.serve import listener_at, serve_store
from betaearth.cli.server import PIECE, catalog_server
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.folder import FolderStore
from betaearth.storage.store import Entry, Store
from tests.served import served

TILE_YEAR = "betaearth-robust-v1/2024/r05-c05/r05f-c054/433u_1046r"
EMBEDDINGS = f"{TILE_YEAR}/0123456789ab/embeddings.tif"
ITEM = f"{TILE_YEAR}/betaearth-robust-v1_433u_1046r_2024.json"
MANIFEST = f"{TILE_YEAR}/0123456789ab-01234567.manifest.json"
BYTES = bytes(range(256)) * 40
WRITTEN = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)


@dataclass
class Shelf:
    """A store in memory of which a test says when it changes and how it fails."""

    objects: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    before_reading: Callable[[], None] = lambda: None
    """Called before each range is read; it may change objects, wait, or raise."""
    read: list[tuple[str, int, int]] = field(default_factory=list)
    """Ranges that were read: key, first byte, byte after the last."""

    uri = "s3://private-bucket/prefix"

    def clear(self) -> None:
        self.objects.clear()
        self.versions.clear()
        self.read.clear()
        self.before_reading = lambda: None

    def put(self, key: str, data: bytes) -> None:
        self.objects[key] = data
        self.versions[key] = self.versions.get(key, 0) + 1

    def exists(self, key: str) -> bool:
        return key in self.objects

    def stat(self, key: str) -> Entry | None:
        if key not in self.objects:
            return None
        return Entry(key, len(self.objects[key]), WRITTEN, f"version {self.versions[key]} \n")

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        self.before_reading()
        self.read.append((key, start, stop))
        if key not in self.objects or start >= len(self.objects[key]):
            raise DataError(f"{key} ends before {start}")
        return self.objects[key][start:stop]


@pytest.fixture(scope="module")
def only_shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def shelf(only_shelf: Shelf) -> Shelf:
    shelf = only_shelf
    shelf.clear()
    shelf.put("catalog.json", b'{"type": "Catalog"}')
    shelf.put(EMBEDDINGS, BYTES)
    shelf.put(ITEM, b'{"type": "Feature"}')
    return shelf


@pytest.fixture(scope="module")
def server(only_shelf: Shelf) -> Iterator[str]:
    only_shelf.put("catalog.json", b"{}")
    with served(catalog_server(cast("Store", only_shelf))) as running:
        yield running.address


@pytest.fixture
def address(shelf: Shelf, server: str) -> str:  # noqa: ARG001  # the shelf is filled before it is asked for
    return server


@pytest.mark.parametrize(
    ("asked", "first", "stop"),
    [
        ("bytes=256-511", 256, 512),
        ("bytes=0-0", 0, 1),
        ("bytes=10000-", 10000, 10240),
        ("bytes=-100", 10140, 10240),
        ("bytes=-99999", 0, 10240),
        ("bytes=0-", 0, 10240),
        ("BYTES = 10239-18446744073709551615", 10239, 10240),
    ],
)
def test_a_range(address: str, asked: str, first: int, stop: int) -> None:
    answer = httpx.get(f"{address}/{EMBEDDINGS}", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == BYTES[first:stop]
    assert answer.headers["content-range"] == f"bytes {first}-{stop - 1}/10240"
    assert answer.headers["content-length"] == str(stop - first)


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=10240-20000", "bytes=-0", f"bytes={10**30}-"])
def test_a_range_beyond_the_object(address: str, asked: str) -> None:
    answer = httpx.get(f"{address}/{EMBEDDINGS}", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */10240"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "asked",
    ["bytes=5-4", "bytes=-", "bytes=a-b", "bytes=0-1,5-6", "items=0-5", "bytes", "bytes=--5", f"bytes=0-{'9' * 5000}"],
)
def test_what_is_no_single_range_gives_the_whole_object(address: str, asked: str) -> None:
    answer = httpx.get(f"{address}/{EMBEDDINGS}", headers={"Range": asked})
    assert answer.status_code == 200
    assert answer.content == BYTES
    assert "content-range" not in answer.headers


def test_a_head_says_all_but_the_bytes(address: str, shelf: Shelf) -> None:
    head = httpx.head(f"{address}/{EMBEDDINGS}")
    assert shelf.read == []
    get = httpx.get(f"{address}/{EMBEDDINGS}")
    passing = {"date"}
    assert {k: v for k, v in head.headers.items() if k not in passing} == {
        k: v for k, v in get.headers.items() if k not in passing
    }
    assert head.status_code == get.status_code == 200
    assert get.headers["content-length"] == "10240"
    assert get.headers["accept-ranges"] == "bytes"


def test_an_object_without_bytes(address: str, shelf: Shelf) -> None:
    shelf.put("empty.txt", b"")
    answer = httpx.get(f"{address}/empty.txt")
    assert (answer.status_code, answer.content) == (200, b"")
    assert httpx.get(f"{address}/empty.txt", headers={"Range": "bytes=0-"}).status_code == 416


def test_what_a_client_has_is_not_sent_again(address: str, shelf: Shelf) -> None:
    first = httpx.get(f"{address}/catalog.json")
    etag = first.headers["etag"]
    assert etag.startswith('"')
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = httpx.get(f"{address}/catalog.json", headers={"If-None-Match": known, "Range": "bytes=0-3"})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
        assert answer.headers["cache-control"] == "no-cache"
    assert httpx.head(f"{address}/catalog.json", headers={"If-None-Match": etag}).status_code == 304
    shelf.put("catalog.json", b'{"type": "catalog"}')
    changed = httpx.get(f"{address}/catalog.json", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


def test_dates(address: str) -> None:
    answer = httpx.get(f"{address}/catalog.json")
    said = answer.headers["last-modified"]
    assert parsedate_to_datetime(said) == WRITTEN.replace(microsecond=0)

    def status(since: str, **more: str) -> int:
        return httpx.get(f"{address}/catalog.json", headers={"If-Modified-Since": since, **more}).status_code

    assert status(said) == 304
    assert status("Fri, 02 Jan 2026 03:04:04 GMT") == 200
    assert status("yesterday") == 200
    assert status(f"Fri, 02 Jan 2026 03:04:04 +{'9' * 20}") == 200
    assert status(said, **{"If-None-Match": '"other"'}) == 200


def test_a_range_of_another_version_gives_the_whole_object(address: str, shelf: Shelf) -> None:
    etag = httpx.head(f"{address}/{EMBEDDINGS}").headers["etag"]
    headers = {"Range": "bytes=0-9", "If-Range": etag}
    assert httpx.get(f"{address}/{EMBEDDINGS}", headers=headers).status_code == 206
    weak = {**headers, "If-Range": f"W/{etag}"}
    assert httpx.get(f"{address}/{EMBEDDINGS}", headers=weak).status_code == 200
    shelf.put(EMBEDDINGS, BYTES[::-1])
    answer = httpx.get(f"{address}/{EMBEDDINGS}", headers=headers)
    assert (answer.status_code, answer.content) == (200, BYTES[::-1])


FOREVER = "public, max-age=31536000, immutable"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"


@pytest.mark.parametrize(
    ("key", "kind", "holds"),
    [
        ("catalog.json", "application/json", "no-cache"),
        ("betaearth-robust-v1/collection.json", "application/json", "no-cache"),
        ("betaearth-robust-v1/2024/r05-c05/r05f-c054/catalog.json", "application/json", "no-cache"),
        (ITEM, "application/geo+json", "no-cache"),
        (f"{ITEM.removesuffix('.json')}_0123456789ab-01234567.json", "application/geo+json", "no-cache"),
        (MANIFEST, "application/json", FOREVER),
        (EMBEDDINGS, COG, FOREVER),
        (f"{TILE_YEAR}/0123456789ab/preview.png", "image/png", FOREVER),
        ("c-v1/items/year=2024/part-0123456789abcdef.parquet", "application/vnd.apache.parquet", FOREVER),
        ("c-v1/items/year=2024/other.parquet", "application/vnd.apache.parquet", "no-cache"),
        ("c-v1/coverage/year=2024/coverage-0123456789ab.geojson", "application/geo+json", FOREVER),
        ("c-v1/coverage/year=2024/gaps-0123456789ab.geojson", "application/geo+json", FOREVER),
        ("c-v1/coverage/year=2024/gaps.geojson", "application/geo+json", "no-cache"),
        ("runs/one/plan.json", "application/json", "no-cache"),
        ("2024.tif", COG, "no-cache"),
        ("page/index.html", "text/html; charset=utf-8", "no-cache"),
        ("what.is-this", "application/octet-stream", "no-cache"),
    ],
)
def test_what_an_object_is_and_how_long_it_holds(address: str, shelf: Shelf, key: str, kind: str, holds: str) -> None:
    shelf.put(key, b"{}")
    answer = httpx.get(f"{address}/{key}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["cache-control"] == holds


def test_pages_of_other_origins_may_read(address: str) -> None:
    answer = httpx.get(f"{address}/{EMBEDDINGS}", headers={"Range": "bytes=256-511", "Origin": "http://viewer"})
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"Content-Range", "Content-Length", "ETag", "Accept-Ranges", "Last-Modified"} <= exposed
    # A cache that got its copy without an origin must be able to give it to a page.
    for path in ("catalog.json", "missing.json", EMBEDDINGS, ""):
        for headers in ({}, {"Origin": "http://viewer"}):
            answer = httpx.get(f"{address}/{path}", headers=headers)
            assert answer.headers.get_list("access-control-allow-origin") == ["*"]
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


def test_a_browser_may_ask_first(address: str) -> None:
    headers = {
        "Origin": "http://viewer",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "range, if-none-match",
    }
    answer = httpx.options(f"{address}/{EMBEDDINGS}", headers=headers)
    assert answer.status_code == 200
    assert {"Range", "If-None-Match"} <= {n.strip() for n in answer.headers["access-control-allow-headers"].split(",")}
    assert httpx.post(f"{address}/{EMBEDDINGS}").status_code == 405


def test_the_root_leads_to_the_catalog(address: str) -> None:
    answer = httpx.get(address, follow_redirects=True)
    assert answer.json() == {"type": "Catalog"}
    assert str(answer.url) == f"{address}/catalog.json"


@pytest.mark.parametrize(
    "path",
    [
        "nothing.json",
        "betaearth-robust-v1",
        "betaearth-robust-v1/",
        "../catalog.json",
        "./catalog.json",
        "%2e%2e/catalog.json",
        "%2e/catalog.json",
        "..%2fcatalog.json",
        "..%5ccatalog.json",
        "a%5c..%5ccatalog.json",
        "/catalog.json",
        "a//catalog.json",
        "catalog.json%00",
        "catalog.json%0a",
        "%ff",
        ".tmp/unfinished",
        ".probe/one",
        ".cache/weights.bin",
        "deep/.hidden/catalog.json",
        "%2etmp/unfinished",
        "x" * 256,
        "/".join("x" * 200 for _ in range(6)),
        "%c3%a9" * 128,
    ],
)
def test_what_is_not_there_or_hidden_is_404(shelf: Shelf, address: str, path: str) -> None:
    for hidden in (
        ".tmp/unfinished",
        ".probe/one",
        ".cache/weights.bin",
        "deep/.hidden/catalog.json",
        "../catalog.json",
    ):
        shelf.put(hidden, b"{}")
    # httpx would tidy the path up before it asks.
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    connection.request("GET", f"/{path}")
    answer = connection.getresponse()
    assert answer.status == 404
    assert b'"error"' in answer.read()
    connection.close()


def test_trouble_in_the_store_is_told_without_its_words(
    address: str, shelf: Shelf, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(error: Exception) -> Callable[[], None]:
        def raise_it() -> None:
            raise error

        return raise_it

    shelf.before_reading = fail(TransientError("s3://private-bucket: 503 SlowDown"))
    busy = httpx.get(f"{address}/{EMBEDDINGS}")
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "5")
    shelf.before_reading = fail(ConfigError("s3://private-bucket: owner-key may not read"))
    refused = httpx.get(f"{address}/{EMBEDDINGS}")
    assert refused.status_code == 502
    shelf.before_reading = fail(RuntimeError("owner-secret"))
    unplanned = httpx.get(f"{address}/{EMBEDDINGS}")
    assert unplanned.status_code == 500
    for answer in (busy, refused, unplanned):
        assert "private-bucket" not in answer.text
        assert "owner" not in answer.text
    assert "SlowDown" in capfd.readouterr().err


def test_an_object_that_changes_is_read_anew(address: str, shelf: Shelf) -> None:
    """The length, the etag and the bytes of an answer are those of one version."""
    longer = b'{"type": "Catalog", "id": "longer"}'

    def publish() -> None:
        shelf.before_reading = lambda: None
        shelf.put("catalog.json", longer)

    shelf.before_reading = publish
    answer = httpx.get(f"{address}/catalog.json")
    assert (answer.status_code, answer.content) == (200, longer)
    assert answer.headers["content-length"] == str(len(longer))
    assert answer.headers["etag"] == httpx.head(f"{address}/catalog.json").headers["etag"]

    def swap() -> None:
        shelf.before_reading = lambda: None
        shelf.put("catalog.json", longer.swapcase())

    shelf.before_reading = swap
    part = httpx.get(f"{address}/catalog.json", headers={"Range": "bytes=2-9"})
    assert (part.status_code, part.content) == (206, longer.swapcase()[2:10])
    assert part.headers["etag"] == httpx.head(f"{address}/catalog.json").headers["etag"]
    shelf.before_reading = lambda: shelf.put("catalog.json", shelf.objects["catalog.json"])
    assert httpx.get(f"{address}/catalog.json", headers={"Range": "bytes=2-9"}).status_code == 503
    assert httpx.get(f"{address}/catalog.json").status_code == 503


def test_a_store_that_fails_halfway_breaks_the_connection(address: str, shelf: Shelf) -> None:
    shelf.put("large.bin", bytes(3 * PIECE))

    def fail_later() -> None:
        if len(shelf.read) == 1:
            raise TransientError("gone")

    shelf.before_reading = fail_later
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{address}/large.bin")


def test_pieces_of_two_versions_are_not_put_together(address: str, shelf: Shelf) -> None:
    shelf.put("large.bin", bytes(2 * PIECE))

    def change_later() -> None:
        if len(shelf.read) == 1:
            shelf.put("large.bin", b"x" * 2 * PIECE)

    shelf.before_reading = change_later
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{address}/large.bin")


@dataclass
class Endless(Shelf):
    """A store whose objects of zeros are as large as they say and lie nowhere."""

    size: int = 300 << 20

    def stat(self, key: str) -> Entry | None:
        found = super().stat(key)
        return replace(found, size=self.size) if found else None

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        self.read.append((key, start, stop))
        return bytes(stop - start)


def test_a_large_object_passes_in_pieces() -> None:
    endless = Endless({"catalog.json": b"", "large.tif": b""}, {"catalog.json": 1, "large.tif": 1})
    with served(catalog_server(cast("Store", endless))) as running:
        tracemalloc.start()
        try:
            with httpx.stream("GET", f"{running.address}/large.tif") as answer:
                received = sum(len(piece) for piece in answer.iter_raw(1 << 20))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert received == endless.size
    assert max(stop - start for _, start, stop in endless.read) == PIECE
    assert peak < 40 << 20


def test_nothing_more_is_read_for_a_client_that_left() -> None:
    endless = Endless({"catalog.json": b"", "large.tif": b""}, {"catalog.json": 1, "large.tif": 1}, size=1 << 40)
    with served(catalog_server(cast("Store", endless))) as running:
        with httpx.stream("GET", f"{running.address}/large.tif") as answer:
            next(answer.iter_raw())
        read = -1
        while read != len(endless.read):
            read = len(endless.read)
            time.sleep(0.1)
        assert httpx.get(f"{running.address}/missing").status_code == 404
    assert read < 100


def test_a_folder(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.create("catalog.json", b"{}")
    store.create(EMBEDDINGS, BYTES)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "weights.bin").write_bytes(b"weights")
    with served(catalog_server(store)) as running:
        part = httpx.get(f"{running.address}/{EMBEDDINGS}", headers={"Range": "bytes=256-511"})
        assert (part.status_code, part.content) == (206, bytes(range(256)))
        before = httpx.head(f"{running.address}/catalog.json")
        seconds = time.time() - parsedate_to_datetime(before.headers["last-modified"]).timestamp()
        assert 0 <= seconds < 60
        stored = store.find("catalog.json")
        assert stored is not None
        assert store.update("catalog.json", b"[]", stored.etag)
        after = httpx.get(f"{running.address}/catalog.json", headers={"If-None-Match": before.headers["etag"]})
        assert (after.status_code, after.content) == (200, b"[]")
        for path in (".cache/weights.bin", ".tmp/update.lock", "betaearth-robust-v1", f"{EMBEDDINGS}/below"):
            assert httpx.get(f"{running.address}/{path}").status_code == 404


def test_a_port_that_is_taken_is_no_riddle() -> None:
    with listener_at("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}.*--port"):
            listener_at("127.0.0.1", port)


def test_a_store_without_catalog_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"catalog\.json"):
        catalog_server(cast("Store", Shelf()))


def test_a_crowd_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beyond as many connections as are served at once, the memory would have no end."""
    store = FolderStore(tmp_path)
    store.create("catalog.json", b"{}")
    made: list[uvicorn.Config] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: made.append(self.config))  # noqa: ARG005
    serve_store(store, host="127.0.0.1", port=0)
    (config,) = made
    assert config.limit_concurrency == 512

"""The viewer over HTTP beside a store: which page comes first, what a browser is told, what a missing build says."""

from __future__ import annotations

import gzip
import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import httpx
import pytest
import uvicorn

from betaearth.cli import serve
from betaearth.cli.server import catalog_server
from betaearth.cli.viewer_files import ViewerFile, viewer_files, write_viewer
from betaearth.errors import ConfigError
from betaearth.storage.folder import FolderStore
from tests.cli.conftest import Command
from tests.served import served

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SCRIPT = b"console.log('a viewer');\n" * 50
BUILD = {
    "index.html": b"<!doctype html><title>viewer</title>",
    "assets/index-Ab3_-9xZ.js": SCRIPT,
    "assets/plain.css": b"body{}",
    "assets/land.png": b"\x89PNG",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    store = FolderStore(tmp_path_factory.mktemp("store"))
    store.create("catalog.json", b'{"type": "Catalog"}')
    store.create("viewer/index.html", b"a page of the store's own")
    store.create("viewer/more.txt", b"the store's own")
    return store


@pytest.fixture(scope="module")
def address(store: FolderStore) -> Iterator[str]:
    files = {name: ViewerFile(name, data) for name, data in BUILD.items()}
    with served(catalog_server(store, files)) as running:
        yield running.address


@pytest.fixture(scope="module")
def bare(store: FolderStore) -> Iterator[str]:
    """A server of a package that was never built with the viewer."""
    with served(catalog_server(store, {})) as running:
        yield running.address


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (BROWSER, "viewer/"),
        ("application/json, TEXT/HTML;q=0.1", "viewer/"),
        ("*/*", "catalog.json"),
        ("application/json", "catalog.json"),
        ("text/html;q=0, application/json", "catalog.json"),
        (None, "catalog.json"),
    ],
)
def test_browsers_are_led_to_the_viewer_and_all_others_to_the_catalog(
    address: str, accept: str | None, page: str
) -> None:
    with httpx.Client() as client:
        del client.headers["accept"]
        answer = client.get(f"{address}/", headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.headers["location"]) == (307, page)
    assert "Accept" in answer.headers["vary"].split(", ")


def test_the_page_and_what_it_may_do(address: str) -> None:
    answer = httpx.get(f"{address}/", headers={"Accept": BROWSER}, follow_redirects=True)
    assert str(answer.url) == f"{address}/viewer/"
    assert answer.content == BUILD["index.html"]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = {
        directive: sources
        for directive, *sources in map(str.split, answer.headers["content-security-policy"].split(";"))
    }
    assert policy["default-src"] == ["'self'"]
    assert policy["style-src"] == ["'self'"]
    assert policy["script-src"] == ["'self'", "'wasm-unsafe-eval'"]
    assert {"*", "data:"} <= set(policy["connect-src"])
    assert set(policy["img-src"]) == {"*", "data:", "blob:"}
    assert set(policy["worker-src"]) == {"'self'", "blob:"}
    assert policy["object-src"] == policy["base-uri"] == policy["form-action"] == ["'none'"]


@pytest.mark.parametrize(
    ("name", "kind", "holds"),
    [
        ("assets/index-Ab3_-9xZ.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("assets/plain.css", "text/css; charset=utf-8", "no-cache"),
        ("assets/land.png", "image/png", "no-cache"),
        ("index.html", "text/html; charset=utf-8", "no-cache"),
    ],
)
def test_its_files(address: str, name: str, kind: str, holds: str) -> None:
    answer = httpx.get(f"{address}/viewer/{name}")
    assert answer.status_code == 200
    assert answer.content == BUILD[name]
    assert answer.headers["content-type"] == kind
    assert answer.headers["cache-control"] == holds
    head = httpx.head(f"{address}/viewer/{name}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == answer.headers["etag"]
    assert httpx.post(f"{address}/viewer/{name}").status_code == 405


def test_what_a_browser_has_is_not_sent_again(address: str) -> None:
    page = f"{address}/viewer/assets/index-Ab3_-9xZ.js"
    plain, packed = (httpx.get(page, headers={"Accept-Encoding": word}) for word in ("identity", "br, gzip;q=0.5"))
    assert plain.content == packed.content == SCRIPT
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(gzip.compress(SCRIPT, mtime=0)) < len(SCRIPT)
    assert all("Accept-Encoding" in answer.headers["vary"] for answer in (plain, packed))
    etags = [answer.headers["etag"] for answer in (plain, packed)]
    assert etags[0] != etags[1]
    assert all(etag.startswith('"') for etag in etags)
    for word, etag, status in (("identity", etags[0], 304), ("gzip", etags[1], 304), ("gzip;q=0", etags[1], 200)):
        answer = httpx.get(page, headers={"Accept-Encoding": word, "If-None-Match": f'"other", W/{etag}'})
        assert answer.status_code == status


def test_the_package_goes_before_the_store(address: str) -> None:
    assert httpx.get(f"{address}/viewer/index.html").content == BUILD["index.html"]
    missing = httpx.get(f"{address}/viewer/more.txt")
    assert missing.status_code == 404
    assert missing.headers["content-type"].startswith("text/html")
    assert '<a href="../catalog.json">' in missing.text
    assert '<a href="../../catalog.json">' in httpx.get(f"{address}/viewer/assets/no.js").text
    assert httpx.get(f"{address}/viewer", follow_redirects=True).content == BUILD["index.html"]
    assert httpx.get(f"{address}/viewer/..%2f..%2fcatalog.json").status_code == 404


def test_a_package_that_was_never_built_says_so(bare: str) -> None:
    answer = httpx.get(f"{bare}/viewer/", headers={"Accept": BROWSER})
    assert answer.status_code == 404
    assert "make viewer" in answer.text
    assert '<a href="../catalog.json">' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert httpx.get(f"{bare}/", headers={"Accept": BROWSER}).headers["location"] == "catalog.json"
    assert httpx.get(f"{bare}/catalog.json").json() == {"type": "Catalog"}


def test_the_package_has_its_viewer() -> None:
    files = viewer_files()
    assert "index.html" in files
    assert sum(len(file.data) for file in files.values()) < 1_500_000
    assert b"./assets/" in files["index.html"].data


def test_it_is_written_for_a_static_host(tmp_path: Path, betaearth: Command) -> None:
    files = viewer_files()
    folder = tmp_path / "site" / "viewer"
    for _ in range(2):
        done = betaearth("viewer", folder)
        assert done.code == 0, done.err
        assert {Path(line) for line in done.out.splitlines()} == {folder / name for name in files}
    written = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert written == {name: file.data for name, file in files.items()}
    (folder / "assets" / "notes.txt").write_text("mine")
    done = betaearth("viewer", folder)
    assert done.code == 78
    assert "assets/notes.txt" in done.message
    (tmp_path / "file").write_text("mine")
    done = betaearth("viewer", tmp_path / "file")
    assert done.code == 78
    assert (tmp_path / "file").read_text() == "mine"


def test_nothing_is_written_where_there_is_nothing(tmp_path: Path) -> None:
    assert viewer_files(tmp_path) == {}
    with pytest.raises(ConfigError, match="make viewer"):
        write_viewer({}, tmp_path / "viewer")
    assert not (tmp_path / "viewer").exists()


class Terminal(StringIO):
    """Where somebody sits before it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a browser was led to, by a server that ends at once."""
    opened: list[str] = []

    def wait(self: uvicorn.Server, sockets: object) -> None:  # noqa: ARG001  # in the place of `Server.run`
        for thread in threading.enumerate():
            if thread.name == "browser":
                thread.join()

    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(uvicorn.Server, "run", wait)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return opened


@pytest.mark.parametrize(
    ("terminal", "display", "more", "asked", "opens"),
    [
        (True, ":0", {}, None, True),
        (True, "", {}, None, False),
        (False, ":0", {}, None, False),
        (True, ":0", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None, False),
        (True, ":10", {"SSH_CONNECTION": "somebody's"}, None, False),
        (True, ":0", {}, False, False),
        (False, "", {}, True, True),
    ],
)
def test_when_a_browser_opens(
    store: FolderStore,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    display: str,
    more: dict[str, str],
    asked: bool | None,
    opens: bool,
) -> None:
    out = Terminal() if terminal else StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    for name, value in {"DISPLAY": display, **more}.items():
        monkeypatch.setitem(os.environ, name, value)
    serve.serve_store(store, host="0.0.0.0", port=0, opening=asked)
    catalog, viewer = out.getvalue().splitlines()
    address = viewer.removeprefix("Viewer:  ")
    assert address.startswith("http://127.0.0.1:")
    assert address.endswith("/viewer/")
    assert catalog.removeprefix("Catalog: ") == address.replace("viewer/", "catalog.json")
    assert (catalog.startswith("Catalog: "), viewer.startswith("Viewer: ")) == (terminal, terminal)
    assert opened == ([address] if opens else [])


@pytest.mark.parametrize(
    ("host", "name"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]"), ("0.0.0.0", "127.0.0.1"), ("maps", "maps")],
)
def test_the_address_is_one_that_can_be_opened(host: str, name: str) -> None:
    assert serve.name_of(host) == name

"""Addresses of what was published: where hrefs lead, and what cannot be read is which error."""

from __future__ import annotations

import hashlib
import posixpath
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage import web
from betaearth.storage.locations import Location

ITEMS = (
    "/srv/store/c/2021/item.json",
    "https://host.example/store/c/2021/item.json?token=secret#part",
    "https://user:secret@host.example/store/c/2021/item.json",
    "s3://bucket/store/c/2021/item.json",
)
HOSTILE = (
    "",
    ".",
    "..",
    "/etc/passwd",
    "//other.example/x",
    "../item.json",
    "./../x",
    "a/../../x",
    "a//b",
    "./",
    "a/",
    ".hidden",
    "a/.tmp/x",
    "%2e%2e/x",
    "a%2f..%2fx",
    "..%5cx",
    "a\\..\\x",
    "a\0b",
    "a\n",
    "http://other.example/x",
    "https:other",
    "file:///etc/passwd",
    "s3://other/key",
    "C:/x",
    "x?y",
    "x#y",
    "\u2025/x",
    "\uff0e\uff0e/y",
    "a" * 2000,
)


@pytest.mark.parametrize("url", ITEMS)
@pytest.mark.parametrize("href", HOSTILE)
def test_an_href_that_leads_away_is_refused(url: str, href: str) -> None:
    with pytest.raises(DataError, match="may lead out of its folder") as caught:
        Location.of(url).join(href)
    assert "secret" not in str(caught.value)


@given(st.sampled_from(ITEMS), st.text(st.characters(codec=None), max_size=40) | st.from_regex(r"[./%\\a-z2e]{1,30}"))
def test_whatever_is_followed_stays_below_the_folder(url: str, href: str) -> None:
    item = Location.of(url)
    try:
        found = item.join(href)
    except DataError:
        return
    base = item.url.partition("?")[0]
    folder = posixpath.dirname(base) + "/"
    assert found.url.startswith(folder)
    # As lenient a reader as there is: decoded, and with dots resolved.
    resolved = posixpath.normpath(unquote(urlsplit(found.url).path))
    assert resolved.startswith(posixpath.dirname(unquote(urlsplit(base).path)) + "/")


@pytest.mark.parametrize("url", ITEMS[1:2] + ITEMS[3:])
@pytest.mark.parametrize("href", ["./0123abcd/embeddings.tif", "preview.png", "a-b_c/d.e.json"])
def test_an_href_means_what_it_means_to_a_browser(url: str, href: str) -> None:
    web_url = url.replace("s3://", "https://")
    expected = urljoin(web_url, href)
    assert Location.of(url).join(href).url.replace("s3://", "https://") == expected


def test_a_login_goes_on_to_the_files_of_the_same_folder() -> None:
    assert Location.of(ITEMS[2]).join("a.tif").url == "https://user:secret@host.example/store/c/2021/a.tif"


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "https://", "s3://bucket", "s3://bucket/", "gs://b/x", "http://[::1/x"]
)
def test_what_is_no_address_is_a_matter_of_set_up(url: str) -> None:
    with pytest.raises(ConfigError, match="give a path"):
        Location.of(url)


def test_what_people_read_holds_no_secret() -> None:
    assert str(Location.of("https://user:pw@host.example:8443/a/item.json?sig=secret#x")) == (
        "https://host.example:8443/a/item.json"
    )


def test_files_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "item.json").write_bytes(b"12345")
    (tmp_path / "a b" / "x.tif").write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)
    for url in ("a b/item.json", (tmp_path / "a b" / "item.json").as_uri()):
        item = Location.of(url)
        assert item.read(5) == b"12345"
        assert item.join("./x.tif").read(10) == b"abc"
        with pytest.raises(DataError, match="larger than 4 bytes"):
            item.read(4)
        with pytest.raises(DataError, match="not a file that is there"):
            item.join("y.tif").read(10)
    saved = Location.of("a b/x.tif").save(tmp_path / "copy", 3)
    assert (saved.size, saved.sha256) == (3, hashlib.sha256(b"abc").hexdigest())
    assert (tmp_path / "copy").read_bytes() == b"abc"


class Handler(BaseHTTPRequestHandler):
    """Answers what the path says."""

    def do_GET(self) -> None:
        status = int(self.path.strip("/").partition("/")[0].partition("?")[0])
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere?sig=secret")
        body = b"0123456789"
        torn = "torn" in self.path
        self.send_header("Content-Length", str(len(body) * (2 if torn else 1)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Location]]:
    monkeypatch.setattr(web, "RETRIES", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield lambda path: Location.of(f"http://127.0.0.1:{httpd.server_port}/{path}?sig=secret")
        httpd.shutdown()
        thread.join()


def test_a_web_server_is_read(server: Callable[[str], Location]) -> None:
    assert server("200/x").read(10) == b"0123456789"
    with pytest.raises(DataError, match="larger than 9 bytes"):
        server("200/x").read(9)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("404", DataError),
        ("410", DataError),
        ("401", ConfigError),
        ("403", ConfigError),
        ("400", ConfigError),
        ("204", ConfigError),
        ("429", TransientError),
        ("500", TransientError),
        ("503", TransientError),
        ("599", TransientError),
        ("302", TransientError),
        ("200/torn", TransientError),
    ],
)
def test_each_answer_is_one_error(server: Callable[[str], Location], path: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        server(path).read(100)
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith("http://127.0.0.1")


def test_a_server_that_is_not_there_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "RETRIES", 0)
    with pytest.raises(TransientError, match="cannot be reached"):
        Location.of("http://127.0.0.1:9/x").read(1)


def test_what_nobody_knows_passes_untouched() -> None:
    with pytest.raises(ZeroDivisionError), web.web_errors("here"):
        raise ZeroDivisionError


def test_objects_of_a_bucket(
    s3_endpoint: str, s3_owner: tuple[str, str], s3_stranger: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": s3_owner[0],
        "AWS_SECRET_ACCESS_KEY": s3_owner[1],
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("s3")
    client.create_bucket(Bucket="locations")
    client.put_object(Bucket="locations", Key="c/item.json", Body=b"{}")
    client.put_object(Bucket="locations", Key="c/a/x.tif", Body=b"abc")
    client.close()
    item = Location.of("s3://locations/c/item.json")
    assert item.read(10) == b"{}"
    assert item.join("./a/x.tif").read(10) == b"abc"
    with pytest.raises(DataError, match="is not there"):
        item.join("y.tif").read(10)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_stranger[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_stranger[1])
    with pytest.raises(ConfigError, match="may not be read"):
        item.read(10)

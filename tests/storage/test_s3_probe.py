"""Opening a bucket as a store: what is refused, on a real server and behind a proxy that takes conditions away."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from betaearth.errors import ConfigError, TransientError
from betaearth.storage.open import existing_store, open_store
from betaearth.storage.s3 import S3Store
from tests.s3_server import OWNER, owner_client


@contextmanager
def proxy(endpoint: str, *, without: frozenset[str]) -> Iterator[str]:
    """An endpoint that passes everything on but these headers, signed anew: botocore signs conditions too."""
    host = urlsplit(endpoint).netloc
    signer = S3SigV4Auth(Credentials(*OWNER), "s3", "us-east-1")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(host)
            dropped = without | {"expect", "host", "authorization"}
            headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
            request = AWSRequest(self.command, f"{endpoint}{self.path}", headers, data)
            signer.add_auth(request)
            connection.request(self.command, self.path, data, dict(request.headers))
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_DELETE = pass_on  # noqa: N815  # names of http.server

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def names(endpoint: str, uri: str) -> list[str]:
    client = owner_client(endpoint)
    found = client.list_objects_v2(Bucket=uri.removeprefix("s3://")).get("Contents", [])
    client.close()
    return [entry["Key"] for entry in found]


def test_a_bucket_that_keeps_conditions_is_opened_and_left_clean(s3_endpoint: str, s3_bucket: str) -> None:
    store = open_store(f"{s3_bucket}/a/b/")
    assert isinstance(store, S3Store)
    assert (store.bucket, store.prefix) == (s3_bucket.removeprefix("s3://"), "a/b")
    assert names(s3_endpoint, s3_bucket) == []
    assert store.create("key", b"data")
    assert names(s3_endpoint, s3_bucket) == ["a/b/key"]
    assert existing_store(store.uri).read("key") == b"data"
    assert store.uri == f"{s3_bucket}/a/b"
    assert store.href("key") == f"{s3_bucket}/a/b/key"


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (frozenset({"if-none-match"}), r"overwrites what may only be created .*proxy"),
        (frozenset({"if-match"}), r"overwrites an object whose ETag is another one .*proxy"),
    ],
)
def test_a_service_that_does_not_keep_conditions_is_refused(
    s3_endpoint: str,
    s3_bucket: str,
    s3_environment: Callable[..., dict[str, str]],
    without: frozenset[str],
    message: str,
) -> None:
    with proxy(s3_endpoint, without=without) as endpoint:
        s3_environment(endpoint)
        with pytest.raises(ConfigError, match=message):
            open_store(f"{s3_bucket}/p")
    assert names(s3_endpoint, s3_bucket) == []


def test_the_proxy_alone_is_no_reason(
    s3_endpoint: str, s3_bucket: str, s3_environment: Callable[..., dict[str, str]]
) -> None:
    with proxy(s3_endpoint, without=frozenset()) as endpoint:
        s3_environment(endpoint)
        assert open_store(f"{s3_bucket}/p").create("key", b"")


@pytest.mark.parametrize("open_it", [open_store, existing_store])
def test_a_missing_bucket_and_a_forbidden_one_are_named(
    s3_endpoint: str,
    s3_bucket: str,
    s3_environment: Callable[..., dict[str, str]],
    s3_stranger: tuple[str, str],
    open_it: Callable[[str], object],
) -> None:
    for _ in range(2):  # trying makes none
        with pytest.raises(ConfigError, match=f"{s3_bucket}-not/p: there is no such bucket"):
            open_it(f"{s3_bucket}-not/p")
    s3_environment(s3_endpoint, s3_stranger)
    with pytest.raises(ConfigError, match=f"{s3_bucket} may not be"):
        open_it(s3_bucket)


@pytest.mark.parametrize("open_it", [open_store, existing_store])
def test_no_server_is_a_transient_error(
    s3_environment: Callable[..., dict[str, str]], open_it: Callable[[str], object]
) -> None:
    s3_environment("http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")
    with pytest.raises(TransientError, match="no connection"):
        open_it("s3://bucket/p")


@pytest.mark.parametrize("open_it", [open_store, existing_store])
@pytest.mark.parametrize(
    "uri",
    [
        *(
            "s3://",
            "s3:///p",
            "s3://a",
            "s3://bu_c?ket/p",
            "s3://bucket/a/../b",
            "s3://bucket/.tmp",
            "s3://bucket/a//b",
        ),
        *("s3://My-Bucket/p", "s3://my_bucket/p", "s3://-bucket/p", f"s3://{'b' * 64}/p"),
    ],
)
def test_what_names_no_bucket_or_prefix_is_refused(uri: str, open_it: Callable[[str], object]) -> None:
    with pytest.raises(ConfigError, match=r"names no bucket|is no store"):
        open_it(uri)

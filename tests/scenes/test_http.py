"""The client against a real server on the loopback that fails on purpose."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.scenes.http import Client, Patience
from tests.scenes.conftest import Fault, FileServer

BODY = bytes(range(256)) * 400
QUICK = Patience(connect_s=2.0, read_s=2.0, retries=3, backoff_s=0.01)


@pytest.fixture
def server(file_server: FileServer) -> FileServer:
    (file_server.root / "a.bin").write_bytes(BODY)
    return file_server


@pytest.fixture
def client(server: FileServer) -> Client:  # noqa: ARG001
    return Client(patience=QUICK)


def test_all_or_a_range(server: FileServer, client: Client) -> None:
    assert client.get(f"{server.url}/a.bin").body == BODY
    answer = client.get(f"{server.url}/a.bin", span=(1000, 5000))
    assert (answer.status, answer.body) == (206, BODY[1000:5000])
    assert answer.headers["content-range"] == f"bytes 1000-4999/{len(BODY)}"
    assert client.traffic.requests == len(server.seen) == 2
    assert client.traffic.bytes == server.sent == len(BODY) + 4000
    assert server.headers[0]["User-Agent"].startswith("betaearth/")


@pytest.mark.parametrize("kind", ["reset", "cut", "slow"])
def test_an_answer_that_breaks_off_is_asked_for_again(kind: str, server: FileServer) -> None:
    server.faults["a.bin"] = Fault(kind, times=2, delay_s=0.4)
    client = Client(patience=Patience(connect_s=2.0, read_s=0.2, retries=3, backoff_s=0.01))
    assert client.get(f"{server.url}/a.bin", span=(10, 90_000)).body == BODY[10:90_000]
    assert client.traffic.requests == len(server.seen) == 3


@pytest.mark.parametrize("kind", ["reset", "cut", "slow"])
def test_an_answer_that_breaks_off_for_ever(kind: str, server: FileServer) -> None:
    server.faults["a.bin"] = Fault(kind, times=99, delay_s=0.3)
    client = Client(patience=Patience(connect_s=2.0, read_s=0.1, retries=1, backoff_s=0.01))
    with pytest.raises(TransientError, match=r"/a\.bin: no whole answer"):
        client.get(f"{server.url}/a.bin?sig=hushhush", span=(10, 90_000))
    assert server.served["a.bin"] == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_trouble_of_moments_is_overcome(status: int, server: FileServer, client: Client) -> None:
    server.faults["a.bin"] = Fault("status", times=3, status=status)
    assert client.get(f"{server.url}/a.bin").body == BODY
    assert server.served["a.bin"] == client.traffic.requests == 4


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_that_lasts(status: int, server: FileServer, client: Client) -> None:
    server.faults["a.bin"] = Fault("status", times=99, status=status)
    with pytest.raises(TransientError, match=rf"cannot answer now \({status}\)"):
        client.get(f"{server.url}/a.bin?sig=hushhush")
    assert server.served["a.bin"] == 4


def test_retry_after_is_obeyed(server: FileServer, client: Client) -> None:
    server.faults["a.bin"] = Fault("status", status=429, headers={"Retry-After": "1"})
    begun = time.monotonic()
    assert client.get(f"{server.url}/a.bin").body == BODY
    assert 1.0 <= time.monotonic() - begun < 5.0


@pytest.mark.parametrize("wait", ["3600", "Thu, 31 Dec 2099 23:59:59 GMT"])
def test_minutes_are_not_slept(wait: str, server: FileServer, client: Client) -> None:
    server.faults["a.bin"] = Fault("status", times=99, status=503, headers={"Retry-After": wait})
    with pytest.raises(TransientError, match=f"503, wait {wait}"):
        client.get(f"{server.url}/a.bin")
    assert server.served["a.bin"] == 1


def test_a_retry_after_that_is_none(server: FileServer, client: Client) -> None:
    server.faults["a.bin"] = Fault("status", status=503, headers={"Retry-After": "soon"})
    assert client.get(f"{server.url}/a.bin").body == BODY


@pytest.mark.parametrize(
    ("status", "expected", "words"),
    [
        (401, ConfigError, "may not be read"),
        (403, ConfigError, "may not be read"),
        (404, DataError, "is not there"),
        (410, DataError, "is not there"),
        (408, TransientError, "cannot answer now"),
        (416, DataError, "ends before"),
        (418, ConfigError, "refuses the request"),
        (501, TransientError, "cannot answer now"),
    ],
)
def test_what_a_status_means(
    status: int, expected: type[Exception], words: str, server: FileServer, client: Client
) -> None:
    server.faults["a.bin"] = Fault("status", times=99, status=status)
    with pytest.raises(expected, match=words) as caught:
        client.get(f"{server.url}/a.bin?sig=hushhush")
    assert f"{server.url}/a.bin" in str(caught.value)
    assert "hushhush" not in str(caught.value)
    assert server.served["a.bin"] == 1


def test_a_server_without_ranges(server: FileServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults["a.bin"] = Fault("whole", times=99)
    answer = client.get(f"{server.url}/a.bin", span=(10, 20))
    assert (answer.status, answer.body) == (200, BODY)
    monkeypatch.setattr("betaearth.scenes.http.WHOLE_FILE", len(BODY) - 1)
    with pytest.raises(ConfigError, match="range requests"):
        client.get(f"{server.url}/a.bin", span=(10, 20))
    assert client.traffic.bytes == len(BODY)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "address", ["http:///nowhere?sig=hushhush", "http://[?sig=hushhush", "http://host:port/?sig=hushhush"]
)
def test_what_is_no_address(address: str, client: Client) -> None:
    with pytest.raises(ConfigError) as caught:
        client.get(address)
    assert "hushhush" not in str(caught.value)


def test_nobody_answers(client: Client) -> None:
    with pytest.raises(TransientError, match=r"http://127\.0\.0\.1:1/a\.bin: no whole answer"):
        client.get("http://127.0.0.1:1/a.bin?sig=hushhush")


@pytest.fixture
def liar() -> Iterator[str]:
    """A server that answers with something other than HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"\x00\x01\x02\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_server_that_does_not_speak_http(liar: str, client: Client) -> None:
    with pytest.raises(TransientError, match="no whole answer"):
        client.get(liar)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_the_environments_proxy(variable: str, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, server.url.replace("http://", "http://user:hush@"))
    assert Client(patience=QUICK).get("http://far.example.org/a.bin?b=1").body == BODY
    assert server.seen[0].startswith("http://far.example.org/a.bin?b=1 ")
    assert server.headers[0]["Proxy-Authorization"] == "Basic dXNlcjpodXNo"


def test_hosts_that_need_no_proxy(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert Client(patience=QUICK).get(f"{server.url}/a.bin").body == BODY


def test_a_proxy_of_an_unknown_kind(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1:1")
    with pytest.raises(ConfigError, match="proxy"):
        Client(patience=QUICK).get(f"{server.url}/a.bin")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_authorities_of_the_environment(
    variable: str, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    pool = Client(patience=QUICK)._pool("https://example.org/")
    assert pool.connection_pool_kw["ca_cert_dir"] == str(tmp_path)
    monkeypatch.setenv(variable, str(tmp_path / "a.bin"))
    pool = Client(patience=QUICK)._pool("https://example.org/")
    assert pool.connection_pool_kw["ca_certs"] == str(tmp_path / "a.bin")
    monkeypatch.setenv(variable, str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match=rf"{variable} names .*none\.pem, which is not there"):
        Client(patience=QUICK).get("https://127.0.0.1:1/a.bin")
    assert server.seen == []


def test_no_redirect_leads_into_the_clear(server: FileServer, client: Client) -> None:
    """A pool for protected addresses refuses others, wherever they come from."""
    pool = client._pool("https://example.org/")
    assert set(pool.key_fn_by_scheme) == {"https"}
    assert set(client._pool(server.url).key_fn_by_scheme) == {"http", "https"}


def test_redirects_are_followed(server: FileServer, client: Client) -> None:
    server.faults["b.bin"] = Fault("status", status=302, headers={"Location": f"{server.url}/a.bin"})
    assert client.get(f"{server.url}/b.bin").body == BODY


def test_logs_tell_no_secrets(server: FileServer, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")  # a kubernetes.client.Configuration of another test hushes it
    server.faults["a.bin"] = Fault("reset", times=1)
    client.get(f"{server.url}/a.bin?se=1&sig=hushhush", span=(0, 90_000))
    server.faults["a.bin"] = Fault("status", times=1)
    client.get(f"{server.url}/a.bin?se=1&sig=hushhush")
    server.faults["b.bin"] = Fault("status", status=302, headers={"Location": f"{server.url}/a.bin?sig=hushhush"})
    client.get(f"{server.url}/b.bin?sig=hushhush")
    with pytest.raises(TransientError):
        client.get("http://127.0.0.1:1/a.bin?sig=hushhush")
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert said.count("a.bin") > 5
    assert "hush" not in said
    assert "?" not in said


def test_threads_share_a_client(server: FileServer, client: Client) -> None:
    read: list[Any] = []
    spans = [(start, start + 700) for start in range(0, 32_000, 1000)]
    threads = [
        threading.Thread(
            target=lambda span=span: read.append(
                client.get(f"{server.url}/a.bin", span=span).body == BODY[span[0] : span[1]]
            )
        )
        for span in spans
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [True] * 32
    assert (client.traffic.requests, client.traffic.bytes) == (32, 32 * 700)

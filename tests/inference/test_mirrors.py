"""Reading from mirrors: addresses, and a web server on the loopback with its faults."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import LocationParseError

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.inference.mirrors import Mirror
from betaearth.storage.web import stream_web, web_errors
from tests.weights_server import WeightsServer

PLACE = "betaearth-rgb-only/model.pt"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def read(mirror: str, place: str = PLACE) -> bytes:
    return b"".join(Mirror(mirror).read(place))


def test_a_folder_is_read_by_path_and_uri(tmp_path: Path) -> None:
    (tmp_path / "betaearth-rgb-only").mkdir()
    (tmp_path / PLACE).write_bytes(b"tensors")
    for uri in (str(tmp_path), tmp_path.as_uri(), f"{tmp_path}/"):
        assert read(uri) == b"tensors"
        assert Mirror(uri).address == tmp_path.as_uri()
    assert Mirror(str(tmp_path)).origin("asterisk-labs/betaearth-rgb-only", PLACE) == (
        "asterisk-labs/betaearth-rgb-only/model.pt"
    )
    with pytest.raises(DataError, match="not a file that is there"):
        read(str(tmp_path), "betaearth-rgb-only/other.pt")


def test_a_large_file_arrives_in_pieces(weights_server: WeightsServer) -> None:
    data = os.urandom(3_500_000)
    weights_server.files[f"/a folder/{PLACE}"] = data
    pieces = list(Mirror(f"{weights_server.url}/a%20folder/").read(PLACE))
    assert b"".join(pieces) == data
    assert len(pieces) >= 4


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_fault_of_moments_passes_and_one_that_stays_may_pass_later(
    weights_server: WeightsServer, status: int
) -> None:
    weights_server.files[f"/{PLACE}"] = b"tensors"
    weights_server.fail("GET", PLACE, times=3, status=status)
    assert read(weights_server.url) == b"tensors"
    weights_server.fail("GET", PLACE, status=status)
    with pytest.raises(TransientError, match=f"cannot answer now .{status}."):
        read(weights_server.url)


@pytest.mark.parametrize("status", [400, 401, 403, 418])
def test_a_refusal_is_a_matter_of_the_set_up(weights_server: WeightsServer, status: int) -> None:
    weights_server.fail("GET", PLACE, status=status)
    with pytest.raises(ConfigError, match=f"the server answers {status}"):
        read(weights_server.url)


def test_what_is_not_there(weights_server: WeightsServer) -> None:
    with pytest.raises(DataError, match="is not there"):
        read(weights_server.url)


def test_a_body_that_is_cut(weights_server: WeightsServer) -> None:
    weights_server.files[f"/{PLACE}"] = os.urandom(100_000)
    weights_server.fail("GET", PLACE, cut=5000)
    with pytest.raises(TransientError, match="did not arrive whole"):
        read(weights_server.url)


def test_an_address_that_a_server_sends_to_is_not_repeated() -> None:
    with pytest.raises(ConfigError, match="sends to one that is none") as refusal, web_errors("https://host/x"):
        raise LocationParseError("https://elsewhere:99999/?secret")
    assert "secret" not in str(refusal.value)


def test_nobody_listens(refused: str) -> None:
    with pytest.raises(TransientError, match=rf"{refused}/{PLACE} cannot be reached"):
        read(refused)


def test_credentials_are_used_and_never_shown(weights_server: WeightsServer) -> None:
    weights_server.files[f"/base/{PLACE}"] = b"tensors"
    address = weights_server.url.removeprefix("http://")
    mirror = Mirror(f"http://user:p%40ss@{address}/base/?token=secret")
    assert b"".join(mirror.read(PLACE)) == b"tensors"
    assert weights_server.authorised == ["Basic " + base64.b64encode(b"user:p@ss").decode()]
    assert mirror.address == f"http://{address}/base"
    assert mirror.origin("asterisk-labs/betaearth-rgb-only", PLACE) == f"http://{address}/base/{PLACE}"
    weights_server.fail("GET", PLACE, status=403)
    with pytest.raises(ConfigError) as refusal:
        list(mirror.read(PLACE))
    assert not {"p%40ss", "p@ss", "secret"} & set(str(refusal.value).replace("/", " ").replace(":", " ").split())


def test_what_is_read_in_the_clear_leads_nowhere_else(weights_server: WeightsServer) -> None:
    weights_server.files[f"/{PLACE}"] = b"tensors"
    weights_server.fail("GET", "/old", status=302, headers={"Location": f"{weights_server.url}/{PLACE}"})
    with pytest.raises(ConfigError, match="the server answers 302"):
        read(weights_server.url, "old")
    assert weights_server.asked == ["GET /old"]


@pytest.mark.parametrize("uri", ["ftp://host/x", "http://", "https:///path", "s3://", "hub://x"])
def test_what_is_no_mirror(uri: str) -> None:
    with pytest.raises(ConfigError, match="is no mirror: give https://host/path, s3://bucket/prefix, or a folder"):
        Mirror(uri)


@pytest.mark.parametrize(
    "uri",
    ["https://user:secret@[host/x?secret", "https://user:secret@host:99999/x?secret", "https://user:secret/@host"],
)
def test_an_address_that_cannot_be_read_is_not_repeated(uri: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read: give https://host/path") as refusal:
        Mirror(uri)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("host", ["example.org", "192.0.2.1", "127.0.0.1.example.org"])
def test_nothing_is_read_in_the_clear_from_other_machines(host: str) -> None:
    with pytest.raises(ConfigError, match="https:// is needed"):
        Mirror(f"http://{host}/weights")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "127.9.9.9:1", "[::1]:80"])
def test_this_machine_may_be_read_in_the_clear(host: str) -> None:
    assert Mirror(f"http://{host}/weights").address == f"http://{host}/weights"


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a certificate that nobody has signed, and that certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the program openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names], check=True, capture_output=True)

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def do_GET(self) -> None:
            places = {
                "/moved": "/certificate.pem",
                "/leave": f"http://localhost:{server.server_port}/certificate.pem",
            }
            if self.path not in places:
                super().do_GET()
                return
            self.send_response(302)
            self.send_header("Location", places[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://localhost:{server.server_port}", certificate
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_certificate_is_checked(untrusted: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, certificate = untrusted
    with pytest.raises(ConfigError, match="certificate cannot be trusted"):
        list(stream_web(f"{url}/certificate.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for path in ("certificate.pem", "moved"):
        assert b"".join(stream_web(f"{url}/{path}")) == certificate.read_bytes()
    with pytest.raises(ConfigError, match="sends to one that is none"):
        list(stream_web(f"{url}/leave"))

"""Reading one object, against a real S3 server and the loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.objects import read_object, stream_object
from betaearth.storage.s3_errors import s3_errors


@pytest.fixture(autouse=True)
def _no_credentials_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


BUCKET = "tile-years"


def use(monkeypatch: pytest.MonkeyPatch, endpoint: str, user: tuple[str, str] = ("key", "secret")) -> None:
    """Make an endpoint and a user the ones that boto3's own chain of settings finds."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", user[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", user[1])
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture(scope="module")
def bucket(s3_endpoint: str, s3_owner: tuple[str, str]) -> Iterator[Any]:
    """A bucket of the real server."""
    key, secret = s3_owner
    session = boto3.session.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1")
    resource = session.resource("s3", endpoint_url=s3_endpoint)
    bucket = resource.Bucket(BUCKET)
    bucket.create()
    yield bucket
    resource.meta.client.close()


@pytest.fixture
def _as_owner(monkeypatch: pytest.MonkeyPatch, s3_endpoint: str, s3_owner: tuple[str, str]) -> None:
    use(monkeypatch, s3_endpoint, s3_owner)


@contextmanager
def answering(status: int, body: bytes, *, cut: bool = False) -> Iterator[str]:
    """An endpoint that gives the same answer to everything; `cut` promises more bytes than it sends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + (1000 if cut else 0)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def xml_error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said so</Message></Error>".encode()


def test_local_paths_and_file_uris_are_read(tmp_path: Path) -> None:
    path = tmp_path / "with space#.json"
    path.write_bytes(b"{}")
    assert read_object(str(path)) == b"{}"
    assert read_object(path.as_uri()) == b"{}"


def test_what_is_not_a_file_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path, tmp_path / "none", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match=path.name):
            read_object(str(path))


@pytest.mark.parametrize("uri", ["https://host/items.json", "s3://bucket", "s3://bucket/", "s3:///key", ""])
def test_other_uris_are_refused_with_what_would_be_right(uri: str) -> None:
    with pytest.raises(ConfigError, match="give a path"):
        read_object(uri)


@pytest.mark.usefixtures("_as_owner")
def test_an_object_is_read_from_s3(bucket: Any) -> None:
    data = bytes(range(256)) * 40_000
    bucket.put_object(Key="a folder/ü+items.json", Body=data)
    assert read_object(f"s3://{BUCKET}/a folder/ü+items.json") == data


@pytest.mark.usefixtures("_as_owner")
def test_an_object_comes_piece_by_piece(bucket: Any, tmp_path: Path) -> None:
    data = bytes(range(256)) * 12_000
    (tmp_path / "large").write_bytes(data)
    bucket.put_object(Key="large", Body=data)
    for uri in (str(tmp_path / "large"), f"s3://{BUCKET}/large"):
        pieces = list(stream_object(uri))
        assert b"".join(pieces) == data
        assert 1 < len(pieces) <= 8
        partly = stream_object(uri)
        assert data.startswith(next(partly))
        partly.close()


@pytest.mark.usefixtures("bucket", "_as_owner")
def test_a_missing_key_is_a_data_error() -> None:
    with pytest.raises(DataError, match="nothing-here"):
        read_object(f"s3://{BUCKET}/nothing-here")


@pytest.mark.usefixtures("_as_owner")
def test_a_missing_bucket_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="no such bucket"):
        read_object("s3://not-a-bucket/key")


def test_a_refused_user_is_a_config_error(
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
    s3_endpoint: str,
    s3_owner: tuple[str, str],
    s3_stranger: tuple[str, str],
) -> None:
    bucket.put_object(Key="held", Body=b"x")
    key, secret = s3_owner
    for user, advice in (
        (s3_stranger, "credentials and their policy, which must allow s3:GetObject"),
        ((key, "wrong-secret"), "the secret key is not that of the key id, or this machine's clock"),
        (("unknown-key", secret), "credentials"),
    ):
        use(monkeypatch, s3_endpoint, user)
        with pytest.raises(ConfigError, match=advice):
            read_object(f"s3://{BUCKET}/held")


@pytest.mark.usefixtures("_as_owner")
def test_no_credentials_are_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigError, match="credentials"):
        read_object(f"s3://{BUCKET}/held")


def test_an_unknown_profile_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match="nobody"):
        read_object("s3://bucket/key")


def test_no_server_is_a_transient_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        # Bound but not listening: every connection is refused.
        taken.bind(("127.0.0.1", 0))
        use(monkeypatch, f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(TransientError, match="no connection"):
            read_object("s3://bucket/key")


def test_a_body_that_breaks_off_is_a_transient_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, b"half", cut=True) as endpoint:
        use(monkeypatch, endpoint)
        with pytest.raises(TransientError, match="broke"):
            read_object("s3://bucket/key")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (503, "SlowDown", TransientError),
        (500, "InternalError", TransientError),
        (429, "TooManyRequests", TransientError),
        (400, "ExpiredToken", TransientError),
        (400, "RequestTimeout", TransientError),
        (403, "AccessDenied", ConfigError),
        (403, "SomethingElse", ConfigError),
        (404, "NoSuchBucket", ConfigError),
        (404, "NoSuchKey", DataError),
    ],
)
def test_what_a_server_says_is_translated(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, error: type[Exception]
) -> None:
    with answering(status, xml_error(code)) as endpoint:
        use(monkeypatch, endpoint)
        with pytest.raises(error, match="s3://bucket/key"):
            read_object("s3://bucket/key")


def test_what_is_unknown_passes_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(409, xml_error("OperationAborted")) as endpoint:
        use(monkeypatch, endpoint)
        with pytest.raises(ClientError, match="OperationAborted"):
            read_object("s3://bucket/key")


def test_an_error_that_is_not_of_s3_passes_untouched() -> None:
    with pytest.raises(ZeroDivisionError), s3_errors("s3://bucket/key"):
        _ = 1 // 0


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (exceptions.CredentialRetrievalError(provider="assume-role", error_msg="503"), TransientError),
        (exceptions.MetadataRetrievalError(error_msg="503"), TransientError),
        (exceptions.FlexibleChecksumError(error_msg="other bytes"), TransientError),
        (exceptions.UnauthorizedSSOTokenError(), ConfigError),
        (exceptions.PartialCredentialsError(provider="env", cred_var="key"), ConfigError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_credentials_that_fail_before_a_request(raised: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected, match="s3://bucket/key"), s3_errors("s3://bucket/key"):
        raise raised


@pytest.mark.usefixtures("_as_owner")
def test_credentials_are_looked_up_at_every_read(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotated secret must work without a new process, and nobody else's session may be in the way."""
    bucket.put_object(Key="held", Body=b"x")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    boto3.setup_default_session(aws_access_key_id="stale", aws_secret_access_key="stale")
    assert read_object(f"s3://{BUCKET}/held") == b"x"

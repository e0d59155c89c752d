"""Ranges of objects, against a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.objects import S3Ranges, part_of
from betaearth.storage.s3_client import S3Options

DATA = bytes(range(256)) * 10


@pytest.fixture
def uri(s3_endpoint: str, s3_owner: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_owner[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_owner[1])
    client = boto3.session.Session().client("s3")
    with suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket="ranges")
    client.put_object(Bucket="ranges", Key="a", Body=DATA)
    yield "s3://ranges/a"
    client.close()


def test_a_range(uri: str) -> None:
    ranges = S3Ranges()
    part = ranges.read(uri, 100, 200)
    assert (part.data, part.start, part.total) == (DATA[100:200], 100, len(DATA))
    assert part.version
    assert ranges.read(uri, len(DATA) - 5, len(DATA) + 1000).data == DATA[-5:]


def test_beyond_the_end(uri: str) -> None:
    with pytest.raises(DataError, match="ends before"):
        S3Ranges().read(uri, len(DATA), len(DATA) + 1)


def test_what_is_not_there(uri: str) -> None:
    with pytest.raises(DataError, match="is not there"):
        S3Ranges().read(f"{uri}b", 0, 1)
    with pytest.raises(ConfigError, match="give s3://bucket/key"):
        S3Ranges().read("s3://ranges", 0, 1)


@pytest.mark.parametrize("public", [{"AWS_NO_SIGN_REQUEST": "YES"}, {"AWS_ACCESS_KEY_ID": ""}])
def test_without_credentials_nothing_is_signed(public: dict[str, str], uri: str, monkeypatch: Any) -> None:
    """The server knows its bucket as a private one, so it says that the asker is nobody."""
    for name, value in public.items():
        monkeypatch.setenv(name, value)
        if not value:
            monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
            monkeypatch.delenv(name)
    client = S3Ranges()._client()
    assert client.meta.config.signature_version.__class__.__name__ != "str"
    with pytest.raises(ConfigError, match="may not be read"):
        S3Ranges().read(uri, 0, 1)


def test_whoever_asks_pays_where_told_so(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REQUEST_PAYER", "requester")
    ranges, seen = S3Ranges(), []
    ranges._client().meta.events.register("before-send.s3", lambda request, **_: seen.append(dict(request.headers)))
    assert ranges.read(uri, 0, 5).data == DATA[:5]
    assert seen[0]["x-amz-request-payer"] in {"requester", b"requester"}


@pytest.mark.parametrize("said", [None, "", "bytes */10", "bytes 0-4/*", "items 0-4/10"])
def test_an_answer_that_does_not_say_what_it_is(said: str | None) -> None:
    with pytest.raises(ConfigError, match="does not say which bytes"):
        part_of(said, b"12345", None, "a")


def test_an_answer_that_is_short() -> None:
    assert part_of("bytes 5-9/10", b"12345", '"v"', "a").total == 10
    with pytest.raises(TransientError, match="4 bytes of 5"):
        part_of("bytes 5-9/10", b"1234", None, "a")


def test_options_win_over_the_environment(uri: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert S3Ranges(S3Options(endpoint=s3_endpoint)).read(uri, 3, 9).data == DATA[3:9]

"""Reading one object by its URI, from this machine or from S3.

Credentials, region and endpoint come from boto3's own chain (`AWS_ENDPOINT_URL`, profiles, roles). botocore
retries for seconds; trouble that lasts is a `TransientError`.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.folder import folder_errors
from betaearth.storage.open import local_path

if TYPE_CHECKING:
    from botocore.client import BaseClient

CHUNK = 1 << 20
"""Bytes of a piece."""
CONNECTIONS = 128
"""Kept open to S3 by a reader of ranges: one for each file that may be read at once."""

_S3 = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]*)/(?P<key>.+)", re.DOTALL)

_CONTENT_RANGE = re.compile(r"bytes (?P<first>\d+)-(?P<last>\d+)/(?P<total>\d+)")

_MISSING = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_THROTTLED = {"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "TooManyRequests"}
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "Forbidden"}


def read_object(uri: str) -> bytes:
    """Read the whole of an object.

    Args:
        uri: a path, a `file://` URI, or `s3://bucket/key`.

    Raises:
        DataError: it is not there.
        ConfigError: it may not be read, its bucket is not there, or the URI is of another kind.
        TransientError: the server or the network failed.
    """
    return b"".join(stream_object(uri))


def stream_object(uri: str) -> Generator[bytes]:
    """Read an object piece by piece; nothing is opened before the first piece is asked for.

    Args:
        uri: a path, a `file://` URI, or `s3://bucket/key`.

    Raises:
        DataError: it is not there.
        ConfigError: it may not be read, its bucket is not there, or the URI is of another kind.
        TransientError: the server or the network failed.
    """
    path = local_path(uri)
    if path is None:
        yield from _stream_s3(uri)
        return
    try:
        with folder_errors(path), path.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise DataError(f"{uri} is not a file that is there") from error


def _stream_s3(uri: str) -> Generator[bytes]:
    match = _S3.fullmatch(uri)
    if match is None:
        raise ConfigError(f"{uri} cannot be read: give a path, file:///path or s3://bucket/key")
    from boto3.session import Session
    from botocore.config import Config

    with (
        s3_errors(uri),
        closing(Session().client("s3", config=Config(retries={"mode": "standard"}))) as client,
        closing(client.get_object(Bucket=match["bucket"], Key=match["key"])["Body"]) as body,
    ):
        yield from body.iter_chunks(CHUNK)


@dataclass(frozen=True)
class ObjectPart:
    """Some bytes of an object."""

    data: bytes
    start: int
    """Place of the first byte in the object."""
    total: int
    """Bytes of the whole object."""
    version: str | None
    """ETag: another one means that the object is another one; None where the server does not say."""


def part_of(content_range: str | None, data: bytes, version: str | None, where: str) -> ObjectPart:
    """Understand an answer to a request for a range of bytes.

    Args:
        content_range: its header of that name.
        data: its body.
        version: its ETag.
        where: how messages name the object.

    Raises:
        ConfigError: the header does not say which bytes of how many these are.
        TransientError: there are fewer or more bytes than it says.
    """
    match = _CONTENT_RANGE.fullmatch((content_range or "").strip())
    if match is None:
        raise ConfigError(f"{where}: the server does not say which bytes it sends (Content-Range {content_range})")
    first, last, total = (int(match[name]) for name in ("first", "last", "total"))
    if len(data) != last - first + 1:
        raise TransientError(f"{where}: the server sent {len(data)} bytes of {last - first + 1}")
    return ObjectPart(data, first, total, version)


class S3Ranges:
    """Reads ranges of objects over connections that stay open; threads share it.

    `AWS_REQUEST_PAYER=requester` and `AWS_NO_SIGN_REQUEST=YES` are obeyed as GDAL does; without any credentials
    requests are not signed either, which is enough for public buckets.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connected: BaseClient | None = None

    def read(self, uri: str, start: int, stop: int) -> ObjectPart:
        """Read bytes `start` to before `stop`, or to the end where that comes first.

        Args:
            uri: `s3://bucket/key`.
            start: first byte.
            stop: byte after the last, beyond `start`.

        Raises:
            DataError: the object is not there, or ends before `start`.
            ConfigError: it may not be read, its bucket is not there, or the URI is of another kind.
            TransientError: the server or the network failed.
        """
        match = _S3.fullmatch(uri)
        if match is None:
            raise ConfigError(f"{uri} cannot be read: give s3://bucket/key")
        payer = os.environ.get("AWS_REQUEST_PAYER")
        with s3_errors(uri):
            answer = self._client().get_object(
                Bucket=match["bucket"],
                Key=match["key"],
                Range=f"bytes={start}-{stop - 1}",
                **({"RequestPayer": payer} if payer else {}),
            )
            with closing(answer["Body"]) as body:
                data = body.read()
        return part_of(answer.get("ContentRange"), data, answer.get("ETag"), uri)

    def _client(self) -> BaseClient:
        with self._lock:
            if self._connected is None:
                self._connected = _connect()
            return self._connected


def _connect() -> BaseClient:
    from boto3.session import Session
    from botocore import UNSIGNED
    from botocore.config import Config

    session = Session()
    public = os.environ.get("AWS_NO_SIGN_REQUEST", "").upper() in {"YES", "TRUE", "ON", "1"}
    public = public or session.get_credentials() is None
    config = Config(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=CONNECTIONS,
        signature_version=UNSIGNED if public else None,
    )
    return session.client("s3", config=config)


@contextmanager
def s3_errors(uri: str) -> Iterator[None]:
    """Translate what boto3 says about an object; what it does not know passes untouched.

    Raises:
        DataError: there is no such object.
        ConfigError: there is no such bucket, no permission, or no credentials.
        TransientError: throttled, an expired token, credentials that a server gives out but not now, a server's fault,
            or no connection.
    """
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code == "NoSuchBucket":
            raise ConfigError(f"{uri}: there is no such bucket") from error
        if code in _MISSING:
            raise DataError(f"{uri} is not there") from error
        if code == "InvalidRange":
            raise DataError(f"{uri} is corrupt: it ends before what is asked for") from error
        if code in _EXPIRED:
            raise TransientError(f"{uri}: the credentials have expired ({code}); renewed ones will do") from error
        if code in _THROTTLED or status == 429 or status >= 500:
            raise TransientError(f"{uri}: the server cannot answer now ({status} {code})") from error
        if code in _REFUSED or status in {401, 403}:
            raise ConfigError(
                f"{uri} may not be read ({code}): check the credentials and their policy, which must allow "
                "s3:ListBucket too, or what is not there looks forbidden"
            ) from error
        raise
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.ProfileNotFound,
        exceptions.SSOError,
    ) as error:
        raise ConfigError(f"{uri} cannot be read without credentials: {error}") from error
    except (
        exceptions.CredentialRetrievalError,
        exceptions.MetadataRetrievalError,
        exceptions.TokenRetrievalError,
    ) as error:
        raise TransientError(f"{uri}: the credentials cannot be had now: {error}") from error
    except (
        exceptions.ConnectionError,
        exceptions.FlexibleChecksumError,
        exceptions.HTTPClientError,
        exceptions.IncompleteReadError,
        exceptions.ResponseStreamingError,
    ) as error:
        raise TransientError(f"{uri}: no connection, or it broke: {error}") from error

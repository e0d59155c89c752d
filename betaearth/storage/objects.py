"""Reading one object by its URI, from this machine or from S3.

Credentials, region and endpoint come from boto3's own chain (`AWS_ENDPOINT_URL`, profiles, roles). botocore
retries for seconds; trouble that lasts is a `TransientError`.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.folder import folder_errors
from betaearth.storage.open import local_path

CHUNK = 1 << 20
"""Bytes of a piece."""

_S3 = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]*)/(?P<key>.+)", re.DOTALL)

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


@contextmanager
def s3_errors(uri: str) -> Iterator[None]:
    """Translate what boto3 says about an object; what it does not know passes untouched.

    Raises:
        DataError: there is no such object.
        ConfigError: there is no such bucket, no permission, or no credentials.
        TransientError: throttled, an expired token, a server's fault, or no connection.
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
    ) as error:
        raise ConfigError(f"{uri} cannot be read without credentials: {error}") from error
    except (
        exceptions.ConnectionError,
        exceptions.HTTPClientError,
        exceptions.IncompleteReadError,
        exceptions.ResponseStreamingError,
    ) as error:
        raise TransientError(f"{uri}: no connection, or it broke: {error}") from error

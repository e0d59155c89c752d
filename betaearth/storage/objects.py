"""Reading one object by its URI, from this machine or from S3.

Credentials come from boto3's own chain, as do region and endpoint where `S3Options` leave them to it. botocore retries
for seconds; trouble that lasts is a `TransientError`.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.discretion import discreet
from betaearth.storage.folder import folder_errors
from betaearth.storage.open import local_path
from betaearth.storage.s3_client import S3Options, s3_client
from betaearth.storage.s3_errors import s3_errors

if TYPE_CHECKING:
    from botocore.client import BaseClient

CHUNK = 1 << 20
"""Bytes of a piece."""

_S3 = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]*)/(?P<key>.+)", re.DOTALL)

_CONTENT_RANGE = re.compile(r"bytes (?P<first>\d+)-(?P<last>\d+)/(?P<total>\d+)")


def read_object(uri: str, options: S3Options | None = None, *, limit: int | None = None) -> bytes:
    """Read the whole of an object.

    Args:
        uri: a path, a `file://` URI, or `s3://bucket/key`.
        options: where S3 is.
        limit: bytes beyond which no more is read, and it is refused.

    Raises:
        DataError: it is not there, or larger than `limit`.
        ConfigError: it may not be read, its bucket is not there, or the URI is of another kind.
        TransientError: the server or the network failed.
    """
    pieces, size = [], 0
    with closing(stream_object(uri, options)) as stream:
        for piece in stream:
            size += len(piece)
            if limit is not None and size > limit:
                raise DataError(f"{uri} has more than the {limit} bytes of such an object")
            pieces.append(piece)
    return b"".join(pieces)


def stream_object(uri: str, options: S3Options | None = None) -> Generator[bytes]:
    """Read an object piece by piece; nothing is opened before the first piece is asked for.

    Args:
        uri: a path, a `file://` URI, or `s3://bucket/key`.
        options: where S3 is.

    Raises:
        DataError: it is not there.
        ConfigError: it may not be read, its bucket is not there, or the URI is of another kind.
        TransientError: the server or the network failed.
    """
    path = local_path(uri)
    if path is None:
        yield from _stream_s3(uri, options)
        return
    try:
        with folder_errors(path), path.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise DataError(f"{uri} is not a file that is there") from error


def _stream_s3(uri: str, options: S3Options | None) -> Generator[bytes]:
    match = _S3.fullmatch(uri)
    if match is None:
        raise ConfigError(f"{discreet(uri)} cannot be read: give a path, file:///path or s3://bucket/key")
    with (
        s3_errors(uri),
        closing(s3_client(options, public=True).get_object(Bucket=match["bucket"], Key=match["key"])["Body"]) as body,
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

    def __init__(self, options: S3Options | None = None) -> None:
        """Prepare; nothing is connected yet.

        Args:
            options: where S3 is; None leaves it to the AWS environment.
        """
        self._options = options

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
            raise ConfigError(f"{discreet(uri)} cannot be read: give s3://bucket/key")
        with s3_errors(uri):
            answer = self._client().get_object(
                Bucket=match["bucket"],
                Key=match["key"],
                Range=f"bytes={start}-{stop - 1}",
            )
            with closing(answer["Body"]) as body:
                data = body.read()
        return part_of(answer.get("ContentRange"), data, answer.get("ETag"), uri)

    def _client(self) -> BaseClient:
        return s3_client(self._options, public=True)

"""Trying out a bucket: whether it is there, may be used, and keeps what the project rests on."""

from __future__ import annotations

import base64
import hashlib
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from betaearth.errors import ConfigError, TransientError
from betaearth.storage.keys import PROBE
from betaearth.storage.s3_client import s3_client
from betaearth.storage.s3_errors import CONFLICT, MISSING, code_of, s3_errors, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.client import BaseClient

    from betaearth.storage.s3 import S3Store


def probe_reading(store: S3Store) -> None:
    """See that a store may be listed; nothing is written.

    Raises:
        ConfigError: the bucket is not there, or may not be listed.
        TransientError: the server or the network failed.
    """
    with s3_errors(store.uri, "listed"):
        s3_client(store.options, public=store.public).list_objects_v2(
            Bucket=store.bucket, Prefix=store.prefix, MaxKeys=1
        )


def probe_conditions(store: S3Store) -> None:
    """See that a store may be written, and that it refuses what a condition forbids.

    One object below `.probe/` is created, created again, updated with a wrong and with the right etag, and deleted.

    Raises:
        ConfigError: a condition is not kept, or the bucket is not there or may not be written.
        TransientError: the server or the network failed.
    """
    client = s3_client(store.options, public=store.public)
    lead = f"{store.prefix}/" if store.prefix else ""
    probe = _Probe(client, store.uri, store.bucket, f"{lead}{PROBE}/{uuid.uuid4().hex}")
    with s3_errors(store.uri, "written"), probe.cleared():
        first = probe.put(b"first", IfNoneMatch="*")
        if first is None:
            raise _not_kept(store.uri, "refuses to create an object that is not there (If-None-Match: *)")
        if probe.put(b"again", IfNoneMatch="*") is not None:
            raise _not_kept(store.uri, "overwrites what may only be created (If-None-Match: *)")
        second = probe.put(b"second", IfMatch=first)
        if second is None:
            raise _not_kept(store.uri, "refuses an update with the right ETag (If-Match)")
        if probe.put(b"third", IfMatch=first) is not None:
            raise _not_kept(store.uri, "overwrites an object whose ETag is another one (If-Match)")


@dataclass(frozen=True)
class _Probe:
    """One object to try things out with."""

    client: BaseClient
    uri: str
    bucket: str
    name: str

    def put(self, data: bytes, **details: str) -> str | None:
        """Write; the ETag, or None where the service refuses because of the condition.

        Raises:
            TransientError: it refuses a request that was sent several times.
        """
        from botocore.exceptions import ClientError

        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        try:
            answer: dict[str, Any] = self.client.put_object(
                Bucket=self.bucket, Key=self.name, Body=data, **{"ChecksumSHA256": checksum, **details}
            )
        except ClientError as error:
            if status_of(error) != 412 and code_of(error) not in {*MISSING, CONFLICT}:
                raise
            if error.response["ResponseMetadata"].get("RetryAttempts"):
                # The first sending may have been carried out, and be what refuses the second.
                raise TransientError(f"{self.uri}: an answer was lost while it was tried out; try again") from error
            return None
        return str(answer["ETag"])

    @contextmanager
    def cleared(self) -> Iterator[None]:
        """Leave nothing behind, as far as the service lets us."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        finally:
            with suppress(BotoCoreError, ClientError):
                self.client.delete_object(Bucket=self.bucket, Key=self.name)


def _not_kept(uri: str, what: str) -> ConfigError:
    return ConfigError(
        f"{uri} cannot be a store: the service {what}, so that concurrent writers would lose each other's work. Take "
        "one that keeps conditional writes (AWS S3, Cloudflare R2, MinIO, SeaweedFS), bring it up to date, or let no "
        "proxy between strip these headers"
    )

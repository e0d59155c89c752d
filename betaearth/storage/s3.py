"""A store that is a prefix of an S3 bucket, on any service that keeps conditional writes.

Every object is uploaded with the sha256 of its bytes, so that the service refuses others. An ETag is used for what it
is, a mark that changes with the bytes, and never as their checksum.

**A lost answer.** botocore sends a request again where its answer did not arrive. If the first one had been carried
out, the second meets its own work and is refused (412). Each write therefore carries a mark of its own, and where a
refused request had been sent several times, the mark of what is there says whose it is. One case is left: an `update`
whose answer was lost and that another has replaced already is told False though it was there for a moment. Whoever
merges again, as `betaearth.stac.merging` does, finds his part in what is there.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.keys import check_key, check_prefix
from betaearth.storage.media import cache_control, media_type
from betaearth.storage.s3_client import S3Options, s3_client
from betaearth.storage.s3_errors import CONFLICT, MISSING, code_of, s3_errors, status_of
from betaearth.storage.s3_listing import Listing, entry_of
from betaearth.storage.s3_upload import SHA256, Upload
from betaearth.storage.store import Entry, Store, Stored, check_range

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.exceptions import ClientError

CHUNK = 1 << 20
"""Bytes of a piece of a stream."""

_MARK = "betaearth-write"
"""Metadata that tells one write from another."""


@dataclass(frozen=True)
class S3Store(Store):
    """Objects below a prefix of a bucket; it holds no connection of its own, and goes to other processes as it is."""

    bucket: str
    prefix: str
    """Without slashes at its ends; empty for the whole bucket."""
    options: S3Options = field(default_factory=S3Options)
    public: bool = False
    """Whether a reader without credentials asks unsigned."""

    @property
    def uri(self) -> str:
        """The store as `s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def href(self, key: str) -> str:
        """The object as `s3://bucket/prefix/key`, which GDAL opens with `betaearth.storage.gdal.gdal_options`.

        Raises:
            DataError: it is no key.
        """
        return f"s3://{self.bucket}/{self._name(key)}"

    def stat(self, key: str) -> Entry | None:
        """What a listing would tell of one object; None where there is none."""
        head = self._head(key)
        if head is None:
            return None
        return entry_of(key, head["ContentLength"], head["LastModified"], head["ETag"])

    def sha256(self, key: str) -> str | None:
        """Digest of an object's bytes, without fetching them; None where nobody vouches for one.

        The service itself vouches for what was uploaded in one request: it compared the digest of all bytes. For what
        was uploaded in parts it compared that of every part; the digest of the whole is then the uploader's word, who
        took it of the bytes of the same parts (`Upload`).
        """
        head = self._head(key)
        return None if head is None else _vouched(head)

    def find(self, key: str, *, limit: int | None = None) -> Stored | None:
        """Read an object with its etag; None where there is none.

        Raises:
            DataError: it is no key, or the object is larger than `limit`.
        """
        with s3_errors(self.href(key)):
            answer = self._get(key)
            if answer is None:
                return None
            with closing(answer["Body"]) as body:
                size = answer["ContentLength"]
                if limit is not None and size > limit:
                    raise DataError(f"{self.href(key)} has {size} bytes, more than the {limit} of such an object")
                return Stored(body.read(), answer["ETag"])

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        """Read bytes `start` to before `stop`, or to the end where that comes first.

        Raises:
            DataError: it is no key, there is no such object, or it ends before `start`, or these are no bytes.
        """
        check_range(start, stop)
        with s3_errors(self.href(key)):
            answer = self._get(key, Range=f"bytes={start}-{stop - 1}")
            if answer is None:
                raise self.absent(key)
            with closing(answer["Body"]) as body:
                data: bytes = body.read()
        if len(data) > stop - start:
            raise ConfigError(f"{self.href(key)}: the server sends all of it and not the bytes asked for")
        return data

    def stream(self, key: str) -> Generator[bytes]:
        """Read an object piece by piece.

        Raises:
            DataError: it is no key, or there is no such object.
        """
        with s3_errors(self.href(key)):
            answer = self._get(key)
            if answer is None:
                raise self.absent(key)
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(CHUNK)

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with a prefix, sorted by code point, lazily."""
        for entry in self.entries(prefix):
            yield entry.key

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield what a listing tells of the objects whose keys start with a prefix, sorted by key, lazily.

        What is no key, such as the empty objects by which consoles show folders, is passed over.

        Raises:
            DataError: the prefix leaves the store.
        """
        check_prefix(prefix)
        return Listing(self._client(), self.bucket, self._lead).below(prefix)

    def create(self, key: str, data: bytes) -> bool:
        """Create an object; False, and nothing changed, if there is one of that key.

        Raises:
            DataError: it is no key.
            TransientError: also where another writes or deletes it at the same time, and nobody's object is there.
        """
        return self._write(key, data, IfNoneMatch="*")

    def update(self, key: str, data: bytes, etag: str) -> bool:
        """Replace an object that still has this etag; False, and nothing changed, if it has not, or is not there."""
        return self._write(key, data, IfMatch=etag)

    def put_file(self, key: str, path: Path) -> None:
        """Store a copy of a file whose key is derived from its content; what is there is never overwritten.

        Raises:
            DataError: it is no key, or other bytes are there already.
            TransientError: also where the file changed meanwhile.
        """
        href = self.href(key)
        upload = Upload.of(path)
        if self._holds(key, upload):
            return
        with s3_errors(href, "written"):
            upload.send(
                self._client(),
                {"Bucket": self.bucket, "Key": self._name(key), **_headers(key)},
                part_bytes=self.options.multipart_mib << 20,
            )
        if not self._holds(key, upload):
            raise TransientError(f"{href} is not there after its upload; another has deleted it")

    def delete(self, key: str) -> bool:
        """Remove an object; False where there was none."""
        if not self.exists(key):
            return False
        with s3_errors(self.href(key), "deleted"):
            self._client().delete_object(Bucket=self.bucket, Key=self._name(key))
        return True

    def _client(self) -> BaseClient:
        return s3_client(self.options, public=self.public)

    def _name(self, key: str) -> str:
        """Name of an object in the bucket."""
        check_key(key)
        return self._lead + key

    @property
    def _lead(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    def _head(self, key: str) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError

        with s3_errors(self.href(key)):
            try:
                head: Mapping[str, Any] = self._client().head_object(
                    Bucket=self.bucket, Key=self._name(key), ChecksumMode="ENABLED"
                )
            except ClientError as error:
                if code_of(error) in MISSING:
                    return None
                raise
        return head

    def _get(self, key: str, **details: str) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            answer: Mapping[str, Any] = self._client().get_object(Bucket=self.bucket, Key=self._name(key), **details)
        except ClientError as error:
            if code_of(error) in MISSING:
                return None
            raise
        return answer

    def _write(self, key: str, data: bytes, **condition: str) -> bool:
        from botocore.exceptions import ClientError

        mark = uuid.uuid4().hex
        with s3_errors(self.href(key), "written"):
            try:
                self._client().put_object(
                    Bucket=self.bucket,
                    Key=self._name(key),
                    Body=data,
                    ChecksumSHA256=base64.b64encode(hashlib.sha256(data).digest()).decode(),
                    Metadata={_MARK: mark},
                    **_headers(key),
                    **condition,
                )
            except ClientError as error:
                if self._is_refusal(key, error, condition):
                    return self._is_own_work(key, mark, error)
                raise
        return True

    def _is_refusal(self, key: str, error: ClientError, condition: Mapping[str, str]) -> bool:
        """Whether the service says that the condition does not hold."""
        if status_of(error) == 412:
            return True
        if "IfMatch" in condition:
            return code_of(error) in {*MISSING, CONFLICT}
        # Of two conflicting creators none may have won, so that one is there must be seen.
        return code_of(error) == CONFLICT and self.exists(key)

    def _is_own_work(self, key: str, mark: str, error: ClientError) -> bool:
        """Whether what refuses a repeated request is what its first sending wrote."""
        if not error.response["ResponseMetadata"].get("RetryAttempts"):
            return False
        head = self._head(key)
        return head is not None and head.get("Metadata", {}).get(_MARK) == mark

    def _holds(self, key: str, upload: Upload) -> bool:
        """Whether an upload's bytes are there already; those for which nobody vouches are read.

        Raises:
            DataError: others are.
        """
        head = self._head(key)
        if head is None:
            return False
        if head["ContentLength"] != upload.size or (_vouched(head) or self._computed(key)) != upload.sha256:
            raise DataError(
                f"{self.href(key)} holds other bytes than its name says, and is never overwritten; delete it"
            )
        return True

    def _computed(self, key: str) -> str:
        digest = hashlib.sha256()
        for piece in self.stream(key):
            digest.update(piece)
        return digest.hexdigest()


def _vouched(head: Mapping[str, Any]) -> str | None:
    told = head.get("ChecksumSHA256", "")
    if told and "-" not in told and head.get("ChecksumType") != "COMPOSITE":
        return base64.b64decode(told).hex()
    digest: str | None = head.get("Metadata", {}).get(SHA256)
    return digest


def _headers(key: str) -> dict[str, str]:
    return {"ContentType": media_type(key), "CacheControl": cache_control(key)}

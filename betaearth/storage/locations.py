"""Addresses of documents and files that were published: a path, `file://`, `http(s)://` or `s3://`.

An Item is written by somebody, so where its hrefs lead is theirs to say: `Location.join` goes to the Item's own folder
and what lies below it, and nowhere else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from betaearth.errors import ConfigError, DataError
from betaearth.storage.objects import stream_object
from betaearth.storage.open import local_path
from betaearth.storage.s3_client import S3Options
from betaearth.storage.web import shown, stream_web

KINDS = "a path, file:///path, http(s)://host/path or s3://bucket/key"
WEB = ("http", "https")
LONGEST_HREF = 1024

_BESIDE = re.compile(r"(?:\./)?(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""Names joined by single slashes, of the alphabet of keys: what has no `:`, `%`, `\\` or `..` cannot lead away."""


@dataclass(frozen=True)
class Saved:
    """What was written of an object."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class Location:
    """Where one object lies; make it with `Location.of`."""

    url: str
    """An absolute path, or `http(s)://` or `s3://`, perhaps with a login or a query, which are secrets."""
    s3: S3Options | None = None
    """Where S3 is; None leaves it to the AWS environment."""

    @classmethod
    def of(cls, url: str, s3: S3Options | None = None) -> Self:
        """Understand an address that a user gives.

        Args:
            url: a path, or a `file://`, `http(s)://` or `s3://` address.
            s3: where S3 is; None leaves it to the AWS environment.

        Raises:
            ConfigError: it is of another kind, or names no object.
        """
        path = local_path(url)
        if path is not None:
            return cls(str(path.absolute()), s3)
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ConfigError(f"{shown(url)} is no address: give {KINDS}") from None
        if parts.scheme.lower() not in (*WEB, "s3") or not parts.hostname or not parts.path.strip("/"):
            raise ConfigError(f"{shown(url)} cannot be read: give {KINDS}")
        return cls(urlunsplit(parts._replace(scheme=parts.scheme.lower())), s3)

    def __str__(self) -> str:
        """The address for people to read: no login, no query."""
        return self.url if self.path else shown(self.url)

    @property
    def path(self) -> Path | None:
        """Its path where it lies on this machine."""
        return local_path(self.url)

    def join(self, href: str) -> Location:
        """Follow an href of the document that lies here.

        Args:
            href: such as `./0123456789ab/embeddings.tif`.

        Raises:
            DataError: it leads out of the document's folder, or could.
        """
        if len(href) > LONGEST_HREF or not _BESIDE.fullmatch(href):
            raise DataError(
                f"the href {href[:100]!r} of {self} may lead out of its folder: names below that, such as "
                "./0123456789ab/embeddings.tif, are followed"
            )
        below = href.removeprefix("./")
        if self.path:
            return replace(self, url=str(self.path.parent / below))
        parts = urlsplit(self.url)
        folder = parts.path.rpartition("/")[0]
        return replace(self, url=urlunsplit(parts._replace(path=f"{folder}/{below}", query="", fragment="")))

    def stream(self) -> Generator[bytes]:
        """Read the object piece by piece; nothing is opened before the first piece is asked for.

        Raises:
            DataError: there is no such object.
            ConfigError: it may not be read.
            TransientError: the server or the network failed.
        """
        return stream_web(self.url) if urlsplit(self.url).scheme in WEB else stream_object(self.url, self.s3)

    def read(self, limit: int) -> bytes:
        """Read a small object.

        Args:
            limit: bytes beyond which it is refused; no more than a piece of what lies beyond is read.

        Raises:
            DataError: there is no such object, or it is larger.
            ConfigError: it may not be read.
            TransientError: the server or the network failed.
        """
        return b"".join(self._up_to(limit))

    def save(self, path: Path, limit: int) -> Saved:
        """Write a copy of the object to a file of this machine.

        Args:
            path: of the file, replaced where it is there.
            limit: bytes beyond which it is refused; no more than a piece of what lies beyond is read.

        Raises:
            DataError: there is no such object, or it is larger.
            ConfigError: it may not be read.
            TransientError: the server or the network failed.
        """
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as file:
            for piece in self._up_to(limit):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
        return Saved(size, digest.hexdigest())

    def _up_to(self, limit: int) -> Generator[bytes]:
        size = 0
        with closing(self.stream()) as pieces:
            for piece in pieces:
                size += len(piece)
                if size > limit:
                    raise DataError(f"{self} is larger than {limit} bytes")
                yield piece

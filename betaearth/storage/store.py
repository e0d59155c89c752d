"""What every store can do: objects under keys, each written whole or not at all, and two writes with a condition.

Whatever the project promises of concurrent pods and publishers rests on `create` and `update` alone: a store that
does not keep them is refused when it is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from betaearth.errors import DataError


@dataclass(frozen=True)
class Stored:
    """An object as it was at one moment."""

    data: bytes
    etag: str
    """Changes whenever the bytes do; `Store.update` compares it."""


@dataclass(frozen=True)
class Entry:
    """An object as a listing shows it."""

    key: str
    size: int
    """Bytes."""
    modified: datetime
    """When it was written, UTC, by the store's clock."""
    version: str
    """Changes whenever the object is written, and costs no reading: for caches. It is not `Stored.etag`."""


def check_range(start: int, stop: int) -> None:
    """Refuse what are no bytes.

    Raises:
        DataError: they begin before the first one, or end before they begin.
    """
    if not 0 <= start < stop:
        raise DataError(f"bytes {start} to before {stop} are none: a range begins at 0 or later and ends after that")


class Store(Protocol):
    """A folder (`FolderStore`) or a prefix of an S3 bucket (`S3Store`), which inherit what follows from the rest.

    Every method raises DataError for what is no key, ConfigError where the store may not be used so, and
    TransientError where the network or the server failed.
    """

    @property
    def uri(self) -> str:
        """The store as a URI that `betaearth.storage.open` accepts."""
        ...

    def href(self, key: str) -> str:
        """What rasterio, GDAL and odc-stac open: a local path, or `s3://bucket/key`."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is an object of that key."""
        return self.stat(key) is not None

    def size(self, key: str) -> int | None:
        """Size of an object in bytes; None where there is none."""
        entry = self.stat(key)
        return entry.size if entry else None

    def stat(self, key: str) -> Entry | None:
        """What a listing would tell of one object; None where there is none."""
        ...

    def sha256(self, key: str) -> str | None:
        """Digest of an object's bytes without fetching them, where the store can vouch for it.

        A folder computes it. S3 gives the digest that the service compared when the object was uploaded; None where it
        kept none, or where there is no such object.
        """
        ...

    def find(self, key: str, *, limit: int | None = None) -> Stored | None:
        """Read an object with its etag; None where there is none.

        Args:
            key: of the object.
            limit: bytes beyond which it is refused unread, so that a hostile object cannot fill the memory.

        Raises:
            DataError: it is larger than `limit`.
        """
        ...

    def read(self, key: str, *, limit: int | None = None) -> bytes:
        """Read an object, up to `limit` bytes.

        Raises:
            DataError: there is no object of that key, or it is larger than `limit`.
        """
        stored = self.find(key, limit=limit)
        if stored is None:
            raise self.absent(key)
        return stored.data

    def absent(self, key: str) -> DataError:
        """Make the error that there is no object of that key."""
        return DataError(f"{self.uri} holds no object {key!r}")

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        """Read bytes `start` to before `stop`, or to the end where that comes first.

        Raises:
            DataError: there is no object of that key, or it ends before `start`.
        """
        ...

    def stream(self, key: str) -> Iterator[bytes]:
        """Read an object piece by piece.

        Raises:
            DataError: there is no object of that key.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with a prefix, sorted by code point, lazily."""
        ...

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield what a listing tells of the objects whose keys start with a prefix, sorted by key, lazily."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Create an object; False, and nothing changed, if there is one of that key.

        Of any number of concurrent creators exactly one is told True.
        """
        ...

    def update(self, key: str, data: bytes, etag: str) -> bool:
        """Replace an object that still has this etag; False, and nothing changed, if it has not."""
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Store a copy of a file whose key is derived from its content: putting it twice changes nothing.

        Where other bytes are under that key, which are damaged then, a folder replaces them; S3, where a writer cannot
        tell damage from what a reader is reading now, refuses with DataError, and `delete` makes room.
        """
        ...

    def delete(self, key: str) -> bool:
        """Remove an object; False where there was none."""
        ...

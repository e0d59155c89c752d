"""A remote file as GDAL reads it: in ranges of bytes that we ask for.

GDAL calls back into Python here, where no exception can pass, since one that did would end the process: what went wrong
is kept, GDAL gets nothing, and whoever opened the file raises what was kept.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from rasterio._vsiopener import _OPENER_REGISTRY, MultiByteRangeResource, _opener_registration
from rasterio.abc import MultiByteRangeResourceContainer

from betaearth.errors import DataError, TransientError
from betaearth.storage.objects import ObjectPart

HEAD = 64 << 10
"""Bytes of the first request: the directory of a COG, and the size of the file by the way."""
STEP = 64 << 10
"""Bytes of any later request, at least."""
GAP = 64 << 10
"""Bytes between two ranges that are read along, rather than asked for separately."""
LONGEST = 8 << 20
"""Bytes of joined ranges: so much is asked for again where an answer breaks off."""

Fetch = Callable[[int, int], ObjectPart]
"""Reads from a first byte to before another; it may return more, or less where the file ends."""

Read = TypeVar("Read")

HALL = "betaearth"
"""First part of every name, and what rasterio tells its openers apart by."""

_ENTERING = Lock()
_NUMBERS = itertools.count()
_NUL = re.compile(r"\x00.*", re.DOTALL)
"""GDAL's names end there."""


class RangeReader:
    """Reads a remote file piece by piece, in few requests; for one thread."""

    def __init__(self, where: str, fetch: Fetch) -> None:
        """Prepare; nothing is asked for yet.

        Args:
            where: how messages name the file.
            fetch: asks for a range.
        """
        self._where = where
        self._fetch = fetch
        self._head: ObjectPart | None = None
        self._latest: ObjectPart | None = None

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self._opened().total

    def read(self, start: int, stop: int) -> bytes:
        """Read bytes `start` to before `stop`, fewer where the file ends.

        Raises:
            DataError, ConfigError: the file cannot be read.
            TransientError: the server or the network failed, or the file became another one.
        """
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        held = self._held(start, stop)
        if held is None:
            held = self._latest = self._asked(start, min(max(stop, start + STEP), self.size))
        return held.data[start - held.start : stop - held.start]

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read ranges (first byte, byte after the last), in their order; those that lie close are asked for as one.

        Raises:
            DataError: the file ends before one of them does, or cannot be read.
            ConfigError: the file may not be read.
            TransientError: the server or the network failed, or the file became another one.
        """
        if any(stop > self.size for _, stop in ranges):
            raise DataError(f"{self._where} is corrupt: it ends before its pixels do")
        read: dict[tuple[int, int], bytes] = {}
        for members in _joined(ranges):
            start, stop = members[0][0], max(stop for _, stop in members)
            held = self._held(start, stop) or self._asked(start, stop)
            for first, last in members:
                read[first, last] = held.data[first - held.start : last - held.start]
        return [read[one] for one in ranges]

    def _held(self, start: int, stop: int) -> ObjectPart | None:
        for part in (self._opened(), self._latest):
            if part is not None and part.start <= start and stop <= part.start + len(part.data):
                return part
        return None

    def _opened(self) -> ObjectPart:
        if self._head is None:
            head = self._fetch(0, HEAD)
            self._check_extent(head, 0, min(HEAD, head.total))
            self._head = head
        return self._head

    def _asked(self, start: int, stop: int) -> ObjectPart:
        head = self._opened()
        try:
            part = self._fetch(start, stop)
        except DataError as error:
            raise TransientError(f"{self._where} was there a moment ago: {error}") from error
        if (part.total, part.version) != (head.total, head.version):
            raise TransientError(f"{self._where} became another file while it was read")
        self._check_extent(part, start, stop)
        return part

    def _check_extent(self, part: ObjectPart, start: int, stop: int) -> None:
        if part.start > start or part.start + len(part.data) < stop:
            raise TransientError(
                f"{self._where}: the server sent bytes {part.start} to {part.start + len(part.data)}, "
                f"not {start} to {stop}"
            )


def _joined(ranges: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Groups of ranges that are asked for as one."""
    group: list[tuple[int, int]] = []
    end = 0
    for start, stop in sorted(set(ranges)):
        if group and (start - end > GAP or max(stop, end) - group[0][0] > LONGEST):
            yield group
            group = []
        end = max(stop, end) if group else stop
        group.append((start, stop))
    if group:
        yield group


class RangeOpener:
    """Opens one remote file for rasterio, and no other beside it."""

    def __init__(self, href: str, reader: RangeReader) -> None:
        """Give the file a name.

        Args:
            href: its last part is the name by which GDAL's messages call it.
            reader: reads it.
        """
        name = _NUL.sub("", unquote(urlsplit(href).path.rpartition("/")[2])) or "file"
        self.name = f"{HALL}/{next(_NUMBERS)}/{name}"
        """No other file of the process is called so."""
        self._reader = reader
        self._trouble: Exception | None = None

    @contextmanager
    def path(self) -> Iterator[str]:
        """Let this thread open the file, and give the path by which it does."""
        hall, folder, registry = _entrance()
        _OPENER_REGISTRY.set(registry)
        hall.files[self.name] = self
        try:
            yield f"{folder}/{self.name}"
        finally:
            del hall.files[self.name]

    @contextmanager
    def troubles(self) -> Iterator[None]:
        """Raise what went wrong in a callback in place of what GDAL made of it, also where it made nothing of it."""
        try:
            yield
        except Exception:
            self._raise()
            raise
        self._raise()

    def _raise(self) -> None:
        if self._trouble is not None:
            raise self._trouble from self._trouble.__cause__

    def attempt(self, read: Callable[[], Read], otherwise: Read) -> Read:
        """Read for GDAL. The first error is kept, and after it nothing is asked for any more."""
        if self._trouble is None:
            try:
                return read()
            except Exception as error:  # noqa: BLE001  # `troubles` raises it, also one that nobody has planned
                self._trouble = error
        return otherwise

    def open(self) -> RangeFile:
        """Open the file for GDAL."""
        return RangeFile(self, self._reader)

    def known_size(self) -> int:
        """Bytes of the file; 0 where that could not be found out."""
        return self.attempt(lambda: self._reader.size, 0)


class _Hall(MultiByteRangeResourceContainer):  # type: ignore[misc]
    """All remote files of the process that are open.

    GDAL keeps the file systems that it knows in a list without a lock. rasterio puts one into it for every file that is
    opened by an opener and takes it out again, while other threads look through the list: sooner or later the process
    ends in a segmentation fault. So there is one file system, put in once and never taken out.
    """

    def __init__(self) -> None:
        self.files: dict[str, RangeOpener] = {}

    def open(self, path: str, mode: str = "rb", **_: object) -> RangeFile:
        """Open a file for GDAL."""
        if not self.isfile(path) or "r" not in mode:
            raise FileNotFoundError(path)
        return self.files[str(path)].open()

    def isfile(self, path: str) -> bool:
        """Tell whether a path is a file that is open."""
        return str(path) in self.files

    def isdir(self, path: str) -> bool:  # noqa: ARG002
        """There are no folders."""
        return False

    def ls(self, path: str) -> list[str]:  # noqa: ARG002
        """Nothing lies beside a file."""
        return []

    def mtime(self, path: str) -> int:  # noqa: ARG002
        """Nobody asks when a file was changed."""
        return 0

    def rm(self, path: str) -> None:
        """Refuse."""
        raise PermissionError(path)

    def size(self, path: str) -> int:
        """Bytes of a file; 0 where that could not be found out."""
        return self.files[str(path)].known_size() if self.isfile(path) else 0


@cache
def _registered() -> tuple[_Hall, str, dict[Any, Any], ExitStack]:
    hall, stack = _Hall(), ExitStack()
    folder = stack.enter_context(_opener_registration(f"{HALL}/file", hall))
    return hall, folder.removesuffix(f"/{HALL}/file"), _OPENER_REGISTRY.get(), stack


def _entrance() -> tuple[_Hall, str, dict[Any, Any]]:
    """Return the hall, the folder by which GDAL knows it, and what rasterio must know of it in every thread."""
    with _ENTERING:
        return _registered()[:3]


def prepare() -> None:
    """Let GDAL know of remote files; to be called before threads read."""
    _entrance()


class RangeFile(MultiByteRangeResource):  # type: ignore[misc]
    """What GDAL holds of an open file."""

    def __init__(self, opener: RangeOpener, reader: RangeReader) -> None:
        self._opener = opener
        self._reader = reader
        self._place = 0

    def read(self, size: int = -1) -> bytes:
        """Read on; nothing at the end of the file, and after an error."""
        stop = self._opener.known_size() if size < 0 else self._place + size
        data = self._opener.attempt(lambda: self._reader.read(self._place, stop), b"")
        self._place += len(data)
        return data

    def get_byte_ranges(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """Read several ranges. After an error they are zeros: GDAL copies as many bytes as it has asked for."""
        ranges = [(int(start), int(start) + int(size)) for start, size in zip(offsets, sizes, strict=True)]
        nothing = [bytes(stop - start) for start, stop in ranges]
        return self._opener.attempt(lambda: self._reader.read_ranges(ranges), nothing)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place}
        self._place = offset + (origin[whence] if whence in origin else self._opener.known_size())
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def close(self) -> None:
        """Nothing is held open."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._opener.known_size()

    def __enter__(self) -> RangeFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

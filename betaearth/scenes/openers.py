"""Remote files as GDAL opens them.

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

from betaearth.scenes.ranges import RangeReader

Read = TypeVar("Read")

HALL = "betaearth"
"""First part of every name, and what rasterio tells its openers apart by."""

_ENTERING = Lock()
_NUMBERS = itertools.count()
_NUL = re.compile(r"\x00.*", re.DOTALL)
"""GDAL's names end there."""


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

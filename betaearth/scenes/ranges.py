"""A remote file in ranges of bytes, in as few requests as may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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

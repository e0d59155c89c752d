"""Parquet files read by ranges of bytes: the footer once, then the row groups and columns that are asked for.

pyarrow decodes in the thread that asks, without threads of its own and without reading ahead: the chunks that it is
going to need are asked for beforehand, those that lie close in one request.
"""

from __future__ import annotations

import errno
import io
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from betaearth.errors import ConfigError, DataError
from betaearth.scenes.files import Files
from betaearth.scenes.hrefs import plain
from betaearth.scenes.ranges import RangeReader
from betaearth.storage.open import local_path

LARGEST = 1 << 30
"""Bytes of some columns of a row group, as they are when unpacked; rows of Major TOM's have some megabytes."""
MACHINE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.EAGAIN})
"""What the system says that is no fault of the file: left out as corrupt, its cells would be missing for no reason."""
HELD = 64
"""Files whose footers are kept, those used last; a footer of a Major TOM file takes some megabytes."""


class ParquetFiles(Files):
    """Opens parquet files, and rasters, by their hrefs; threads share it."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  -- those of `Files`
        """Prepare; nothing is connected yet.

        Args:
            options: of `Files`.
        """
        super().__init__(**options)
        self._held: OrderedDict[str, _Opened] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def parquet(self, href: str) -> Iterator[Table]:
        """Open a parquet file.

        Args:
            href: a path, `file://`, `http(s)://` or `s3://`.

        Raises:
            DataError: it is not there, or no parquet; raised while it is open, too.
            ConfigError: it may not be read.
            TransientError: the network or the server failed.
        """
        opened = self._opened(href)
        with opened.lock:
            with _faults(opened.where):
                table = opened.table()
            yield table

    def _opened(self, href: str) -> _Opened:
        with self._lock:
            opened = self._held.pop(href, None) or _Opened(href, plain(href), self._source(href))
            self._held[href] = opened
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return opened

    def _source(self, href: str) -> RangeReader | Path:
        fetch = self.fetch(href)
        if fetch is not None:
            return RangeReader(plain(href), fetch)
        path = local_path(href)
        if path is None:
            raise ConfigError(f"{plain(href)} cannot be read: give a path, http(s):// or s3://bucket/key")
        return path


@dataclass(frozen=True)
class Table:
    """A parquet file that is open."""

    where: str
    """How messages name it."""
    metadata: Any
    """Its footer, as pyarrow has it."""
    source: _RangeIO | Path

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns."""
        return tuple(self.metadata.schema.to_arrow_schema().names)

    @property
    def groups(self) -> int:
        """How many row groups it has."""
        return int(self.metadata.num_row_groups)

    def read(self, group: int, columns: Sequence[str]) -> dict[str, list[Any]]:
        """Read some columns of a row group, as Python's values.

        Raises:
            DataError: the file has no such row group or column, or it is corrupt.
            ConfigError: the file may not be read.
            TransientError: the network or the server failed, or the file became another one.
        """
        if not 0 <= group < self.groups:
            raise DataError(f"{self.where} has no row group {group}: it has {self.groups}")
        if missing := [name for name in columns if name not in self.columns]:
            raise DataError(f"{self.where} has no column {', '.join(missing)}; it has {', '.join(self.columns)}")
        chunks = self._chunks(group, set(columns))
        with _faults(f"{self.where}, row group {group}, {', '.join(columns)}"), self._file() as file:
            if isinstance(self.source, _RangeIO):
                self.source.expect(chunks)
            table = file.read_row_group(group, columns=list(columns), use_threads=False)
            return {name: table[name].to_pylist() for name in columns}

    def _file(self) -> Any:  # noqa: ANN401  -- pyarrow says no types
        source = self.source if isinstance(self.source, _RangeIO) else pa.OSFile(str(self.source))
        return pq.ParquetFile(source, metadata=self.metadata, pre_buffer=False)

    def _chunks(self, group: int, names: set[str]) -> list[tuple[int, int]]:
        """Ranges of bytes that hold columns of a row group.

        Raises:
            DataError: the footer's numbers are those of no file, or promise more than is read at once.
        """
        row_group = self.metadata.row_group(group)
        every = [row_group.column(index) for index in range(row_group.num_columns)]
        chunks = [chunk for chunk in every if chunk.path_in_schema.split(".")[0] in names]
        where = f"{self.where}, row group {group}, {', '.join(sorted(names))}"
        if any(min(_start(c), c.total_compressed_size, c.total_uncompressed_size) < 0 for c in chunks):
            raise DataError(f"{where} is corrupt: it begins before its file, or ends before it begins")
        if (size := sum(max(c.total_compressed_size, c.total_uncompressed_size) for c in chunks)) > LARGEST:
            raise DataError(f"{where} has {size >> 20} MiB; at most {LARGEST >> 20} MiB are read at once")
        return [(_start(chunk), _start(chunk) + chunk.total_compressed_size) for chunk in chunks]


@dataclass
class _Opened:
    """A file, and its footer once it is known; for one thread at a time."""

    href: str
    where: str
    source: RangeReader | Path
    metadata: Any = None
    lock: Lock = field(default_factory=Lock)

    def table(self) -> Table:
        source = self.source if isinstance(self.source, Path) else _RangeIO(self.source)
        if self.metadata is None:
            self.metadata = pq.read_metadata(source if isinstance(source, _RangeIO) else pa.OSFile(str(source)))
        return Table(self.where, self.metadata, source)


class _RangeIO(io.RawIOBase):
    """A remote file as pyarrow reads it."""

    def __init__(self, reader: RangeReader) -> None:
        self._reader = reader
        self._place = 0
        self._expected: list[tuple[int, bytes]] = []

    def expect(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Ask for ranges that will be read, in few requests."""
        self._expected = [
            (start, data) for (start, _), data in zip(ranges, self._reader.read_ranges(ranges), strict=True)
        ]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._reader.size}
        self._place = offset + origin[whence]
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """Read on; fewer bytes where the file ends."""
        stop = self._reader.size if size is None or size < 0 else self._place + size
        data = self._held(self._place, stop)
        self._place += len(data)
        return data

    def _held(self, start: int, stop: int) -> bytes:
        for first, data in self._expected:
            if first <= start and stop <= first + len(data):
                return data[start - first : stop - first]
        return self._reader.read(start, stop)


def _start(chunk: Any) -> int:  # noqa: ANN401  -- pyarrow says no types
    """First byte of a chunk: of its dictionary, where it has one."""
    offsets = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        offsets.append(chunk.dictionary_page_offset)
    return int(min(offsets))


@contextmanager
def _faults(where: str) -> Iterator[None]:
    """Say of what pyarrow cannot read that it is corrupt; errors of ours and of this machine stay what they are."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{where} is not there") from error
    except PermissionError as error:
        raise ConfigError(f"{where} may not be read: {error.strerror}") from error
    except OSError as error:
        if error.errno in MACHINE:
            raise
        raise DataError(f"{where} is corrupt or no parquet: {error!s:.300}") from error
    except (pa.ArrowException, ValueError, EOFError) as error:
        raise DataError(f"{where} is corrupt or no parquet: {error!s:.300}") from error

"""A store that is a folder: every write is atomic, nothing half-written is ever visible.

An object appears under its key only when its bytes are on the disk, so a killed process leaves at most a file
in `{root}/.tmp/`, which no reader sees. Whoever was told that a write succeeded finds it after a power cut.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from betaearth.errors import DataError
from betaearth.storage.files import folder_errors, sync
from betaearth.storage.folder_listing import ABSENT, names_in, walk
from betaearth.storage.keys import LOCK, TEMPORARY, check_key, check_prefix, is_key
from betaearth.storage.store import Entry, Store, Stored, check_range

__all__ = ["FolderStore", "folder_errors", "sync"]

CHUNK = 1 << 20
"""Bytes of a piece of a stream."""


@dataclass(frozen=True)
class FolderStore(Store):
    """Objects as files below a folder, named by keys such as `betaearth-robust-v1/2024/catalog.json`."""

    root: Path
    """Absolute path of an existing folder; `betaearth.storage.open.open_store` checks that it is one."""

    @property
    def uri(self) -> str:
        """The store as `file://` URI; `open_store` accepts it."""
        return self.root.as_uri()

    def href(self, key: str) -> str:
        """Path that rasterio and odc-stac open: absolute, local.

        Raises:
            DataError: it is no key.
        """
        return str(self._path(key))

    def stat(self, key: str) -> Entry | None:
        """What a listing would tell of one object; None where there is none."""
        path = self._path(key)
        try:
            with folder_errors(path):
                status = path.stat()
        except ABSENT:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        modified = datetime.fromtimestamp(status.st_mtime, UTC)
        return Entry(key, status.st_size, modified, f"{status.st_mtime_ns:x}-{status.st_ino:x}-{status.st_size:x}")

    def sha256(self, key: str) -> str | None:
        """Digest of an object's bytes, which are read for it; None where there is none."""
        path = self._path(key)
        try:
            with folder_errors(path), path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except ABSENT:
            return None

    def find(self, key: str, *, limit: int | None = None) -> Stored | None:
        """Read an object with its etag; None where there is none.

        Raises:
            DataError: it is no key, or the object is larger than `limit`.
            ConfigError: the file may not be read.
        """
        path = self._path(key)
        try:
            with folder_errors(path), path.open("rb") as file:
                data = file.read(-1 if limit is None else limit + 1)
        except ABSENT:
            return None
        if limit is not None and len(data) > limit:
            raise DataError(f"{path} has more than the {limit} bytes of such an object")
        return Stored(data, _etag(data))

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        """Read bytes `start` to before `stop`, or to the end where that comes first.

        Raises:
            DataError: it is no key, there is no object of that key, it ends before `start`, or these are no bytes.
            ConfigError: the file may not be read.
        """
        check_range(start, stop)
        path = self._path(key)
        try:
            with folder_errors(path), path.open("rb") as file:
                file.seek(start)
                data = file.read(stop - start)
        except ABSENT:
            raise self.absent(key) from None
        if not data:
            raise DataError(f"{path} is corrupt: it ends before what is asked for")
        return data

    def stream(self, key: str) -> Generator[bytes]:
        """Read an object piece by piece.

        Raises:
            DataError: it is no key, or there is no object of that key.
            ConfigError: the file may not be read.
        """
        path = self._path(key)
        try:
            with folder_errors(path), path.open("rb") as file:
                while piece := file.read(CHUNK):
                    yield piece
        except ABSENT:
            raise self.absent(key) from None

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with a prefix, sorted by code point; unfinished writes are no keys.

        Only the folder that the prefix names is walked, and lazily: a listing of one tile-year costs the same
        in a store of any size.

        Raises:
            DataError: the prefix leaves the store.
        """
        check_prefix(prefix)
        folder, slash, start = prefix.rpartition("/")
        base = self.root / folder
        for name, is_folder in names_in(base):
            if name.startswith(start):
                yield from filter(is_key, walk(base, folder + slash, name, is_folder=is_folder))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield what a listing tells of the objects whose keys start with a prefix, sorted by key, lazily.

        Raises:
            DataError: the prefix leaves the store.
            ConfigError: a folder may not be read.
        """
        for key in self.list(prefix):
            entry = self.stat(key)
            if entry is not None:
                yield entry

    def create(self, key: str, data: bytes) -> bool:
        """Create an object; False, and nothing changed, if there is one of that key.

        Of any number of concurrent creators exactly one is told True.

        Raises:
            DataError: it is no key, it runs through another object, or others run through it.
            ConfigError: the folder may not be written, or is full.
        """
        target = self._path(key)
        with folder_errors(target), self._written(data) as temporary:
            self._make_parents(target)
            try:
                # Unlike a rename, a link never replaces what is there.
                os.link(temporary, target)
            except FileExistsError:
                if target.is_dir():
                    raise _is_folder(target) from None
                return False
            self._keep_name(target)
        return True

    def update(self, key: str, data: bytes, etag: str) -> bool:
        """Replace an object that still has this etag; False, and nothing changed, if it has not.

        An object that is not there has no etag, so updating it is False too.
        """
        target = self._path(key)
        with folder_errors(target), self._written(data) as temporary, self._lock():
            current = self.find(key)
            if current is None or current.etag != etag:
                return False
            temporary.replace(target)
            self._keep_name(target)
        return True

    def put_file(self, key: str, path: Path) -> None:
        """Store a copy of a file whose key is derived from its content; other bytes that are there are replaced.

        Raises:
            DataError: it is no key, it runs through another object, or others run through it.
            ConfigError: the folder may not be written, or is full.
        """
        target = self._path(key)
        with folder_errors(target), self._temporary() as temporary:
            shutil.copyfile(path, temporary)
            sync(temporary)
            self._make_parents(target)
            try:
                temporary.replace(target)
            except IsADirectoryError:
                raise _is_folder(target) from None
            self._keep_name(target)

    def delete(self, key: str) -> bool:
        """Remove an object; False where there was none. Its folder stays: another may be writing into it."""
        target = self._path(key)
        try:
            with folder_errors(target), self._lock():
                target.unlink()
                sync(target.parent)
        except ABSENT:
            return False
        return True

    def _path(self, key: str) -> Path:
        """Path of an object.

        Raises:
            DataError: it is no key, or leads out of the store through a link.
        """
        check_key(key)
        path = self.root / key
        if os.path.realpath(path.parent) != str(path.parent):
            raise DataError(f"{path} lies behind a link; a store's objects lie in its own folders")
        return path

    def _make_parents(self, target: Path) -> None:
        """Make the folders above a target."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DataError(f"{target} runs through a file; an object cannot lie below another") from error

    def _keep_name(self, target: Path) -> None:
        """Put the name of a target, and those of the folders above it, on the disk.

        All of them every time: whoever made a folder may not have come so far yet.
        """
        for folder in target.parents:
            sync(folder)
            if folder == self.root:
                return

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """Name a file that is not there yet, and leave none."""
        folder = self.root / TEMPORARY
        folder.mkdir(exist_ok=True)
        path = folder / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _written(self, data: bytes) -> Iterator[Path]:
        """A temporary file with these bytes on the disk."""
        with self._temporary() as path:
            path.write_bytes(data)
            sync(path)
            yield path

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the store's update lock, against threads and processes; a dead holder releases it."""
        folder = self.root / TEMPORARY
        folder.mkdir(exist_ok=True)
        with (folder / LOCK).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _is_folder(target: Path) -> DataError:
    return DataError(f"{target} is a folder of objects; it cannot be one")


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

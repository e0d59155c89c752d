"""A store that is a folder: every write is atomic, nothing half-written is ever visible.

An object appears under its key only when its bytes are on the disk, so a killed process leaves at most a file
in `{root}/.tmp/`, which no reader sees. Whoever was told that a write succeeded finds it after a power cut.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from betaearth.errors import ConfigError, DataError

TEMPORARY = ".tmp"
"""Folder below the root for unfinished writes: the same file system, so that a rename is atomic."""

_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True)
class Stored:
    """An object as it was at one moment."""

    data: bytes
    etag: str
    """Changes whenever the bytes do; `FolderStore.update` compares it."""


@dataclass(frozen=True)
class FolderStore:
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

    def exists(self, key: str) -> bool:
        """Whether there is an object of that key.

        Raises:
            DataError: it is no key.
            ConfigError: the folder may not be read.
        """
        return self.size(key) is not None

    def size(self, key: str) -> int | None:
        """Size of an object in bytes; None where there is none.

        Raises:
            DataError: it is no key.
            ConfigError: the folder may not be read.
        """
        path = self._path(key)
        try:
            with folder_errors(path):
                status = path.stat()
        except _ABSENT:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def find(self, key: str) -> Stored | None:
        """Read an object with its etag; None where there is none.

        Raises:
            DataError: it is no key.
            ConfigError: the file may not be read.
        """
        try:
            with folder_errors(self._path(key)):
                data = self._path(key).read_bytes()
        except _ABSENT:
            return None
        return Stored(data, _etag(data))

    def read(self, key: str) -> bytes:
        """Read an object.

        Raises:
            DataError: it is no key, or there is no object of that key.
            ConfigError: the file may not be read.
        """
        stored = self.find(key)
        if stored is None:
            raise DataError(f"{self.uri} holds no object {key!r}")
        return stored.data

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with a prefix, sorted by code point; unfinished writes are no keys.

        Only the folder that the prefix names is walked, and lazily: a listing of one tile-year costs the same
        in a store of any size.

        Raises:
            DataError: the prefix leaves the store.
        """
        folder, slash, start = prefix.rpartition("/")
        if slash:
            _check_key(folder)
        base = self.root / folder
        for name, is_folder in _entries(base):
            if name.startswith(start) and not (base == self.root and name == f"{TEMPORARY}/"):
                yield from _walk(base, folder + slash, name, is_folder=is_folder)

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

        Raises:
            DataError: it is no key.
            ConfigError: the folder may not be written, or is full.
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
        """Store a copy of a file whose key is derived from its content: putting it twice changes nothing.

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

    def _path(self, key: str) -> Path:
        _check_key(key)
        return self.root / key

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
        with (self.root / TEMPORARY / "update.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@contextmanager
def folder_errors(where: Path) -> Iterator[None]:
    """Translate what the file system says about a path.

    Raises:
        ConfigError: no permission, read-only, or full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise ConfigError(f"{where} may not be accessed ({error.strerror}); give this user the right to") from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ConfigError(f"{where} cannot be written ({error.strerror}); free some space") from error
        raise


def _is_folder(target: Path) -> DataError:
    return DataError(f"{target} is a folder of objects; it cannot be one")


def _check_key(key: str) -> None:
    parts = key.split("/")
    if "\\" in key or "\0" in key or parts[0] == TEMPORARY or not {"", ".", ".."}.isdisjoint(parts):
        raise DataError(f"{key!r} is not an object key: names joined by single slashes, without '.', '..' or '\\'")


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """List (name, whether it is a folder): folders with their slash, which puts keys into their order."""
    try:
        with os.scandir(folder) as entries:
            kinds = [(entry.name, entry.is_dir()) for entry in entries]
    except _ABSENT:
        return []
    return sorted((f"{name}/" if is_folder else name, is_folder) for name, is_folder in kinds)


def _walk(base: Path, lead: str, name: str, *, is_folder: bool) -> Iterator[str]:
    if not is_folder:
        yield lead + name
        return
    for child, child_is_folder in _entries(base / name):
        yield from _walk(base / name, lead + name, child, is_folder=child_is_folder)


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

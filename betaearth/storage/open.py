"""Opening a store by its URI."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from betaearth.errors import ConfigError
from betaearth.storage.discretion import discreet
from betaearth.storage.files import folder_errors
from betaearth.storage.folder import FolderStore
from betaearth.storage.keys import LOCK, TEMPORARY
from betaearth.storage.s3 import S3Store
from betaearth.storage.s3_client import S3Options
from betaearth.storage.s3_probe import probe_conditions, probe_reading
from betaearth.storage.s3_uri import SCHEME, parse_s3_store
from betaearth.storage.store import Store

ABANDONED_SECONDS = 24 * 3600
"""Age at which an unfinished write is nobody's any more: no file takes a day to be copied."""

_ONE_SLASH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def open_store(uri: str, s3: S3Options | None = None, *, make: bool = True) -> Store:
    """Open a store for reading and writing; a bucket is never made.

    Args:
        uri: a path, a `file://` URI, or `s3://bucket/prefix`.
        s3: how S3 is reached.
        make: whether a folder that is not there is made.

    Raises:
        ConfigError: it is of no such kind, is not there, cannot be written, or cannot refuse to overwrite.
        TransientError: the server or the network failed.
    """
    if uri.startswith(SCHEME):
        store = S3Store(*parse_s3_store(uri), s3 or S3Options())
        probe_reading(store)  # first: some services make a bucket for whoever writes into one that is not there
        probe_conditions(store)
        return store
    return open_folder(uri, make=make)


def existing_store(uri: str, s3: S3Options | None = None, *, absent_is_empty: bool = False) -> Store:
    """Open a store for reading; nothing is made, nor written.

    Args:
        uri: a path, a `file://` URI, or `s3://bucket/prefix`.
        s3: how S3 is reached.
        absent_is_empty: whether a folder that is not there stands for a store without objects.

    Raises:
        ConfigError: it is of no such kind, is not there, or may not be read.
        TransientError: the server or the network failed.
    """
    if uri.startswith(SCHEME):
        store = S3Store(*parse_s3_store(uri), s3 or S3Options(), public=True)
        probe_reading(store)
        return store
    root = _folder_of(uri).resolve()
    with folder_errors(root):
        if not root.is_dir() and (root.exists() or not absent_is_empty):
            raise _no_folder(uri)
    return FolderStore(root)


def open_folder(uri: str, *, make: bool = True) -> FolderStore:
    """Open a folder as a store for reading and writing.

    Args:
        uri: a path, or a `file://` URI.
        make: whether it is made where it is not there.

    Raises:
        ConfigError: it is not a folder, cannot be written, or cannot refuse to overwrite.
    """
    root = _folder_of(uri)
    with folder_errors(root):
        if not make and not root.exists():
            raise _no_folder(uri)
    try:
        root = root.resolve()
        (root / TEMPORARY).mkdir(parents=True, exist_ok=True)
        _probe(root / TEMPORARY)
        _clear(root / TEMPORARY)
    except OSError as error:
        raise ConfigError(f"{uri} is not a folder that can be written: {error.strerror}") from error
    return FolderStore(root)


def _no_folder(uri: str) -> ConfigError:
    if _folder_of(uri).is_file():
        return ConfigError(f"{uri} is no store but a file: give the folder around its catalog.json")
    return ConfigError(f"{uri} is no store: there is no such folder; give one that `betaearth run` has written")


def _folder_of(uri: str) -> Path:
    root = local_path(uri)
    if root is None:
        raise ConfigError(f"{discreet(uri)} is no store: give a path, file:///path or s3://bucket/prefix")
    return root


def local_path(uri: str) -> Path | None:
    """Path of a local URI, which is a path itself or begins with `file://`; None where it is not local.

    Raises:
        ConfigError: it is empty, or a `file://` URI of another machine.
    """
    if not uri:
        raise ConfigError("an empty URI names nothing: give a path")
    scheme = _SCHEME.match(uri)
    if scheme is None:
        if _ONE_SLASH.match(uri):
            said = discreet(uri)
            raise ConfigError(f"{said} lacks a slash: write {said.replace(':/', '://', 1)}, or ./{said} for a path")
        return Path(uri)
    if scheme[1].lower() != "file":
        return None
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"} or not parts.path:
        raise ConfigError(f"{discreet(uri)} does not name a path of this machine: write file:///folder")
    return Path(unquote(parts.path))


def _probe(folder: Path) -> None:
    """Write a file and link to it: what `FolderStore.create` rests on.

    Raises:
        OSError: one of them is not possible.
    """
    with TemporaryDirectory(dir=folder) as scratch:
        file = Path(scratch) / "probe"
        file.write_bytes(b"")
        (file.parent / "link").hardlink_to(file)


def _clear(folder: Path) -> None:
    """Remove what killed writers left; what cannot be removed harms nobody."""
    before = time.time() - ABANDONED_SECONDS
    for path in folder.iterdir():
        with suppress(OSError):
            if path.name == LOCK or path.lstat().st_mtime > before:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()

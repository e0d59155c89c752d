"""Opening a store by its URI."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from betaearth.errors import ConfigError
from betaearth.storage.folder import TEMPORARY, FolderStore

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def open_store(uri: str) -> FolderStore:
    """Open a store for reading and writing; a folder that is not there is made.

    Args:
        uri: a path, or a `file://` URI.

    Raises:
        ConfigError: it is not a folder, cannot be written, cannot refuse to overwrite, or is of a kind that
            this version does not write to.
    """
    root = _folder_of(uri)
    try:
        root = root.resolve()
        (root / TEMPORARY).mkdir(parents=True, exist_ok=True)
        _probe(root / TEMPORARY)
    except OSError as error:
        raise ConfigError(f"{uri} is not a folder that can be written: {error.strerror}") from error
    return FolderStore(root)


def existing_store(uri: str, *, absent_is_empty: bool = False) -> FolderStore:
    """Open a store for reading; it may lie on a read-only disk, and nothing is made.

    Args:
        uri: a path, or a `file://` URI.
        absent_is_empty: whether a folder that is not there stands for a store without objects.

    Raises:
        ConfigError: there is no folder, or it is of a kind that this version does not know.
    """
    root = _folder_of(uri).resolve()
    if not root.is_dir() and (root.exists() or not absent_is_empty):
        raise ConfigError(f"{uri} is no store: there is no such folder; give one that `betaearth run` has written")
    return FolderStore(root)


def _folder_of(uri: str) -> Path:
    root = local_path(uri)
    if root is None:
        raise ConfigError(f"{uri} is not a store of this version, which knows folders only: give a path")
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
        return Path(uri)
    if scheme[1].lower() != "file":
        return None
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"} or not parts.path:
        raise ConfigError(f"{uri} does not name a path of this machine: write file:///folder")
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

"""Local files: what the file system says of them, and when their bytes are on the disk."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from betaearth.errors import ConfigError


@contextmanager
def folder_errors(where: Path) -> Iterator[None]:
    """Translate what the file system says about a path.

    Raises:
        ConfigError: no permission, read-only, or full, or no path can be as long.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise ConfigError(f"{where} may not be accessed ({error.strerror}); give this user the right to") from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ConfigError(f"{where} cannot be written ({error.strerror}); free some space") from error
        if error.errno == errno.ENAMETOOLONG:
            raise ConfigError(f"{where} is no path ({error.strerror}); give a shorter one") from error
        raise


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that a reader, and whoever comes after a power cut, finds the old bytes or the new, whole.

    Raises:
        OSError: the folder cannot be written.
    """
    draft = path.with_name(f".{uuid.uuid4().hex}")
    try:
        draft.write_bytes(data)
        sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

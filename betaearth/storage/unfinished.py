"""Folders in the making: one process works on a hidden one beside the name, which the result takes when it is whole.

The hidden folder outlives a process that is stopped, with journals of what is finished, so that the next one goes on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from betaearth.errors import DataError, TransientError
from betaearth.storage.files import sync

LOCK_NAME = "lock"
"""File in a hidden folder that the process at work holds locked."""
TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})
"""What a file system says where a folder cannot take a name, because there is something of that name."""


def check_free(folder: Path, kinds: Mapping[str, str], *, left: Path | None) -> None:
    """Check that a folder is there to be made, before hours of work: it does not exist, or is empty.

    Args:
        folder: to make.
        kinds: name of a file to what a folder is that holds it.
        left: hidden folder with what is finished of work on it that was stopped; None where there is none.

    Raises:
        DataError: it holds something.
        OSError: it may not be looked into.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    kind = next((kind for name, kind in kinds.items() if (folder / name).exists()), "something")
    beside = f"; {left} holds what is finished of work that was stopped: remove it if nobody wants it" if left else ""
    raise DataError(f"{folder} holds {kind} already, which is not overwritten: name a new folder{beside}")


def take_name(made: Path, folder: Path, *, left: Path | None) -> None:
    """Give a folder its name.

    Args:
        made: whole, on the disk.
        folder: what it becomes; it does not exist, or is empty.
        left: hidden folder from which the same work goes on; None where there is none.

    Raises:
        DataError: something of that name has appeared meanwhile.
        OSError: it cannot be renamed.
    """
    try:
        made.rename(folder)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        appeared = f"{folder} appeared while it was being written"
        if left is None:
            raise DataError(f"{appeared}, and is not overwritten: name a new folder") from error
        raise DataError(
            f"{appeared}; what is finished lies in {left}: move the other away, and the same command goes on"
        ) from error
    sync(folder.absolute().parent)


@contextmanager
def held(folder: Path, *, busy: str, worth: Callable[[], bool]) -> Iterator[None]:
    """Make a hidden folder and hold it against other processes; it goes at the end, unless it is worth keeping.

    What cannot be removed stays, without an error: the work is done.

    Args:
        folder: hidden; what an earlier process has left in it is there.
        busy: what another process does that holds it.
        worth: tells whether something in it is to be kept, asked at the end.

    Raises:
        TransientError: another process holds it.
        OSError: it cannot be made.
    """
    lock = _locked(folder, busy)
    keep = True
    try:
        try:
            yield
        finally:
            keep = worth()
            if not keep:
                _empty(folder)
    finally:
        lock.close()  # file systems of networks keep a file that is open, and with it the folder
        if not keep:
            with suppress(OSError):
                folder.rmdir()


def whole_lines(path: Path) -> Iterator[bytes]:
    """Read a journal's lines, each with its end, up to one that was torn; none where there is no journal.

    Raises:
        OSError: it cannot be read.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield line


def _locked(folder: Path, busy: str) -> IO[bytes]:
    """Lock a folder that nobody has removed since."""
    path = folder / LOCK_NAME
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = path.open("ab")
        except FileNotFoundError:  # who held it has just removed the folder
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise TransientError(f"{busy}: wait for it, or name another folder") from error
        if _is_there(lock, path):
            return lock
        lock.close()


def _is_there(lock: IO[bytes], path: Path) -> bool:
    """Tell whether a path is still that of an open file."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _empty(folder: Path) -> None:
    """Remove all that can be removed, the lock at last: without it, others would begin."""
    with suppress(OSError):
        for path in sorted(folder.iterdir(), key=lambda path: path.name == LOCK_NAME):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

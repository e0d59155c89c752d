"""Which files of data sets this process has found whole: each is compared with its digest once, when first read."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from betaearth.errors import DataError
from betaearth.storage.files import folder_errors
from betaearth.training.description import DESCRIPTION_NAME, FileFacts, check_file

State = tuple[int, int, str]
"""Bytes, time of the last change in nanoseconds, and the digest that was found."""

_whole: dict[Path, State] = {}
_locks: dict[Path, Lock] = {}
_guard = Lock()


def check_once(folder: Path, name: str, facts: FileFacts | None) -> None:
    """Check that a file is what `dataset.json` says, unless this process has done so since the file last changed.

    Args:
        folder: of the data set.
        name: of the file, below the folder.
        facts: what `dataset.json` says of it; None where it says nothing.

    Raises:
        DataError: it is missing, of another size or digest, or not listed.
        ConfigError: it may not be read.
    """
    if facts is None:
        raise DataError(f"{folder / name} is no shard of this data set: {DESCRIPTION_NAME} does not list it")
    path = (folder / name).absolute()
    with _guard:
        lock = _locks.setdefault(path, Lock())
    with lock:  # threads that want the same file wait for one of them to read it
        state = _state(path, facts)
        if state is None or _whole.get(path) != state:
            check_file(folder, name, facts, verify=True)
            remember(folder, name, facts, state)


def remember(folder: Path, name: str, facts: FileFacts, state: State | None = None) -> None:
    """Note that a file has been found whole, as it was in that state or is now."""
    path = (folder / name).absolute()
    found = state or _state(path, facts)
    if found is not None:
        _whole[path] = found


def _state(path: Path, facts: FileFacts) -> State | None:
    """What identifies the bytes that are there without reading them; None where there are none."""
    with folder_errors(path):
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
    return (found.st_size, found.st_mtime_ns, facts.sha256)

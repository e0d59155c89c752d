"""The folder of an area of interest: one writer at a time, files beside their manifest, what a stopped run left."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from betaearth.errors import ConfigError, TransientError
from betaearth.products.manifest import Manifest
from betaearth.storage.files import folder_errors, sync

LOCK = ".lock"
WORK = ".betaearth-"
"""Start of the names of folders for unfinished work."""
OVERVIEW = "{year}_overview.png"
"""Name of a year's figure: for people, and no part of the product."""


def make_folder(folder: Path) -> None:
    """Make the output folder.

    Raises:
        ConfigError: it is a file, or may not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"output folder {folder} cannot be made: a file is in the way") from error
    except (PermissionError, FileNotFoundError) as error:
        raise ConfigError(f"output folder {folder} cannot be made: {error.strerror}") from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the only run that writes into a folder.

    Raises:
        TransientError: another run is at it.
        ConfigError: the folder may not be written.
    """
    try:
        lock = (folder / LOCK).open("ab")
    except PermissionError as error:
        raise ConfigError(f"output folder {folder} may not be written") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TransientError(f"another run is writing into {folder}: try again when it is done") from error
        yield


def work_folder(folder: Path, year: int, digest: str) -> Path:
    """Return the folder of a year's unfinished work, made where it is not there.

    It is named by everything that determines the year. Work of the same year with other ingredients goes.
    """
    own = folder / f"{WORK}{year}-{digest[:12]}"
    _clear(folder, year, keep=own)
    own.mkdir(exist_ok=True)
    for left in own.glob("render-*"):
        shutil.rmtree(left)
    return own


def clear_work(folder: Path, year: int) -> None:
    """Remove a year's unfinished work."""
    _clear(folder, year, keep=None)


def place_files(manifest: Manifest, moves: Mapping[Path, str], gone: frozenset[str], folder: Path) -> None:
    """Move files and folders into place: old manifest away, old files away, new ones in, new manifest last.

    Args:
        manifest: of the new files.
        moves: what is to be moved, to its name in the folder.
        gone: names in the folder under which nothing may stay that is not moved there now.
        folder: of the area.
    """
    final = folder / f"{manifest.request.year}_manifest.json"
    final.unlink(missing_ok=True)
    for name in gone - set(moves.values()):
        _remove(folder / name)
    for source, name in moves.items():
        target = folder / name
        for path in (*source.rglob("*"), source):
            sync(path)
        if source.is_dir():
            _remove(target)
        source.replace(target)
    draft = folder / f"{WORK}{manifest.request.year}-manifest.tmp"
    draft.write_bytes(manifest.to_bytes())
    sync(draft)
    sync(folder)  # the files' names are on the disk before the manifest's
    draft.replace(final)
    sync(folder)


def place_overview(data: bytes, year: int, folder: Path) -> Path:
    """Put the figure of a year into the folder, whole or not at all.

    Raises:
        ConfigError: the folder cannot be written.
    """
    target, draft = folder / OVERVIEW.format(year=year), folder / f"{WORK}{year}-overview.tmp"
    with folder_errors(target):
        draft.write_bytes(data)
        sync(draft)
        draft.replace(target)
    return target


def _clear(folder: Path, year: int, keep: Path | None) -> None:
    for left in folder.glob(f"{WORK}{year}-*"):
        if left != keep:
            _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

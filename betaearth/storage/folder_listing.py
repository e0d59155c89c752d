"""Walking a folder in the order in which S3 lists keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from betaearth.storage.files import folder_errors

ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""What the file system says where there is no file of that name."""


def names_in(folder: Path) -> list[tuple[str, bool]]:
    """List (name, whether it is a folder): folders with their slash, which puts keys into their order.

    Links to folders are passed over: what lies behind them is not the store's, and may be the store itself.

    Raises:
        ConfigError: it may not be read.
    """
    try:
        with folder_errors(folder), os.scandir(folder) as entries:
            kinds = [
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in entries
                if not (entry.is_symlink() and Path(entry.path).is_dir())
            ]
    except ABSENT:
        return []
    return sorted((f"{name}/" if is_folder else name, is_folder) for name, is_folder in kinds)


def walk(base: Path, lead: str, name: str, *, is_folder: bool) -> Iterator[str]:
    """Yield the keys of a file, or of all files below a folder.

    Args:
        base: folder in which it lies.
        lead: key of that folder, with its slash.
        name: as `names_in` gives it.
        is_folder: whether it is one.
    """
    if not is_folder:
        yield lead + name
        return
    for child, child_is_folder in names_in(base / name):
        yield from walk(base / name, lead + name, child, is_folder=child_is_folder)

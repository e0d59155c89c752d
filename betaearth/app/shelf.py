"""The folders of all visitors on the disk: how much they hold, and which of them nobody has looked at for longest."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TOKEN = re.compile(r"[0-9a-f]{24}")
"""Name of a visitor's folder."""
GONE = ".gone-"
"""Prefix of a folder that is being removed."""


@dataclass(frozen=True)
class Held:
    """A visitor's folder."""

    path: Path
    size: int
    """Bytes."""
    left: float
    """Unix time since when nobody has it, as far as that is known."""


def held(root: Path) -> list[Held]:
    """Measure visitors' folders, the one that was left first first; other folders are none of the app's."""
    found = []
    for path in _folders(root):
        if TOKEN.fullmatch(path.name):
            with suppress(OSError):
                found.append(Held(path, folder_bytes(path), path.stat().st_mtime))
    return sorted(found, key=lambda each: each.left)


def folder_bytes(folder: Path) -> int:
    """Sum the bytes of the files below a folder; 0 where there is none."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # drafts come and go
                total += Path(place, name).lstat().st_size
    return total


def take_down(path: Path) -> bool:
    """Take a folder out of everybody's sight; returns whether that could be done. `throw_away` removes it."""
    try:
        path.rename(path.with_name(f"{GONE}{path.name}"))
    except OSError:
        return False
    return True


def throw_away(root: Path) -> None:
    """Remove what was taken down, by an earlier server too."""
    for path in _folders(root):
        if path.name.startswith(GONE):
            shutil.rmtree(path, ignore_errors=True)


def mark_left(path: Path) -> None:
    """Note that nobody has a folder from now on."""
    with suppress(OSError):  # it may never have been made
        os.utime(path)


def _folders(root: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]

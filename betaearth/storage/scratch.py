"""Folders for work in progress, which a process that is told to end can remove before it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HELD: set[Path] = set()


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder where the system keeps temporary files, and remove it with everything in it."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="betaearth-") as name:
        folder = Path(name)
        _HELD.add(folder)
        try:
            yield folder
        finally:
            _HELD.discard(folder)


def remove_scratch() -> None:
    """Remove the folders that are held now, as far as that is possible: for a process that ends without unwinding."""
    import shutil

    for folder in tuple(_HELD):
        shutil.rmtree(folder, ignore_errors=True)

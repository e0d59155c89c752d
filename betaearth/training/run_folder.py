"""The folder of a run: a new one, or one that a run has begun; nobody else's files are touched."""

from __future__ import annotations

from pathlib import Path

from betaearth.errors import DataError
from betaearth.storage.files import folder_errors
from betaearth.training.checkpoint import last_path
from betaearth.training.journal import NAME as JOURNAL_NAME

RUN_NAME = "training.json"
"""What a run was told and learned from, for people."""


def check_run_folder(out: Path) -> None:
    """Check that a folder is free, or a run's.

    Raises:
        DataError: it holds other files, such as a data set.
        ConfigError: it may not be looked into.
    """
    with folder_errors(out):
        held = sorted(entry.name for entry in out.iterdir()) if out.is_dir() else []
    if held and not {RUN_NAME, JOURNAL_NAME, last_path(out).parent.name} & {*held}:
        raise DataError(f"{out} holds something else ({held[0]}), not a run: name a new folder, or one of a run")

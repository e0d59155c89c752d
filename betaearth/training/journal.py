"""`metrics.jsonl`: what a run has measured, one JSON object a line, no line twice however often the run was stopped.

A line of kind `step` holds, for each model, the means since the last such line: `loss`, `cosine` (mean over valid
pixels), `mse`, `grad_norm`, and `lr` and `drop` (the chance that an input is withheld) as they are then. A line of kind
`validation` holds `cosine`, `std` (over tiles) and, at its top, `constant`: the mean cosine of the best constant
answer, and `tiles`. `epoch` is the number of epochs done, with fractions; `step` counts over the run from 1.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from betaearth.storage.files import folder_errors

NAME = "metrics.jsonl"


class Journal:
    """The file, open for appending."""

    def __init__(self, path: Path, size: int) -> None:
        """Open the file and forget what was written after it had a size: the steps that follow will be made again.

        Args:
            path: of the file.
            size: bytes that a checkpoint knows of; 0 begins anew.

        Raises:
            ConfigError: it cannot be written.
        """
        self._path = path
        with folder_errors(path):
            path.touch()
            self._file = path.open("r+b")
            self._file.truncate(min(size, path.stat().st_size))
            self._file.seek(0, os.SEEK_END)

    def write(self, kind: str, content: Mapping[str, Any]) -> None:
        """Append a line.

        Raises:
            ConfigError: the disk is full.
        """
        with folder_errors(self._path):
            self._file.write(json.dumps({"kind": kind, **content}, allow_nan=False).encode() + b"\n")
            self._file.flush()

    def size(self) -> int:
        """Return its size in bytes, all of which are on the disk then."""
        with folder_errors(self._path):
            os.fsync(self._file.fileno())
            return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

"""The folder of figures: a new one, or one that figures were drawn into before; nobody else's files are touched."""

from __future__ import annotations

import json
from pathlib import Path

from betaearth.errors import DataError
from betaearth.storage.files import folder_errors, replace_file

RECORD = ".betaearth-figures.json"
"""Names of the files that were drawn here, which alone are replaced."""
OTHERS = {
    "dataset.json": "a data set",
    "results.json": "the results of an evaluation",
    "catalog-results.json": "the results of an evaluation",
    "training.json": "a training run",
    "metrics.jsonl": "a training run",
    "checkpoints": "a training run",
    "catalog.json": "a catalog",
    "collection.json": "a catalog",
    "runs": "a store",
    "model.safetensors": "weights",
}
"""What other commands leave in their folders."""


class FigureFolder:
    """A folder that figures may be written into."""

    def __init__(self, path: Path, ours: frozenset[str]) -> None:
        self.path = path
        self._ours = ours

    @classmethod
    def take(cls, path: Path) -> FigureFolder:
        """Check that a folder is free or ours; nothing is made yet.

        Raises:
            DataError: it holds what another command, or somebody else, has made.
            ConfigError: it may not be looked into.
        """
        with folder_errors(path):
            held = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
        if held and RECORD not in held:
            kind = next((words for name, words in OTHERS.items() if name in held), f"something else ({held[0]})")
            raise DataError(f"{path} holds {kind}, not figures: name a new folder, or one of earlier figures")
        return cls(path, _recorded(path) if held else frozenset())

    def claim(self, name: str) -> None:
        """Make the folder, and note that a figure's files in it are ours from now on.

        Args:
            name: of the files, without suffix.

        Raises:
            DataError: a file of this name is there that is not ours.
            OSError: the folder cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        files = {f"{name}.png", f"{name}.pdf"}
        for file in sorted(files - self._ours):
            if (self.path / file).exists():
                raise DataError(f"{self.path / file} is not of earlier figures: move it away, or name a new folder")
        if not files <= self._ours:
            self._ours |= files
            replace_file(self.path / RECORD, (json.dumps(sorted(self._ours), indent=1) + "\n").encode())


def _recorded(path: Path) -> frozenset[str]:
    try:
        with folder_errors(path):
            names = json.loads((path / RECORD).read_bytes())
    except ValueError as error:
        raise DataError(f"{path / RECORD} is damaged: name a new folder") from error
    if not isinstance(names, list):
        raise DataError(f"{path / RECORD} is no list of files: name a new folder")
    return frozenset(map(str, names))

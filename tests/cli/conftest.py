"""The command line in process."""

from __future__ import annotations

import threading

import pytest

from tests.e2e.conftest import Betaearth as Command
from tests.e2e.conftest import Done, betaearth, synthetic_cache

__all__ = ["Command", "Done", "betaearth", "synthetic_cache"]


@pytest.fixture(autouse=True)
def _nothing_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command is a process's only one: what earlier tests of this process made is not its own."""
    monkeypatch.setattr("betaearth.cli.progress._making", threading.Event())

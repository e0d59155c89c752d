"""The command line in process."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from betaearth.cli.main import app, guarded


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def betaearth(capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run a command and catch what it says."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*words: object) -> Done:
        capfd.readouterr()
        code = guarded(lambda: app(args=[str(word) for word in words]))
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    yield run
    signal.signal(signal.SIGTERM, before)

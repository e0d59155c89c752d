"""The command line as tests drive it: in process where many runs are wanted, as a process where it matters."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from betaearth.cli.main import app, guarded


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log lines."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    @property
    def message(self) -> str:
        """The error's sentence, or everything on stderr."""
        return next((event["message"] for event in self.events if event["event"] == "failed"), self.err)


Betaearth = Callable[..., Done]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make up imagery and weights where a test names none; the defaults would be fetched."""
    monkeypatch.setenv("BETAEARTH_SOURCE", "synthetic")
    monkeypatch.setenv("BETAEARTH_MODEL", "demo")


@pytest.fixture
def betaearth(capfd: pytest.CaptureFixture[str]) -> Iterator[Betaearth]:
    """Run a command in this process and catch what it says."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*words: object) -> Done:
        capfd.readouterr()
        code = guarded(lambda: app(args=[str(word) for word in words]))
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def synthetic_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of synthetic imagery that the tests of a session share, as runs on one machine do."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo once, as a user does; give its folder and what it printed."""
    out = tmp_path_factory.mktemp("demo") / "out"
    script = Path(sys.executable).parent / "betaearth"
    done = subprocess.run([script, "demo", "--out", out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out, done.stdout

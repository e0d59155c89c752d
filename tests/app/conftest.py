"""Choices, desks and workers of the app."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from betaearth.app.board import Board
from betaearth.app.choice import Choice
from betaearth.app.hall import HALL
from betaearth.app.job import Job
from betaearth.app.order import Order
from tests.browser.conftest import browser, pytest_runtest_makereport, screenshots, serve, visit

__all__ = ["browser", "pytest_runtest_makereport", "screenshots", "serve", "visit"]

BOX = (-114.06, 48.6, -114.056, 48.603)
"""Degrees; 36 x 36 pixels of the synthetic Earth."""
SMALL = Choice(bbox=BOX, years=(2021,), source="synthetic", model="demo", max_per_quarter=1)
PATIENCE_S = 240.0
"""A worker loads the network's libraries, which takes long on a busy machine."""
WAITS = (sys.executable, "-c", "import sys; sys.stdin.buffer.readline(); sys.stdin.buffer.read()")
"""A worker that works until whoever ordered is gone."""


def until(true: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def begin(job: Job) -> None:
    """Start a worker, and tell it what to do."""
    job.start()
    job.give_order()


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_SOURCE", "synthetic")
    monkeypatch.setenv("BETAEARTH_MODEL", "demo")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit makes the page it runs the process's main module, which processes spawned later would then run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="session")
def imagery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of synthetic imagery."""
    return tmp_path_factory.mktemp("imagery")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, imagery: Path) -> Path:
    """The folder of a desk in which a real worker has made a year."""
    folder = tmp_path_factory.mktemp("outputs") / ("ab" * 12)
    order = Order(task="generate", choice=SMALL, folder=folder, max_output_mb=10.0)
    job = Job(order, folder / ".app" / "generate.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BETAEARTH_CACHE", str(imagery))
        begin(job)
    until(lambda: job.over)
    assert job.state == "done", job.failure
    job.close()
    return folder


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board whose workers work until they are ended; nobody looks after it but the test."""
    made = Board(tmp_path / "outputs", at_once=1, away_s=0.0, max_output_mb=20.0, command=WAITS)
    yield made
    made.tick()
    made.close()


@pytest.fixture
def hall(board: Board) -> Iterator[Board]:
    """The board of the test is that of the page."""
    HALL.board = board.open()
    yield board
    HALL.board = None

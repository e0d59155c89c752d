"""Workers that fail, and workers whose driver does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.flops import Year
from benchmarks.seeded import write_year
from benchmarks.session import Environment, Request, Worker
from betaearth.errors import ConfigError

ROOT = Path(__file__).parents[2]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def scene(inputs: Path, size: int = 64) -> Request:
    return Request(do="scene", inputs=str(inputs), shape=(size, size), s2=1, s1=0, tile_size=64, overlap=32)


def test_a_worker_answers_and_ends(demo_environment: Environment, tmp_path: Path) -> None:
    inputs = write_year(tmp_path / "scene.npz", Year((64, 64), s2=1, s1=0))
    with demo_environment.start(tmp_path / "demo.log") as worker:
        assert set(worker.ready.versions) == {"python", "betaearth", "torch", "numpy"}
        if hasattr(os, "sched_getaffinity"):
            assert len(os.sched_getaffinity(worker.pid)) == 1, "no more cores than threads"
        answer = worker.ask(scene(inputs))
        assert answer.peak_bytes >= worker.ready.baseline_bytes > 0
        assert worker.ask(scene(inputs)).peak_bytes >= answer.peak_bytes
    assert gone(worker.pid)


def test_weights_that_are_not_there(demo_environment: Environment, tmp_path: Path) -> None:
    missing = replace(demo_environment, weights=str(tmp_path / "nothing"))
    with (
        missing.start(tmp_path / "ours.log") as worker,
        pytest.raises(ConfigError, match=r"(?s)worker of ours ended with exit code 1, loading weights.*nothing"),
    ):
        worker.ready  # noqa: B018
    assert gone(worker.pid)


def test_the_published_package_where_it_is_not_installed(demo_environment: Environment, tmp_path: Path) -> None:
    absent = replace(demo_environment, package="published")
    with (
        absent.start(tmp_path / "published.log") as worker,
        pytest.raises(ConfigError, match="No module named 'segmentation_models_pytorch'"),
    ):
        worker.ask(scene(tmp_path))
    assert gone(worker.pid)


def test_a_request_that_fails(demo_environment: Environment, tmp_path: Path) -> None:
    inputs = write_year(tmp_path / "scene.npz", Year((64, 64), s2=1, s1=0))
    with demo_environment.start(tmp_path / "ours.log") as worker:
        with pytest.raises(ConfigError, match=r"(?s)exit code 1, running .*does not hold 1 \+ 0 scenes of 96 x 96"):
            worker.ask(scene(inputs, size=96))
        assert gone(worker.pid)
        with pytest.raises(ConfigError, match="ended with exit code 1"):
            worker.ask(scene(inputs))


def test_a_worker_that_answers_something_else(tmp_path: Path) -> None:
    chatty = tmp_path / "python"
    chatty.write_text("#!/bin/sh\necho hello\nexec cat > /dev/null\n")
    chatty.chmod(0o755)
    environment = Environment("ours", str(chatty), "demo", threads=1)
    with (
        environment.start(tmp_path / "ours.log") as worker,
        pytest.raises(ConfigError, match="the worker of ours answered 'hello', loading weights"),
    ):
        worker.ready  # noqa: B018
    assert gone(worker.pid)


def test_an_interpreter_that_is_not_there(demo_environment: Environment, tmp_path: Path) -> None:
    absent = replace(demo_environment, python=str(tmp_path / "python"))
    with pytest.raises(ConfigError, match="is not an interpreter of ours"):
        absent.start(tmp_path / "ours.log")


def test_a_worker_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.session.GRACE_SECONDS", 0.2)
    deaf = tmp_path / "python"
    deaf.write_text("#!/bin/sh\nexec sleep 600\n")
    deaf.chmod(0o755)
    worker = Worker(Environment("ours", str(deaf), "demo", threads=1), tmp_path / "ours.log")
    worker.close()
    assert gone(worker.pid)


def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import os, pathlib, signal, sys
from benchmarks.session import Environment
environment = Environment("ours", sys.executable, "demo", threads=1)
worker = environment.start(pathlib.Path({str(tmp_path / "ours.log")!r}))
worker.ready
print(worker.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True)
    pid = int(done.stdout)
    deadline = time.monotonic() + 30
    while not gone(pid):
        assert time.monotonic() < deadline, "the worker outlived its driver"
        time.sleep(0.05)

"""SIGTERM ends a process in time, whatever its main thread is doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from betaearth.cli.ending import ending_in_time

PROGRAM = """
import hashlib, sys, threading
from concurrent.futures import ThreadPoolExecutor
from betaearth.cli import ending
from betaearth.cli.main import guarded
from betaearth.pipeline.scratch import scratch_folder

ending.GRACE_S = float(sys.argv[2])

def ready(folder):
    print(folder, flush=True)

def waits():
    with scratch_folder() as folder:
        ready(folder)
        threading.Event().wait(60)

def waits_for_a_thread():
    with scratch_folder() as folder, ThreadPoolExecutor(1) as pool:
        pool.submit(threading.Event().wait, 60)
        ready(folder)

def computes_in_c():
    with scratch_folder() as folder:
        ready(folder)
        hashlib.pbkdf2_hmac("sha256", b"", b"", (1 << 31) - 1)

def holds_on():
    with scratch_folder() as folder:
        steps = iter([ready])
        while True:
            try:
                for step in steps:
                    step(folder)
                threading.Event().wait(60)
            except SystemExit:
                pass

def leaves_a_thread_behind():
    threading.Thread(target=threading.Event().wait, args=(60,)).start()
    waits()

ending.leave(guarded(globals()[sys.argv[1]]))
"""


@contextmanager
def running(case: str, grace_s: float) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that is where it is to be terminated, and its temporary folder."""
    command = [sys.executable, "-c", PROGRAM, case, str(grace_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        try:
            assert folder.is_dir()
            yield process, folder
        finally:
            process.kill()


@pytest.mark.parametrize("case", ["waits", "waits_for_a_thread", "computes_in_c", "holds_on", "leaves_a_thread_behind"])
def test_it_ends_in_time_and_clears_up(case: str) -> None:
    with running(case, 0.2) as (process, folder):
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 143
        assert "Traceback" not in said
        assert not folder.exists()


def test_the_second_signal_ends_it_at_once() -> None:
    with running("holds_on", 50) as (process, folder):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 143
        assert not folder.exists()


def test_nothing_is_left_behind_where_nothing_happened() -> None:
    before = signal.getsignal(signal.SIGTERM), threading.active_count()
    try:
        with ending_in_time():
            assert threading.active_count() == before[1] + 1
    finally:
        signal.signal(signal.SIGTERM, before[0])
    assert threading.active_count() == before[1]
    descriptor = signal.set_wakeup_fd(-1)
    assert descriptor == -1

"""SIGTERM ends a process in time, whatever its main thread is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from betaearth.cli.ending import ending_in_time
from betaearth.storage.folder import FolderStore

PROGRAM = """
import hashlib, sys, threading
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from betaearth.cli import ending
from betaearth.cli.main import guarded
from betaearth.errors import DataError
from betaearth.storage.scratch import scratch_folder

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

def hold(folder):
    steps = iter([ready])
    while True:
        try:
            for step in steps:
                step(folder)
            threading.Event().wait(60)
        except SystemExit:
            pass

def holds_on():
    with scratch_folder() as folder:
        hold(folder)

def reads_a_part_of_a_mirror():
    import rustac
    from betaearth.stac.mirror_parts import items_of
    rustac.read_sync = lambda path, **_: hold(Path(path).parent)
    items_of(b"")

def writes_a_part_of_a_mirror():
    import rustac
    from betaearth.stac import mirror_parts
    rustac.write_sync = lambda path, *_, **__: hold(Path(path).parent)
    mirror_parts._written([{}])

def verifies():
    from betaearth.stac import verify
    class Item:
        def read(self, limit):
            return b"{}"
    verify._Examination.run = lambda self: hold(self.folder)
    verify.verify(Item(), None)

def leaves_a_thread_behind():
    threading.Thread(target=threading.Event().wait, args=(60,)).start()
    waits()

def prints_in_the_end():
    try:
        waits()
    finally:
        sys.stdout.write("done")

def fails_while_it_unwinds():
    try:
        waits()
    finally:
        raise DataError("cut short")

def starts_no_thread():
    def refused():
        raise RuntimeError("can't start new thread")
    threading.Thread.start = lambda self: refused()
    holds_on()

ending.leave(guarded(globals()[sys.argv[1]]))
"""

SERVER = """
import sys
from pathlib import Path
from betaearth.cli import ending
from betaearth.cli.main import guarded
from betaearth.cli.serve import serve_store
from betaearth.storage.folder import FolderStore

ending.GRACE_S = 0.2
ending.leave(guarded(lambda: serve_store(FolderStore(Path(sys.argv[1])), host="127.0.0.1", port=0)))
"""


CASES = (
    "waits",
    "waits_for_a_thread",
    "computes_in_c",
    "holds_on",
    "leaves_a_thread_behind",
    "fails_while_it_unwinds",
    "reads_a_part_of_a_mirror",
    "writes_a_part_of_a_mirror",
    "verifies",
)


@contextmanager
def running(case: str, grace_s: float) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that is where it is to be terminated, and its temporary folder."""
    command = [sys.executable, "-c", PROGRAM, case, str(grace_s)]
    buffering = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=buffering) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        try:
            assert folder.is_dir()
            yield process, folder
        finally:
            process.kill()


@pytest.mark.parametrize("case", CASES)
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


def test_nobody_need_read_what_it_says() -> None:
    with running("prints_in_the_end", 50) as (process, folder):
        assert process.stdout is not None
        process.stdout.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
        assert not folder.exists()


def test_it_ends_where_no_thread_can_be_started() -> None:
    with running("starts_no_thread", 0.2) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143


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


def test_a_download_is_not_cut_off(tmp_path: Path) -> None:
    """Whoever reads slowly gets the whole, long after other commands would have ended."""
    size = 24 << 20  # more than what two sockets hold
    store = FolderStore(tmp_path)
    store.create("catalog.json", b"{}")
    with (tmp_path / "large.tif").open("wb") as file:
        file.truncate(size)
    command = [sys.executable, "-c", SERVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip().removesuffix("/catalog.json")
            with urllib.request.urlopen(f"{address}/large.tif", timeout=20) as answer:
                received = len(answer.read(1 << 16))
                process.send_signal(signal.SIGTERM)
                time.sleep(0.8)
                assert process.poll() is None
                received += len(answer.read())
            assert received == size
            assert process.wait(20) == 143
        finally:
            process.kill()

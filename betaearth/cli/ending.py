"""How a process ends on SIGTERM: in order where that is quick, and within seconds whatever its threads are doing.

Python runs a signal's handler in the main thread, between two steps of its own. A main thread that waits for others,
which wait for a server, unwinds when they are done, which may take minutes; a pod that is preempted has seconds. So a
thread looks on, which the signal itself wakes.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from betaearth.cli.exit_codes import TERMINATED
from betaearth.storage.scratch import remove_scratch

GRACE_S = 3.0
"""Time that unwinding gets."""
CLEARING_S = 1.0
"""Time that removing folders gets after that."""

_longer: list[float] = []
"""Graces that what is running has asked for."""


@dataclass
class Ending:
    """What a process was told."""

    told: bool = False
    """Whether SIGTERM has come: what is raised while all is unwound is no verdict on what was being done."""

    def terminate(self, signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG002  # as signal handlers are
        """Unwind the main thread: temporary folders are removed, locks are released."""
        self.told = True
        raise SystemExit(TERMINATED)


@contextmanager
def ending_in_time() -> Iterator[Ending]:
    """Let SIGTERM end the process with exit code 143: by SystemExit, or at once after a grace or a second SIGTERM.

    The grace is `GRACE_S`, unless what is running has a `longer_grace`. Nothing half-made is visible either way: the
    store shows what is whole, as it does after a power cut.
    """
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    before = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    ending = Ending()
    signal.signal(signal.SIGTERM, ending.terminate)
    watch = threading.Thread(target=watch_out, args=(woken,), name="betaearth-ending", daemon=True)
    watch.start()
    try:
        yield ending
    finally:
        signal.set_wakeup_fd(before)
        os.close(waker)
        watch.join()
        os.close(woken)


@contextmanager
def longer_grace(seconds: float) -> Iterator[None]:
    """Give what runs in here that long to end in order after SIGTERM, where somebody waits for what it is doing."""
    _longer.append(seconds)
    try:
        yield
    finally:
        _longer.remove(seconds)


def watch_out(woken: int) -> None:
    """Wait for SIGTERM, then for the process to end, and end it where it does not.

    Args:
        woken: file descriptor from which the numbers of signals are read; closed at the other end when all is over.
    """
    while received := os.read(woken, 64):
        terminations = received.count(signal.SIGTERM)
        if terminations == 0:
            continue
        if terminations > 1 or outlasts(woken, max([GRACE_S, *_longer])):
            end_now()
        return


def outlasts(woken: int, seconds: float) -> bool:
    """Tell whether unwinding takes longer than that, or is cut short by a second SIGTERM."""
    import time

    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([woken], [], [], left)
        if not ready:
            return True
        received = os.read(woken, 64)
        if not received:
            return False
        if signal.SIGTERM in received:
            return True
    return True


def leave(code: int) -> NoReturn:
    """End the process; after SIGTERM without waiting for threads, which may be in the midst of foreign code."""
    if code != TERMINATED:
        sys.exit(code)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:  # whoever read it may be gone
        os._exit(code)


def end_now() -> NoReturn:
    """End the process without unwinding it."""
    try:
        clearing = threading.Thread(target=remove_scratch, name="betaearth-clearing", daemon=True)
        clearing.start()
        clearing.join(CLEARING_S)
    finally:  # a process at its limit of threads cannot start another one
        os._exit(TERMINATED)

"""A visitor's work in a process of its own: started, watched by the lines that it writes, and ended."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from betaearth.app.order import Order
from betaearth.cli.exit_codes import INTERRUPTED, TERMINATED, UNPLANNED, exit_code
from betaearth.errors import ConfigError, TransientError
from betaearth.storage.files import folder_errors

KILL_S = 15.0
"""Time that a worker gets to end in order; it takes 3 s at most where all is well."""

WORKER = (sys.executable, "-P", "-m", "betaearth.app.worker")
"""The command of a worker; nothing is imported from the folder in which the server was started."""

Line = dict[str, Any]
"""An event, or an error: `event` is its name."""

MEANING = {
    2: "The app asked for something that betaearth does not take: this is a defect of the app.",
    65: "This can never work as it is asked.",
    75: "This may work later: try again.",
    78: "The set-up of this app must change; its owner can do that.",
    70: "This is a defect of betaearth. The server's log of it is in the folder of the work.",
    INTERRUPTED: "It was interrupted.",
    TERMINATED: "It was cancelled.",
}
"""Exit code to what it means for a visitor."""
BUSY = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What the system says where it has no room for another process now."""
KILLED = "It was ended from outside, most likely because the memory ran out: try a smaller area, or one year at a time."


class State(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass
class Job:
    """One order, and the process that does it."""

    order: Order
    log: Path
    """File of the worker's lines; its result lies beside it."""
    command: Sequence[str] = WORKER
    """Takes the order on its standard input."""
    process: subprocess.Popen[bytes] | None = None
    told_to_end: float | None = None
    """Monotonic seconds since when it ought to end; None where it may go on."""
    refusal: ConfigError | TransientError | None = None
    """Why no worker could be started; None where one was, or was not tried."""
    _offset: int = 0
    _lines: list[Line] = field(default_factory=list)
    _reading: threading.Lock = field(default_factory=threading.Lock)
    """Of the lines: each page of a desk has a thread."""

    @property
    def result_path(self) -> Path:
        """File of the result."""
        return self.log.with_suffix(".json")

    def start(self) -> None:
        """Start the worker, which waits for its order; where there can be none the job has failed."""
        try:
            with folder_errors(self.log.parent):
                self._start()
        except ConfigError as error:
            self.refusal = error
        except OSError as error:
            said = f"no process could be started for this work ({error.strerror})"
            self.refusal = TransientError(said) if error.errno in BUSY else ConfigError(said)

    def _start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as lines, self.result_path.open("wb") as result:
            # A session of its own: Ctrl+C is for the server, which ends its workers then.
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=result,
                stderr=lines,
                start_new_session=True,
            )

    def give_order(self) -> None:
        """Tell a worker that was started what to do; one that has ended already says why by its exit code."""
        if self.process is None or self.process.stdin is None:
            return
        with suppress(BrokenPipeError):  # stays open: its end is the worker's
            self.process.stdin.write(self.order.model_dump_json().encode() + b"\n")
            self.process.stdin.flush()

    @property
    def state(self) -> State:
        """Where it is now."""
        if self.refusal is not None:
            return State.FAILED
        if self.process is None:
            return State.WAITING if self.told_to_end is None else State.CANCELLED
        code = self.process.poll()
        if code is None:
            return State.RUNNING
        if code == 0:
            return State.DONE if self._answered else State.FAILED
        return State.CANCELLED if self.told_to_end is not None else State.FAILED

    @property
    def over(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.state not in {State.WAITING, State.RUNNING}

    def cancel(self) -> None:
        """Let it end soon and in order; what is finished is kept."""
        if self.over or self.told_to_end is not None:
            return
        self.told_to_end = time.monotonic()
        if self.process is not None:
            self.process.terminate()

    def press(self) -> None:
        """End it for good where it has had its time."""
        late = self.told_to_end is not None and time.monotonic() - self.told_to_end > KILL_S
        if late and self.process is not None and self.process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """End it for good, and whatever it has started: it leads a group of its own."""
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Wait for its end that long at most; returns whether it is over."""
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0.0, seconds))
        return self.over

    def close(self) -> None:
        """Let go of a process that is over."""
        if self.process is not None and self.over and self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()

    @property
    def _answered(self) -> bool:
        return self.result_path.is_file() and self.result_path.stat().st_size > 0

    @property
    def lines(self) -> list[Line]:
        """What it has told so far."""
        with self._reading:
            if self.process is not None:
                with self.log.open("rb") as file:
                    file.seek(self._offset)
                    fresh = file.read()
                whole = fresh[: fresh.rfind(b"\n") + 1]
                self._offset += len(whole)
                self._lines += parsed(whole)
            return list(self._lines)

    @property
    def result(self) -> dict[str, Any]:
        """What a job that is done has found or made."""
        found: dict[str, Any] = json.loads(self.result_path.read_bytes())
        return found

    @property
    def failure(self) -> str:
        """Say why a job failed, and what that means."""
        if self.refusal is not None:
            return f"{self.refusal} — {MEANING[exit_code(self.refusal)]}"
        code = UNPLANNED if self.process is None else self.process.poll() or UNPLANNED
        said = [str(line["message"]) for line in self.lines if line.get("event") == "failed"]
        meaning = meaning_of(code)
        return f"{said[-1]} — {meaning}" if said else meaning


def meaning_of(code: int) -> str:
    """Say what the exit code of a worker means; below 0 it is a signal that it did not handle."""
    return KILLED if code < 0 else MEANING.get(code, f"It ended with exit code {code}.")


def parsed(text: bytes) -> Iterator[Line]:
    """Read lines of JSON objects; a traceback and what libraries say is none."""
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and "event" in found:
            yield found

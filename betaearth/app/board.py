"""Everybody's work on this server: who may begin, who waits, and whose visitor is gone."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from betaearth.app import shelf
from betaearth.app.choice import Choice
from betaearth.app.job import WORKER, Job, State
from betaearth.app.order import Order
from betaearth.app.shelf import TOKEN

TICK_S = 0.25
SWEEP_S = 30.0
GIGABYTE = 1e9
CLOSE_S = 6.0
"""Time that workers get to end with the server."""
LOGS = ".app"
"""Folder of the workers' lines in the folder of a desk; no area can have this name."""


@dataclass
class Desk:
    """A visitor's work: an estimate, a run, and a folder that nobody else writes into."""

    token: str
    """Unguessable; whoever has it has the folder."""
    folder: Path
    estimate: Job | None = None
    run: Job | None = None
    visitors: int = 0
    """Browser pages that look at it."""
    left: float = field(default_factory=time.monotonic)
    """Monotonic seconds since when nobody looks, where nobody does."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def arrive(self) -> None:
        """Note that somebody looks."""
        with self.lock:
            self.visitors += 1

    def leave(self) -> None:
        """Note that somebody went."""
        with self.lock:
            self.visitors -= 1
            self.left = time.monotonic()

    def deserted(self, seconds: float) -> bool:
        """Tell whether nobody has looked for so long."""
        with self.lock:
            return self.visitors <= 0 and time.monotonic() - self.left >= seconds

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Its work that is not over."""
        return tuple(job for job in (self.estimate, self.run) if job is not None and not job.over)

    @property
    def choice(self) -> Choice | None:
        """What its visitor chose last; None before anything was asked."""
        job = self.estimate or self.run
        return None if job is None else job.order.choice

    def log_for(self, order: Order) -> Path:
        """Name a file for the worker's lines."""
        return self.folder / LOGS / f"{order.task}-{time.time_ns()}.jsonl"


@dataclass
class Board:
    """The desks of a server. All methods may be called by any thread."""

    root: Path
    """Folder of the desks' folders."""
    at_once: int
    """Runs that work at the same time, and as many estimates."""
    away_s: float
    """Seconds that a visitor may be gone before the work is ended: a page that is loaded anew is back at once."""
    max_output_mb: float
    """Megabytes of a run's output."""
    keep_gb: float = math.inf
    """Gigabytes that the folders of all visitors may have; the ones that nobody has make room."""
    command: Sequence[str] = WORKER
    """Of a worker."""
    desks: dict[str, Desk] = field(default_factory=dict)
    queue: list[Job] = field(default_factory=list)
    """Jobs that are not over, in the order in which they came."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    closed: threading.Event = field(default_factory=threading.Event)

    def open(self) -> Board:
        """Begin to look after the desks."""
        for task, name in ((self._watch, "board"), (self._keep, "shelf")):
            threading.Thread(target=task, daemon=True, name=f"betaearth-{name}").start()
        return self

    def close(self) -> None:
        """End all work, and wait for its end."""
        self.closed.set()
        with self.lock:
            jobs = list(self.queue)
        for job in jobs:
            job.cancel()
        deadline = time.monotonic() + CLOSE_S
        for job in jobs:
            if not job.wait(deadline - time.monotonic()):
                job.kill()
                job.wait(CLOSE_S)
            job.close()

    def desk(self, token: str | None) -> Desk:
        """Return the desk of a token; a new one where it has none, or never had one here."""
        with self.lock:
            if token is not None and token in self.desks:
                return self.desks[token]
            known = token is not None and TOKEN.fullmatch(token) and (self.root / token).is_dir()
            fresh = token if token is not None and known else secrets.token_hex(12)
            desk = Desk(fresh, self.root / fresh)
            self.desks[fresh] = desk
            return desk

    def estimate(self, desk: Desk, choice: Choice) -> Job:
        """Begin an estimate, or queue it; one that is under way is ended."""
        with self.lock:
            if desk.estimate is not None:
                desk.estimate.cancel()
            job = desk.estimate = self._queued(desk, self._order("estimate", desk, choice))
        self.tick()
        return job

    def run(self, desk: Desk, choice: Choice) -> Job:
        """Begin a run, or queue it; a desk has one at a time."""
        with self.lock:
            if desk.run is None or desk.run.over:
                desk.run = self._queued(desk, self._order("generate", desk, choice))
            job = desk.run
        self.tick()
        return job

    def before(self, job: Job) -> int:
        """Count the jobs of its kind that must end before a waiting job begins."""
        with self.lock:
            if job not in self.queue:
                return 0
            ahead = [each for each in self.queue[: self.queue.index(job)] if each.order.task == job.order.task]
            return max(0, len(ahead) - self.at_once + 1)

    def tick(self) -> None:
        """End what nobody waits for any more, then begin what may begin."""
        with self.lock:
            self._desert()
            for job in self.queue:
                job.press()
                if job.over:
                    job.close()
            self.queue[:] = [job for job in self.queue if not job.over]
            begun = self._begin()
        for job in begun:
            # Nobody waits for a worker that is slow to read.
            job.give_order()

    def sweep(self) -> None:
        """Keep the folders of all visitors within their limit: of those that nobody has, the first to be left go."""
        shelf.throw_away(self.root)
        there = shelf.held(self.root)
        surplus = sum(each.size for each in there) - self.keep_gb * GIGABYTE
        for each in there:
            if surplus <= 0:
                break
            with self.lock:  # whoever comes back now finds it, or finds it gone
                down = each.path.name not in self.desks and shelf.take_down(each.path)
            surplus -= each.size if down else 0
        shelf.throw_away(self.root)

    def _desert(self) -> None:
        for desk in list(self.desks.values()):
            if not desk.deserted(self.away_s):
                continue
            for job in desk.jobs:
                job.cancel()
            if not desk.jobs:
                del self.desks[desk.token]
                shelf.mark_left(desk.folder)

    def _begin(self) -> list[Job]:
        begun = []
        for job in self.queue:
            at_work = sum(each.state is State.RUNNING and each.order.task == job.order.task for each in self.queue)
            if job.state is State.WAITING and at_work < self.at_once and not self.closed.is_set():
                job.start()
                begun.append(job)
        return begun

    def _order(self, task: str, desk: Desk, choice: Choice) -> Order:
        given = {"task": task, "choice": choice, "folder": desk.folder, "max_output_mb": self.max_output_mb}
        return Order.model_validate(given)

    def _queued(self, desk: Desk, order: Order) -> Job:
        job = Job(order, desk.log_for(order), self.command)
        self.queue.append(job)
        return job

    def _watch(self) -> None:
        while not self.closed.wait(TICK_S):
            self.tick()

    def _keep(self) -> None:
        self.sweep()
        while not self.closed.wait(SWEEP_S):
            self.sweep()

"""Waiting for something that may not come: what an iterator yields, taken in by a thread."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _End:
    failure: Exception | None


class Inbox(Generic[T]):
    """Takes in what a generator yields, so that one can wait for the next for some seconds and no longer.

    Nothing interrupts a thread that reads from a quiet connection: after `close` it lives until something more
    arrives, or the process ends, which does not wait for it.
    """

    def __init__(self, items: Generator[T, None, None]) -> None:
        self.ended = False
        """Whether the generator has ended, and all of it was taken."""
        self._arrived: SimpleQueue[T | _End] = SimpleQueue()
        self._closed = Event()
        Thread(target=self._take_in, args=(items,), name="betaearth-inbox", daemon=True).start()

    def take(self, seconds: float | None) -> list[T]:
        """Wait for something to arrive, and return all that has.

        Args:
            seconds: how long to wait; None for as long as it takes.

        Returns:
            Empty where nothing came in time, or nothing more comes.

        Raises:
            Exception: the one that the generator raised, once all that came before was taken.
        """
        taken: list[T] = []
        try:
            arrived = self._arrived.get(timeout=seconds)
            while not isinstance(arrived, _End):
                taken.append(arrived)
                arrived = self._arrived.get_nowait()
        except Empty:
            return taken
        if arrived.failure is not None and not taken:
            raise arrived.failure
        self._arrived.put(arrived)
        self.ended = arrived.failure is None
        return taken

    def close(self) -> None:
        """Take nothing in any more."""
        self._closed.set()

    def _take_in(self, items: Generator[T, None, None]) -> None:
        failure = None
        try:
            for item in items:
                self._arrived.put(item)
                if self._closed.is_set():
                    items.close()
                    return
        except Exception as error:  # noqa: BLE001  # `take` raises it, also one that nobody has planned
            failure = error
        self._arrived.put(_End(failure))

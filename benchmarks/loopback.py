"""The loopback Planetary Computer of the tests in a process of its own, so that it takes no time from whoever reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from tests.planetary_computer import PlanetaryComputer, forget_tokens

LATENCY_S = 0.05
"""Wait before every answer, as for upstream from another network."""


class Served(NamedTuple):
    """What a server has answered so far."""

    requests: int
    """For assets; HEAD and refused ones count."""
    bytes: int
    """Of their bodies."""

    def since(self, earlier: Served) -> Served:
        """Return what came after an earlier count."""
        return Served(self.requests - earlier.requests, self.bytes - earlier.bytes)


@dataclass(frozen=True)
class Loopback:
    """A server that runs."""

    profile: Path
    """Of the source that it is."""
    latency_s: float
    """Wait before every answer."""
    connection: Connection

    def served(self) -> Served:
        """Ask what was served so far."""
        self.connection.send("count")
        found: Served = self.connection.recv()
        return found


@contextmanager
def loopback(items: Path, folder: Path, *, latency_s: float = LATENCY_S) -> Iterator[Loopback]:
    """Serve an item collection, signed, and lead this process and those that it starts there.

    Args:
        items: an `items.json` whose hrefs are paths relative to it.
        folder: for the profile.
        latency_s: wait before every answer.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, items, folder, latency_s), daemon=True)
    process.start()
    kept = dict(os.environ)
    try:
        profile, environment = ours.recv()
        for name in ("HTTP_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY", "PC_SDK_SUBSCRIPTION_KEY"):
            os.environ.pop(name, None)
        os.environ.update(environment)
        forget_tokens()
        yield Loopback(profile, latency_s, ours)
    finally:
        os.environ.clear()
        os.environ.update(kept)
        forget_tokens()
        ours.close()
        process.join()


def serve(connection: Connection, items: Path, folder: Path, latency_s: float) -> None:
    """Serve until whoever asks for counts hangs up."""
    with PlanetaryComputer(items, latency_s=latency_s) as server:
        connection.send((server.write_profile(folder), server.environment))
        while True:
            try:
                connection.recv()
            except EOFError:
                return
            connection.send(Served(server.requests["asset"], server.bytes["asset"]))

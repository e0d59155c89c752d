"""Waiting for what may not come."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from itertools import count
from threading import Event

import pytest

from betaearth.cluster.inbox import Inbox


def test_what_has_arrived_comes_at_once_and_then_the_end() -> None:
    go = Event()

    def items() -> Generator[int, None, None]:
        yield 1
        go.wait(5)
        yield from (2, 3)

    with closing(Inbox(items())) as inbox:
        assert inbox.take(None) == [1]
        assert inbox.take(0.01) == []
        go.set()
        taken: list[int] = []
        while not inbox.ended:
            taken += inbox.take(5)
        assert taken == [2, 3]


def test_a_failure_comes_after_what_was_before_it() -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        raise LookupError("broken")

    with closing(Inbox(items())) as inbox:
        with pytest.raises(LookupError, match="broken"):
            assert [*inbox.take(5), *inbox.take(5)] == [1]
        assert not inbox.ended


def test_a_closed_one_lets_go_of_its_generator() -> None:
    go, left = Event(), Event()

    def items() -> Generator[int, None, None]:
        try:
            for number in count():
                yield number
                go.wait(5)
        finally:
            left.set()

    inbox = Inbox(items())
    assert inbox.take(5) == [0]
    inbox.close()
    go.set()
    assert left.wait(5)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "betaearth-inbox")

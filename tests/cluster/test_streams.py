"""Watches that break, without a server: what counts is how long they lasted."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any

import pytest

from betaearth.cluster import streams
from betaearth.cluster.streams import ATTEMPTS, LASTED_SECONDS, Workflow, lines_of, watched
from betaearth.errors import TransientError


class Answer:
    """What a server sends, in pieces."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks, self.closed = chunks, False

    def stream(self, _: int) -> Iterator[bytes]:
        yield from self.chunks

    def close(self) -> None:
        self.closed = True


def test_lines_are_put_together() -> None:
    answer = Answer(b"a", b"b\r\n", b"", b"c\n\nd", "größ".encode()[:3], "größ".encode()[3:])
    assert list(lines_of(answer)) == ["ab", "c", "", "dgröß"]
    assert answer.closed


def test_a_line_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_LINE", 10)
    answer = Answer(*[b"0123\n012"] * 9, *[b"0123"] * 9)
    lines = lines_of(answer)
    assert len(list(islice(lines, 9))) == 9
    with pytest.raises(TransientError, match="longer than 10 bytes"):
        next(lines)
    assert answer.closed


class Quiet:
    """A watch without events that breaks after some seconds."""

    def __init__(self, lasts: float) -> None:
        self.lasts, self.now, self.opened = lasts, 0.0, 0

    def listed(self) -> Generator[Workflow, None, str]:
        yield {"metadata": {"name": str(self.opened)}}
        return "7"

    def stream(self, version: str) -> Any:
        assert version == "7"
        self.opened += 1
        self.now += self.lasts
        raise TransientError("it broke")

    def watch(self) -> Any:
        return watched(self.listed, self.stream, where="x", pause=lambda _: None, clock=lambda: self.now)


def test_one_that_lasted_may_break_as_often_as_it_likes() -> None:
    quiet = Quiet(LASTED_SECONDS)
    assert len(list(islice(quiet.watch(), 5 * ATTEMPTS))) == 5 * ATTEMPTS


def test_one_that_breaks_at_once_is_given_up() -> None:
    quiet = Quiet(0.0)
    with pytest.raises(TransientError, match="it broke"):
        list(islice(quiet.watch(), 5 * ATTEMPTS))
    assert quiet.opened == ATTEMPTS

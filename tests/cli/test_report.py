"""What commands say in the end."""

from __future__ import annotations

import pytest

from betaearth.cli.report import duration_text, reading_text, size_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89.4, "89 s"), (90, "2 min"), (3540, "59 min"), (3580, "1 h 00 min"), (11_100, "3 h 05 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0.0 MB"), (612_345_678, "612.3 MB"), (1_300_000_000, "1.3 GB")])
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_what_was_read_is_summed() -> None:
    readings = [{"requests": 400, "bytes": 60_000_000}, {}, {"requests": 12, "bytes": 1_200_000}]
    assert reading_text(readings) == "412 requests, 61.2 MB of imagery read"
    assert reading_text([{}]) == reading_text([]) == ""

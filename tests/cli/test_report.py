"""What commands say in the end."""

from __future__ import annotations

import pytest

from betaearth.cli.report import duration_text, reading_text, refuse_skipped, size_text, skipped_text
from betaearth.errors import DataError
from betaearth.stac.publish import PublishReport


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


@pytest.mark.parametrize(
    ("count", "named", "end"), [(1, 1, "00000: torn"), (10, 10, "00009: torn"), (99_999, 10, "; and 99989 more")]
)
def test_the_first_products_that_were_not_published_are_named(count: int, named: int, end: str) -> None:
    report = PublishReport(items=0, written=0, skipped={f"{number:05d}": "torn" for number in reversed(range(count))})
    text = skipped_text(report)
    assert text.startswith(f"{count} products were not published: 00000: torn")
    assert (text.count("torn"), text.endswith(end)) == (named, True)
    with pytest.raises(DataError, match=f"^{text}$"):
        refuse_skipped(report)

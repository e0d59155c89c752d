"""What commands say in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from betaearth.cli.report import (
    duration_text,
    publish_text,
    raise_worst_of,
    reading_text,
    refuse_skipped,
    size_text,
    skipped_text,
    unchecked_text,
)
from betaearth.errors import DataError, TransientError
from betaearth.pipeline.counting import counted
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
    ("words", "text"),
    [
        ((1, "tile-year"), "1 tile-year"),
        ((0, "tile-year"), "0 tile-years"),
        ((2, "shard"), "2 shards"),
        ((1, "product was", "products were"), "1 product was"),
        ((2, "product was", "products were"), "2 products were"),
        ((1_234_567, "granule"), "1,234,567 granules"),
    ],
)
def test_counts(words: tuple[int, str, str], text: str) -> None:
    assert counted(*words) == text


@pytest.mark.parametrize(
    ("items", "written", "text"),
    [
        (1, 1, "1 of 1 tile-year published, 1 file written"),
        (2, 0, "2 of 2 tile-years published, 0 files written"),
        (2000, 1, "2,000 of 2,000 tile-years published, 1 file written"),
    ],
)
def test_a_publish(items: int, written: int, text: str) -> None:
    assert publish_text(PublishReport(items, written, unchecked=("https://a.test",), tile_years=items)) == text


def test_what_was_not_checked_is_told_with_the_reason() -> None:
    assert "pins how they use 2 other extensions" in unchecked_text(["b", "a"], None)
    assert unchecked_text(["b", "a"], Path("f")).startswith("f lacks the schemas a, b,")


@pytest.mark.parametrize(
    ("count", "named", "end"),
    [(1, 1, "c0 2024"), (5, 5, "c4 2024"), (6, 5, "c4 2024 and 1 more"), (2000, 5, "and 1,995 more")],
)
def test_the_first_tile_years_that_failed_are_named(count: int, named: int, end: str) -> None:
    names = [f"c{number} 2024" for number in range(count)]
    with pytest.raises(TransientError, match=f"^{count:,} tile-years? failed; try again: c0 2024") as passing:
        raise_worst_of({name: TransientError("slow") for name in names})
    assert (str(passing.value).count("2024"), str(passing.value).endswith(end)) == (named, True)
    with pytest.raises(DataError, match=f"^{count:,} tile-years? failed: c0 2024: torn") as lasting:
        raise_worst_of({name: DataError("torn") for name in names})
    assert str(lasting.value).count("torn") == named
    assert str(lasting.value).endswith(f"and {count - 5:,} more" if count > 5 else "torn")


@pytest.mark.parametrize(
    ("count", "named", "end"), [(1, 1, "00000: torn"), (10, 10, "00009: torn"), (99_999, 10, "; and 99,989 more")]
)
def test_the_first_products_that_were_not_published_are_named(count: int, named: int, end: str) -> None:
    report = PublishReport(items=0, written=0, skipped={f"{number:05d}": "torn" for number in reversed(range(count))})
    text = skipped_text(report)
    products = "product was" if count == 1 else "products were"
    assert text.startswith(f"{count:,} {products} not published: 00000: torn")
    assert (text.count("torn"), text.endswith(end)) == (named, True)
    with pytest.raises(DataError, match=f"^{text}$"):
        refuse_skipped(report)

"""Sizes as people read them: never nothing where there is something, never a thousand of a unit."""

from __future__ import annotations

import pytest

from betaearth.cli.report import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (49_900, "49.9 kB"),
        (50_001, "0.1 MB"),
        (999_900_000, "999.9 MB"),
        (999_999_999, "1.0 GB"),
    ],
)
def test_a_size_has_the_unit_that_it_can_be_read_in(size: int, text: str) -> None:
    assert size_text(size) == text

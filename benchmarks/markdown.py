"""Figures and tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def count(value: float) -> str:
    """Write a whole number, rounded up."""
    return f"{math.ceil(value):,}"


def size(value: float) -> str:
    """Write bytes in decimal units, three digits."""
    exponent = min(5, int(math.log10(max(1, value))) // 3)
    return f"{float(f'{value / 1000**exponent:.3g}'):g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[exponent]}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

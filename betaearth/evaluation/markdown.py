"""Figures and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from betaearth.evaluation.confusion import ClassScore
from betaearth.evaluation.cosine import CosineScore, Interval

NOT_RUN = "not run"
NOTHING = "-"
"""Where a figure makes no sense or was never published."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Spell a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def number(value: float | None) -> str:
    """Spell a figure, or that there is none."""
    return NOTHING if value is None else f"{value:.3f}"


def cosine_text(score: CosineScore) -> str:
    """Spell a mean with its interval."""
    return f"{score.mean:.3f}{_interval(score.interval)}"


def class_text(score: ClassScore) -> str:
    """Spell a balanced accuracy with its interval."""
    return f"{score.balanced_accuracy:.3f}{_interval(score.interval)}"


def _interval(interval: Interval | None) -> str:
    return f" ({interval.low:.3f} to {interval.high:.3f})" if interval else ""

"""What became of the cells that were asked for: how many were read, and why others were not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts cells in years by what became of them."""

    read: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Reason to how many."""
    examples: dict[str, str] = field(default_factory=dict)
    """Reason to the first of them, such as `433U_1046R 2021`, with what was found there."""

    def skip(self, cell: str, year: int | None, reason: str, detail: str = "") -> None:
        """Count one that is left out.

        Args:
            cell: its id.
            year: which; None where it is left out of all.
            reason: the same words for the same reason.
            detail: what was found in this one.
        """
        self.skipped[reason] += 1
        where = cell if year is None else f"{cell} {year}"
        self.examples.setdefault(reason, f"{where}: {detail}" if detail else where)

    def sentences(self) -> Iterator[str]:
        """Say why cells were left out, most frequent reason first."""
        for reason, count in self.skipped.most_common():
            yield f"{count} left out: {reason} (first {self.examples[reason]})"

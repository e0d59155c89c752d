"""Tables for people: numbers to the right, words to the left, and a last column that goes on below itself."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Collection, Sequence

BETWEEN = "  "
NARROWEST = 24
"""Letters that the last column has at least, however narrow the terminal."""
WIDEST = 120
"""Letters of a line at most: longer ones are hard to read."""


def table_text(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: Collection[str] = (), width: int | None = None
) -> str:
    """Render a table; nothing of it is left out.

    Args:
        columns: what stands above them; may be empty words.
        rows: as many words each as there are columns, without new lines.
        left: columns of words; the others hold numbers. The last one, where it is among them, is broken into lines.
        width: letters of a line; None is as wide as the terminal, or 80 where there is none.
    """
    room = line_width() if width is None else width
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    last = columns[-1] in left
    before = sum(widths[:-1]) + len(BETWEEN) * (len(widths) - 1)
    tail = max(NARROWEST, room - before)
    lines = []
    for row in (columns, *rows):
        words = [_aligned(*each, left) for each in zip(columns, row, widths, strict=True)]
        pieces = textwrap.wrap(row[-1], tail, break_on_hyphens=False) if last else [words[-1]]
        lines.append(BETWEEN.join([*words[:-1], *pieces[:1]]).rstrip())
        lines += [" " * before + piece for piece in pieces[1:]]
    return "\n".join(lines)


def line_width() -> int:
    """Tell how many letters a line has: the terminal's, `COLUMNS`, or 80."""
    return min(shutil.get_terminal_size((80, 24)).columns, WIDEST)


def _aligned(column: str, word: str, width: int, left: Collection[str]) -> str:
    return word.ljust(width) if column in left else word.rjust(width)

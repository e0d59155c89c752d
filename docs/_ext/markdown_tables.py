"""Tables of Markdown, and what the source says of a class's fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sphinx.pycode import ModuleAnalyzer


@dataclass(frozen=True)
class Field:
    """A field, or a member, of a class as its source has it."""

    name: str
    kind: str
    """Its annotation; empty where it has none."""
    says: str
    """The docstring below it, in one line; empty where there is none."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace(chr(10), ' ') for cell in line)} |\n" for line in lines)


def code(text: object) -> str:
    """Write as code, also within a table; nothing stays nothing."""
    return "`{}`".format(str(text).replace("|", "\\|")) if str(text) else ""


def plain(text: str) -> str:
    """Write a docstring's words: `code` stays, and nothing else is Markdown."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        piece.replace("|", "\\|") if piece.startswith("`") else re.sub(r"([\\*_\[\]<>|$#{}])", r"\\\1", piece)
        for piece in pieces
    )


def fields_of(kind: type) -> list[Field]:
    """Read a class's own fields or members from its source, in their order, with the docstring below each."""
    analyzer = ModuleAnalyzer.for_module(kind.__module__)
    said = analyzer.find_attr_docs()
    held = {name: text for (holder, name), text in analyzer.annotations.items() if holder == kind.__qualname__}
    held |= dict.fromkeys(getattr(kind, "__members__", ()), "")
    return [
        Field(name, annotation, " ".join(" ".join(said.get((kind.__qualname__, name), ())).split()))
        for name, annotation in held.items()
    ]

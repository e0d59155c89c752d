"""Markdown of the repository as pages of the site: parts of other files are put in, and links lead to pages.

A line `[words](../../README.md#settings)<!-- include -->` is a link where the file itself is read, and on the site that
section. Without a fragment the whole file is put in; `<!-- include head -->` stops at the section's first subsection.
Headings move to the level of the place where they are put.

A link to a file outside the site leads to the page that has it, or to the file as a download. One into the README leads
to the page that has the section, and to the front page where none does.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from myst_parser.mdit_to_docutils.base import default_slugify
from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SITE = Path(__file__).resolve().parents[1]
ROOT = SITE.parent
FRONT = SITE / "index.md"
INCLUDE = re.compile(
    r"^\[[^\]]+\]\((?P<file>[^)#\s]+)(?:#(?P<anchor>[\w-]+))?\)<!-- include(?P<head> head)? -->$", re.M
)
FENCE = re.compile(r"^(?P<mark>`{3,}|~{3,}).*?^(?P=mark)[`~]*[ \t]*$", re.M | re.S)
HEADING = re.compile(r"^(?P<marks>#+) (?P<words>.+)$", re.M)
LINK = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n\n).)+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<words>!?\[(?:[^\[\]]|\[[^\]]*\])*\])\((?!https?:|mailto:)(?P<target>[^)\s]+)(?P<title>\s+\"[^\"]*\")?\)",
    re.S,
)
"""Code within the text, which stays as it is, or a link to a file."""


@dataclass(frozen=True)
class Heading:
    """A heading of a file."""

    level: int
    """1 for the title."""
    anchor: str
    """Its fragment."""
    start: int
    """Where its line begins in the text."""
    end: int
    """Where its line ends."""


@dataclass(frozen=True)
class Part:
    """What an include names."""

    path: Path
    """The file."""
    anchor: str | None
    """Of the section; None for the whole file."""
    head: bool
    """Whether subsections are left out."""

    @property
    def text(self) -> str:
        """The text, without the section's own heading.

        Raises:
            ExtensionError: there is no such section.
        """
        whole = self.path.read_text(encoding="utf-8")
        if self.anchor is None:
            return whole
        found = list(headings(whole))
        for number, heading in enumerate(found):
            if heading.anchor == self.anchor:
                later = [one for one in found[number + 1 :] if self.head or one.level <= heading.level]
                return whole[heading.end : later[0].start if later else len(whole)].strip("\n") + "\n"
        raise ExtensionError(f"{self.path.name} has no section #{self.anchor}, which a page puts in")

    @property
    def level(self) -> int:
        """Level of the section's heading; 0 for a whole file, whose title comes with it."""
        if self.anchor is None:
            return 0
        return next(one.level for one in headings(self.path.read_text(encoding="utf-8")) if one.anchor == self.anchor)


def headings(text: str) -> Iterator[Heading]:
    """Yield the headings of a text, but what looks like one in code."""
    fenced, seen = [match.span() for match in FENCE.finditer(text)], Counter[str]()
    for match in HEADING.finditer(text):
        if not any(start <= match.start() < stop for start, stop in fenced):
            slug = default_slugify(match["words"].strip())
            yield Heading(
                len(match["marks"]), f"{slug}-{seen[slug]}" if seen[slug] else slug, match.start(), match.end()
            )
            seen[slug] += 1


def part_of(match: re.Match[str], page: Path) -> Part:
    """Read an include line of a page."""
    return Part((page.parent / match["file"]).resolve(), match["anchor"], bool(match["head"]))


@cache
def holders() -> dict[tuple[Path, str | None], tuple[Path, str | None]]:
    """Map what pages put in, (file, fragment), to where it is: (page, fragment), None for the top."""
    found: dict[tuple[Path, str | None], tuple[Path, str | None]] = {}
    for page in sorted(SITE.rglob("*.md")):
        for match in INCLUDE.finditer(page.read_text(encoding="utf-8")):
            part = part_of(match, page)
            found.setdefault((part.path, part.anchor), (page, None))
            for heading in headings(part.text):
                found.setdefault((part.path, heading.anchor), (page, heading.anchor))
    return found


def outside_code(text: str, change: re.Pattern[str], by: Callable[[re.Match[str]], str]) -> str:
    """Replace matches, but those in fenced code."""
    pieces, last = [], 0
    for fence in FENCE.finditer(text):
        pieces += [change.sub(by, text[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*pieces, change.sub(by, text[last:])])


def with_links(text: str, origin: Path, page: Path) -> str:
    """Lead the relative links of a text to where things are.

    Args:
        text: Markdown.
        origin: the file that it was written in.
        page: the page that it stands on.
    """

    def led(match: re.Match[str]) -> str:
        if match["code"]:
            return match[0]
        name, _, fragment = match["target"].partition("#")
        path = (origin.parent / name).resolve() if name else origin
        place = place_of(path, fragment or None)
        if place is None:
            return match["words"].lstrip("!").removeprefix("[").removesuffix("]")
        held, anchor = place
        address = os.path.relpath(held, page.parent) if held != page or not anchor else ""
        return f"{match['words']}({address}{f'#{anchor}' if anchor else ''}{match['title'] or ''})"

    return outside_code(text, LINK, led)


def place_of(path: Path, anchor: str | None) -> tuple[Path, str | None] | None:
    """Say where a file, or a section of one, is to be found on the site; None for a folder, which is not."""
    known = holders()
    if (path, anchor) in known:
        return known[path, anchor]
    if (path, None) in known:
        return known[path, None][0], anchor
    if path == ROOT / "README.md":
        return FRONT, None
    if parts := [page for (held, _), (page, _) in known.items() if held == path]:
        return parts[0], None
    return None if path.is_dir() else (path, anchor)  # what is not there is left for the build to complain of


def levelled(text: str, by: int) -> str:
    """Move all headings of a text down by some levels."""
    return outside_code(text, HEADING, lambda match: f"{'#' * (len(match['marks']) + by)} {match['words']}")


def assembled(text: str, page: Path) -> str:
    """Put in what a page includes, and lead its links."""
    pieces, last, level = [], 0, 0
    for match in INCLUDE.finditer(text):
        own = text[last : match.start()]
        level = next((one.level for one in reversed(list(headings(own)))), level)
        part = part_of(match, page)
        put_in = with_links(part.text, part.path, page)
        pieces += [with_links(own, page, page), levelled(put_in, level - part.level) if part.anchor else put_in]
        last = match.end()
    return "".join([*pieces, with_links(text[last:], page, page)])


def read_page(app: Sphinx, docname: str, content: list[str]) -> None:
    """Change a page's text as it is read."""
    page = Path(app.env.doc2path(docname))
    for match in INCLUDE.finditer(content[0]):
        app.env.note_dependency(str(part_of(match, page).path))
    content[0] = assembled(content[0], page)


def forget(app: Sphinx) -> None:
    """Look anew, because files may have changed since the last build of this process."""
    del app
    holders.cache_clear()


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("builder-inited", forget)
    app.connect("source-read", read_page, priority=600)
    return {"version": "1", "parallel_read_safe": True}

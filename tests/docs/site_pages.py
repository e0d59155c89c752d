"""The pages of the site and of the repository: their commands, their Python, their addresses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from tests.docs.pages import FENCE, PLACEHOLDERS, ROOT, Page

SITE = ROOT / "docs"
OWN = ("README", "index", "install", "tutorial", "howto", "reference", "explanation")
"""First part of the names of the pages whose commands and Python are run here."""
OTHERS = (
    "README.md",
    "CHECKLIST.md",
    "catalog/extension/README.md",
    "catalog/viewer/README.md",
    "charts/betaearth/README.md",
    "docker/README.md",
    "examples/README.md",
)
ADDRESS = re.compile(r"\b(https?)://([^/\s`)\"'<>|,]+)")
CALL = re.compile(r"^(?:[A-Z_]+=\S+ )*(betaearth(?:-generate)?(?: .+)?)$")


def pages() -> list[Page]:
    """Read every page that people read: those of the site, and those that it puts in."""
    paths = [*(ROOT / name for name in OTHERS), *sorted(SITE.rglob("*.md"))]
    return [Page(name_of(str(path.relative_to(ROOT))), path, path.read_text()) for path in paths]


def name_of(path: str) -> str:
    """Name a page by its path: `README`, `howto/load`, `charts/betaearth/README`."""
    return path.removeprefix("docs/").removesuffix(".md")


def is_own(page: Page) -> bool:
    """Whether the page is one whose commands and Python are run."""
    return page.name.partition("/")[0] in OWN


def calls(page: Page) -> Iterator[str]:
    """Yield the calls of our commands, from blocks of commands and from the text, as one line each."""
    blocks = [line for text in page.blocks() for line in text.replace("\\\n", " ").splitlines()]
    spans = [" ".join(span.split()) for span in page.spans()]
    for line in [*blocks, *spans]:
        if found := CALL.match(line.strip()):
            call = found[1].partition(" | ")[0].partition("  #")[0].partition(" #")[0].strip()
            if " " in call and not any(mark in call for mark in ("…", "...")):
                yield call


def words_of(call: str) -> list[str]:
    """Take a call apart, without the program's name; a name that only the reader knows becomes such a name."""
    program, *words = shlex.split(call)
    named = [PLACEHOLDERS.get(word, word) for word in words]
    return ["generate", *named] if program == "betaearth-generate" else named


def prose(page: Page) -> str:
    """A page's text without fenced code."""
    return FENCE.sub("", page.text)

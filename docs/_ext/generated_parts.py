"""Parts of the reference that are made from the code: a line `<!-- generated: settings -->` becomes the table.

What the code says is never copied into a page, so that it cannot differ. A page that names a part that is not made
stops the build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import code_tables
import command_tables
import digest_tables
from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from sphinx.application import Sphinx

GENERATED = re.compile(r"^<!-- generated: ([a-z-]+) -->$", re.M)
PARTS: Mapping[str, Callable[[], str]] = {
    "commands": command_tables.commands,
    "exit-codes": command_tables.exit_codes,
    "settings": code_tables.settings,
    "manifest": code_tables.manifest,
    "findings": code_tables.findings,
    "variants": code_tables.variants,
    "subset-scores": code_tables.subset_scores,
    "extension": code_tables.extension,
    "keys": digest_tables.keys,
    "request-digest": digest_tables.request_parts,
    "sources-digest": digest_tables.source_parts,
    "options": digest_tables.request_options,
}
"""Name of a part to what makes its Markdown."""


def part(match: re.Match[str]) -> str:
    """Make the part that a page names.

    Raises:
        ExtensionError: there is none of this name.
    """
    if match[1] not in PARTS:
        raise ExtensionError(f"a page names the generated part {match[1]!r}; there are {', '.join(PARTS)}")
    return PARTS[match[1]]()


def fill(app: Sphinx, docname: str, content: list[str]) -> None:
    """Put the parts into a page as it is read; code changes without its pages, so they are read anew each time."""
    if GENERATED.search(content[0]):
        app.env.note_reread()
        content[0] = GENERATED.sub(part, content[0])
    del docname


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("source-read", fill, priority=700)
    return {"version": "1", "parallel_read_safe": True}

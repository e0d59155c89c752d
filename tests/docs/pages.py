"""What the pages on the cluster say: commands, fragments in code, links, and what of the project they may name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer.main
import yaml

from betaearth.cli.main import app

ROOT = Path(__file__).parents[2]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "charts/betaearth/values.yaml").read_text())
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
PLACEHOLDERS = {"RUN": "betaearth-region-x7k2p", "SHARD": "00017"}
"""What stands for a name that only the reader knows, and such a name."""
ELLIPSES = ("…", "...")


@dataclass(frozen=True)
class Page:
    """A page, or a section of one."""

    name: str
    path: Path
    """The file, which relative links start from."""
    text: str

    def blocks(self, language: str = "") -> list[str]:
        """Fenced blocks of a language."""
        return [text for name, text in FENCE.findall(self.text) if name == language]

    def spans(self) -> list[str]:
        """Code within the text."""
        return [span.replace(r"\|", "|") for span in SPAN.findall(FENCE.sub("", self.text))]

    def lines(self, *programs: str) -> Iterator[list[str]]:
        """Words of the commands of a program, from blocks and from the text but what is abridged there."""
        blocks = [line for text in self.blocks() for line in text.replace("\\\n", " ").splitlines()]
        spans = [span for span in self.spans() if not any(mark in span for mark in ELLIPSES)]
        for line in [*blocks, *spans]:
            words = shlex.split(line.partition(" | ")[0].removesuffix(" &"), comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if len(words) > 1 and words[0] in programs:
                yield words


def section(path: Path, heading: str) -> str:
    """Text of a section of a page, up to the next heading of its level."""
    return path.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


QUICK_START = Page("README", ROOT / "README.md", section(ROOT / "README.md", "Cluster quick start"))
PAGES = [
    QUICK_START,
    *(Page(path.stem, path, path.read_text()) for path in sorted((ROOT / "docs" / "cluster").glob("*.md"))),
]


def parse(words: list[str]) -> None:
    """Parse a command with the real command line, without running it; a command's name alone is no call of it."""
    command = typer.main.get_command(app)
    context = command.make_context("betaearth", [PLACEHOLDERS.get(word, word) for word in words])
    name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])  # type: ignore[attr-defined]
    if rest:
        found.make_context(name, rest, parent=context)


def options(words: list[str], *names: str) -> list[str]:
    """Values of an option that is given any number of times."""
    return [value for name, value in pairwise(words) if name in names]


def path_of(key: str) -> list[str]:
    """Parts of a key as Helm's `--set` writes it, where a backslash keeps a dot."""
    return [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", key)]


def missing_value(key: str, values: Mapping[str, Any] = VALUES) -> str | None:
    """Say which part of a values key the chart does not have; None where all are there.

    Below an empty mapping anything may stand: labels, annotations, variables. So it may among settings, by their names.
    """
    held: Any = values
    for part in path_of(key):
        if not isinstance(held, Mapping):
            return part
        if not held or (held is values.get("settings") and part.startswith("BETAEARTH_")):
            return None
        if part not in held:
            return part
        held = held[part]
    return None


def manifests(folder: str) -> list[dict[str, Any]]:
    """Documents of the YAML files of a folder."""
    files = sorted((ROOT / folder).glob("*.yaml"))
    return [document for path in files for document in yaml.safe_load_all(path.read_text()) if document]


def parameters() -> dict[str, dict[str, list[str]]]:
    """Workflow template to parameter to what it may be; nothing where it may be anything."""
    return {
        document["metadata"]["name"]: {
            each["name"]: each.get("enum", []) for each in document["spec"]["arguments"]["parameters"]
        }
        for document in manifests("argo")
        if document["kind"] == "WorkflowTemplate"
    }


def wrong_arguments(words: list[str]) -> list[str]:
    """Say what of an `argo submit` the template does not take, and what it wants besides."""
    template = options(words, "--from")[0].removeprefix("workflowtemplate/")
    known = parameters().get(template)
    if known is None:
        return [template]
    given = dict(each.split("=", 1) for each in options(words, "-p"))
    unknown = [name for name in given if name not in known]
    return unknown + [
        f"{name}={value}" for name, value in given.items() if known.get(name) and value not in known[name]
    ]


def anchors(path: Path) -> set[str]:
    """Fragments that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Page) -> list[str]:
    """Relative links of a page that lead nowhere."""
    dead = []
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.text):
        name, _, fragment = target.partition("#")
        path = page.path.parent / name if name else page.path
        if not path.exists() or (fragment and fragment not in anchors(path)):
            dead.append(target)
    return dead

"""A Dockerfile taken apart: stages with their instructions, as far as the checks need it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continued lines joined."""

    word: str
    """In capitals, such as `COPY`."""
    rest: str


@dataclass(frozen=True)
class Stage:
    """What follows one FROM."""

    name: str
    base: str
    """Image or stage that it starts from."""
    instructions: tuple[Instruction, ...]

    def of(self, word: str) -> list[str]:
        """List what follows the instructions of one kind."""
        return [it.rest for it in self.instructions if it.word == word]


@dataclass(frozen=True)
class Copy:
    """One COPY."""

    origin: str | None
    """Stage or context that it copies from; None for the build's own."""
    sources: tuple[str, ...]

    @classmethod
    def of(cls, rest: str) -> Copy:
        """Read what follows COPY."""
        words = shlex.split(rest)
        flags = [word for word in words if word.startswith("--")]
        origin = next((flag.removeprefix("--from=") for flag in flags if flag.startswith("--from=")), None)
        return cls(origin, tuple(word for word in words if word not in flags)[:-1])


def instructions(text: str) -> list[Instruction]:
    """List a Dockerfile's instructions."""
    lines = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines).splitlines()
    return [Instruction(line.split()[0].upper(), line.split(maxsplit=1)[1]) for line in joined]


def stages(text: str) -> dict[str, Stage]:
    """List a Dockerfile's stages by name, in their order."""
    found: dict[str, Stage] = {}
    current: list[Instruction] = []
    for instruction in instructions(text):
        if instruction.word == "FROM":
            base, _, name = instruction.rest.split()
            current = []
        elif not current and not found and instruction.word == "ARG":
            continue
        else:
            current.append(instruction)
        found[name] = Stage(name, base, tuple(current))
    return found


def line_of(text: str, name: str) -> list[Stage]:
    """List the stages that a target is made on: itself, what it starts from, and so on."""
    all_stages = stages(text)
    found = [all_stages[name]]
    while found[-1].base in all_stages:
        found.append(all_stages[found[-1].base])
    return found


def ignored(path: str, rules: str) -> bool:
    """Tell whether a .dockerignore keeps a path out: the last rule that matches it, or a folder above it, decides."""
    parts = Path(path).parts
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    verdict = False
    for line in rules.splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = _pattern(rule.removeprefix("!"))
        if any(pattern.fullmatch(candidate) for candidate in above):
            verdict = not rule.startswith("!")
    return verdict


def _pattern(rule: str) -> re.Pattern[str]:
    escaped = re.escape(rule.strip("/")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
    return re.compile(escaped.replace(r"\[", "[").replace(r"\]", "]"))

"""How words of a command line are spelled: what people type, and what a workflow fills in, brought into one form.

A workflow can leave no option out: it says `--bbox=` where nothing was given and `--refresh=false`, and it fills a list
in as one word.
"""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import typer

VARIADIC = ("--years", "--cells")
"""Options that take every word up to the next option: `--years 2020 2021 2022`."""
AREAS = ("--bbox", "--geojson", "--osm-relation")
"""Options of which one names the whole region: of two the last one would count alone."""
HELD = "--options"
"""The option that holds others, as one word."""

_BETWEEN = re.compile(r"[\s,]+")
_SPAN = re.compile(r"(\d{4})-(\d{4})")
_WHOLE = re.compile(r"-?[0-9]+")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Spelling:
    """How an option is written."""

    values: int | None
    """Words that it takes; 0 is a flag, None every word up to the next option."""
    opposite: str | None = None
    """The flag that says the contrary; None where leaving this one out does."""


def spellings(params: Iterable[Any]) -> dict[str, Spelling]:
    """Take down how a command's options are written, each by its name with dashes.

    Args:
        params: as Typer keeps them, whose class is private.
    """
    found: dict[str, Spelling] = {}
    for param in params:
        if param.param_type_name != "option":
            continue
        for names, others in ((param.opts, param.secondary_opts), (param.secondary_opts, param.opts)):
            for name in names:
                values = None if name in VARIADIC else 0 if param.is_flag else param.nargs
                found[name] = Spelling(values, others[0] if others else None)
    return found


def respelled(args: Iterable[str], known: Mapping[str, Spelling]) -> list[str]:
    """Spell words as they are declared.

    `--max_cloud=5` becomes `--max-cloud=5`; `--name=` is left out; `--refresh=false` is left out, and `--refresh=true`
    is `--refresh`; `--years 2023,2024`, `--years=2023-2024` and `--years 2023 2024` become `--years 2023 --years 2024`;
    `--bbox="1 2 3 4"` becomes `--bbox 1 2 3 4`.

    Raises:
        typer.BadParameter: a flag is neither true nor false, or a list has too few words.
    """
    remaining = deque(args)
    words: list[str] = []
    while remaining:
        word = remaining.popleft()
        if word == "--":
            return [*words, word, *remaining]
        if not word.startswith("--"):
            words.append(word)
            continue
        word = dashed(word)
        name, equals, value = word.partition("=")
        spelling = known.get(name)
        if spelling is None:
            words.append(word)
        elif equals and not value.strip():
            continue
        elif spelling.values == 0:
            words += _flag(name, value, spelling) if equals else [name]
        elif spelling.values == 1:
            words.append(word)
        else:
            taken = [value] if equals else list(_values(remaining, spelling.values))
            words += _list(name, taken, spelling)
    return words


def refuse_twice(words: Iterable[str]) -> None:
    """Refuse a second area.

    Args:
        words: of a command line, as `respelled` spells them.

    Raises:
        typer.BadParameter: one of `AREAS` stands there twice.
    """
    names = [word.partition("=")[0] for word in takewhile(lambda word: word != "--", words)]
    for area in AREAS:
        if names.count(area) > 1:
            raise typer.BadParameter(
                f"{area} is given {names.count(area)} times, and a region is one area: give it once"
            )


def dashed(word: str) -> str:
    """Spell an option's name with dashes: `--max_cloud=5` becomes `--max-cloud=5`."""
    name, equals, value = word.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}"


def opened(
    args: Iterable[str], *, allowed: Mapping[str, Spelling], unused: Mapping[str, Spelling] | None = None
) -> list[str]:
    """Put the words of `--options="--max-cloud 10 --halo 114"` in its place, split as a shell does.

    Args:
        args: of the command line.
        allowed: options that may be in there.
        unused: those that may be in there, too, and are left out.

    Raises:
        typer.BadParameter: it cannot be split, or holds anything but such options and their values.
    """
    remaining = deque(args)
    words: list[str] = []
    while remaining:
        word = remaining.popleft()
        name, equals, value = word.partition("=")
        if name != HELD:
            words.append(word)
        elif equals or remaining:
            words += _held(value if equals else remaining.popleft(), allowed, unused or {})
        else:
            raise typer.BadParameter(f'{HELD} needs a value, such as {HELD}="--max-cloud 10"')
    return words


@contextmanager
def usage_of(ctx: Any) -> Iterator[None]:  # noqa: ANN401  # Typer keeps its Context private
    """Let a wrong word be told of as Typer tells of one: with the command's usage, and where its help is."""
    try:
        yield
    except typer.BadParameter as error:
        error.ctx = ctx
        raise


def _held(text: str, allowed: Mapping[str, Spelling], unused: Mapping[str, Spelling]) -> Iterator[str]:
    try:
        remaining = deque(shlex.split(text))
    except ValueError as error:
        raise typer.BadParameter(f"{HELD} cannot be split as a shell does: {error}") from error
    while remaining:
        word = dashed(remaining.popleft()) if remaining[0].startswith("--") else remaining.popleft()
        name, equals, _ = word.partition("=")
        spelling = allowed.get(name) or unused.get(name)
        if spelling is None:
            raise typer.BadParameter(f"{HELD} holds {word!r}; it takes {', '.join(sorted({*allowed, *unused}))}")
        taken = [] if equals else list(_values(remaining, spelling.values))
        if not equals and len(taken) < (spelling.values or 0):
            raise typer.BadParameter(f"{HELD} holds {name} without a value")
        if name in allowed:
            yield from (word, *taken)


def _values(remaining: deque[str], most: int | None) -> Iterator[str]:
    """Take the words that belong to an option: up to so many pieces, or to the next option.

    Where so many pieces are wanted they may be numbers below 0; a list ends at whatever begins with a dash.
    """
    pieces = 0
    option = "-" if most is None else "--"
    while remaining and not remaining[0].startswith(option) and (most is None or pieces < most):
        word = remaining.popleft()
        pieces += len(_pieces([word])) if most != 1 else 1
        yield word


def _flag(name: str, value: str, spelling: Spelling) -> list[str]:
    truth = _TRUTH.get(value.strip().lower())
    if truth is None:
        raise typer.BadParameter(f"{name} is true or false, not {value!r}")
    if truth:
        return [name]
    return [spelling.opposite] if spelling.opposite else []


def _list(name: str, values: list[str], spelling: Spelling) -> list[str]:
    pieces = _pieces(values)
    if spelling.values is not None:
        if len(pieces) != spelling.values:
            raise typer.BadParameter(f"{name} takes {spelling.values} values, not {len(pieces)}: {' '.join(pieces)}")
        return [name, *pieces]
    if name == "--years":
        pieces = [year for piece in pieces for year in _span(piece)]
    return [word for piece in pieces for word in (name, piece)] or [name]


def _pieces(values: Iterable[str]) -> list[str]:
    return [piece for value in values for piece in _BETWEEN.split(value) if piece]


def _span(piece: str) -> list[str]:
    """List the years of `2017-2024`."""
    match = _SPAN.fullmatch(piece)
    if match is None:
        if not _WHOLE.fullmatch(piece):
            raise typer.BadParameter(f"--years {piece}: give years such as 2024, or a span of them such as 2021-2024")
        return [piece]
    first, last = int(match[1]), int(match[2])
    if first > last:
        raise typer.BadParameter(f"--years {piece}: the first year comes first, as in {last}-{first}")
    return [str(year) for year in range(first, last + 1)]

"""Every command with its words, as the command line itself tells of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer.main
from markdown_tables import code, plain, table

from betaearth import errors
from betaearth.cli import exit_codes as codes
from betaearth.cli.main import HELP, app


def commands() -> str:
    """Write a section for each command: what it does, how it is called, its arguments and options."""
    return "\n".join(_section(name, command) for name, command in _commands(typer.main.get_command(app), ()))


def _commands(group: Any, above: tuple[str, ...]) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # Typer keeps its types private
    """Yield the commands below a group with their whole names."""
    for name, command in group.commands.items():
        if getattr(command, "commands", None):
            yield from _commands(command, (*above, name))
        else:
            yield " ".join((*above, name)), command


def _section(name: str, command: Any) -> str:  # noqa: ANN401  # Typer keeps its types private
    context = command.make_context(f"betaearth {name}", [], resilient_parsing=True)
    usage = command.get_usage(context).removeprefix("Usage: ")
    rows = [_row(parameter, context) for parameter in command.params]
    text = f"## betaearth {name}\n\n{_paragraphs(command.help or '')}\n\n```text\n{usage}\n```\n"
    return text + ("\n" + table(("word", "what"), rows) if rows else "\nIt takes no options.\n")


def _row(parameter: Any, context: Any) -> tuple[str, str]:  # noqa: ANN401  # Typer keeps its types private
    words, says = parameter.get_help_record(context) or (parameter.name, "")
    return code(words), plain(" ".join((says or "").split()))


def _paragraphs(text: str) -> str:
    return "\n\n".join(plain(" ".join(each.split())) for each in inspect.cleandoc(text).split("\n\n"))


def exit_codes() -> str:
    """Write the table of exit codes."""
    ours = [
        (str(number), code(kind.__name__), plain(inspect.getdoc(kind) or ""))
        for kind, number in sorted(codes.EXIT_CODES.items(), key=lambda entry: entry[1])
        if kind.__module__ == errors.__name__
    ]
    named = {number for number, *_ in ours}
    others = [(number, "", plain(words)) for number, words in _helps_codes().items() if number not in named]
    return table(("code", "error", "what"), sorted([*ours, *others], key=lambda row: int(row[0])))


def _helps_codes() -> dict[str, str]:
    """Read the exit codes in the help of the program: `0 done or nothing to do, … 130 and 143 interrupted.`."""
    listed = " ".join(HELP.partition("Exit codes: ")[2].split()).removesuffix(".")
    words = [re.fullmatch(r"(\d+(?: and \d+)*) (.+)", entry) for entry in listed.split(", ")]
    return {number: entry[2] for entry in words if entry for number in entry[1].split(" and ")}

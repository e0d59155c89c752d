"""Every command whose result a script could want takes --json; those without are named here, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from betaearth.cli.main import app

WITHOUT = {
    "serve": "goes on until it is stopped",
    "app": "goes on until it is stopped",
    "viewer": "writes a folder",
    "shard": "writes JSON, whoever asks",
    "logs": "passes on lines, which are JSON themselves",
}


def commands(group: Any, *before: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)
        else:
            yield " ".join((*before, name)), command


def test_every_command_with_a_result_gives_json() -> None:
    found = dict(commands(get_command(app)))
    assert {"plan", "tile", "models list"} <= set(found)
    without = {name for name, command in found.items() if not any("--json" in each.opts for each in command.params)}
    assert without == set(WITHOUT)

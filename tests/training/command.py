"""`betaearth train` in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROGRAM = """
import typer
from betaearth.cli.main import guarded, leave
from betaearth.cli.train import train

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(train)
leave(guarded(app))
"""
TORCHRUN = Path(sys.executable).parent / "torchrun"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}


def changes(*given: str) -> list[str]:
    """Spell changes of options as the command takes them."""
    return [word for change in given for word in ("--set", change)]

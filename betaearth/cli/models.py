"""`betaearth models`: the variants, their scores with their source, and their weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from betaearth.cli.options import JsonOption

app = typer.Typer(help="The variants and their weights.", no_args_is_help=True)


@app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the variants."""
    from rich.console import Console
    from rich.table import Table

    from betaearth.nn.variants import VARIANTS

    if as_json:
        typer.echo(json.dumps([asdict(variant) for variant in VARIANTS.values()], indent=2, default=sorted))
        return
    table = Table(title="Variants")
    for column in ("name", "inputs", "parameters", "trained", "hub repository"):
        table.add_column(column)
    for variant in VARIANTS.values():
        table.add_row(
            variant.name,
            ", ".join(variant.inputs),
            f"{variant.parameters:,}",
            "yes" if variant.trained else "NO: seeded initialisation",
            variant.repo or "shipped with the package",
        )
    Console().print(table)


@app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Variant name or hub id.")],
    as_json: JsonOption = False,
) -> None:
    """Show one variant with its published scores and their source."""
    from betaearth.nn.variants import find_variant

    variant = asdict(find_variant(name))
    if as_json:
        typer.echo(json.dumps(variant, indent=2, default=sorted))
        return
    for field, value in variant.items():
        typer.echo(f"{field:>12}: {value}")

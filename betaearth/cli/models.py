"""`betaearth models`: the variants, their scores with their source, and their licence."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.options import JsonOption

if TYPE_CHECKING:
    from betaearth.nn.variants import Variant

app = typer.Typer(help="The variants and their weights.", no_args_is_help=True)


@app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the variants."""
    from betaearth.nn.variants import VARIANTS

    if as_json:
        typer.echo(json.dumps([asdict(variant) for variant in VARIANTS.values()], indent=2))
        return
    typer.echo(f"{'name':<14} {'parameters':>11}  {'inputs':<23} weights")
    for variant in VARIANTS.values():
        weights = variant.repo or f"shipped with the package{untrained(variant)}"
        typer.echo(f"{variant.name:<14} {variant.parameters:>11,}  {inputs(variant):<23} {weights}")


@app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Variant name or hub id.")], as_json: JsonOption = False
) -> None:
    """Show one variant with its published scores and their source."""
    from betaearth.nn.variants import find_variant

    variant = find_variant(name)
    typer.echo(json.dumps(asdict(variant), indent=2) if as_json else variant_text(variant))


def variant_text(variant: Variant) -> str:
    """Render a variant for people; scores of different tables stay apart."""
    lines = [
        f"{variant.name}{untrained(variant)}",
        f"  weights     {variant.repo or 'shipped with the package'}, {variant.licence}",
        f"  inputs      {inputs(variant)}, {'any subset' if variant.any_subset else 'all at once'}",
        f"  parameters  {variant.parameters:,} in {variant.tensors} tensors",
    ]
    if variant.backbone_licence:
        lines.append(f"  backbone    {variant.backbone_licence}; not in this version")
    for table in dict.fromkeys(score.source for score in variant.scores):
        lines.append(f"  {table}")
        for score in variant.scores:
            if score.source == table:
                std = "" if score.std is None else f" (std {score.std:.3f})"
                lines.append(
                    f"    cosine with AlphaEarth {score.cosine:.3f}{std}, land-cover accuracy {score.lulc:.3f}"
                )
        lines += [
            f"    cosine, {subset.inputs}: {subset.cosine:.3f}"
            for subset in variant.subset_scores
            if subset.source == table
        ]
    return "\n".join(lines)


def inputs(variant: Variant) -> str:
    """Name what a variant takes, as the published tables do: `L1C L2A S1 DEM + DOY`."""
    names = " ".join(name.removeprefix("s2_").upper() for name in variant.inputs)
    return names + (" + DOY" if variant.doy else "")


def untrained(variant: Variant) -> str:
    """Own up to a network that learned nothing."""
    return "" if variant.trained else "; UNTRAINED: a seeded initialisation"

"""`betaearth models`: the variants, their scores with their source, their licence; getting and making weights."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.options import JsonOption, settings_from
from betaearth.cli.progress import progress
from betaearth.cli.usage import settings_of_options, usage_errors
from betaearth.errors import ConfigError

if TYPE_CHECKING:
    from betaearth.inference.transfer import Fetched
    from betaearth.nn.variants import Variant
    from betaearth.nn.weight_cache import CachedWeights, FetchedRecord

app = typer.Typer(help="The variants and their weights.", no_args_is_help=True)


CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        envvar="BETAEARTH_CACHE",
        show_envvar=False,
        help="Folder that weights are kept in.  [env: BETAEARTH_CACHE; default: ~/.cache/betaearth]",
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Variant name or hub id.")]


@app.command("list")
def list_models(cache: CacheOption = None, as_json: JsonOption = False) -> None:
    """List the variants, and which of their weights are in the cache."""
    from betaearth.nn.variants import VARIANTS

    held = {variant.name: cached(variant, cache) for variant in VARIANTS.values()}
    if as_json:
        rows = [asdict(variant) | {"cached": record_row(held[variant.name])} for variant in VARIANTS.values()]
        typer.echo(json.dumps(rows, indent=2))
        return
    typer.echo(f"{'name':<14} {'parameters':>11}  {'inputs':<23} {'cached':<7} weights")
    for variant in VARIANTS.values():
        weights = variant.repo or f"shipped with the package{caveat(variant)}"
        mark = "yes" if held[variant.name] or not variant.repo else "-"
        typer.echo(f"{variant.name:<14} {variant.parameters:>11,}  {inputs(variant):<23} {mark:<7} {weights}")


@app.command("show")
def show_model(name: NameArgument, cache: CacheOption = None, as_json: JsonOption = False) -> None:
    """Show one variant with its published scores and their source, and what the cache holds of it."""
    from betaearth.nn.variants import find_variant

    settings_from()  # refuses misspelt ones, which would do nothing
    with usage_errors():
        variant = find_variant(name)
    held = cached(variant, cache)
    row = asdict(variant) | {"cached": record_row(held)}
    typer.echo(json.dumps(row, indent=2) if as_json else variant_text(variant, held))


@app.command("fetch")
def fetch_model(
    name: NameArgument,
    *,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Branch, tag or commit on the hub.  [default: the main branch]")
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option("--mirror", help="https://host/path, s3://bucket/prefix or a folder, instead of the hub."),
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="Digest that the file of weights must have.")] = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download a variant's weights into the cache; a DINOv3 variant's frozen backbone too.

    A branch of the hub is asked for its newest commit. A mirror's file that is in the cache is not read again, unless
    --sha256 says that it must be another.
    """
    from betaearth.inference.fetching import WeightsOptions, fetch, locate_weights, repository_of
    from betaearth.inference.mirrors import Mirror
    from betaearth.nn.backbones import BACKBONES
    from betaearth.nn.variants import named_variant
    from betaearth.nn.weight_files import find_weights
    from betaearth.wiring import report_to

    variant = named_variant(name)
    settings = settings_of_options(revision=revision, mirror=mirror, sha256=sha256, cache=cache)
    if mirror is not None:
        with usage_errors("--mirror"):
            Mirror(mirror, settings.s3)
    if variant and not variant.repo:
        locate_weights(variant.name, settings.weights)  # refuses a revision and another digest
        typer.echo(json.dumps([], indent=2) if as_json else f"{variant.name} is shipped with the package")
        return
    with usage_errors():
        repo = repository_of(name)
    wanted = [(repo, settings.weights, variant.licence if variant else None)]
    if variant and variant.backbone:
        backbone = BACKBONES[variant.backbone]
        wanted.append((backbone.repo, WeightsOptions(mirror=settings.weights.mirror), backbone.licence))
    rows = []
    with progress() as emit:
        for repo, options, licence in wanted:
            made = fetch(repo, options, cache=settings.cache, s3=settings.s3, ask_again=True, report=report_to(emit))
            find_weights(made.weights.path).check_digest(options.sha256)  # what is there already may be damaged
            rows.append(fetched_row(made, licence))
            if repo == wanted[0][0]:
                check_fetched(made, variant)
    typer.echo(json.dumps(rows, indent=2) if as_json else "\n".join(fetched_text(row) for row in rows))


@app.command("export")
def export_model(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A .ckpt, .pt or .safetensors file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    *,
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="NAME", help="Which it is, or a name of your own.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="Prefix of its keys, where the checkpoint holds several networks.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="Of the weights.  [default: the checkpoint's, else unknown]")
    ] = None,
    any_subset: Annotated[
        bool | None,
        typer.Option(
            "--any-subset/--all-at-once",
            help="Whether it was made for any subset of its inputs.  [default: the variant's]",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a training checkpoint into a folder of weights, which --model takes."""
    from betaearth.inference.export import export_checkpoint
    from betaearth.nn.variants import named_variant
    from betaearth.nn.weight_files import VARIANT_NAME

    settings_from()  # refuses misspelt ones, which would do nothing
    if variant is not None and named_variant(variant) is None and not re.fullmatch(VARIANT_NAME, variant):
        raise typer.BadParameter(f"--variant {variant!r}: small letters, digits and hyphens make a name")
    made = export_checkpoint(checkpoint, out, variant=variant, prefix=prefix, licence=licence, any_subset=any_subset)
    row = {
        "name": made.variant.name,
        "path": str(out),
        "file": made.weights.path.name,
        "sha256": made.weights.sha256,
        "tensors": made.variant.tensors,
        "parameters": made.variant.parameters,
        "licence": made.variant.licence,
        "prefix": made.prefix,
        "left_out": made.left_out,
    }
    typer.echo(json.dumps(row, indent=2) if as_json else "\n".join(f"{key:<11} {value}" for key, value in row.items()))


def check_fetched(made: Fetched, variant: Variant | None) -> None:
    """Check that what was fetched is a network's weights, and those of the variant that was named.

    Raises:
        ConfigError: they are not; the cache holds them until they are removed.
    """
    from betaearth.nn.identity import check_network
    from betaearth.nn.weight_files import find_weights

    try:
        check_network(find_weights(made.weights.path), variant)
    except ConfigError as error:
        raise ConfigError(f"{error}; {made.weights.record.source} gave it: remove {made.weights.folder}") from error


def cached(variant: Variant, cache: Path | None) -> CachedWeights | None:
    """Find a variant's weights in the cache: those that its name means without network."""
    from betaearth.nn.weight_cache import WeightCache, default_cache
    from betaearth.storage.folder import folder_errors

    root = cache or default_cache()
    with folder_errors(root):
        return WeightCache(root).find(variant.repo) if variant.repo else None


def record_row(held: CachedWeights | None) -> dict[str, object] | None:
    """Make a row of what the cache holds; None for nothing."""
    return {"path": str(held.path), **held.record.model_dump(mode="json")} if held else None


def fetched_row(made: Fetched, licence: str | None) -> dict[str, object]:
    """Make a row of what was fetched; the licence is the one that we know, else the repository's own word."""
    row = record_row(made.weights)
    assert row is not None
    return {**row, "licence": licence or made.weights.record.licence, "new": made.new}


def fetched_text(row: dict[str, object]) -> str:
    """Render a fetch for people."""
    state = "downloaded" if row["new"] else "there already"
    lines = [
        f"{row['repo']}: {state}",
        f"  path      {row['path']}",
        f"  sha256    {row['sha256']}",
        f"  revision  {row['commit'] or 'of a mirror, which has none'}",
        f"  source    {row['source']}",
        f"  size      {int(str(row['size'])) / 1e6:.1f} MB",
        f"  licence   {row['licence'] or 'unknown'}",
    ]
    return "\n".join(lines)


def variant_text(variant: Variant, held: CachedWeights | None) -> str:
    """Render a variant for people; scores of different tables stay apart."""
    from betaearth.nn.backbones import BACKBONES

    lines = [
        f"{variant.name}{caveat(variant)}",
        f"  weights     {variant.repo or 'shipped with the package'}, {variant.licence}",
        *(cached_lines(held.record) if held else ["  cached      no"] if variant.repo else []),
        f"  inputs      {inputs(variant)}, {'any subset' if variant.any_subset else 'all at once'}",
        f"  parameters  {variant.parameters:,} in {variant.tensors} tensors",
    ]
    if variant.backbone:
        lines.append(f"  backbone    {BACKBONES[variant.backbone].repo}, {variant.backbone_licence}")
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


def cached_lines(record: FetchedRecord) -> list[str]:
    """Say which version the cache holds."""
    return [
        f"  cached      {record.size / 1e6:.1f} MB, fetched {record.fetched:%Y-%m-%d} from {record.source}",
        f"  revision    {record.commit or 'of a mirror, which has none'}",
        f"  sha256      {record.sha256}",
    ]


def inputs(variant: Variant) -> str:
    """Name what a variant takes, as the published tables do: `L1C L2A S1 DEM + DOY`."""
    names = " ".join(name.removeprefix("s2_").upper() for name in variant.inputs)
    return names + (" + DOY" if variant.doy else "")


def caveat(variant: Variant) -> str:
    """Own up to a network that learned nothing of the real Earth."""
    if not variant.trained:
        return "; UNTRAINED: a seeded initialisation"
    return "; trained on a SYNTHETIC Earth" if variant.trained_on_synthetic else ""

"""`betaearth demo`: the whole story on the synthetic Earth, offline."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.options import JsonOption, SchemasOption, settings_from
from betaearth.cli.progress import progress
from betaearth.cli.serve import OpenOption

if TYPE_CHECKING:
    from betaearth.pipeline.demo import DemoResult
    from betaearth.pipeline.land_cover_probe import LandCoverProbe


def demo(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the catalog.")] = Path("demo-output"),
    serve: Annotated[bool, typer.Option("--serve", help="Serve the catalog with its viewer when it is made.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of --serve.")] = 8080,
    opening: OpenOption = None,
    schemas: SchemasOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a small catalog on the synthetic Earth with the demo network, which learned there: offline, minutes."""
    from betaearth import wiring
    from betaearth.inference.fetching import WeightsOptions
    from betaearth.pipeline.demo import DEMO_SPACING_KM, run_demo

    settings = settings_from(
        store=str(out),
        source="synthetic",
        model="demo",
        device="cpu",
        dtype="int8",
        spacing_km=DEMO_SPACING_KM,
        cache=out / ".cache",
        schemas=schemas,
    ).model_copy(update={"weights": WeightsOptions()})  # a pin in the environment is of other weights
    store = wiring.store_of(settings)
    with progress() as emit:
        workshop = wiring.open_workshop(settings, emit)
        result = run_demo(
            grid=workshop.grid,
            model=workshop.model,
            source=workshop.source,
            options=workshop.options,
            store=store,
            schemas=settings.schemas,
            image=workshop.image,
            emit=emit,
        )
    if as_json:
        typer.echo(result.to_json())
    else:
        show(result, out)
    if serve:
        from betaearth.cli.serve import serve_store

        serve_store(store, host="127.0.0.1", port=port, opening=opening)


def show(result: DemoResult, out: Path) -> None:
    """Print what was made, where, and how to load it."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    said = "Synthetic Earth, network trained on it: the numbers mean nothing for the real one, the files are real."
    console.print(said, soft_wrap=True)
    table = Table()
    for column in ("cell", "year", "outcome", "scenes", "observations", "valid", "size"):
        table.add_column(column, justify="right" if column not in ("cell", "outcome") else "left")
    for row in result.rows:
        table.add_row(
            row.cell,
            str(row.year),
            row.outcome,
            str(row.scenes),
            row.observations,
            row.valid,
            f"{row.size / 1e6:.1f} MB",
        )
    console.print(table)
    for line in probe_lines(result.probe):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    hint = f"betaearth serve --store {shlex.quote(str(out))}"
    console.print(f"Catalog: {out / 'catalog.json'}   browse it: {hint}", soft_wrap=True, highlight=False, markup=False)
    if result.overview:
        console.print(f"Overview: {out / result.overview}", soft_wrap=True, highlight=False, markup=False)
    console.print("Load it:", soft_wrap=True)
    for line in result.load_lines(out):
        console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)


def probe_lines(probe: LandCoverProbe | None) -> list[str]:
    """Say what the embeddings know of the land cover, beside the baselines."""
    if probe is None:
        return ["Land-cover probe: left out, since it needs scikit-learn: pip install 'betaearth[train]'"]
    left_out = f"; too few pixels of {', '.join(probe.left_out)}" if probe.left_out else ""
    return [
        f"Land cover of {probe.year} against the synthetic truth, by a linear probe (balanced accuracy):",
        f"  embeddings {probe.embeddings:.3f}   mean reflectance {probe.reflectance:.3f}   "
        f"most frequent class {probe.majority:.3f}",
        f"  {probe.pixels:,} pixels in {probe.folds} folds of whole blocks of {probe.block_km:g} km; "
        f"{', '.join(probe.classes)}{left_out}",
    ]

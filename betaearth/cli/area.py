"""`betaearth generate`, which is `betaearth-generate` too: AOI mode in the published tool's spelling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.commands import spelled_out
from betaearth.cli.options import (
    AreaWords,
    DeviceOption,
    JsonOption,
    ProductionWords,
    VerboseOption,
    YearsOption,
    settings_from,
)
from betaearth.cli.progress import progress
from betaearth.cli.report import area_row, area_text, estimate_row, estimate_text

if TYPE_CHECKING:
    from betaearth.generate import Area
    from betaearth.settings import Settings


@spelled_out
def generate(
    *,
    years: YearsOption,
    words: AreaWords,
    output_dir: Annotated[Path, typer.Option("--output-dir", help="Base folder of the output.")] = Path("outputs"),
    name: Annotated[
        str | None,
        typer.Option("--name", help="Sub-folder.  [default: bbox_W_S_E_N, osm_ID or the GeoJSON file's stem]"),
    ] = None,
    device: DeviceOption = None,
    production: ProductionWords,
    save_scenes: Annotated[
        bool, typer.Option("--save-scenes", help="Keep the pixels of every scene in {year}_files.")
    ] = False,
    save_per_timestamp_embedding: Annotated[
        bool,
        typer.Option("--save-per-timestamp-embedding", help="Keep the embedding of every scene in {year}_files."),
    ] = False,
    no_per_timestamp_embedding: Annotated[
        bool,
        typer.Option(
            "--no-per-timestamp-embedding", help="Keep the annual embedding only: the default, taken for scripts."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take, in scenes, bytes and time; write nothing.")
    ] = False,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make annual embeddings of an area of interest: {year}.tif, preview and manifest, one of each a year.

    Every option is taken with underscores too: --output_dir, --max_cloud. An OpenStreetMap relation is looked up once;
    its bounding box and a kilometre more is made. What was stopped goes on where it was.
    """
    if save_per_timestamp_embedding and no_per_timestamp_embedding:
        raise typer.BadParameter("give one of --save-per-timestamp-embedding and --no-per-timestamp-embedding")
    from betaearth.generate import Area, generate_with
    from betaearth.pipeline.scene_outputs import SceneFiles

    settings = settings_from(production, device=device)
    area = Area(bbox=words.bbox, geojson=words.geojson, osm_relation=words.osm_relation)
    if dry_run:
        show_estimate(settings, years, area, verbose=verbose, as_json=as_json)
        return
    with progress(verbose=verbose) as emit:
        made = generate_with(
            settings,
            years=years,
            area=area,
            output_dir=output_dir,
            name=name,
            files=SceneFiles(scenes=save_scenes, embeddings=save_per_timestamp_embedding),
            emit=emit,
        )
    typer.echo(json.dumps([area_row(entry) for entry in made], indent=2) if as_json else area_text(made))


def show_estimate(settings: Settings, years: list[int], area: Area, *, verbose: bool, as_json: bool) -> None:
    """Print what an area would take."""
    from betaearth.generate import estimate_with

    with progress(verbose=verbose) as emit:
        estimates = estimate_with(settings, years=years, area=area, emit=emit)
    rows = [estimate_row(estimate) for estimate in estimates]
    typer.echo(json.dumps(rows, indent=2) if as_json else estimate_text(estimates))

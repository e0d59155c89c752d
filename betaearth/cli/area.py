"""`betaearth generate`, which is `betaearth-generate` too: AOI mode in the published tool's spelling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from betaearth.cli.options import (
    BboxOption,
    DeviceOption,
    GeojsonOption,
    JsonOption,
    MaxCloudOption,
    MaxPerQuarterOption,
    ModelOption,
    OverlapOption,
    PrecisionOption,
    SourceOption,
    YearsOption,
    settings_from,
)
from betaearth.cli.progress import progress


def generate(
    *,
    years: YearsOption,
    bbox: BboxOption = None,
    geojson: GeojsonOption = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", "--output_dir", help="Base folder of the output.")] = Path(
        "outputs"
    ),
    name: Annotated[
        str | None,
        typer.Option("--name", help="Sub-folder.  [default: bbox_W_S_E_N or the GeoJSON file's stem]"),
    ] = None,
    source: SourceOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    max_cloud: MaxCloudOption = None,
    max_per_quarter: MaxPerQuarterOption = None,
    overlap: OverlapOption = None,
    precision: PrecisionOption = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="float32, or int8 (AlphaEarth's codes).  [default: float32]")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say each scene that is done.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make annual embeddings of an area of interest: {year}.tif, preview and manifest, one of each a year."""
    from betaearth.generate import generate_with

    settings = settings_from(
        source=source,
        model=model,
        device=device,
        max_cloud=max_cloud,
        max_per_quarter=max_per_quarter,
        overlap=overlap,
        precision=precision,
        dtype=dtype,
    )
    with progress(verbose=verbose) as emit:
        made = generate_with(
            settings, years=years, bbox=bbox, geojson=geojson, output_dir=output_dir, name=name, emit=emit
        )
    if as_json:
        rows = [
            {
                "year": entry.manifest.request.year,
                "outcome": entry.manifest.outcome,
                "skipped": entry.skipped,
                "manifest": str(entry.manifest_path),
                "embeddings": str(entry.embedding_path) if entry.embedding_path else None,
            }
            for entry in made
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    for entry in made:
        state = "there already" if entry.skipped else entry.manifest.outcome
        where = entry.embedding_path or f"{entry.manifest.reason}: see {entry.manifest_path}"
        typer.echo(f"{entry.manifest.request.year}  {state}  {where}")

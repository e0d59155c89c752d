"""`betaearth dataset`: making the data that networks are trained and judged with, and looking at it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from betaearth.cli.commands import VariadicCommand, spelled_out
from betaearth.cli.dataset_options import (
    NeedOption,
    OutOption,
    SplitWords,
    StrictOption,
    TargetsOption,
    WindowOption,
    check_years,
    is_file,
    named,
    option_errors,
    plain_options,
    size_of,
    split_of_words,
    without_query,
    written_down,
)
from betaearth.cli.dataset_report import shown
from betaearth.cli.options import (
    JsonOption,
    RegionWords,
    YearsOption,
    settings_from,
)
from betaearth.cli.progress import progress
from betaearth.cli.usage import settings_of_options, usage_errors

app = typer.Typer(help="Data sets for training and evaluation.", no_args_is_help=True)


@app.command("synthetic", cls=VariadicCommand)
@spelled_out
def synthetic_dataset(
    *,
    cells: Annotated[int, typer.Option("--cells", metavar="N", help="Cells, spread over biomes and land cover.")] = 64,
    size: Annotated[
        int, typer.Option("--size", metavar="PX", callback=size_of, help="Edge of a chip, pixels of 10 m, 32 to 1068.")
    ] = 256,
    dates: Annotated[int, typer.Option("--dates", metavar="K", help="Dates of a cell in a year.")] = 8,
    years: YearsOption = [2021],  # noqa: B006  # Typer reads it and hands out copies
    seed: Annotated[int, typer.Option("--seed", help="Of the places, the dates and their weather.")] = 0,
    splits: SplitWords,
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Make a data set of the synthetic Earth: made-up imagery of four sensors, and a made-up teacher's vectors.

    The demo's place and 50 km around it are left out. The same options make the same bytes. Stopped, the same command
    goes on from the shards that it has finished.
    """
    from betaearth.training.earth import ABOUT, synthetic_cells
    from betaearth.training.ledger import Ledger
    from betaearth.training.writing import write_dataset

    settings_from()  # refuses misspelt ones, which would do nothing
    options = split_of_words(splits)
    asked = {"cells": cells, "size": size, "dates": dates, "years": [*years], "seed": seed}
    ledger = Ledger()
    with usage_errors():
        made = synthetic_cells(cells, size_px=size, dates=dates, years=years, seed=seed, without=ledger.kept)
    with progress() as emit:
        dataset = write_dataset(
            made,
            out,
            about=ABOUT,
            split=options,
            asked={"command": "synthetic", **asked},
            ledger=ledger,
            planned=cells * len(years),
            emit=emit,
        )
    typer.echo(shown(dataset, as_json=as_json))


@app.command("source", cls=VariadicCommand)
@spelled_out
def source_dataset(
    *,
    region: RegionWords,
    years: YearsOption,
    targets: TargetsOption = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Imagery, as in `run`.  [default: planetary-computer]")
    ] = None,
    size: WindowOption = None,
    max_cloud: Annotated[
        float | None, typer.Option("--max-cloud", help="Percent of cloud that a scene stays below.  [default: 60]")
    ] = None,
    max_per_quarter: Annotated[
        int | None, typer.Option("--max-per-quarter", help="Most Sentinel-2 scenes a quarter.  [default: 1]")
    ] = None,
    need: NeedOption = None,
    strict: StrictOption = False,
    workers: Annotated[int | None, typer.Option("--workers", help="Files of imagery read at once.")] = None,
    splits: SplitWords,
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Make a data set of a region: a source's scenes, and AlphaEarth's vectors from files.

    Sentinel-2 dates with the nearest Sentinel-1 pass and the elevation model; a cell without a target is left out.
    Stopped, the same command goes on from the shards that it has finished.
    """
    from betaearth import wiring
    from betaearth.scenes.files import Files
    from betaearth.scenes.sources import open_source
    from betaearth.training.from_source import SourceOptions, about_source, source_cells
    from betaearth.training.ledger import Ledger
    from betaearth.training.places import places_of
    from betaearth.training.targets import AefTiles
    from betaearth.training.writing import write_dataset

    settings = settings_of_options(source=source, workers=workers)
    split = split_of_words(splits)
    check_years(years)
    given = {"max_cloud": max_cloud, "max_per_quarter": max_per_quarter}
    chosen = {name: value for name, value in given.items() if value is not None}
    with option_errors():
        options = SourceOptions.model_validate({"needed": need} if need else {})
        selection = type(options.selection).model_validate(options.selection.model_dump() | chosen)
        options = options.model_copy(update={"selection": selection})
    if not targets:
        raise typer.BadParameter("--targets is needed: AlphaEarth GeoTIFFs, or folders of them")
    grid = wiring.grid_of(settings)
    area = wiring.region_of(grid=grid, **asdict(region), settings=settings)
    cells = wiring.cells_of(area, grid)
    imagery = open_source(settings.source, cache=settings.cache, reading=settings.reading, s3=settings.s3)
    tiles = AefTiles.of(targets, years, files=Files(s3=settings.s3))
    asked = {
        "command": "source",
        "source": written_down(settings.source) if is_file(settings.source) else without_query(settings.source),
        "cells": named([cell.id for cell in cells]),
        "spacing_km": settings.spacing_km,
        "years": [*years],
        "targets": [written_down(uri) for uri in targets],
        "size": size,
        **plain_options(options),
    }
    ledger = Ledger(strict=strict)
    with progress() as emit:
        made = source_cells(
            places_of(cells, size),
            years,
            source=imagery,
            targets=tiles,
            options=options,
            workers=settings.reading.workers,
            ledger=ledger,
            emit=emit,
        )
        dataset = write_dataset(
            made,
            out,
            about=about_source(imagery),
            split=split,
            asked=asked,
            ledger=ledger,
            planned=len(cells) * len(years),
            emit=emit,
        )
    typer.echo(shown(dataset, as_json=as_json))


@app.command("majortom", cls=VariadicCommand)
@spelled_out
def majortom_dataset(
    *,
    root: Annotated[
        str | None,
        typer.Option(
            "--root",
            metavar="URI",
            help="Folder, https:// or s3:// prefix that holds Core-S2L2A, Core-S2L1C, Core-S1RTC, Core-DEM and "
            "Core-AlphaEarth-Embeddings.  [default: the hub]",
        ),
    ] = None,
    cells: Annotated[
        list[str] | None, typer.Option("--cells", metavar="ID ...", help="Cells.  [default: all that have a target]")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Cells in years, at most, drawn.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of that draw.")] = 0,
    targets: TargetsOption = None,
    years: Annotated[
        list[int] | None,
        typer.Option("--years", metavar="YEAR ...", help="Of --targets whose path names no year, where it is one."),
    ] = None,
    size: WindowOption = None,
    max_cloud: Annotated[float, typer.Option("--max-cloud", help="Percent of cloud that a product may have.")] = 100.0,
    max_dates: Annotated[int, typer.Option("--max-dates", help="Dates of a cell in a year, at most.")] = 4,
    need: NeedOption = None,
    strict: StrictOption = False,
    splits: SplitWords,
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Make a data set of Major TOM Core: its imagery, and AlphaEarth's vectors from Core or from files.

    Only the footers and the rows that are wanted are read, by ranges of bytes. Stopped, the same command goes on from
    the shards that it has finished.
    """
    from betaearth.training.ledger import Ledger
    from betaearth.training.majortom import ABOUT, major_tom_cells
    from betaearth.training.majortom_index import HUB, Roots
    from betaearth.training.majortom_matching import MajorTomOptions
    from betaearth.training.parquet_files import ParquetFiles
    from betaearth.training.targets import AefTiles
    from betaearth.training.writing import write_dataset

    settings = settings_from()
    split = split_of_words(splits)
    given = {"size_px": size, "max_cloud": max_cloud, "max_dates": max_dates} | ({"needed": need} if need else {})
    with option_errors():
        options = MajorTomOptions.model_validate(given)
    files = ParquetFiles(s3=settings.s3)
    asked = {
        "command": "majortom",
        "root": written_down(root or HUB),
        "cells": sorted(cells) if cells else None,
        "limit": limit,
        "seed": seed,
        "years": [*years] if years else None,
        "targets": [written_down(uri) for uri in targets] if targets else None,
        **plain_options(options),
    }
    ledger = Ledger(strict=strict)
    with progress() as emit:
        made = major_tom_cells(
            Roots.below(root or HUB, targets=not targets),
            files=files,
            cells=cells,
            limit=limit,
            seed=seed,
            targets=AefTiles.of(targets, years or (), files=files) if targets else None,
            options=options,
            ledger=ledger,
            emit=emit,
        )
        dataset = write_dataset(made, out, about=ABOUT, split=split, asked=asked, ledger=ledger, emit=emit)
    typer.echo(shown(dataset, as_json=as_json))


@app.command("show")
def show_dataset(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a data set.")],
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Compare the digests of all files, which reads them.")] = (
        False
    ),
    as_json: JsonOption = False,
) -> None:
    """Show what a data set holds, after checking that its files are there and whole."""
    from betaearth.training.dataset import Dataset

    settings_from()  # refuses misspelt ones, which would do nothing
    typer.echo(shown(Dataset.open(folder, verify=verify), as_json=as_json, verified=verify))

"""`betaearth dataset`: making the data that networks are trained and judged with, and looking at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.dataset_report import shown
from betaearth.cli.options import JsonOption, RegionWords, VariadicCommand, YearsOption, settings_from, spelled_out
from betaearth.cli.progress import progress
from betaearth.events import RunPlanned

if TYPE_CHECKING:
    from betaearth.training.splits import SplitOptions

app = typer.Typer(help="Data sets for training and evaluation.", no_args_is_help=True)

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to make; nothing is overwritten.")]
TargetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--targets",
        metavar="URI",
        help="AlphaEarth GeoTIFF, or a folder of them, whose path names the year; may be given several times.",
    ),
]
WindowOption = Annotated[
    int | None,
    typer.Option("--size", metavar="PX", help="Edge of a window in the middle of each cell.  [default: all of it]"),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Stop at a cell that can never be read, rather than leave it out.")
]
NeedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--need",
        metavar="SENSOR",
        help="s2_l2a, s2_l1c, s1 or dem, without which a date or cell is left out; may be given several times.",
    ),
]


@dataclass(frozen=True)
class SplitWords:
    """How cells are split, as it was given."""

    split: Annotated[
        str,
        typer.Option("--split", metavar="HOW", help="cell (each for itself) or block (a geographic block together)."),
    ] = "cell"
    shares: Annotated[
        tuple[float, float, float],
        typer.Option("--shares", metavar="TRAIN VAL TEST", help="Shares of the splits; their sum is 1."),
    ] = (0.8, 0.1, 0.1)
    split_seed: Annotated[int, typer.Option("--split-seed", help="Seed of the split.")] = 0
    block_km: Annotated[float, typer.Option("--block-km", help="Edge of a geographic block, km.")] = 200.0


@app.command("synthetic", cls=VariadicCommand)
@spelled_out
def synthetic_dataset(
    *,
    cells: Annotated[int, typer.Option("--cells", metavar="N", help="Cells, spread over biomes and land cover.")] = 64,
    size: Annotated[int, typer.Option("--size", metavar="PX", help="Edge of a chip, pixels of 10 m.")] = 256,
    dates: Annotated[int, typer.Option("--dates", metavar="K", help="Dates of a cell in a year.")] = 8,
    years: YearsOption = [2021],  # noqa: B006  # Typer reads it and hands out copies
    seed: Annotated[int, typer.Option("--seed", help="Of the places, the dates and their weather.")] = 0,
    splits: SplitWords,
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Make a data set of the synthetic Earth: made-up imagery of four sensors, and a made-up teacher's vectors.

    The demo's place and 50 km around it are left out. The same options make the same bytes.
    """
    from betaearth.training.earth import ABOUT, synthetic_cells
    from betaearth.training.writing import write_dataset

    settings_from()  # refuses misspelt ones, which would do nothing
    options = split_of_words(splits)
    made = synthetic_cells(cells, size_px=size, dates=dates, years=years, seed=seed)
    with progress() as emit:
        emit(RunPlanned(cells * len(years), cells * len(years)))
        dataset = write_dataset(made, out, about=ABOUT, split=options, emit=emit)
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
    """
    from betaearth import wiring
    from betaearth.scenes.files import Files
    from betaearth.scenes.sources import open_source
    from betaearth.training.from_source import SourceOptions, about_source, source_cells
    from betaearth.training.places import places_of
    from betaearth.training.targets import AefTiles
    from betaearth.training.writing import write_dataset

    settings = settings_from(source=source, workers=workers)
    split = split_of_words(splits)
    given = {"max_cloud": max_cloud, "max_per_quarter": max_per_quarter}
    chosen = {name: value for name, value in given.items() if value is not None}
    with option_errors():
        options = SourceOptions.model_validate({"needed": need} if need else {})
        selection = type(options.selection).model_validate(options.selection.model_dump() | chosen)
        options = options.model_copy(update={"selection": selection})
    grid = wiring.grid_of(settings)
    area = wiring.region_of(grid=grid, **asdict(region), settings=settings)
    cells = wiring.cells_of(area, grid)
    imagery = open_source(settings.source, cache=settings.cache, reading=settings.reading, s3=settings.s3)
    tiles = AefTiles.of(targets or (), years, files=Files(s3=settings.s3))
    with progress() as emit:
        emit(RunPlanned(len(cells) * len(years), len(cells) * len(years)))
        made = source_cells(
            places_of(cells, size),
            years,
            source=imagery,
            targets=tiles,
            options=options,
            workers=settings.reading.workers,
            strict=strict,
            emit=emit,
        )
        dataset = write_dataset(made, out, about=about_source(imagery), split=split, emit=emit)
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
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="Cells in years, at most, drawn.")] = None,
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

    Only the footers and the rows that are wanted are read, by ranges of bytes.
    """
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
    with progress() as emit:
        made = major_tom_cells(
            Roots.below(root or HUB, targets=not targets),
            files=files,
            cells=cells,
            limit=limit,
            seed=seed,
            targets=AefTiles.of(targets, years or (), files=files) if targets else None,
            options=options,
            strict=strict,
            emit=emit,
        )
        dataset = write_dataset(made, out, about=ABOUT, split=split, emit=emit)
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


@contextmanager
def option_errors() -> Iterator[None]:
    """Name the option whose value is not possible.

    Raises:
        typer.BadParameter: one is not.
    """
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "shares"
        name = {"method": "split", "size_px": "size", "needed": "need"}.get(field, field).replace("_", "-")
        raise typer.BadParameter(f"--{name}: {first['msg'].removeprefix('Value error, ')}") from error


def split_of_words(words: SplitWords) -> SplitOptions:
    """Make the options of a split of what was given."""
    from betaearth.training.splits import SplitOptions

    given = {"method": words.split, "seed": words.split_seed, "shares": words.shares, "block_km": words.block_km}
    with option_errors():
        return SplitOptions.model_validate(given)

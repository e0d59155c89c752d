"""`betaearth tile`: one tile-year, or a few; what a workflow's pod runs."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from betaearth.cli.commands import spelled_out
from betaearth.cli.options import (
    DeviceOption,
    JsonOption,
    ProductionWords,
    RefreshOption,
    SpacingOption,
    StoreOption,
    VerboseOption,
    settings_from,
)
from betaearth.cli.progress import progress
from betaearth.cli.report import raise_worst_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from betaearth.errors import DataError, TransientError
    from betaearth.products.manifest import Manifest

_WORD = re.compile(r"(?P<cell>[^/]+)/(?P<year>[0-9]{1,9})(/(?P<request>[0-9a-f]{12}))?")


class Asked(NamedTuple):
    """A tile-year as it is asked for."""

    cell: str
    year: int
    request: str | None
    """First digits of the request digest that a run was planned with; None where nobody planned it."""


@spelled_out
def tile(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="CELL YEAR | CELL/YEAR[,...]",
            help="A Major TOM cell and a year; or several: 433U_1046R/2024,... or as `betaearth shard` lists them.",
        ),
    ],
    *,
    store: StoreOption = None,
    spacing_km: SpacingOption = None,
    device: DeviceOption = None,
    production: ProductionWords,
    refresh: RefreshOption = False,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make one tile-year and print its manifest, or several with one manifest a line. A workflow's pod runs this.

    On a terminal the manifest of one tile-year is indented; whatever else reads it gets a manifest a line. With --json
    it is one document in the end: `tile_years`, the manifests, and `failed`, the reasons.
    """
    from betaearth import wiring
    from betaearth.pipeline.batch import check_planned, run_batch
    from betaearth.pipeline.job import check_year, tile_year
    from betaearth.pipeline.tile_year import run_tile_year

    named = tile_years_of(places)
    settings = settings_from(production, store=store, spacing_km=spacing_km, device=device)
    folder = wiring.store_of(settings)
    grid = wiring.grid_of(settings)
    asked = [(grid.cell(name.cell), check_year(name.year)) for name in named]

    made: list[Manifest] = []

    def done(manifest: Manifest) -> None:
        if as_json:
            made.append(manifest)
            return
        indent = 2 if len(asked) == 1 and sys.stdout.isatty() else None
        typer.echo(manifest.model_dump_json(indent=indent))

    with progress(verbose=verbose) as emit:
        workshop = wiring.open_workshop(settings, emit)
        model, source, options = workshop.model, workshop.source, workshop.options
        make = partial(
            run_tile_year,
            source=source,
            model=model,
            store=folder,
            refresh=refresh,
            workers=workshop.workers,
            image=workshop.image,
            emit=emit,
        )
        jobs = [tile_year(cell, year, model=model, source=source, options=options) for cell, year in asked]
        for job, name in zip(jobs, named, strict=True):
            check_planned(job, name.request)
        failed: Mapping[str, DataError | TransientError] = {}
        if len(jobs) == 1 and not as_json:
            done(make(jobs[0]))
        else:
            failed = run_batch(jobs, make, done=done, emit=emit)
    if as_json:
        typer.echo(json.dumps(tiles_row(made, failed), indent=2))
    raise_worst_of(failed)


def tiles_row(made: Sequence[Manifest], failed: Mapping[str, DataError | TransientError]) -> dict[str, Any]:
    """Describe what became of several tile-years as plain values."""
    return {
        "tile_years": [manifest.model_dump(mode="json") for manifest in made],
        "failed": {name: str(error) for name, error in failed.items()},
    }


def tile_years_of(places: list[str]) -> list[Asked]:
    """Understand `433U_1046R 2024`, and `433U_1046R/2024,434U_1046R/2024/0123456789ab`; each is taken once.

    Raises:
        typer.BadParameter: it is neither.
    """
    words = [word for place in places for word in re.split(r"[\s,]+", place) if word]
    if len(words) == 2 and "/" not in "".join(words):
        words = ["/".join(words)]
    found: dict[Asked, None] = {}
    for word in words:
        match = _WORD.fullmatch(word)
        if match is None:
            raise typer.BadParameter(
                f"{' '.join(places)!r:.100}: give CELL YEAR, such as 433U_1046R 2024, or CELL/YEAR,CELL/YEAR and so on"
            )
        found[Asked(match["cell"], int(match["year"]), match["request"])] = None
    if not found:
        raise typer.BadParameter("give a cell and a year, such as 433U_1046R 2024")
    return list(found)

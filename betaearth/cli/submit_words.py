"""What `betaearth submit` makes of its words: parameters of the template, and what it says where they will not do."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import asdict, fields
from itertools import islice
from typing import TYPE_CHECKING

import typer

from betaearth.cli.options import GROUPS, ProductionWords, RegionWords
from betaearth.errors import DataError
from betaearth.pipeline.counting import counted
from betaearth.pipeline.limits import MOST_SHARDS, larger_shards

if TYPE_CHECKING:
    from betaearth.cluster.workflows import Submission
    from betaearth.grid.majortom import MajorTomGrid
    from betaearth.grid.region import Region

OWN_PARAMETERS = frozenset({"source", "model"})
"""Words of a production that have a parameter of their own."""


def area_words(region: RegionWords, grid: MajorTomGrid) -> dict[str, str]:
    """Spell the one area that was given as a parameter of the template."""
    from betaearth.cluster.submission import bbox_words, cells_words, geojson_words, osm_words

    if region.bbox is not None:
        return bbox_words(region.bbox)
    if region.geojson is not None:
        return geojson_words(str(region.geojson))
    if region.osm_relation is not None:
        return osm_words(region.osm_relation)
    return cells_words(region.cells or [], grid)


def option_words(
    production: ProductionWords, *, spacing_km: float | None, device: str | None, verbose: bool
) -> list[str]:
    """Spell the options that have no parameter of their own as words of `betaearth tile`."""
    given = {
        "spacing_km": spacing_km,
        "device": device,
        **{field.name: getattr(production, field.name) for field in fields(production)},
    }
    words: list[str] = []
    for name, value in given.items():
        flag = name.replace("_", "-")
        if value is None or name in OWN_PARAMETERS:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", f"{value:.12g}" if isinstance(value, float) else str(value)]
    return [*words, "--verbose"] if verbose else words


def tell_size(submission: Submission, years: int, grid: MajorTomGrid, shard_size: int) -> None:
    """Say how large a region is whose area is known here, and refuse what the plan would refuse minutes later.

    Args:
        submission: of the region.
        years: how many.
        grid: that its cells are of.
        shard_size: tile-years of a shard.

    Raises:
        DataError: it has no cells, or more tile-years than a run can hold.
    """
    area = area_of(submission, grid)
    if area is None:
        return
    most = MOST_SHARDS * shard_size // years
    cells = sum(1 for _ in islice(area.cells(grid), most + 1))
    across = crossing(submission)
    if not cells:
        raise DataError("the region touches no cell of the grid")
    if cells > most:
        swapped = f"; {across}: are west and east swapped?" if across else ""
        raise DataError(
            f"the region has more than {counted(most, 'cell')}, and {counted(years, 'year')} of them make more "
            f"than {MOST_SHARDS} shards of {counted(shard_size, 'tile-year')}: submit it in parts, a year at a time "
            f"or by smaller boxes{larger_shards(shard_size)}{swapped}"
        )
    if across:
        typer.echo(f"{across}: {counted(cells, 'cell')}", err=True)
    typer.echo(size_text(cells, years, grid, shard_size), err=True)


def area_of(submission: Submission, grid: MajorTomGrid) -> Region | None:
    """Make the region that a submission is about; None where pods look it up."""
    from betaearth.grid.region import Region

    given = submission.parameters
    if "bbox" in given:
        return Region.from_bbox([float(word) for word in given["bbox"].split()])
    if given.get("geojson", "").startswith("{"):
        return Region.from_geojson(json.loads(given["geojson"]))
    return Region.from_cells(given["cells"].split(), grid) if "cells" in given else None


def crossing(submission: Submission) -> str | None:
    """Say that a box crosses 180 degrees, as one does whose west and east are swapped; None where it does not."""
    west, _, east, _ = (submission.parameters.get("bbox") or "0 0 0 0").split()
    return f"the bbox runs east from {west} across 180 degrees to {east}" if float(west) > float(east) else None


def size_text(cells: int, years: int, grid: MajorTomGrid, shard_size: int) -> str:
    """Say how large a run is, at most: what is made already is left out when it is planned."""
    tile_years = cells * years
    shards = -(-tile_years // shard_size)
    return (
        f"{counted(cells, 'cell')} of {grid.spacing_m / 1000:g} km in {counted(years, 'year')}: "
        f"{counted(tile_years, 'tile-year')} in {counted(shards, 'shard')} at most"
    )


def warn_of_unsent(production: ProductionWords, **given: object) -> None:
    """Say which settings of this shell reach no pod; by their names alone, since values may be secrets."""
    words = {**asdict(production), **given}
    unsent = unsent_variables(
        [name for name, value in os.environ.items() if value],
        [name for name, value in words.items() if value is not None],
    )
    if unsent:
        typer.echo(
            f"no pod sees {', '.join(unsent)} of this shell: what options do not say is as the chart's values do",
            err=True,
        )


def unsent_variables(set_here: Collection[str], given: Collection[str]) -> list[str]:
    """List the settings of this shell that no pod gets: all but those that say which cluster.

    Args:
        set_here: names of `BETAEARTH_*` variables that have a value.
        given: names of options, as Python spells them, that travel with the Workflow.
    """
    from betaearth.settings import PREFIX, variable_names

    group_of = {name: f"{group}__" for group, names in GROUPS.items() for name in names}
    travelling = {f"{PREFIX}{group_of.get(name, '')}{name}".upper() for name in given}
    known = {name for name in variable_names() if not name.startswith(f"{PREFIX}CLUSTER__")}
    return sorted(name for name in set_here if name.upper() in known - travelling)

"""`betaearth publish`: finished tile-years into the static catalog."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from betaearth.cli.options import (
    JsonOption,
    ObservationsOption,
    SchemasOption,
    StoreOption,
    ValidOption,
    settings_from,
)
from betaearth.cli.progress import progress
from betaearth.cli.report import publish_row, publish_text, refuse_skipped

ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="URI",
        help="Publish the tile-years of this file alone, a JSON object with cell, year and prefix a line: what a run "
        "puts under runs/RUN/shards/.  [default: all, and coverage and gaps anew]",
    ),
]


def publish(
    store: StoreOption = None,
    *,
    shard: ShardOption = None,
    min_valid_fraction: ValidOption = None,
    min_observations: ObservationsOption = None,
    schemas: SchemasOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register finished tile-years in the static catalog; publishing twice changes nothing.

    A product that is not complete or not good enough is reported and not published (exit code 65).
    """
    from betaearth import wiring
    from betaearth.products.runs import shard_from_bytes
    from betaearth.stac.publish import publish as publish_store
    from betaearth.storage.objects import read_object

    settings = settings_from(
        store=store, schemas=schemas, min_valid_fraction=min_valid_fraction, min_observations=min_observations
    )
    with progress() as emit:
        opened = wiring.store_of(settings, make=False)
        entries = shard_from_bytes(read_object(shard, settings.s3), where=shard) if shard else None
        report = publish_store(
            opened,
            shard=[entry.prefix for entry in entries] if entries is not None else None,
            schemas=settings.schemas,
            options=settings.publish,
            emit=emit,
        )
    typer.echo(json.dumps(publish_row(report), indent=2) if as_json else publish_text(report))
    refuse_skipped(report)

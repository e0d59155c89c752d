"""`betaearth publish`: finished tile-years into the static catalog."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

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
from betaearth.cli.report import publish_row, publish_text, refuse_skipped, skipped_text
from betaearth.errors import DataError

if TYPE_CHECKING:
    from betaearth.pipeline.workflow_runs import Outcome
    from betaearth.products.runs import ShardEntry
    from betaearth.settings import Settings
    from betaearth.stac.publish import PublishReport
    from betaearth.storage.store import Store

RunOption = Annotated[
    str | None,
    typer.Option("--run", metavar="NAME", help="Write what became of this run, too; 65 where a tile-year has nothing."),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="SHARD",
        help="Publish these tile-years alone: a shard of --run, such as 00000; or, without --run, the address of a "
        "file with a JSON object with cell, year and prefix a line.  [default: all, and coverage and gaps anew]",
    ),
]


@dataclass(frozen=True)
class Scope:
    """What a publish is about."""

    entries: list[ShardEntry] | None
    """Tile-years to publish; None is everything."""
    outcome: Outcome | None = None
    """What became of the run or shard."""
    what: str = ""
    """How a message names it."""
    asked: frozenset[str] | None = None
    """Folders of the tile-years that it answers for; None is all that it publishes."""

    @property
    def prefixes(self) -> list[str] | None:
        """Folders of the tile-years."""
        return None if self.entries is None else [entry.prefix for entry in self.entries]

    def own(self, skipped: Mapping[str, str]) -> dict[str, str]:
        """Of what was not published, by its key: what it answers for, and what is of no tile-year."""
        from betaearth.products.keys import parse_manifest_key

        asked = self.asked
        return {
            key: reason
            for key, reason in skipped.items()
            if asked is None or posixpath.dirname(key) in asked or not parse_manifest_key(key)
        }


def publish(
    store: StoreOption = None,
    *,
    run: RunOption = None,
    shard: ShardOption = None,
    min_valid_fraction: ValidOption = None,
    min_observations: ObservationsOption = None,
    schemas: SchemasOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register finished tile-years in the static catalog; publishing twice changes nothing.

    A product that is not complete or not good enough is reported and not published (exit code 65). With --run NAME
    everything is published and runs/NAME/report.json says what became of the run; with --run NAME --shard 00000 that
    shard alone is. Either ends with exit code 65 where a tile-year has neither a product nor a manifest that says that
    there is nothing to see. A run answers for its own tile-years: products of others are told of alone.
    """
    from betaearth import wiring
    from betaearth.stac.publish import publish as publish_store

    settings = settings_from(
        store=store, schemas=schemas, min_valid_fraction=min_valid_fraction, min_observations=min_observations
    )
    with progress() as emit:
        opened = wiring.store_of(settings, make=False)
        scope = scope_of(opened, run, shard, settings)
        report = publish_store(
            opened,
            shard=scope.prefixes,
            schemas=settings.schemas,
            options=settings.publish,
            emit=emit,
        )
    typer.echo(json.dumps(row_of(report, scope), indent=2) if as_json else text_of(report, scope))
    report = replace(report, skipped=scope.own(report.skipped))
    if scope.outcome and scope.outcome.lost:
        also = f"; {skipped_text(report)}" if report.skipped else ""
        raise DataError(f"{scope.what}: {scope.outcome.lost_text()}{also}")
    refuse_skipped(report)


def scope_of(store: Store, run: str | None, shard: str | None, settings: Settings) -> Scope:
    """Find out what is to be published; of a whole run, write down what became of it, which its gaps are told from."""
    from betaearth.pipeline.workflow_runs import outcome_of, read_plan, read_shard, read_shards, write_outcome
    from betaearth.products.runs import shard_from_bytes
    from betaearth.storage.objects import read_object

    if run is None:
        return Scope(shard_from_bytes(read_object(shard, settings.s3), where=shard) if shard else None)
    plan = read_plan(store, run)
    if shard is not None:
        entries = read_shard(store, plan, shard)
        return Scope(entries, outcome_of(store, entries), f"shard {shard} of the run {run}")
    entries = read_shards(store, plan)
    outcome = outcome_of(store, entries)
    write_outcome(store, run, outcome)
    return Scope(None, outcome, f"the run {run}", frozenset(entry.prefix for entry in entries))


def row_of(report: PublishReport, scope: Scope) -> dict[str, Any]:
    """Describe a publish as plain values."""
    outcome = scope.outcome
    if outcome is None:
        return publish_row(report)
    lost = [{"cell": entry.cell, "year": entry.year} for entry in outcome.lost]
    return {**publish_row(report), "made": outcome.made, "lost": lost}


def text_of(report: PublishReport, scope: Scope) -> str:
    """Render a publish for people."""
    outcome = scope.outcome
    said = f"{scope.what}: {outcome.made} made, {len(outcome.lost)} lost; " if outcome else ""
    foreign = len(report.skipped) - len(scope.own(report.skipped))
    also = f"; {foreign} products of other runs were not published: --json names them" if foreign else ""
    return f"{said}{publish_text(report)}{also}"

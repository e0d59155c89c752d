"""`betaearth publish`: finished tile-years into the static catalog."""

from __future__ import annotations

import json
import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping
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
from betaearth.cli.progress import progress, remark
from betaearth.cli.report import (
    publish_row,
    publish_text,
    refuse_skipped,
    skipped_text,
    unchecked_text,
    unreadable_text,
    written_text,
)
from betaearth.errors import DataError
from betaearth.pipeline.counting import counted

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
    run: str | None = None
    """Name of the run."""
    what: str = ""
    """How a message names the run or shard."""
    asked: tuple[ShardEntry, ...] | None = None
    """Tile-years that it answers for; None is all that it publishes."""
    shard: str = "SHARD"
    """Id of the shard; of a whole run the word that stands for one."""

    @property
    def prefixes(self) -> list[str] | None:
        """Folders of the tile-years."""
        return None if self.entries is None else [entry.prefix for entry in self.entries]

    @property
    def folders(self) -> frozenset[str] | None:
        """Folders of the tile-years that it answers for; None is all of them."""
        return None if self.asked is None else frozenset(entry.prefix for entry in self.asked)

    def own(self, skipped: Mapping[str, str]) -> dict[str, str]:
        """Of what was not published, by its key: what it answers for, and what is of no tile-year."""
        from betaearth.products.keys import parse_manifest_key

        folders = self.folders
        return {
            key: reason
            for key, reason in skipped.items()
            if folders is None or posixpath.dirname(key) in folders or not parse_manifest_key(key)
        }

    def refused(self, skipped: Iterable[str]) -> set[str]:
        """Folders of the tile-years of which a manifest was not published that answers what was asked for.

        Args:
            skipped: keys of all manifests that were not published, those that answer something else among them.
        """
        keys = defaultdict(list)
        for key in skipped:
            keys[posixpath.dirname(key)].append(key)
        return {
            entry.prefix
            for entry in self.asked or ()
            if any(key.startswith(entry.manifests) for key in keys.get(entry.prefix, ()))
        }

    @property
    def hint(self) -> str:
        """What to do about what is lost; it is the end of a sentence, and empty where nothing is."""
        if not (self.outcome and self.outcome.lost):
            return ""
        return (
            f"; on a cluster `betaearth resubmit {self.run}` makes what is missing, by hand "
            f"`betaearth shard {self.run} {self.shard}` lists it"
        )


@dataclass(frozen=True)
class Tally:
    """What the tile-years of a run or shard have come to, after a publish."""

    published: int
    """Those with an Item."""
    empty: int
    """Those whose manifest says that there is nothing to see."""
    refused: int
    """Those with a manifest of which no Item could be made: the publish tells why."""
    lost: int
    """Those without a manifest of what was asked."""

    def text(self, what: str) -> str:
        """Render it for people.

        Args:
            what: the run or shard.
        """
        total = counted(self.published + self.empty + self.refused + self.lost, "tile-year")
        refused = f"{self.refused:,} refused, " if self.refused else ""
        there = f"{self.published:,} published, {self.empty:,} empty, {refused}"
        return f"{total} of {what}: {there}{self.lost:,} without a product"


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

    if shard and run is None and shard.isdecimal():
        raise typer.BadParameter(f"--shard {shard} is a shard of a run: give --run NAME, too")
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
    tally = tally_of(opened, scope, report)
    typer.echo(json.dumps(row_of(report, scope, tally), indent=2) if as_json else text_of(report, scope, tally))
    if report.unchecked:
        remark("schemas", unchecked_text(report.unchecked, settings.schemas))
    report = replace(report, skipped=scope.own(report.skipped))
    if scope.outcome and scope.outcome.lost:
        also = f"; {skipped_text(report)}" if report.skipped else ""
        raise DataError(f"{scope.what}: {scope.outcome.lost_text()}{scope.hint}{also}")
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
        outcome, what = outcome_of(store, entries), f"shard {shard} of the run {run}"
        return Scope(entries, outcome, run, what, tuple(entries), shard)
    entries = read_shards(store, plan)
    outcome = outcome_of(store, entries)
    write_outcome(store, run, outcome)
    return Scope(None, outcome, run, f"the run {run}", tuple(entries))


def tally_of(store: Store, scope: Scope, report: PublishReport) -> Tally | None:
    """Count what the tile-years of a run or shard have come to; None where the publish is about neither."""
    from betaearth.stac.linked import linked

    if scope.outcome is None or scope.folders is None:
        return None
    lost = {entry.prefix for entry in scope.outcome.lost}
    refused = scope.refused(report.skipped) - lost
    rest = scope.folders - lost - refused
    published = linked(store, rest)
    return Tally(len(published), len(rest) - len(published), len(refused), len(lost))


def row_of(report: PublishReport, scope: Scope, tally: Tally | None) -> dict[str, Any]:
    """Describe a publish as plain values."""
    outcome = scope.outcome
    if outcome is None or tally is None:
        return publish_row(report)
    lost = [{"cell": entry.cell, "year": entry.year} for entry in outcome.lost]
    counts = {"published": tally.published, "empty": tally.empty, "refused": tally.refused}
    return {**publish_row(report), "made": outcome.made, **counts, "lost": lost}


def text_of(report: PublishReport, scope: Scope, tally: Tally | None) -> str:
    """Render a publish for people."""
    if tally is None:
        return publish_text(report)
    foreign = len(report.skipped) - len(scope.own(report.skipped))
    others = counted(foreign, "product of other runs was", "products of other runs were")
    also = [f"{others} not published: --json names them"] if foreign else []
    said = f"{tally.text(scope.what)}{scope.hint}"
    return "; ".join([said, written_text(report), *unreadable_text(report), *also])

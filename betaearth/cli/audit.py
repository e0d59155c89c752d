"""`betaearth audit`: whether a store is what it says it is, and putting it right."""

from __future__ import annotations

import json
from datetime import timedelta
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

if TYPE_CHECKING:
    from betaearth.stac.audit_findings import AuditReport, Finding

SHOWN = 50
"""Findings that are printed for people."""

DeepOption = Annotated[
    bool,
    typer.Option("--deep", help="Read every byte of every product; else sizes, and the digests that the store knows."),
]
RepairOption = Annotated[
    bool,
    typer.Option(
        "--repair",
        help="Make anew what is derivable, remove what belongs to nothing, and withdraw damaged products, so that "
        "`run` makes them again.",
    ),
]
GraceOption = Annotated[
    float,
    typer.Option("--grace", metavar="HOURS", min=0, help="What is younger may still be under way, and is not judged."),
]
CollectionOption = Annotated[
    str | None, typer.Option("--collection", metavar="ID", help="Look at this one alone.  [default: all]")
]


def audit(
    *,
    store: StoreOption = None,
    deep: DeepOption = False,
    repair: RepairOption = False,
    grace: GraceOption = 24.0,
    collection: CollectionOption = None,
    min_valid_fraction: ValidOption = None,
    min_observations: ObservationsOption = None,
    schemas: SchemasOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a store's files, manifests, Items, catalogs and mirror against each other, in both directions.

    Exit code 0: all is as it should be, or was put right; 65: something is not. Foreign files are told of and never
    touched; neither they nor what publishing leaves behind in the normal course of things is a fault. Give it the
    thresholds that publishing has: what they keep out is no fault, and --repair publishes what they let in.
    """
    from betaearth import wiring
    from betaearth.errors import DataError
    from betaearth.stac.audit import audit as audit_store

    settings = settings_from(
        store=store, schemas=schemas, min_valid_fraction=min_valid_fraction, min_observations=min_observations
    )
    report = audit_store(
        wiring.store_of(settings, make=False) if repair else wiring.published_store_of(settings),
        deep=deep,
        repair=repair,
        grace=timedelta(hours=grace),
        collection=collection,
        schemas=settings.schemas,
        options=settings.publish,
    )
    typer.echo(json.dumps(audit_row(report), indent=2) if as_json else audit_text(report))
    if not report.clean:
        left = [finding for finding in report.faults if not finding.repaired]
        derivable = sum(finding.repairable for finding in left)
        hint = f"; --repair can put {derivable} right" if derivable and not repair else ""
        raise DataError(f"{len(left)} things are not as they should be{hint}")


def audit_row(report: AuditReport) -> dict[str, Any]:
    """Describe an audit as plain values."""
    return {
        "clean": report.clean,
        "deep": report.deep,
        "objects": report.objects,
        "tile_years": report.tile_years,
        "items": report.items,
        "under_way": report.under_way,
        "counts": {kind.value: count for kind, count in report.counts.items()},
        "findings": [finding_row(finding) for finding in report.findings],
    }


def finding_row(finding: Finding) -> dict[str, Any]:
    """Describe a finding as plain values."""
    return {
        "kind": finding.kind.value,
        "key": finding.key,
        "detail": finding.detail,
        "repairable": finding.repairable,
        "repaired": finding.repaired,
    }


def audit_text(report: AuditReport) -> str:
    """Render an audit for people: how many of each kind, then the first findings, faults before remarks."""
    from betaearth.stac.audit_findings import first

    shown = first(report.findings, SHOWN)
    looked = "every byte read" if report.deep else "sizes and known digests compared"
    lines = [
        f"{report.objects} objects, {report.tile_years} tile-years, {report.items} Items ({looked}); "
        f"{report.under_way} under way and not judged",
        *(f"{count:>8}  {kind.value}" for kind, count in report.counts.items()),
        *(finding_text(finding) for finding in shown),
    ]
    if more := len(report.findings) - len(shown):
        lines.append(f"and {more} more: --json lists all")
    return "\n".join([*lines, "clean" if report.clean else "NOT clean"])


def finding_text(finding: Finding) -> str:
    """Render a finding: a line, and only the first of what it has to say."""
    state = "repaired" if finding.repaired else finding.kind.value
    detail = finding.detail.partition("\n")[0]
    named = f"{finding.kind.value} {finding.key}" if finding.repaired else finding.key
    return f"{state:<17} {named}: {detail}"

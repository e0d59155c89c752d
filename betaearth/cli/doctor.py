"""`betaearth doctor`: whether cluster, store, imagery and weights are as they must be, and what to do where not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.cluster import ContextOption, NamespaceOption, ServerOption
from betaearth.cli.options import JsonOption, StoreOption, settings_from
from betaearth.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from betaearth.cluster.doctor.findings import Finding
    from betaearth.settings import Settings

SourceOption = Annotated[str | None, typer.Option("--source", help="Imagery, as in `run`.  [env: BETAEARTH_SOURCE]")]
ModelOption = Annotated[str | None, typer.Option("--model", help="Weights, as in `run`.  [env: BETAEARTH_MODEL]")]
SkipOption = Annotated[
    list[str] | None,
    typer.Option("--skip", metavar="AREA", help="Leave out cluster, store, imagery or weights; several by commas."),
]


def doctor(
    *,
    store: StoreOption = None,
    source: SourceOption = None,
    model: ModelOption = None,
    skip: SkipOption = None,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    argo_server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look whether regions can be made: cluster, templates, permissions, GPUs, store, imagery, weights.

    Nothing is changed: in the store one probe is written and removed, nothing is downloaded, no secret is read. What
    may not be looked at is `unknown`. Exit code 0: nothing failed; 75: only what may pass; 78: something must change.
    """
    skipped = areas_of(skip or [])
    settings = settings_from(
        store=store, source=source, model=model, namespace=namespace, context=context, argo_server=argo_server
    )
    found: list[Finding] = []
    for finding in examine(settings, skipped):
        found.append(finding)
        if not as_json:
            typer.echo(finding_text(finding))
    if as_json:
        typer.echo(json.dumps({"clean": not failures(found), "findings": [asdict(entry) for entry in found]}, indent=2))
    raise_failed(failures(found))


def areas_of(words: list[str]) -> frozenset[str]:
    """Read what to leave out.

    Raises:
        typer.BadParameter: a word is no area.
    """
    from betaearth.cluster.doctor.examination import AREAS

    named = frozenset(part.strip() for word in words for part in word.split(",") if part.strip())
    if strange := sorted(named - set(AREAS)):
        raise typer.BadParameter(f"{', '.join(strange)}: there are {', '.join(AREAS)}", param_hint="--skip")
    return named


def examine(settings: Settings, skipped: frozenset[str]) -> Iterator[Finding]:
    """Look at everything that is not left out."""
    from betaearth.cluster.doctor.examination import examine_cluster
    from betaearth.cluster.doctor.findings import looked
    from betaearth.settings import variable_names

    if "cluster" not in skipped:
        yield from examine_cluster(settings.cluster, known=variable_names(), store=settings.store)
    if "store" not in skipped:
        from betaearth.cluster.doctor.store_checks import check_store

        fix = "correct --store, its credentials (AWS_*) or its endpoint (BETAEARTH_S3__ENDPOINT)"
        for_cluster = "cluster" not in skipped
        yield from looked("store", fix, lambda: check_store(settings.store, settings.s3, for_cluster=for_cluster))
    if "imagery" not in skipped:
        from betaearth.cluster.doctor import imagery_checks

        yield from looked(
            "imagery",
            imagery_checks.FIX,
            lambda: imagery_checks.check_imagery(settings.source, cache=settings.cache, s3=settings.s3),
        )
    if "weights" not in skipped:
        from betaearth.cluster.doctor import weights_checks

        yield from looked(
            "weights",
            weights_checks.FIX,
            lambda: weights_checks.check_weights(
                settings.model, settings.weights, cache=settings.cache, s3=settings.s3
            ),
        )


def failures(found: list[Finding]) -> list[Finding]:
    """Pick the findings because of which regions cannot be made."""
    from betaearth.cluster.doctor.findings import Outcome

    return [finding for finding in found if finding.outcome is Outcome.FAILED]


def raise_failed(failed: list[Finding]) -> None:
    """End the command with an error where something failed.

    Raises:
        TransientError: all of it may pass by itself.
        ConfigError: something must change.
    """
    if not failed:
        return
    names = ", ".join(finding.check for finding in failed)
    if all(finding.transient for finding in failed):
        raise TransientError(f"{len(failed)} checks did not get through: {names}")
    raise ConfigError(f"{len(failed)} checks failed: {names}")


def finding_text(finding: Finding) -> str:
    """Render a finding for people: what was seen, and below it what to do."""
    from betaearth.storage.discretion import printable

    detail = printable(finding.detail).replace("\n", "\n" + " " * 9)
    fix = f"\n{' ' * 9}-> {finding.fix}" if finding.fix else ""
    return f"{finding.outcome:<7}  {finding.check}: {detail}{fix}"

"""`betaearth doctor`: whether cluster, store, imagery and weights are as they must be, and what to do where not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.cluster_options import ContextOption, NamespaceOption, ServerOption
from betaearth.cli.options import JsonOption, StoreOption, settings_from
from betaearth.errors import ConfigError, TransientError
from betaearth.pipeline.counting import counted

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
    may not be looked at is `unknown`. What is not there to be looked at has failed, unless --skip leaves it out.

    Exit code 0: nothing failed; 75: only what may pass; 78: something must change, or nothing was looked at.
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
    looked, unlooked = looked_at(found)
    if as_json:
        said = {"clean": not failures(found), "looked_at": looked, "not_looked_at": unlooked}
        typer.echo(json.dumps({**said, "findings": [asdict(entry) for entry in found]}, indent=2))
    else:
        typer.echo(looked_text(looked, unlooked, skipped))
    raise_failed(failures(found))
    if not looked:
        raise ConfigError("nothing was looked at: leave out --skip, or name what is to be looked at, such as --store")


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
        from betaearth.cluster.doctor import store_checks

        for_cluster = "cluster" not in skipped
        yield from looked(
            "store",
            store_checks.FIX,
            lambda: store_checks.check_store(settings.store, settings.s3, for_cluster=for_cluster),
        )
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


def looked_at(found: list[Finding]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Count what was looked at.

    Returns:
        Area to the findings of each outcome in it, and the areas in which nothing was looked at.
    """
    from betaearth.cluster.doctor.examination import AREAS, area_of
    from betaearth.cluster.doctor.findings import Outcome

    outcomes = {area: Counter(finding.outcome for finding in found if area_of(finding) == area) for area in AREAS}
    looked = {area: counts for area, counts in outcomes.items() if counts.total() > counts[Outcome.UNKNOWN]}
    ordered = {area: {each.value: counts[each] for each in Outcome if counts[each]} for area, counts in looked.items()}
    return ordered, [area for area in AREAS if area not in looked]


def looked_text(looked: dict[str, dict[str, int]], unlooked: list[str], skipped: frozenset[str]) -> str:
    """Say in a line or two what was looked at, and what was not."""
    lines: list[str] = []
    if looked:
        areas = (f"{area} ({_counts_text(counts)})" for area, counts in looked.items())
        lines.append(f"looked at: {', '.join(areas)}")
    if unlooked:
        areas = (f"{area} (--skip)" if area in skipped else area for area in unlooked)
        lines.append(f"not looked at: {', '.join(areas)}")
    return "\n".join(lines)


def _counts_text(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


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
        raise TransientError(f"{counted(len(failed), 'check')} did not get through: {names}")
    raise ConfigError(f"{counted(len(failed), 'check')} failed: {names}")


def finding_text(finding: Finding) -> str:
    """Render a finding for people: what was seen, and below it what to do."""
    from betaearth.storage.discretion import printable

    detail = printable(finding.detail).replace("\n", "\n" + " " * 9)
    fix = f"\n{' ' * 9}-> {finding.fix}" if finding.fix else ""
    return f"{finding.outcome:<7}  {finding.check}: {detail}{fix}"

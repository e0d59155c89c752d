"""What the commands of production say in the end: rows for scripts, sentences for people, and the exit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betaearth.errors import DataError, TransientError

if TYPE_CHECKING:
    from betaearth.pipeline.local import RunReport
    from betaearth.pipeline.plan import Planned
    from betaearth.stac.publish import PublishReport


def planned_row(entry: Planned) -> dict[str, Any]:
    """Describe a planned tile-year as plain values."""
    return {
        "cell": entry.job.name,
        "year": entry.job.year,
        "state": entry.state.value,
        "request_digest": entry.job.digest,
        "prefix": entry.job.prefix,
    }


def plan_text(planned: list[Planned]) -> str:
    """Render a plan for people: a line a tile-year, and the sums."""
    lines = [f"{entry.job.name:>14} {entry.job.year}  {entry.state.value}" for entry in planned]
    states = [entry.state.value for entry in planned]
    sums = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    legend = "missing: nothing there; stale: made for another request (weights, options, source); current: there"
    return "\n".join([*lines, f"{len(planned)} tile-years: {sums}", legend])


def run_row(report: RunReport) -> dict[str, Any]:
    """Describe a run as plain values."""
    return {
        "made": [
            {
                "cell": made.request.cell,
                "year": made.request.year,
                "outcome": made.outcome,
                "item": made.item_id,
            }
            for made in report.made
        ],
        "skipped": report.skipped,
        "failed": {name: str(error) for name, error in report.failed.items()},
        "published": [publish_row(published) for published in report.published],
    }


def run_text(report: RunReport) -> str:
    """Render a run for people."""
    catalog = "; ".join(publish_text(published) for published in report.published)
    if not report.made and not report.failed:
        return f"nothing to make: all {len(report.skipped)} tile-years are there already; {catalog}"
    products = sum(made.outcome == "product" for made in report.made)
    empty = len(report.made) - products
    counted = f"{products} made, {empty} empty, {len(report.skipped)} there already, {len(report.failed)} failed"
    return f"{counted}; {catalog}"


def raise_worst(report: RunReport) -> None:
    """End the command with the failure that decides its exit code: what can pass comes first, so that it is retried.

    Raises:
        TransientError: one of the tile-years failed in a way that passes.
        DataError: one of them can never work, or a product was not published.
    """
    failures = report.failed
    transient = [name for name, error in failures.items() if isinstance(error, TransientError)]
    if transient:
        raise TransientError(f"{len(failures)} tile-years failed; try again: {', '.join(transient)}")
    if failures:
        raise DataError(f"{len(failures)} tile-years failed: " + "; ".join(f"{k}: {v}" for k, v in failures.items()))
    for published in report.published:
        refuse_skipped(published)


def publish_row(report: PublishReport) -> dict[str, Any]:
    """Describe a publish as plain values."""
    return {
        "items": report.items,
        "written": report.written,
        "skipped": dict(report.skipped),
        "unchecked": list(report.unchecked),
    }


def publish_text(report: PublishReport) -> str:
    """Render a publish for people; what could not be validated is said, not passed over."""
    text = f"{report.items} items in the catalog, {report.written} files written"
    if report.unchecked:
        text += f"; {len(report.unchecked)} declared extensions were not validated: --schemas brings their schemas"
    return text


def refuse_skipped(report: PublishReport) -> None:
    """End the command with an error where finished tile-years could not be published.

    Raises:
        DataError: names them with their reasons.
    """
    if report.skipped:
        reasons = "; ".join(f"{key}: {reason}" for key, reason in sorted(report.skipped.items()))
        raise DataError(f"{len(report.skipped)} products were not published: {reasons}")

"""What the commands of production say in the end: rows for scripts, sentences for people, and the exit."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from betaearth.cli.table import table_text
from betaearth.errors import DataError, TransientError
from betaearth.pipeline.counting import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from betaearth.pipeline.estimate import Estimate
    from betaearth.pipeline.generate import AreaYear
    from betaearth.pipeline.local import RunReport
    from betaearth.stac.publish import PublishReport

KILOBYTE, MEGABYTE, GIGABYTE = 1e3, 1e6, 1e9
NAMED = 10
"""Products that a message names."""
FAILURES = 5
"""Tile-years that failed which a message names, with their reasons."""
ESTIMATE_COLUMNS = ("year", "scenes", "granules", "files", "to read", "windows", "output", "computing", "on")


def run_row(report: RunReport) -> dict[str, Any]:
    """Describe a run as plain values."""
    return {
        "run": report.run,
        "overview": report.overview,
        "made": [
            {
                "cell": made.request.cell,
                "year": made.request.year,
                "outcome": made.outcome,
                "item": made.item_id,
                "reading": dict(made.reading),
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
        held = counted(len(report.skipped), "tile-year is", "tile-years are")
        return f"nothing to make: {held} there already; {catalog}"
    products = sum(made.outcome == "product" for made in report.made)
    empty = len(report.made) - products
    there, failed = len(report.skipped), len(report.failed)
    tally = f"{products:,} made, {empty:,} empty, {there:,} there already, {failed:,} failed"
    read = reading_text([made.reading for made in report.made])
    figure = f"overview: {report.overview}" if report.overview else ""
    return "; ".join(part for part in (tally, read, catalog, figure) if part)


def reading_text(readings: Sequence[Mapping[str, int]]) -> str:
    """Sum up what manifests say was asked of servers; nothing where all imagery lay on this machine."""
    requests = sum(reading.get("requests", 0) for reading in readings)
    size = sum(reading.get("bytes", 0) for reading in readings)
    return f"{counted(requests, 'request')}, {size / MEGABYTE:.1f} MB of imagery read" if requests else ""


def area_row(entry: AreaYear) -> dict[str, Any]:
    """Describe a year of an area as plain values."""
    return {
        "year": entry.manifest.request.year,
        "outcome": entry.manifest.outcome,
        "skipped": entry.skipped,
        "manifest": str(entry.manifest_path),
        "embeddings": str(entry.embedding_path) if entry.embedding_path else None,
        "overview": str(entry.overview_path) if entry.overview_path else None,
        "reading": dict(entry.manifest.reading),
    }


def area_text(made: Sequence[AreaYear]) -> str:
    """Render the years of an area for people: a line a year, and what was read for them."""
    lines = []
    for entry in made:
        state = "there already" if entry.skipped else entry.manifest.outcome
        where = entry.embedding_path or f"{entry.manifest.reason}: see {entry.manifest_path}"
        lines.append(f"{entry.manifest.request.year}  {state}  {where}")
    read = reading_text([entry.manifest.reading for entry in made if not entry.skipped])
    return "\n".join([*lines, read] if read else lines)


def estimate_row(estimate: Estimate) -> dict[str, Any]:
    """Describe an estimate as plain values."""
    return {name.rstrip("_"): value for name, value in asdict(estimate).items()}


def estimate_text(estimates: Sequence[Estimate]) -> str:
    """Render estimates for people: a line a year, and that they are none but estimates."""
    rows = [
        (
            str(entry.year),
            f"{entry.scenes:,}",
            f"{entry.granules:,}",
            f"{entry.files:,}",
            size_text(entry.bytes_),
            f"{entry.windows:,}",
            size_text(entry.output_bytes),
            duration_text(entry.seconds),
            entry.device,
        )
        for entry in estimates
    ]
    table = table_text(ESTIMATE_COLUMNS, rows, left=("on",))
    return f"{table}\nall but the counts of scenes and granules is reckoned; nothing was written"


def size_text(size: int) -> str:
    """Spell bytes for people: megabytes, but where those read as nothing or as a thousand."""
    if 0 < size < KILOBYTE:
        return f"{size} B"
    if 0 < size < MEGABYTE / 20:
        return f"{size / KILOBYTE:.1f} kB"
    megabytes = f"{size / MEGABYTE:.1f}"
    return f"{megabytes} MB" if float(megabytes) < 1000 else f"{size / GIGABYTE:.1f} GB"


def duration_text(seconds: float) -> str:
    """Spell a duration for people: `45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def raise_worst(report: RunReport) -> None:
    """End the command with the failure that decides its exit code.

    Raises:
        TransientError: one of the tile-years failed in a way that passes.
        DataError: one of them can never work, or a product was not published.
    """
    raise_worst_of(report.failed)
    for published in report.published:
        refuse_skipped(published)


def raise_worst_of(failures: Mapping[str, DataError | TransientError]) -> None:
    """End the command with the failure that decides its exit code: what can pass comes first, so that it is retried.

    Args:
        failures: `cell year` to its error, each of which the log has told of by then.

    Raises:
        TransientError: one of the tile-years failed in a way that passes.
        DataError: one of them can never work.
    """
    failed = f"{counted(len(failures), 'tile-year')} failed"
    transient = [name for name, error in failures.items() if isinstance(error, TransientError)]
    if transient:
        raise TransientError(f"{failed}; try again: {first_text(transient, ', ')}")
    if failures:
        raise DataError(f"{failed}: {first_text([f'{name}: {error}' for name, error in failures.items()], '; ')}")


def first_text(named: Sequence[str], between: str) -> str:
    """Spell the first failures, and how many more there are."""
    more = f" and {len(named) - FAILURES:,} more" if len(named) > FAILURES else ""
    return f"{between.join(named[:FAILURES])}{more}"


def write_result(path: Path, text: str) -> None:
    """Write a result into a file, from which a workflow takes it.

    Raises:
        ConfigError: the file cannot be written.
    """
    from betaearth.storage.files import folder_errors

    check_place(path)
    with folder_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def check_place(path: Path) -> None:
    """Refuse a file that there is no place for.

    Its own folder is made where it lacks: a pod writes into /tmp/outputs, and its /tmp is empty.

    Raises:
        ConfigError: the folder around that one is not there.
    """
    from betaearth.errors import ConfigError
    from betaearth.storage.files import folder_errors

    around = path.absolute().parent.parent
    with folder_errors(around):
        if not around.is_dir():
            raise ConfigError(f"{path} cannot be written: there is no folder {around}; make it, or give another file")


def publish_row(report: PublishReport) -> dict[str, Any]:
    """Describe a publish as plain values."""
    return {
        "items": report.items,
        "tile_years": report.tile_years,
        "written": report.written,
        "skipped": dict(report.skipped),
        "unreadable": dict(report.unreadable),
        "unchecked": list(report.unchecked),
    }


def publish_text(report: PublishReport) -> str:
    """Render a publish for people."""
    published = f"{report.items:,} of {counted(report.tile_years, 'tile-year')} published"
    return "; ".join([f"{published}, {written_text(report)}", *unreadable_text(report)])


def written_text(report: PublishReport) -> str:
    """Say how many files a publish has changed."""
    return f"{counted(report.written, 'file')} written"


def unreadable_text(report: PublishReport) -> list[str]:
    """Say which records of runs could not be read."""
    return [f"not read: {reason}" for reason in report.unreadable.values()]


def unchecked_text(unchecked: Collection[str], schemas: Path | None) -> str:
    """Say what Items were checked by where some of their extensions' own schemas are not at hand, and why.

    Args:
        unchecked: addresses of these schemas, at least one.
        schemas: the folder that was given.
    """
    if schemas is not None:
        return f"{schemas} lacks the schemas {', '.join(sorted(unchecked))}, so nothing was checked by them"
    others = counted(len(unchecked), "other extension")
    return (
        f"Items were checked by core STAC and by betaearth's own schema, which pins how they use {others}; the own "
        "schemas of those are not part of betaearth: with --schemas FOLDER they are used, too"
    )


def refuse_skipped(report: PublishReport) -> None:
    """End the command with an error where finished tile-years could not be published.

    Raises:
        DataError: names the first of them with their reasons.
    """
    if report.skipped:
        raise DataError(skipped_text(report))


def skipped_text(report: PublishReport) -> str:
    """Say which products were not published, and why: the first of them, and how many there are."""
    reasons = "; ".join(f"{key}: {reason}" for key, reason in sorted(report.skipped.items())[:NAMED])
    more = f"; and {len(report.skipped) - NAMED:,} more" if len(report.skipped) > NAMED else ""
    return f"{counted(len(report.skipped), 'product was', 'products were')} not published: {reasons}{more}"

"""The commands that check what was published: verify, reproduce."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.options import DeviceOption, JsonOption, SchemasOption, VerboseOption, settings_from
from betaearth.cli.progress import progress

if TYPE_CHECKING:
    from betaearth.pipeline.reproduction import Reproduction
    from betaearth.stac.verification import Verification

ItemArgument = Annotated[
    str, typer.Argument(metavar="ITEM", help="The Item: a path, http(s)://host/path or s3://bucket/key.")
]


def verify(item: ItemArgument, schemas: SchemasOption = None, as_json: JsonOption = False) -> None:
    """Check a published Item from its address alone: its files, its manifest, and every pixel.

    Exit code 0: all is as it says; 65: something is not.
    """
    from betaearth.errors import DataError
    from betaearth.stac.validation import Validator
    from betaearth.stac.verify import verify as verify_item
    from betaearth.storage.locations import Location

    settings = settings_from(schemas=schemas)
    found = verify_item(Location.of(item, settings.s3), Validator(settings.schemas))
    typer.echo(found.model_dump_json(indent=2) if as_json else verification_text(found))
    if not found.verified:
        failed = ", ".join(check.name for check in found.checks if not check.passed)
        raise DataError(f"{found.item} is not what it says it is: {failed}")


def reproduce(
    item: ItemArgument,
    *,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Where the same granules are, as in `run`.  [default: the manifest's source]"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="The same weights, as in `run`.  [default: the manifest's variant]"),
    ] = None,
    device: DeviceOption = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Files of imagery read at once.")] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the report goes.")] = Path(),
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make a published tile-year again from the same granules, compare, and write a report.

    Exit code 0: identical or equivalent; 65: different or impossible; 75: try again later.
    """
    from betaearth import wiring
    from betaearth.errors import DataError
    from betaearth.pipeline.original import read_original
    from betaearth.pipeline.reproduce import reproduce as reproduce_item
    from betaearth.storage.files import replace_file
    from betaearth.storage.locations import Location

    settings = settings_from(device=device, workers=workers)
    original = read_original(Location.of(item, settings.s3))
    with writable(out):  # before hours of computing
        out.mkdir(parents=True, exist_ok=True)
    with progress(verbose=verbose, goes_on=False) as emit:
        report = reproduce_item(original, wiring.means_of(settings, emit, source=source, model=model), emit=emit)
    path = out / report.file_name
    with writable(out):
        replace_file(path, report.to_bytes())
    typer.echo(report.to_bytes().decode() if as_json else reproduction_text(report, path), nl=not as_json)
    if not report.reproduced:
        raise DataError(f"{report.item_id} was not reproduced: {report.verdict}")


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Write into the folder of reports.

    Raises:
        ConfigError: it cannot be written.
    """
    from betaearth.errors import ConfigError

    try:
        yield
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}): give another --out") from error


def verification_text(found: Verification) -> str:
    """Render a verification for people: a line a check, further lines of its detail indented below."""
    width = max(len(check.name) for check in found.checks)
    lines = [
        f"{'ok  ' if check.passed else 'FAIL'}  {check.name:<{width}}  {indented(check.detail, width + 8)}"
        for check in found.checks
    ]
    return "\n".join([*lines, f"{'verified' if found.verified else 'NOT verified'}: {found.item}"])


def reproduction_text(report: Reproduction, path: Path) -> str:
    """Render a reproduction for people: the verdict, what it rests on, and where the report is."""
    unlike = [f"  not the same here: {indented(sentence, 4)}" for sentence in report.differences]
    said = f"{report.verdict}: {indented(report.statement, 4)}"
    return "\n".join([said, *unlike, f"report: {path} (sha256 {report.report_sha256})"])


def indented(text: str, by: int) -> str:
    """Let no line of what a stranger's document says look like one of ours."""
    from betaearth.storage.discretion import printable

    return printable(text).replace("\n", "\n" + " " * by)

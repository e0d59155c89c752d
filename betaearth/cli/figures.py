"""`betaearth figures`: what evaluations and training runs have found, as PNG and PDF."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.check import writable
from betaearth.cli.options import JsonOption, settings_from

if TYPE_CHECKING:
    from betaearth.evaluation.figures.album import Entry


def figures(
    results: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RESULTS_DIR]...", help="Folders that `betaearth evaluate` wrote."),
    ] = None,
    *,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="TRAIN_DIR", help="A folder that `betaearth train` wrote. May be repeated."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to make, or of earlier figures, which are replaced.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Draw maps, ablations, means over dates, confusion matrices and training curves, each as PNG and as PDF.

    The same results give the same bytes. What cannot be drawn is told, with the reason.
    """
    from betaearth.errors import DataError
    from betaearth.evaluation.figures.album import Drawn, figures_of_results, figures_of_run
    from betaearth.evaluation.figures.folder import FigureFolder
    from betaearth.evaluation.figures.writing import write_figure

    settings_from()  # refuses misspelt ones, which would do nothing
    if not results and not run:
        raise typer.BadParameter("give a RESULTS_DIR, a --run, or both")
    folder = FigureFolder.take(out)
    found = [
        *((lead, figures_of_results(path)) for lead, path in led(results or ())),
        *((lead, figures_of_run(path)) for lead, path in led(run or ())),
    ]
    files: list[Path] = []
    missing: dict[str, str] = {}
    for name, entry in entries(found):
        if isinstance(entry, Drawn):
            with writable(out):
                folder.claim(name)
                files += write_figure(entry.figure, out, name)
        else:
            missing[name] = entry.reason
    if as_json:
        typer.echo(json.dumps({"files": [str(path) for path in files], "missing": missing}, indent=2))
    else:
        typer.echo("\n".join([*map(str, files), *missing_lines(missing)]))
    if not files:
        raise DataError("there is nothing to draw")


def led(folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Give each of several folders a lead of its figures' names; one alone needs none.

    Raises:
        typer.BadParameter: two have one name.
    """
    from betaearth.evaluation.figures.album import file_name

    given = list(folders)
    leads = [f"{file_name(folder.absolute().name)}-" for folder in given]
    for lead, folder in zip(leads, given, strict=True):
        if leads.count(lead) > 1:
            raise typer.BadParameter(f"two folders are called {folder.name}: their figures would have the same names")
        yield lead if len(given) > 1 else "", folder


def entries(found: Iterable[tuple[str, Iterator[Entry]]]) -> Iterator[tuple[str, Entry]]:
    """Name the figures of all folders."""
    for lead, drawn in found:
        for entry in drawn:
            yield f"{lead}{entry.name}", entry


def missing_lines(missing: dict[str, str]) -> list[str]:
    """Say what is missing, for people."""
    from betaearth.storage.discretion import printable

    return [f"not drawn: {name}: {printable(reason)}" for name, reason in missing.items()]

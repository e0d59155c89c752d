"""`betaearth viewer`: the viewer's files into a folder, for a static host or a bucket."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from betaearth.errors import ConfigError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""How an address begins, also once a path of it has lost a slash."""
_TITLE = b"<title>betaearth viewer</title>"

FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder, which is made; it holds no other files, nor another build's.")
]


def viewer(folder: FolderArgument) -> None:
    """Write the viewer, a static page, into a folder that any web host or bucket can serve.

    As viewer/ beside a catalog.json it opens that catalog; elsewhere it asks for the address of one, whose host must
    allow other origins (CORS) to read, ranges of bytes among it.
    """
    from betaearth.cli.viewer_files import INDEX, viewer_files, write_viewer

    if _ADDRESS.match(str(folder)):
        raise typer.BadParameter(f"{folder} is an address: write into a folder, and upload that", param_hint="DIR")
    files = viewer_files()
    try:
        written = write_viewer(files, folder)
    except ConfigError as error:
        if INDEX in files and holds_another_build(folder / INDEX, files[INDEX].data):
            raise ConfigError(
                f"{folder} holds another build of the viewer, whose files have other names: give a new folder, or "
                f"remove {INDEX} and assets/ from this one"
            ) from error
        raise
    for path in written:
        typer.echo(path)


def holds_another_build(page: Path, ours: bytes) -> bool:
    """Whether a page is the viewer's, and not of the build that is ours."""
    try:
        theirs = page.read_bytes()
    except OSError:
        return False
    return theirs != ours and _TITLE in theirs

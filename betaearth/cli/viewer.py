"""`betaearth viewer`: the viewer's files into a folder, for a static host or a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder, which is made; it holds no other files.")]


def viewer(folder: FolderArgument) -> None:
    """Write the viewer, a static page, into a folder that any web host or bucket can serve.

    As viewer/ beside a catalog.json it opens that catalog; elsewhere it asks for the address of one, whose host must
    allow other origins (CORS) to read, ranges of bytes among it.
    """
    from betaearth.cli.viewer_files import viewer_files, write_viewer

    for path in write_viewer(viewer_files(), folder):
        typer.echo(path)

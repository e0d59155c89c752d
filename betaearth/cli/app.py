"""`betaearth app`: the Streamlit app in a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from betaearth.cli.options import settings_from
from betaearth.cli.serve import HostOption, somebody_is_here


def app(
    host: HostOption = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8501,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir", help="Folder in which each visitor has one.  [env: BETAEARTH_APP__OUTPUT; default: outputs]"
        ),
    ] = None,
    opening: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open",
            help="Open the app in a browser.  [default: on a terminal with a display]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make annual embeddings of an area in a browser: choose, estimate, run, look, download.

    A run leaves at most BETAEARTH_MAX_OUTPUT_MB megabytes (3072). Whoever reaches the port can use the app: it has no
    accounts.
    """
    if output_dir is not None:
        os.environ["BETAEARTH_APP__OUTPUT"] = str(output_dir)
    settings_from()  # refuses misspelt ones before a server is there
    shows = somebody_is_here() if opening is None else opening
    words = [host, str(port), "open" if shows else "no-open"]
    sys.stdout.flush()
    # The room of the app is above this one: it is started, and never imported.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "betaearth.app", *words])

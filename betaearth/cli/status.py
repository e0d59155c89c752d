"""`betaearth status`: how far a run is on the cluster, and what keeps it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.cluster_options import AnyRunArgument, ContextOption, NamespaceOption, ServerOption
from betaearth.cli.options import JsonOption, settings_from

if TYPE_CHECKING:
    from betaearth.cluster.options import ClusterOptions
    from betaearth.cluster.workflows import Workflows

WatchOption = Annotated[bool, typer.Option("--watch", help="Go on until the run is over.")]
FailedOption = Annotated[bool, typer.Option("--failed", help="List every tile-year that failed, and no others.")]


def status(
    run: AnyRunArgument = None,
    *,
    watch: WatchOption = False,
    failed: FailedOption = False,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    argo_server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far a run is: its tile-years by state, what keeps those that wait or failed, and what to do.

    Without RUN: all runs, the newest first. Exit code 0: it was read, whatever it says; 65: there is no such run; 75:
    the cluster does not answer; 78: it refuses. With --json and --watch a line of JSON is printed at each change.
    """
    settings = settings_from(namespace=namespace, context=context, argo_server=argo_server)
    client = workflows_of(settings.cluster)
    if run is None:
        show_runs(client, as_json=as_json)
    elif watch:
        follow(client, run, failed=failed, as_json=as_json)
    else:
        show_run(client, run, failed=failed, as_json=as_json)


def workflows_of(options: ClusterOptions) -> Workflows:
    """Open the cluster that the settings name.

    Raises:
        ConfigError: there is none.
    """
    from betaearth.cluster.open import open_workflows

    return open_workflows(options)


def show_runs(client: Workflows, *, as_json: bool) -> None:
    """Print all runs."""
    from betaearth.cli.status_report import runs_rows, runs_text
    from betaearth.cluster.board import list_runs

    parts = list_runs(client)
    typer.echo(json.dumps(runs_rows(parts), indent=2) if as_json else runs_text(parts, client.namespace))


def show_run(client: Workflows, run: str, *, failed: bool, as_json: bool) -> None:
    """Print one run, with the last lines of some pods that failed."""
    from betaearth.cli.status_report import run_row, run_text
    from betaearth.cluster.board import last_lines, read_run
    from betaearth.cluster.status import run_status

    found = run_status(run, read_run(client, run).values())
    lines = last_lines(client, found.tile_years)
    if as_json:
        typer.echo(json.dumps(run_row(found, lines, failed=failed), indent=2))
    else:
        typer.echo(run_text(found, lines, failed=failed))


def follow(client: Workflows, run: str, *, failed: bool, as_json: bool) -> None:
    """Show a run until it is over: in its place on a terminal, else a line a change; then as it ended."""
    from betaearth.cli.status_report import run_row, run_text, summary
    from betaearth.cluster.board import follow_run

    if as_json:
        for found in follow_run(client, run):
            row = run_row(found, {}, failed=failed)
            typer.echo(json.dumps({**row, "tile_years": row["tile_years"] if found.over else []}))
        return
    if sys.stdout.isatty():
        from rich.live import Live
        from rich.text import Text

        with Live(auto_refresh=False, transient=True) as live:
            for found in follow_run(client, run):
                live.update(Text(run_text(found, {}, failed=failed)), refresh=True)
    else:
        told = ""
        for found in follow_run(client, run):
            if (line := summary(found)) != told:
                typer.echo(line)
                told = line
    show_run(client, run, failed=failed, as_json=False)

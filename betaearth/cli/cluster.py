"""The commands that run regions on a cluster: submit, stop, resubmit, logs."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.cluster_options import (
    ContextOption,
    NamespaceOption,
    RunArgument,
    ServerOption,
    WaitOption,
    left_to_cluster,
)
from betaearth.cli.commands import spelled_out
from betaearth.cli.options import (
    DeviceOption,
    JsonOption,
    ProductionWords,
    RefreshOption,
    RegionWords,
    SpacingOption,
    StoreOption,
    VerboseOption,
    YearsOption,
    settings_from,
)
from betaearth.cli.submit_words import area_words, option_words, tell_size, warn_of_unsent
from betaearth.pipeline.limits import LARGEST_SHARD, MOST_TILES_PER_POD
from betaearth.products.runs import SHARD_SIZE

if TYPE_CHECKING:
    from betaearth.cluster.workflows import Submission, Workflows


@left_to_cluster
@spelled_out
def submit(
    *,
    years: YearsOption,
    region: RegionWords,
    store: StoreOption = None,
    spacing_km: SpacingOption = None,
    device: DeviceOption = None,
    production: ProductionWords,
    refresh: RefreshOption = False,
    shard_size: Annotated[
        int | None,
        typer.Option(
            "--shard-size",
            metavar="N",
            min=1,
            max=LARGEST_SHARD,
            help=f"Tile-years of a shard.  [default: {SHARD_SIZE}]",
        ),
    ] = None,
    tiles_per_pod: Annotated[
        int | None,
        typer.Option(
            "--tiles-per-pod",
            metavar="K",
            min=1,
            max=MOST_TILES_PER_POD,
            help="Tile-years that a pod makes in turn, with one start; 10 or 20 are many.  [default: 1]",
        ),
    ] = None,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    argo_server: ServerOption = None,
    wait: WaitOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the Workflow that would be made, and ask nobody.")
    ] = False,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a region on a cluster: start a Workflow of betaearth-region there, and print its name.

    What is not given here is as the cluster's own settings say (the chart's values). BETAEARTH_* variables of this
    shell reach no pod; BETAEARTH_CLUSTER__... among them say which cluster.
    """
    from betaearth import wiring
    from betaearth.cluster.kubeconfig import named_namespace
    from betaearth.cluster.places import check_places
    from betaearth.cluster.submission import region_submission

    settings = settings_from(
        production, spacing_km=spacing_km, namespace=namespace, context=context, argo_server=argo_server
    )
    check_places(store=store, source=production.source, model=production.model, together=production.together)
    warn_of_unsent(production, store=store, spacing_km=spacing_km, device=device)
    grid = wiring.grid_of(settings)
    submission = region_submission(
        area_words(region, grid),
        years,
        store=store,
        source=production.source,
        model=production.model,
        options=option_words(production, spacing_km=spacing_km, device=device, verbose=verbose),
        refresh=refresh,
        shard_size=shard_size,
        tiles_per_pod=tiles_per_pod,
    )
    tell_size(submission, len(set(years)), grid, shard_size or SHARD_SIZE)
    if dry_run:
        named = named_namespace(settings.cluster)
        typer.echo(workflow_text(submission, namespace=named, as_json=as_json), nl=False)
        return
    workflows = open_cluster(namespace, context, argo_server)
    begin(workflows, submission, wait=wait, as_json=as_json, context=context, argo_server=argo_server)


def stop(
    run: RunArgument,
    *,
    terminate: Annotated[
        bool, typer.Option("--terminate", help="Leave out exit handlers, too, where the cluster has some by default.")
    ] = False,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    argo_server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a run: the region's Workflow, then those of its shards.

    What is made stays; `resubmit` goes on, and the reconciler or `betaearth publish` publishes what was not yet.
    """
    from betaearth.cluster.runs import end_run

    ended = end_run(open_cluster(namespace, context, argo_server), run, "Terminate" if terminate else "Stop")
    if as_json:
        typer.echo(json.dumps({"run": run, "ended": ended}, indent=2))
    else:
        typer.echo("\n".join(ended) if ended else f"{run} is over already")


def resubmit(
    run: RunArgument,
    *,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    argo_server: ServerOption = None,
    wait: WaitOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the Workflow that would be made, and make none.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Submit the region of a run that is over once more. Tile-years that are there already are skipped."""
    from betaearth.cluster.runs import submission_again

    workflows = open_cluster(namespace, context, argo_server)
    submission = submission_again(workflows, run)
    if dry_run:
        typer.echo(workflow_text(submission, namespace=workflows.namespace, as_json=as_json), nl=False)
        return
    begin(workflows, submission, wait=wait, as_json=as_json, context=context, argo_server=argo_server)


def logs(
    run: RunArgument,
    cell: Annotated[str | None, typer.Argument(metavar="CELL", help="Cell of a tile-year.")] = None,
    year: Annotated[int | None, typer.Argument(metavar="YEAR", help="Its calendar year.")] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the pod is done.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", min=0, metavar="N", help="The last lines of each pod.")] = None,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    argo_server: ServerOption = None,
) -> None:
    """Show what the pod of a tile-year wrote, or all pods of a run; followed without a tile-year, the region's own."""
    from betaearth.cluster.logs import run_logs, tile_year_logs, tile_year_word
    from betaearth.storage.discretion import printable

    if (cell is None) != (year is None):
        raise typer.BadParameter("a tile-year is a cell and a year: betaearth logs RUN 433U_1046R 2024")
    tile_year = None if cell is None or year is None else tile_year_word(cell, year)
    workflows = open_cluster(namespace, context, argo_server)
    if tile_year is None:
        for line in run_logs(workflows, run, tail=tail, follow=follow):
            typer.echo(printable(f"{line.pod}: {line.text}"))
        return
    for line in tile_year_logs(workflows, run, tile_year, tail=tail, follow=follow):
        typer.echo(printable(line.text))


def open_cluster(namespace: str | None, context: str | None, argo_server: str | None) -> Workflows:
    """Open the cluster that options and settings name."""
    from betaearth.cluster.open import open_workflows

    return open_workflows(settings_from(namespace=namespace, context=context, argo_server=argo_server).cluster)


def begin(
    workflows: Workflows,
    submission: Submission,
    *,
    wait: bool,
    as_json: bool,
    context: str | None,
    argo_server: str | None,
) -> None:
    """Submit, say what to do next, and wait for the end if wanted."""
    from betaearth.cluster.runs import await_run

    run = workflows.submit(submission)
    if as_json:
        made = {"run": run, "namespace": workflows.namespace, "parameters": dict(submission.parameters)}
        typer.echo(json.dumps(made, indent=2))
    else:
        typer.echo(run)
    places = {"--namespace": workflows.namespace, "--context": context, "--argo-server": argo_server}
    there = shlex.join([run, *(word for flag, place in places.items() if place for word in (flag, place))])
    typer.echo(f"next: betaearth status {there}\n      betaearth logs {there}", err=True)
    if wait:
        try:
            await_run(workflows, run, lambda line: typer.echo(line, err=True))
        except KeyboardInterrupt:
            typer.echo(f"{run} goes on without being awaited; it ends by: betaearth stop {there}", err=True)
            raise


def workflow_text(submission: Submission, *, namespace: str | None, as_json: bool) -> str:
    """Write the Workflow of a submission as a document that `kubectl create -f -` takes.

    Args:
        submission: of a region.
        namespace: where it belongs; None leaves it to whoever creates it.
        as_json: or as YAML.
    """
    import yaml

    from betaearth.cluster.submission import workflow_of

    workflow = workflow_of(submission, namespace)
    return json.dumps(workflow, indent=2) + "\n" if as_json else yaml.safe_dump(workflow, sort_keys=False, width=120)

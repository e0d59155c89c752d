"""The commands that run regions on a cluster: submit, stop, resubmit, logs."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

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
    spelled_out,
)
from betaearth.errors import DataError

if TYPE_CHECKING:
    from betaearth.cluster.workflows import Submission, Workflows
    from betaearth.grid.majortom import MajorTomGrid

SHARD_SIZE = 250
"""Tile-years of a shard where nothing else is said, as in the template."""
MOST_SHARDS = 1000
"""Shards of a run, at most: its Workflow must stay below Kubernetes' limits."""
OWN_PARAMETERS = frozenset({"source", "model"})
"""Words of a production that have a parameter of their own."""

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Name of the run, as `betaearth submit` gave it.")]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace of the workflows.  [default: ARGO_NAMESPACE, or the context's]"),
]
ContextOption = Annotated[
    str | None, typer.Option("--context", help="Context of the kubeconfig.  [default: its current one]")
]
ServerOption = Annotated[
    str | None,
    typer.Option("--argo-server", help="URL of an argo-server.  [default: ARGO_SERVER, or else the Kubernetes API]"),
]
WaitOption = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="Wait for the end, and end with the worst exit code of the region's own steps (65 where tile-years are "
        "missing).",
    ),
]


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
        typer.Option("--shard-size", min=1, max=1000, help=f"Tile-years of a shard.  [default: {SHARD_SIZE}]"),
    ] = None,
    tiles_per_pod: Annotated[
        int | None,
        typer.Option(
            "--tiles-per-pod", min=1, help="Tile-years that a pod makes in turn, with one start.  [default: 1]"
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

    What is not given here is as the cluster's own settings say (the chart's values); BETAEARTH_* variables of this
    shell reach no pod.
    """
    from betaearth import wiring
    from betaearth.cluster.places import refuse_local
    from betaearth.cluster.submission import region_submission

    settings = settings_from(
        production, spacing_km=spacing_km, namespace=namespace, context=context, argo_server=argo_server
    )
    refuse_local(store=store, source=production.source, model=production.model)
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
    refuse_too_many(submission, len(set(years)), grid, shard_size or SHARD_SIZE)
    if dry_run:
        typer.echo(workflow_text(submission, as_json=as_json), nl=False)
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
        typer.echo(workflow_text(submission, as_json=as_json), nl=False)
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
    from betaearth.cluster.logs import run_logs, tile_year_logs
    from betaearth.storage.discretion import printable

    if (cell is None) != (year is None):
        raise typer.BadParameter("a tile-year is a cell and a year: betaearth logs RUN 433U_1046R 2024")
    workflows = open_cluster(namespace, context, argo_server)
    if cell is None:
        for line in run_logs(workflows, run, tail=tail, follow=follow):
            typer.echo(printable(f"{line.pod}: {line.text}"))
        return
    for line in tile_year_logs(workflows, run, f"{cell}/{year}", tail=tail, follow=follow):
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


def area_words(region: RegionWords, grid: MajorTomGrid) -> dict[str, str]:
    """Spell the one area that was given as a parameter of the template."""
    from betaearth.cluster.submission import bbox_words, cells_words, geojson_words, osm_words

    if region.bbox is not None:
        return bbox_words(region.bbox)
    if region.geojson is not None:
        return geojson_words(str(region.geojson))
    if region.osm_relation is not None:
        return osm_words(region.osm_relation)
    return cells_words(region.cells or [], grid)


def option_words(
    production: ProductionWords, *, spacing_km: float | None, device: str | None, verbose: bool
) -> list[str]:
    """Spell the options that have no parameter of their own as words of `betaearth tile`."""
    given = {
        "spacing_km": spacing_km,
        "device": device,
        **{field.name: getattr(production, field.name) for field in fields(production)},
    }
    words: list[str] = []
    for name, value in given.items():
        flag = name.replace("_", "-")
        if value is None or name in OWN_PARAMETERS:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", f"{value:.12g}" if isinstance(value, float) else str(value)]
    return [*words, "--verbose"] if verbose else words


def refuse_too_many(submission: Submission, years: int, grid: MajorTomGrid, shard_size: int) -> None:
    """Refuse what the plan would refuse minutes later, where the area is known here.

    Raises:
        DataError: it has no cells, or more tile-years than a run can hold.
    """
    from betaearth.grid.region import Region

    if "bbox" in submission.parameters:
        area = Region.from_bbox([float(word) for word in submission.parameters["bbox"].split()])
    elif submission.parameters.get("geojson", "").startswith("{"):
        area = Region.from_geojson(json.loads(submission.parameters["geojson"]))
    else:
        return
    most = MOST_SHARDS * shard_size // years
    cells = sum(1 for _ in islice(area.cells(grid), most + 1))
    if not cells:
        raise DataError("the region touches no cell of the grid")
    if cells > most:
        raise DataError(
            f"the region has more than {most} cells, and {years} years of them make more than {MOST_SHARDS} shards of "
            f"{shard_size} tile-years: submit it in parts, a year at a time or by smaller boxes, or raise --shard-size"
        )


def workflow_text(submission: Submission, *, as_json: bool) -> str:
    """Write the Workflow of a submission as a document that `kubectl create -f -` takes."""
    import yaml

    from betaearth.cluster.submission import workflow_of

    workflow = workflow_of(submission)
    return json.dumps(workflow, indent=2) + "\n" if as_json else yaml.safe_dump(workflow, sort_keys=False, width=120)

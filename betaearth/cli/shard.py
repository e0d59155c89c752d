"""`betaearth shard`: a shard of a run, dealt out to pods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from betaearth.cli.options import StoreOption, settings_from
from betaearth.cli.report import write_result
from betaearth.pipeline.counting import counted
from betaearth.pipeline.limits import MOST_TILES_PER_POD


def shard(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of the run.")],
    shard: Annotated[str, typer.Argument(metavar="SHARD", help="Its shard, such as 00000.")],
    *,
    store: StoreOption = None,
    tiles_per_pod: Annotated[
        int,
        typer.Option(
            "--tiles-per-pod", metavar="K", min=1, max=MOST_TILES_PER_POD, help="Tile-years that one pod makes."
        ),
    ] = 1,
    pods_file: Annotated[
        Path | None, typer.Option("--pods-file", metavar="FILE", help="Where the list goes.  [default: stdout]")
    ] = None,
) -> None:
    """List the tile-years of a shard that are not made yet, as a workflow's pods get them.

    The list is JSON: [{"tile-years": "433U_1046R/2024/0123456789ab,..."}], an entry a pod, each with the first digits
    of the request that was planned. Of a run with --refresh it holds those that are there, too.
    """
    from betaearth import wiring
    from betaearth.pipeline.workflow_runs import deal, read_plan

    settings = settings_from(store=store)
    opened = wiring.published_store_of(settings)
    dealt = deal(opened, read_plan(opened, run), shard, tiles_per_pod=tiles_per_pod)
    pods = [{"tile-years": ",".join(entry.word for entry in pod)} for pod in dealt.pods]
    if pods_file is None:
        typer.echo(json.dumps(pods))
        return
    write_result(pods_file, json.dumps(pods))
    due = counted(sum(map(len, dealt.pods)), "tile-year")
    typer.echo(f"shard {shard} of {run}: {due} in {counted(len(pods), 'pod')}, {dealt.made:,} there already")

"""The options that the commands of the cluster share, and what their help says of defaults."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from typing import Annotated, get_args

import typer

from betaearth.cli.options import HOW


def named_run(run: str | None) -> str | None:
    """Take the name of a run, if it can be one.

    Raises:
        DataError: no Workflow can have it.
    """
    from betaearth.cluster.names import check_run

    return None if run is None else check_run(run)


RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", callback=named_run, help="Name of the run, as `betaearth submit` gave it.")
]
AnyRunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", callback=named_run, help="Name of the run, as `betaearth submit` gave it.  [default: all]"
    ),
]
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

FOR_PODS = {
    "store": "Where products and catalog live: s3://bucket/prefix.",
    "source": "Imagery: planetary-computer, earth-search, a STAC API's address, an item collection (https://... or "
    "s3://...), or synthetic.",
    "model": "Variant name, hub id, or a place of weights that pods have, below /baked or /cache.",
}
"""Help of options whose other values lie on a machine that pods do not see."""
LEFT = frozenset({"store", *(name.removeprefix("--").replace("-", "_") for name in HOW)})
"""Options that are left to the settings of the cluster where they are not given."""
BY_CLUSTER = "[default: the cluster's settings]"
_DEFAULT = re.compile(r"\s*\[(?:default|env): [^\]]*\]$")


def left_to_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command's help say whose default holds where an option is not given: the cluster's, not this machine's."""
    signature = inspect.signature(command)
    parameters = [_by_cluster(parameter) for parameter in signature.parameters.values()]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # Typer looks at it
    return command


def _by_cluster(parameter: inspect.Parameter) -> inspect.Parameter:
    if parameter.name not in LEFT:
        return parameter
    kind, option = get_args(parameter.annotation)
    said = FOR_PODS.get(parameter.name, option.help or "")
    if not _DEFAULT.search(option.help or ""):
        return parameter  # a flag, which is off until it is given
    ours = copy.copy(option)
    ours.help = f"{_DEFAULT.sub('', said)}  {BY_CLUSTER}"
    return parameter.replace(annotation=Annotated[kind, ours])

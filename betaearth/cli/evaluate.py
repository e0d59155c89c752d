"""`betaearth evaluate`: models on a data set, or a published catalog against AlphaEarth's files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.options import JsonOption, settings_from
from betaearth.cli.progress import TerminalSink, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import TaskID

    from betaearth.evaluation.config import EvaluationConfig
    from betaearth.evaluation.results import ModelResults, Results
    from betaearth.events import Emit, Event

CATALOG_RESULTS = "catalog-results.json"
CATALOG_TABLE = "catalog-table.md"


def evaluate(
    config: Annotated[
        str | None, typer.Argument(metavar="CONFIG", help="What to evaluate: `published`, or a YAML file.")
    ] = None,
    *,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            metavar="REF",
            help="Without CONFIG: a variant, hub id, file or folder of weights; name=REF names it. May be repeated.",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Data set.  [default: the configuration's]")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to make; nothing is overwritten.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change an option: probes.shots=5. May be repeated."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="cpu, cuda, ...  [default: CUDA where there is one]")
    ] = None,
    catalog: Annotated[
        str | None,
        typer.Option("--catalog", metavar="URI", help="Instead of models: a published catalog, collection or Item."),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option("--targets", metavar="URI", help="AlphaEarth GeoTIFFs, or folders of them. May be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare embeddings with their target, and with baselines; write results.json, tables.md and more.

    Models: give CONFIG, or --weights, with --data. A published catalog: --catalog URI --targets TILE.

    What an interrupted evaluation of models has finished is kept in a hidden folder beside --out, and the same command
    goes on from there.
    """
    settings = settings_from(device=device)
    if catalog is not None or targets:
        others = (config, weights or None, data, changes or None, device)
        if catalog is None or not targets or any(option is not None for option in others):
            raise typer.BadParameter("--catalog and --targets go together, and with --out alone")
        _evaluate_catalog(catalog, targets, out, as_json=as_json)
        return
    if (config is None) == (not weights):
        raise typer.BadParameter("give CONFIG, or --weights REF, and not both; or --catalog URI --targets TILE")
    from betaearth.evaluation.run import evaluate as run

    asked = _config(config, weights or (), data, changes or (), settings.device)
    with progress() as emit, stepping(emit) as shown:
        results = run(asked, out, emit=shown)
    typer.echo(results.model_dump_json(indent=1) if as_json else results_text(results, out))


def _config(
    config: str | None, weights: Sequence[str], data: Path | None, changes: Sequence[str], device: str | None
) -> EvaluationConfig:
    """Read what is asked for.

    Raises:
        ConfigError: the configuration's file is wrong by itself.
        typer.BadParameter: what is wrong stands on the command line.
    """
    from betaearth.errors import ConfigError
    from betaearth.evaluation.config import make_config, read_config

    def made(changes: Sequence[str]) -> EvaluationConfig:
        if config is not None:
            return read_config(config, changes, data=data, device=device)
        return make_config({"models": [model_entry(word) for word in weights]}, changes, data=data, device=device)

    try:
        return made(changes)
    except ConfigError as error:
        if config is not None and (not changes or _fails(made)):
            raise
        raise typer.BadParameter(str(error)) from error


def _fails(made: Callable[[Sequence[str]], object]) -> bool:
    """Tell whether a configuration is wrong without any change of it."""
    from betaearth.errors import ConfigError

    try:
        made(())
    except ConfigError:
        return True
    return False


def model_entry(word: str) -> dict[str, str]:
    """Read `REF` or `name=REF`; a path that holds an equals sign needs a name before it."""
    name, equals, reference = word.partition("=")
    return {"name": name, "weights": reference} if equals else {"weights": word}


def _evaluate_catalog(catalog: str, targets: Sequence[str], out: Path, *, as_json: bool) -> None:
    from betaearth.evaluation.outputs import check_out, whole
    from betaearth.pipeline.catalog_evaluation import catalog_table, evaluate_catalog

    settings = settings_from()
    check_out(out)
    with progress(goes_on=False) as emit, stepping(emit) as shown:
        results = evaluate_catalog(catalog, targets, s3=settings.s3, emit=shown)
    with whole(out) as draft:
        (draft / CATALOG_RESULTS).write_text(results.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (draft / CATALOG_TABLE).write_text(catalog_table(results), encoding="utf-8")
    typer.echo(results.model_dump_json(indent=1) if as_json else catalog_table(results), nl=as_json)


def results_text(results: Results, out: Path) -> str:
    """Render results for people: a line a model, and where the rest is."""
    lines = [model_text(model) for model in results.models]
    if results.data.synthetic:
        lines.append("the data are synthetic: these figures say nothing about the real world")
    return "\n".join([*lines, f"tables: {out / 'tables.md'}", f"results: {out / 'results.json'}"])


def model_text(model: ModelResults) -> str:
    """Say the most important figures of a model, each beside its baseline."""
    score = model.cosine
    spread = f" ({score.interval.low:.3f} to {score.interval.high:.3f})" if score.interval else ""
    beside = "" if score.constant is None else f", constant {score.constant:.3f}"
    parts = [f"{model.name}: cosine {score.mean:.3f}{spread}{beside}"]
    if model.probes:
        probes = model.probes[0].scores
        parts.append(f"land cover {probes.linear.accuracy:.3f}, most frequent class {probes.majority.accuracy:.3f}")
    return "; ".join([*parts, *(f"{name} not run: {reason}" for name, reason in model.not_run.items())])


@contextmanager
def stepping(emit: Emit) -> Iterator[Emit]:
    """Show the steps of an evaluation as a bar on a terminal; elsewhere they are lines like any other."""
    from betaearth.evaluation.pace import EvaluationStep

    task: TaskID | None = None
    words = ""

    def show(event: Event) -> None:
        nonlocal task, words
        if not isinstance(event, EvaluationStep) or not isinstance(emit, TerminalSink):
            emit(event)
            return
        bars = emit.progress
        if task is None or words != f"{event.model}: {event.step}":
            if task is not None:
                bars.remove_task(task)
            words = f"{event.model}: {event.step}"
            task = bars.add_task(words, total=event.total)
        left = event.seconds_left
        bars.update(task, completed=event.index, ends=None if left is None else bars.get_time() + left)

    yield show

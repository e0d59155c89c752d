"""`betaearth train`: models from a data set, to the end or until told to stop; the same command goes on."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.ending import longer_grace
from betaearth.cli.exit_codes import INTERRUPTED, TERMINATED
from betaearth.cli.options import JsonOption, settings_from
from betaearth.cli.progress import progress
from betaearth.errors import ConfigError
from betaearth.events import ignore

if TYPE_CHECKING:
    from betaearth.training.config import TrainingConfig
    from betaearth.training.loop import TrainingReport

STOP_S = 15.0
"""Time for a step to end and a checkpoint to be written."""
EXITS = {signal.SIGTERM: TERMINATED, signal.SIGINT: INTERRUPTED}


class Stopping:
    """What a signal asks for; the loop looks after every step."""

    def __init__(self) -> None:
        self.code = 0
        """Exit code of the first signal; 0 where none has come."""

    def hear(self, signum: int, frame: FrameType | None) -> None:
        """Take a signal; a second one interrupts at once, without a checkpoint.

        Raises:
            SystemExit: it is the second.
        """
        del frame
        if self.code:
            raise SystemExit(EXITS[signal.Signals(signum)])
        self.code = EXITS[signal.Signals(signum)]

    def __call__(self) -> bool:
        """Tell whether to stop."""
        return self.code != 0


@contextmanager
def stopping() -> Iterator[Stopping]:
    """Let SIGTERM and Ctrl-C end the training after its step, with a checkpoint."""
    heard = Stopping()
    before = {signum: signal.signal(signum, heard.hear) for signum in EXITS}
    try:
        with longer_grace(STOP_S):
            yield heard
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A configuration's name, such as robust or tiny, or a YAML file.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Data set.  [default: the configuration's]")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change an option: models.0.lr=1e-3. May be repeated."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Go on where --out holds a checkpoint of the same configuration and data; --no-resume begins anew "
            "and replaces it.",
        ),
    ] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say each step and checkpoint.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train models on a data set.

    SIGTERM and Ctrl-C end it after the step at work, with a checkpoint, and the same command goes on from there.
    Several GPUs: torchrun --nproc-per-node N --no-python betaearth train ...
    """
    from betaearth.training.dataset import Dataset
    from betaearth.training.loop import train as run_training

    settings_from()  # refuses misspelt ones, which would do nothing
    asked = load(config, changes or ())
    folder = data or asked.data
    if folder is None:
        raise ConfigError("which data? give --data DIR, as `betaearth dataset` makes it")
    shown = progress(verbose=verbose) if leads() else nullcontext(ignore)  # one process shows bars and log
    with shown as emit, stopping() as stop:
        report = run_training(asked, Dataset.open(folder), out, resume=resume, stop=stop, emit=emit)
    if not report.finished:
        raise SystemExit(stop.code or TERMINATED)  # 0 where another process of torchrun's was told
    if leads():
        typer.echo(json.dumps(report_row(report), indent=2) if as_json else report_text(report))


def load(config: str, changes: Sequence[str]) -> TrainingConfig:
    """Read a configuration and change it as the command line says.

    Raises:
        ConfigError: the configuration is wrong.
        typer.BadParameter: it is right, and a change is wrong.
    """
    from betaearth.training.config_files import load_config

    try:
        return load_config(config, changes)
    except ConfigError as error:
        if changes:
            load_config(config, ())
            raise typer.BadParameter(str(error), param_hint="--set") from error
        raise


def leads() -> bool:
    """Tell whether this process is the one of `torchrun`'s that speaks, or the only one."""
    import os

    return os.environ.get("RANK", "0") == "0"


def report_row(report: TrainingReport) -> dict[str, object]:
    """Describe a run as plain values."""
    found = report.validation
    return {
        "out": str(report.out),
        "epochs": report.position.epoch,
        "constant": found.constant if found else None,
        "models": {
            name: {
                "cosine": found.scores[name].cosine if found else None,
                "best": report.best.get(name),
                "checkpoint": str(path),
            }
            for name, path in report.weights.items()
        },
    }


def report_text(report: TrainingReport) -> str:
    """Render a run for people: how each model did, and how its weights are exported."""
    lines = [f"{report.out}: {report.position.epoch} epochs done"]
    if report.validation:
        lines.append(f"  constant answer: cosine {report.validation.constant:.4f}")
    for name, path in report.weights.items():
        best = f"best cosine {report.best[name]:.4f}" if name in report.best else "not validated"
        words = ["betaearth", "models", "export", str(path), str(report.out / "weights" / name)]
        if path.stem == "last" and len(report.weights) > 1:
            words.append(f"--prefix=models.{name}")
        lines += [f"  {name}: {best}", f"    {shlex.join(words)}"]
    return "\n".join(lines)

"""The command `betaearth`: its commands, and the exit-code table at its edge."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from betaearth._version import __version__
from betaearth.cli import app as app_command
from betaearth.cli import (
    area,
    audit,
    check,
    cluster,
    dataset,
    demo,
    doctor,
    evaluate,
    figures,
    models,
    plan,
    produce,
    publish,
    serve,
    shard,
    status,
    tile,
    train,
    viewer,
)
from betaearth.cli.commands import ProductionCommand, VariadicCommand
from betaearth.cli.ending import ending_in_time, leave
from betaearth.cli.exit_codes import INTERRUPTED, TERMINATED, UNPLANNED, exit_code, missing_extra
from betaearth.errors import ConfigError, DataError, TransientError

HELP = """From a region and some years to a STAC catalog of 10 m, 64-dimensional Earth embeddings.

Results go to stdout, progress and errors to stderr. Settings are read from BETAEARTH_* variables; options win.

Exit codes: 0 done or nothing to do, 2 usage, 65 bad data, 70 a bug, 75 try again later, 78 wrong set-up, 130 and 143
interrupted.
"""

app = typer.Typer(
    name="betaearth",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("generate", cls=ProductionCommand)(area.generate)
app.command("plan", cls=ProductionCommand)(plan.plan)
app.command("tile", cls=ProductionCommand)(tile.tile)
app.command("run", cls=ProductionCommand)(produce.run)
app.command("shard", cls=VariadicCommand)(shard.shard)
app.command("publish", cls=VariadicCommand)(publish.publish)
app.command("audit", cls=VariadicCommand)(audit.audit)
app.command("verify")(check.verify)
app.command("reproduce")(check.reproduce)
app.command("serve")(serve.serve)
app.command("viewer")(viewer.viewer)
app.command("app")(app_command.app)
app.command("submit", cls=ProductionCommand)(cluster.submit)
app.command("status")(status.status)
app.command("logs")(cluster.logs)
app.command("stop")(cluster.stop)
app.command("resubmit")(cluster.resubmit)
app.command("doctor")(doctor.doctor)
app.add_typer(models.app, name="models")
app.add_typer(dataset.app, name="dataset")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("figures")(figures.figures)

generate_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
generate_app.command("betaearth-generate", cls=ProductionCommand)(area.generate)


def show_version(value: bool) -> None:
    """Print the version and stop."""
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and stop."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run `betaearth`."""
    leave(guarded(app))


def generate_main() -> None:
    """Run `betaearth-generate`, which is `betaearth generate`."""
    leave(guarded(generate_app))


def guarded(command: Callable[[], object]) -> int:
    """Run a command and map what it raises to an exit code."""
    calm_openmp()
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # its retries are no lines of our log
    try:
        with ending_in_time() as ending:
            code = attempted(command)
            return TERMINATED if ending.told and code else code
    except SystemExit as stop:  # SIGTERM, while what another one had raised was unwound
        return stop.code if isinstance(stop.code, int) else TERMINATED


def attempted(command: Callable[[], object]) -> int:
    """Run a command; returns the exit code of what it raises."""
    code = 0
    try:
        command()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if code in {INTERRUPTED, TERMINATED}:
            interrupted(code)
    except (DataError, TransientError, ConfigError) as error:
        code = fail(error)
    except ModuleNotFoundError as error:
        lacking = missing_extra(error)
        code = fail(lacking) if lacking else unplanned()
    except KeyboardInterrupt:
        code = interrupted(INTERRUPTED)
    except Exception:  # noqa: BLE001  # the edge of the process: a bug has an exit code of its own, and its traceback
        code = unplanned()
    return code


def calm_openmp() -> None:
    """Let OpenMP's idle threads sleep soon instead of spinning, unless the user has set how they wait.

    On cores that are shared, with the threads that read imagery or with other pods, spinning made a prediction on two
    threads 16 times slower. OpenMP reads this when torch is loaded, which is later.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def fail(error: DataError | TransientError | ConfigError) -> int:
    """Show one of our errors and return its exit code."""
    from betaearth.cli.progress import report_error

    code = exit_code(error)
    report_error(error, code)
    return code


def interrupted(code: int) -> int:
    """Say what an interruption leaves; returns the exit code."""
    from betaearth.cli.progress import report_interruption

    report_interruption(code)
    return code


def unplanned() -> int:
    """Show the traceback of the bug that is being handled."""
    import traceback

    sys.stderr.write(traceback.format_exc())
    return UNPLANNED

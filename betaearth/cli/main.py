"""The command `betaearth`: its commands, and the exit-code table at its edge."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated, NoReturn

import typer

from betaearth._version import __version__
from betaearth.cli import area, audit, check, demo, models, produce, publish, serve
from betaearth.cli.exit_codes import INTERRUPTED, TERMINATED, UNPLANNED, exit_code, missing_extra
from betaearth.cli.options import VariadicCommand
from betaearth.errors import ConfigError, DataError, TransientError

HELP = """From a region and some years to a STAC catalog of 10 m, 64-dimensional Earth embeddings.

Results go to stdout, progress and errors to stderr. Settings are read from BETAEARTH_* variables; options win.

Exit codes: 0 done or nothing to do, 2 usage, 65 bad data, 70 a bug, 75 try again later, 78 wrong set-up, 130 and 143
interrupted.
"""

GO_ON = "interrupted: the same command goes on where it stopped\n"

app = typer.Typer(
    name="betaearth",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("generate", cls=VariadicCommand)(area.generate)
app.command("plan", cls=VariadicCommand)(produce.plan)
app.command("tile", cls=VariadicCommand)(produce.tile)
app.command("run", cls=VariadicCommand)(produce.run)
app.command("publish")(publish.publish)
app.command("audit")(audit.audit)
app.command("verify")(check.verify)
app.command("reproduce")(check.reproduce)
app.command("serve")(serve.serve)
app.add_typer(models.app, name="models")

generate_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
generate_app.command("betaearth-generate", cls=VariadicCommand)(area.generate)


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
    sys.exit(guarded(app))


def generate_main() -> None:
    """Run `betaearth-generate`, which is `betaearth generate`."""
    sys.exit(guarded(generate_app))


def guarded(command: Callable[[], object]) -> int:
    """Run a command and map what it raises to an exit code."""
    signal.signal(signal.SIGTERM, terminate)
    calm_openmp()
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # its retries are no lines of our log
    code = 0
    try:
        command()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if code == INTERRUPTED:
            sys.stderr.write(GO_ON)
    except (DataError, TransientError, ConfigError) as error:
        code = fail(error)
    except ModuleNotFoundError as error:
        lacking = missing_extra(error)
        code = fail(lacking) if lacking else unplanned()
    except KeyboardInterrupt:
        sys.stderr.write(GO_ON)
        code = INTERRUPTED
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


def unplanned() -> int:
    """Show the traceback of the bug that is being handled."""
    import traceback

    sys.stderr.write(traceback.format_exc())
    return UNPLANNED


def terminate(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  # the signature of a signal handler
    """End at once but in order on SIGTERM: temporary folders are removed, nothing half-made is visible."""
    sys.exit(TERMINATED)

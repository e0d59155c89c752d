"""The exit-code table at the edge of the process."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from betaearth.cli.ending import Ending
from betaearth.cli.exit_codes import EXTRA_OF, exit_code
from betaearth.cli.main import guarded
from betaearth.cli.progress import progress
from betaearth.errors import ConfigError, DataError, TransientError


@pytest.fixture(autouse=True)
def _keep_sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def raising(error: BaseException) -> object:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("x"), 65),
        (TransientError("x"), 75),
        (ConfigError("x"), 78),
        (RuntimeError("x"), 70),
        (ModuleNotFoundError("x", name="nowhere"), 70),
        (ModuleNotFoundError("x", name="rasterio.warp"), 78),
        (SystemExit(2), 2),
        (SystemExit(None), 0),
        (SystemExit("words"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(error)) == code  # type: ignore[arg-type]
    assert (capsys.readouterr().err != "") == (code in {65, 70, 75, 78, 130})


@pytest.mark.parametrize("code", [130, 143])
def test_an_interruption_is_a_line_of_the_log(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(SystemExit(code))) == code  # type: ignore[arg-type]
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["exit_code"]) == ("interrupted", "warning", code)
    assert "nothing is left half-written" in said["message"]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("goes_on", [True, False, None])
def test_what_does_not_go_on_promises_nothing(
    terminal: bool, goes_on: bool | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`reproduce` begins anew; `status --watch`, `logs -f` and the like make nothing at all."""

    def command() -> None:
        if goes_on is not None:
            with progress(goes_on=goes_on):
                pass
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert guarded(command) == 130
    said = capsys.readouterr().err
    assert ("what is finished is kept, and the same command makes the rest" in said) == bool(goes_on)
    assert ("nothing is left half-written" in said) != bool(goes_on)


def test_an_interruption_is_a_sentence_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert guarded(raising(KeyboardInterrupt())) == 130  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert said.startswith("interrupted: nothing is left half-written")


def test_a_command_that_returns_is_done() -> None:
    assert guarded(lambda: None) == 0


def test_a_missing_library_names_its_extra(capsys: pytest.CaptureFixture[str]) -> None:
    guarded(raising(ModuleNotFoundError("x", name="rasterio")))  # type: ignore[arg-type]
    assert "betaearth[generate]" in capsys.readouterr().err


def test_every_extra_brings_what_the_table_says(pytestconfig: pytest.Config) -> None:
    import tomllib

    project = tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())["project"]
    brought = {
        extra: " ".join(needs)
        .lower()
        .replace("-", "_")
        .replace("pillow", "pil")
        .replace("boto3", "boto3 botocore")
        .replace("scikit_learn", "sklearn")
        for extra, needs in project["optional-dependencies"].items()
    }
    for module, extra in EXTRA_OF.items():
        assert module.lower() in brought[extra]


def test_sigterm_is_143() -> None:
    ending = Ending()
    with pytest.raises(SystemExit) as stop:
        ending.terminate(signal.SIGTERM, None)
    assert (stop.value.code, ending.told) == (143, True)


def test_subclasses_are_not_guessed() -> None:
    assert exit_code(ValueError("x")) == 70

"""`betaearth train`: its words, its exit codes, and that SIGTERM loses nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from betaearth.training.checkpoint import Position
from betaearth.training.dataset import Dataset
from tests.training.command import ENVIRONMENT, PROGRAM, changes
from tests.training.learnable import SMALL, learnable_data

OPTIONS = (*SMALL, "epochs=5", "log_every=2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return learnable_data(tmp_path_factory.mktemp("data") / "set")


def started(data: Dataset, out: Path, *given: str) -> subprocess.Popen[str]:
    words = ["tiny", f"--data={data.folder}", f"--out={out}", *changes(*OPTIONS), *given]
    command = [sys.executable, "-c", PROGRAM, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def last(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(out / "checkpoints" / "last.pt", weights_only=True)
    return content


def test_sigterm_keeps_all_steps_and_the_same_command_goes_on(data: Dataset, tmp_path: Path) -> None:
    whole = started(data, tmp_path / "whole", "--json")
    out, journal = tmp_path / "stopped", tmp_path / "stopped" / "metrics.jsonl"
    process = started(data, out)
    while not (journal.exists() and journal.stat().st_size):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143, said
    assert time.monotonic() - told < 15
    assert "the same command makes the rest" in said
    held = last(out)
    assert (held["epoch"], held["step"]) < (5, 0)
    assert [path.name for path in (out / "checkpoints").glob(".*")] == []

    again = started(data, out)
    printed, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    begun = json.loads(said.splitlines()[0])
    assert (begun["event"], begun["done"]) == ("training_started", held["epoch"] * begun["steps"] + held["step"])
    assert f"betaearth models export {out}/checkpoints/best-tiny.pt {out}/weights/tiny" in printed

    row, said = whole.communicate(timeout=60)
    assert whole.returncode == 0, said
    assert json.loads(row)["models"]["tiny"]["checkpoint"].endswith("best-tiny.pt")
    one, other = last(out), last(tmp_path / "whole")
    assert all(torch.equal(value, other["models"][key]) for key, value in one["models"].items())
    assert journal.read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (("--set=epochs=0",), 2, "epochs: Input should be greater than or equal to 1"),
        (("--set=epoch=3",), 2, "did you mean epochs?"),
        (("--set=epochs",), 2, "is not key=value"),
        (("--set=batch_size=64",), 78, "a batch of 64 chips"),
        (("--set=crop=64",), 78, "crop 64 does not fit into the smallest chip of"),
        (("--data=nowhere",), 65, "nowhere"),
        (("--set=device=cuda",), 78, "needs a GPU"),
    ],
)
def test_what_cannot_be_has_its_exit_code(
    given: tuple[str, ...], code: int, words: str, data: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import typer

    from betaearth.cli.main import guarded
    from betaearth.cli.train import train

    app = typer.Typer(add_completion=False)
    app.command()(train)
    words_given = ["tiny", f"--data={data.folder}", f"--out={tmp_path / 'run'}", *changes(*OPTIONS), *given]
    assert guarded(lambda: app(words_given)) == code
    assert words in " ".join(capfd.readouterr().err.replace("\u2502", " ").split())  # a usage error stands in a box
    assert not (tmp_path / "run").exists()


def test_a_wrong_file_is_no_matter_of_usage(data: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import typer

    from betaearth.cli.main import guarded
    from betaearth.cli.train import train

    app = typer.Typer(add_completion=False)
    app.command()(train)
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: 0\nmodels: [{name: mine, variant: tiny}]\n")
    words = [str(file), f"--data={data.folder}", f"--out={tmp_path / 'run'}", "--set=crop=32"]
    assert guarded(lambda: app(words)) == 78
    assert "epochs: Input should be greater" in capfd.readouterr().err
    assert guarded(lambda: app([str(tmp_path / "none.yaml"), f"--out={tmp_path / 'run'}", "--set=crop=32"])) == 78


def test_only_the_first_process_shows_progress(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import typer

    from betaearth.cli.main import guarded
    from betaearth.cli.train import train
    from betaearth.events import Emit, Notice
    from betaearth.training import loop

    def told(*_: object, emit: Emit, **__: object) -> loop.TrainingReport:
        emit(Notice("a step"))
        return loop.TrainingReport(tmp_path, Position(5, 0), 5, None, {}, {})

    monkeypatch.setattr(loop, "train", told)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    app = typer.Typer(add_completion=False)
    app.command()(train)
    for rank, shows in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        assert guarded(lambda: app(["tiny", f"--data={data.folder}", f"--out={tmp_path / 'run'}"])) == 0
        out, err = capfd.readouterr()
        assert (bool(out), bool(err)) == (shows, shows)


def test_a_run_that_another_process_ended_is_no_success(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer

    from betaearth.cli.main import guarded
    from betaearth.cli.train import train
    from betaearth.training import loop

    unfinished = loop.TrainingReport(tmp_path, Position(0, 3), 5, None, {}, {})
    monkeypatch.setattr(loop, "train", lambda *_, **__: unfinished)
    app = typer.Typer(add_completion=False)
    app.command()(train)
    assert guarded(lambda: app(["tiny", f"--data={data.folder}", f"--out={tmp_path / 'run'}"])) == 143

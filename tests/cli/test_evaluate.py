"""`betaearth evaluate` in process: words, exit codes, what it prints."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
import typer

from betaearth.cli.evaluate import evaluate, model_entry
from betaearth.cli.main import guarded
from betaearth.training.description import About
from betaearth.training.splits import SplitOptions
from betaearth.training.writing import write_dataset
from tests.evaluation.conftest import COVER, random_cells
from tests.pipeline.test_catalog_evaluation import WEST, write_catalog, write_item, write_target

QUICK = ("--set", "experiments=[]", "--set", "maps=0")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of a few cells."""
    folder = tmp_path_factory.mktemp("cli") / "data"
    about = About(name="random", source="random", synthetic=True, target="random", licence="CC0-1.0", land_cover=COVER)
    write_dataset(random_cells(6, dates=1), folder, about=about, split=SplitOptions(shares=(0.5, 0.0, 0.5)))
    return folder


def run(*words: object) -> int:
    """Run the command and return its exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(evaluate)
    return guarded(lambda: app([str(word) for word in words]))


def test_weights_on_a_data_set(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--weights", "mine=demo", "--data", data, "--out", tmp_path / "out", *QUICK) == 0
    said = capsys.readouterr()
    assert said.out.startswith("mine: cosine ")
    assert ", constant 0." in said.out
    assert "say nothing about the real world" in said.out
    assert f"tables: {tmp_path / 'out' / 'tables.md'}" in said.out
    assert '"event": "evaluation_step"' in said.err
    assert (tmp_path / "out" / "results.json").is_file()


def test_a_configuration_and_json(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "evaluation.yaml"
    config.write_text("models: [{weights: demo}]\nexperiments: []\nmaps: 0\n")
    assert run(config, "--data", data, "--out", tmp_path / "out", "--set", "seed=5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["config"]["seed"] == 5


def test_a_catalog_against_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_item(tmp_path / "c" / "near", "near", WEST, "int8")
    write_catalog(tmp_path, ["near"])
    write_target(tmp_path / "tile.tif")
    words = ("--catalog", tmp_path, "--targets", tmp_path / "tile.tif", "--out", tmp_path / "out")
    assert run(*words) == 0
    assert "| near | 2021 | int8 |" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "catalog-results.json").read_text())
    assert found["items"][0]["item"] == "near"
    assert run(*words) == 65
    assert "is not overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("evaluation.yaml", "--weights", "demo"),
        ("--catalog", "x"),
        ("--targets", "x"),
        ("--catalog", "x", "--targets", "y", "--weights", "demo"),
        ("--catalog", "x", "--targets", "y", "--device", "cpu"),
    ],
)
def test_words_that_do_not_go_together_are_a_usage_error(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, "--out", tmp_path / "out") == 2
    assert "--catalog" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--weights", "nothing"), 78, "neither a variant"),
        (("--weights", "demo", "--set", "sed=1"), 2, "sed is no key; the nearest is seed"),
        (("--weights", "demo", "--set", "seed=-1"), 2, "seed"),
        (("--weights", "a b=demo"), 2, "models.0.name"),
        (("--weights", "demo", "--set", "split=val"), 65, "no cell in its split val"),
        (("none.yaml",), 78, "none.yaml is not there"),
    ],
)
def test_what_cannot_be_evaluated_has_a_reason_and_a_code(
    words: tuple[str, ...], code: int, said: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, "--data", data, "--out", tmp_path / "out") == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        ("models: [{weights: demo}]\n", ("--set", "probes.folds=1"), 2),
        ("models: [{weights: demo}]\nprobes: {folds: 1}\n", (), 78),
        ("models: [{weights: demo}]\nprobes: {folds: 1}\n", ("--set", "seed=1"), 78),
        ("models: [{weights: demo}]\nprobes: {folds: 1}\n", ("--set", "probes.folds=0"), 78),
    ],
)
def test_a_wrong_value_is_usage_where_it_stands_on_the_command_line(
    text: str, words: tuple[str, ...], code: int, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "evaluation.yaml").write_text(text)
    assert run(tmp_path / "evaluation.yaml", *words, "--data", data, "--out", tmp_path / "out") == code
    assert "probes.folds" in capsys.readouterr().err


def test_a_data_set_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--weights", "demo", "--data", tmp_path, "--out", tmp_path / "out") == 65
    assert "holds no data set" in capsys.readouterr().err


def test_an_interrupted_catalog_promises_no_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("betaearth.pipeline.catalog_evaluation.evaluate_catalog", interrupted)
    assert run("--catalog", "x", "--targets", "y", "--out", tmp_path / "out") == 130
    assert json.loads(capsys.readouterr().err)["message"] == "nothing is left half-written"


def test_a_terminated_evaluation_goes_on_by_the_same_command(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = str(Path(sys.executable).parent / "betaearth")
    words = ["--weights", "demo", "--data", str(data), "--out", str(tmp_path / "out"), "--device", "cpu"]
    words += ["--set", "experiments=[subsets]", "--set", "maps=0"]
    hidden = tmp_path / ".out.unfinished"
    with subprocess.Popen([script, "evaluate", *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = [process.stderr.readline()]
        while said[-1] and '"step": "chips"' not in said[-1]:
            said.append(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        process.wait(60)
    assert process.returncode == 143
    assert "the same command makes the rest" in rest
    assert (hidden / "model-demo" / "chips.jsonl").is_file()
    assert not (tmp_path / "out").exists()
    assert run(*words) == 0
    assert "what it finished is taken over" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_models_name_stands_before_its_weights() -> None:
    assert model_entry("demo") == {"weights": "demo"}
    assert model_entry("mine=runs/a=b.pt") == {"name": "mine", "weights": "runs/a=b.pt"}

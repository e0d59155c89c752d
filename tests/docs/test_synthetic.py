"""The page on the synthetic benchmark says what its committed results say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.experiments import (
    BENCHMARK_NAME,
    CONFIGS,
    EVALUATION,
    KEPT,
    METRICS_NAME,
    SHOWN,
    TRAINING,
    between,
    commands,
)
from benchmarks.experiments_report import FINDINGS, Benchmark, expectations, findings
from betaearth.evaluation.config import read_config
from betaearth.evaluation.outputs import TABLES_NAME
from betaearth.evaluation.results import RESULTS_NAME, Results, read_results
from betaearth.evaluation.tables import tables
from betaearth.training.config_files import load_config

PAGE = (KEPT.parent / "synthetic.md").read_text(encoding="utf-8")
MOST_BYTES = 300_000
"""Of a figure that is committed."""


@pytest.fixture(scope="module")
def results() -> Results:
    return read_results(KEPT)


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    return Benchmark.model_validate_json((KEPT / BENCHMARK_NAME).read_text(encoding="utf-8"))


def test_the_tables_are_those_of_the_results(results: Results) -> None:
    assert (KEPT / TABLES_NAME).read_text(encoding="utf-8") == tables(results)


def test_the_findings_are_those_of_the_results_and_stand_on_the_page(results: Results) -> None:
    assert (KEPT / FINDINGS).read_text(encoding="utf-8") == findings(results) + "\n"
    assert findings(results) in PAGE


def test_what_does_not_hold_is_told(results: Results) -> None:
    failed = [each.what for each in expectations(results) if not each.held]
    assert PAGE.count("**no**") == len(failed)


def test_commands_and_times_stand_on_the_page(benchmark: Benchmark) -> None:
    models = [model.name for model in load_config(CONFIGS / TRAINING).models]
    assert [step.command for step in benchmark.steps] == [" ".join(words) for words in commands(models)]
    assert benchmark.times() in PAGE


@pytest.mark.parametrize("name", [TRAINING, EVALUATION])
def test_the_configurations_are_those_that_were_run(name: str) -> None:
    assert (KEPT / name).read_bytes() == (CONFIGS / name).read_bytes()


def test_the_results_are_those_of_the_configuration(results: Results) -> None:
    assert results.config == read_config(CONFIGS / EVALUATION, data=Path("data"))
    assert results.data.synthetic


def test_no_place_of_a_machine_is_told() -> None:
    for path in KEPT.iterdir():
        if path.suffix != ".png":
            assert not re.search(r'[" (]/(home|root|tmp|work|Users)/', path.read_text(encoding="utf-8")), path.name


def test_figures_are_modest_and_shown() -> None:
    for name in SHOWN:
        assert (KEPT / name).stat().st_size < MOST_BYTES, name
        assert f"](synthetic/{name})" in PAGE, name
    kept = {TRAINING, EVALUATION, BENCHMARK_NAME, METRICS_NAME, RESULTS_NAME, TABLES_NAME, FINDINGS}
    assert {path.name for path in KEPT.iterdir()} == kept | set(SHOWN)


def test_tables_of_the_page_are_replaced_and_nothing_else() -> None:
    once = between(PAGE, "findings", "| new |")
    assert "| new |" in once
    assert between(once, "findings", findings(read_results(KEPT))) == PAGE
    with pytest.raises(ValueError, match="once each"):
        between("no marks", "findings", "")

"""The driver with two workers that are both this package and a tiny network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.model import run
from benchmarks.report import Plan, Report, table
from benchmarks.session import Environment
from betaearth.inference.precision import Precision

ROOT = Path(__file__).parents[2]


@pytest.fixture
def report(plan: Plan, demo_environment: Environment, tmp_path: Path) -> Report:
    return run(plan, {"ours": demo_environment, "published": demo_environment}, tmp_path)


def test_a_whole_run(report: Report) -> None:
    # The packages alternate, and every other round goes backwards.
    turns = [(turn.round, turn.do, turn.precision, turn.package) for turn in report.turns]
    once = [
        ("scene", Precision.FLOAT32, "ours"),
        ("scene", Precision.FLOAT32, "published"),
        ("year", Precision.FLOAT32, "ours"),
        ("year", Precision.FLOAT32, "published"),
        ("year", Precision.BF16, "ours"),
    ]
    assert turns == [*((0, *turn) for turn in once), *((1, *turn) for turn in reversed(once))]
    # Both are the same package, so nothing but time differs.
    scene, year, bf16 = report.comparisons
    for exact in (scene, year):
        assert exact.difference.max_abs == 0
        assert exact.difference.min_cosine == pytest.approx(1)
    assert bf16.difference.min_cosine > 0.99
    assert len(year.ratios) == 2
    assert year.ratios[0] == pytest.approx(year.published_seconds[0] / year.ours_seconds[0])
    flop = report.flop_per_tile_year
    assert flop["ours"] == flop["published"] > 1e9
    for memory in report.memory.values():
        assert memory.peak_bytes >= memory.baseline_bytes > 0
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert "largest difference, year, float32" in table(report)


def test_the_command_fails_where_a_worker_does(tmp_path: Path) -> None:
    """The package published elsewhere is not installed beside this one."""
    out = tmp_path / "report.json"
    command = [sys.executable, "-m", "benchmarks.model", "--published-python", sys.executable, "--weights", "demo"]
    options = ["--scene-size", "64", "--year-size", "64", "--s2", "1", "--s1", "0", "--threads", "1", "--out", str(out)]
    done = subprocess.run([*command, *options], cwd=ROOT, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "the benchmark failed: the worker of published ended with exit code 1" in done.stderr
    assert "No module named 'segmentation_models_pytorch'" in done.stderr
    assert "Traceback" not in done.stderr.partition("the benchmark failed")[0]
    assert done.stdout == ""
    assert not out.exists()


def test_results_that_are_kept_are_reports() -> None:
    for path in (ROOT / "benchmarks" / "results").glob("model-*.json"):
        kept = Report.model_validate(json.loads(path.read_text()))
        assert kept.plan.rounds >= 1

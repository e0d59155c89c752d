"""The synthetic benchmark: four small networks from data to figures, by the commands that users have.

`python -m benchmarks.experiments` makes a data set of the synthetic Earth, trains the networks of
`synthetic/training.yaml` on shared batches, exports them, evaluates them and draws, into a folder. `--keep` also writes
what the page on it shows beside that page.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.experiments_report import FINDINGS, Benchmark, Step, findings
from benchmarks.machine import this_machine
from betaearth._version import __version__
from betaearth.evaluation.outputs import TABLES_NAME
from betaearth.evaluation.results import RESULTS_NAME, read_results
from betaearth.evaluation.tables import tables
from betaearth.training.config_files import load_config

CONFIGS = Path(__file__).with_name("synthetic")
TRAINING, EVALUATION = "training.yaml", "evaluation.yaml"
KEPT = Path(__file__).parents[1] / "docs" / "training" / "synthetic"
BENCHMARK_NAME, METRICS_NAME = "benchmark.json", "metrics.jsonl"
CELLS, SIZE, DATES, SHARES = 120, 64, 8, ("0.6", "0.1", "0.3")
SHOWN = (
    "training-curves.png",
    "tiny-curriculum-ablation.png",
    "tiny-curriculum-maps.png",
    "tiny-curriculum-temporal.png",
    "tiny-plain-ablation.png",
    "teacher-confusion.png",
    "tiny-curriculum-confusion.png",
)
"""Figures that the page shows."""


def commands(models: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Spell the commands, to be run in a folder that holds the two configurations.

    Args:
        models: names of those that are trained.
    """
    size = ("--cells", str(CELLS), "--size", str(SIZE), "--dates", str(DATES), "--shares", *SHARES)
    exports = (
        ("betaearth", "models", "export", "run/checkpoints/last.pt", f"weights/{name}", "--prefix", f"models.{name}")
        for name in models
    )
    return (
        ("betaearth", "dataset", "synthetic", *size, "--out", "data"),
        ("betaearth", "train", TRAINING, "--data", "data", "--out", "run"),
        *exports,
        ("betaearth", "evaluate", EVALUATION, "--data", "data", "--out", "results"),
        ("betaearth", "figures", "results", "--run", "run", "--out", "figures"),
    )


def run(out: Path) -> Benchmark:
    """Run everything.

    Args:
        out: folder to make; what an earlier run left there is replaced.

    Raises:
        SystemExit: a command failed; with its exit code.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in (TRAINING, EVALUATION):
        shutil.copyfile(CONFIGS / name, out / name)
    for name in ("data", "run", "weights", "results", "figures"):
        shutil.rmtree(out / name, ignore_errors=True)
    models = [model.name for model in load_config(str(CONFIGS / TRAINING)).models]
    steps = [timed(words, out) for words in commands(models)]
    report = Benchmark(
        date=datetime.now(UTC).replace(microsecond=0),
        version=__version__,
        machine=this_machine(),
        threads=int(os.environ.get("OMP_NUM_THREADS", "0")) or None,
        steps=tuple(steps),
    )
    (out / BENCHMARK_NAME).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return report


def timed(words: Sequence[str], folder: Path) -> Step:
    """Run a command in a folder.

    Raises:
        SystemExit: it failed; with its exit code.
    """
    print("$", *words, file=sys.stderr)
    script = Path(sys.executable).parent / words[0]
    began = time.monotonic()
    done = subprocess.run([script, *words[1:]], cwd=folder, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return Step(command=" ".join(words), seconds=round(time.monotonic() - began, 1))


def keep(out: Path, folder: Path = KEPT) -> None:
    """Copy what the page shows: results, tables, findings, training's journal, configurations and figures.

    Args:
        out: folder of a run.
        folder: whose content is replaced; so are the two tables on the page beside it, which has its name.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = [Path(TRAINING), Path(EVALUATION), Path(BENCHMARK_NAME), Path("run") / METRICS_NAME]
    files.append(Path("results") / RESULTS_NAME)
    for path in (*files, *(Path("figures") / name for name in SHOWN)):
        shutil.copyfile(out / path, folder / path.name)
    render(folder)


def render(folder: Path = KEPT) -> None:
    """Write tables and findings from the results that were kept, also those on the page."""
    results = read_results(folder)
    found = findings(results)
    (folder / TABLES_NAME).write_text(tables(results), encoding="utf-8")
    (folder / FINDINGS).write_text(found + "\n", encoding="utf-8")
    page = folder.with_suffix(".md")
    times = Benchmark.model_validate_json((folder / BENCHMARK_NAME).read_bytes()).times()
    text = between(between(page.read_text(encoding="utf-8"), "findings", found), "times", times)
    page.write_text(text, encoding="utf-8")


def between(text: str, mark: str, new: str) -> str:
    """Replace what stands between the two comments of a mark.

    Raises:
        ValueError: the text does not hold them once each.
    """
    begin, end = f"<!-- {mark} -->\n", f"\n<!-- end of {mark} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page does not hold {begin.strip()} and {end.strip()} once each")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{new}\n{end}{rest.partition(end)[2]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print what was expected beside what came out, and keep it if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("experiments-output"), help="folder of the run")
    parser.add_argument("--keep", action="store_true", help=f"replace {KEPT.relative_to(KEPT.parents[2])}")
    parser.add_argument("--render", action="store_true", help="run nothing: lay out again what was kept")
    asked = parser.parse_args(arguments)
    if asked.render:
        render()
        return
    report = run(asked.out)
    print(report.times())
    print(f"\n{findings(read_results(asked.out / 'results'))}")
    if asked.keep:
        keep(asked.out)


if __name__ == "__main__":
    main()

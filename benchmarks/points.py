"""What probes read from real AlphaEarth vectors: land cover at points of three regions, by split, beside baselines.

A check of the measures themselves on real vectors: nothing of betaearth is embedded here. `python -m benchmarks.points
FOLDER` reads FOLDER/points_*.csv; without one, the folder `aef` of BETAEARTH_SAMPLE_DATA.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from betaearth.evaluation.compression import CompressionScore, probe_codes
from betaearth.evaluation.confusion import ClassScore
from betaearth.evaluation.points import FOLDS, Points, PointScore, read_points, score_points
from betaearth.evaluation.probe_splits import block_folds
from betaearth.evaluation.probes import FewShotScore, ProbeScores, ProbeTask

SCORES = ("split", "vectors", "probe", "accuracy", "balanced (95 % CI)", "macro-F1")
CODES = ("code", "bytes", "ratio", "cosine", "linear, balanced", "1 neighbour, balanced")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.points", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="of points_*.csv")
    parser.add_argument("--seed", type=int, default=0, help="of folds, shots and intervals")
    parser.add_argument("--draws", type=int, default=20, help="of the ten-shot probe")
    asked = parser.parse_args(arguments)
    points = read_points(asked.folder or _sample_folder(parser))
    print(f"{len(points.labels)} points, {len(set(points.labels))} classes, {', '.join(sorted(set(points.regions)))}\n")
    print(markdown(SCORES, score_rows(score_points(points, seed=asked.seed, draws=asked.draws))))
    print(f"\n{markdown(CODES, code_rows(score_codes(points, seed=asked.seed)))}")


def score_codes(points: Points, *, seed: int) -> Sequence[CompressionScore]:
    """Score every code on the folds of blocks."""
    task = ProbeTask(points.vectors, points.labels, points.blocks())
    folds = block_folds(task.groups, FOLDS, seed=seed)
    return probe_codes([(task.take(fold.train), task.take(fold.test)) for fold in folds], seed=seed)


def score_rows(scores: Sequence[PointScore]) -> Iterator[tuple[str, ...]]:
    """Lay out the probes; the majority class once a split."""
    named: set[str] = set()
    for score in scores:
        probes = dict(_probes(score.scores))
        if score.split not in named:
            yield (score.split, "-", "majority class", *_class_words(score.scores.majority))
        named.add(score.split)
        for probe, words in probes.items():
            yield (score.split, score.features, probe, *words)


def code_rows(scores: Sequence[CompressionScore]) -> Iterator[tuple[str, ...]]:
    """Lay out the codes."""
    for score in scores:
        probes = (score.linear, score.knn1)
        balanced = (f"{probe.balanced_accuracy:.3f}" if probe else "-" for probe in probes)
        yield (score.name, str(score.bytes_per_vector), f"{score.ratio:g} x", f"{score.cosine:.4f}", *balanced)


def markdown(headings: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    """Lay out a table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows))


def _probes(scores: ProbeScores) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "linear", _class_words(scores.linear)
    yield "1 neighbour", _class_words(scores.knn1)
    yield "3 neighbours", _class_words(scores.knn3)
    if scores.few_shot is not None:
        yield f"{scores.few_shot.shots} labels a class", _few_words(scores.few_shot)


def _class_words(score: ClassScore) -> tuple[str, ...]:
    interval = f" ({score.interval.low:.3f}-{score.interval.high:.3f})" if score.interval else ""
    return f"{score.accuracy:.3f}", f"{score.balanced_accuracy:.3f}{interval}", f"{score.macro_f1:.3f}"


def _few_words(score: FewShotScore) -> tuple[str, ...]:
    balanced = score.balanced_accuracy
    interval = f" ({balanced.interval.low:.3f}-{balanced.interval.high:.3f})" if balanced.interval else ""
    return f"{score.accuracy.mean:.3f}", f"{balanced.mean:.3f}{interval}", f"{score.macro_f1.mean:.3f}"


def _sample_folder(parser: argparse.ArgumentParser) -> Path:
    folder = os.environ.get("BETAEARTH_SAMPLE_DATA")
    if not folder:
        parser.error("name a folder of points_*.csv, or set BETAEARTH_SAMPLE_DATA")
    return Path(folder) / "aef"


if __name__ == "__main__":
    main(sys.argv[1:])

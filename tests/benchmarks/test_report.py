"""Ratios, differences and the table, from numbers worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError

from benchmarks.machine import this_machine
from benchmarks.report import Difference, Memory, Plan, Report, Turn, compare, difference, table
from benchmarks.session import Package, Task
from betaearth.inference.precision import Precision

GIB = 2**30
NEAR = Difference(max_abs=6e-7, min_cosine=0.9999999)


def turn(package: Package, seconds: float, *, do: Task = "year", precision: Precision = Precision.FLOAT32) -> Turn:
    return Turn(package=package, do=do, precision=precision, round=0, seconds=seconds)


TURNS = [
    turn("ours", 10),
    turn("published", 80),
    turn("ours", 8, precision=Precision.BF16),
    turn("ours", 20),
    turn("published", 120),
    turn("ours", 10, precision=Precision.BF16),
    turn("ours", 10),
    turn("published", 90),
    turn("ours", 9, precision=Precision.BF16),
    turn("ours", 1, do="scene"),
    turn("published", 5, do="scene"),
]


def test_ratios_are_of_turns_in_the_same_round() -> None:
    exact = compare(TURNS, "year", Precision.FLOAT32, NEAR)
    assert list(exact.ratios) == [8, 6, 9]
    assert exact.ratio == 8
    assert compare(TURNS, "year", Precision.BF16, NEAR).ratios == (10.0, 12.0, 10.0)
    assert compare(TURNS, "scene", Precision.FLOAT32, NEAR).ratios == (5.0,)


def test_the_rim_is_left_out_of_a_difference() -> None:
    rng = np.random.default_rng(0)
    ours = rng.normal(size=(6, 7, 64)).astype(np.float32)
    ours /= np.linalg.norm(ours, axis=-1, keepdims=True)
    published = ours.copy()
    published[0] = published[-1] = published[:, 0] = published[:, -1] = 0
    assert difference(ours, published).max_abs == 0
    assert difference(ours, published).min_cosine == pytest.approx(1)
    published[3, 3, 5] += 1e-3
    published[2, 2] = -ours[2, 2]
    apart = difference(ours, published)
    assert apart.max_abs == pytest.approx(2 * np.abs(ours[2, 2]).max())
    assert apart.min_cosine == pytest.approx(-1)


def report(*, our_peak: float, our_flop: float) -> Report:
    return Report(
        date=datetime(2026, 1, 1, tzinfo=UTC),
        machine=this_machine("model name : Some CPU\n", ""),
        plan=Plan(threads=2),
        versions={"ours": {"torch": "2.13.0"}, "published": {"torch": "2.13.0"}},
        turns=tuple(TURNS),
        comparisons=(
            compare(TURNS, "year", Precision.FLOAT32, NEAR),
            compare(TURNS, "year", Precision.BF16, Difference(max_abs=3e-3, min_cosine=0.9999)),
        ),
        memory={
            "ours": Memory(baseline_bytes=GIB // 2, peak_bytes=round(our_peak * GIB)),
            "published": Memory(baseline_bytes=GIB, peak_bytes=5 * GIB),
        },
        flop_per_tile_year={"ours": round(our_flop), "published": round(108.5e12)},
    )


def cells(text: str, beginning: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(beginning))
    return line.split()


def test_the_table_says_what_holds() -> None:
    text = table(report(our_peak=1.25, our_flop=24.5e12))
    assert cells(text, "seconds, one year, 336 px: 24 S2 + 4 S1 + DEM, float32")[-8:] == [
        *("8.00", "x", "10.00", "90.00"),
        *(">=", "7", "x", "yes"),
    ]
    assert cells(text, "seconds, one year, 336 px: 24 S2 + 4 S1 + DEM, bf16")[-4:] == [">=", "9", "x", "yes"]
    assert cells(text, "GiB at peak")[-7:] == ["x", "1.25", "5.00", "<=", "1.3", "GiB", "yes"]
    assert cells(text, "TFLOP per tile-year")[-8:] == ["4.43", "x", "24.50", "108.50", "<=", "24.6", "TFLOP", "yes"]
    assert "Some CPU" in text
    assert "NO" not in text


def test_the_table_says_what_does_not_hold() -> None:
    text = table(report(our_peak=1.31, our_flop=24.7e12))
    assert cells(text, "GiB at peak")[-1] == "NO"
    assert cells(text, "TFLOP per tile-year")[-1] == "NO"


def test_a_report_survives_json() -> None:
    whole = report(our_peak=1, our_flop=1e12)
    assert Report.model_validate_json(whole.model_dump_json()) == whole


def test_a_plan_without_rounds_is_refused() -> None:
    with pytest.raises(ValidationError, match="rounds"):
        Plan(threads=1, rounds=0)

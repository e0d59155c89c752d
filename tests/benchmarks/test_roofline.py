"""Peaks and the share of the roofline."""

from __future__ import annotations

import pytest
import torch

from benchmarks.roofline import fastest, measure_peaks, roofline


def test_limited_by_memory() -> None:
    line = roofline(flop=20e12, moved=4e12, seconds=2, peak_flop=50e12, peak_bytes=3e12)
    assert line.limit == "memory"
    assert line.share == pytest.approx(4 / 3 / 2)
    assert line.flop_per_second == pytest.approx(10e12)
    assert line.bytes_per_second == pytest.approx(2e12)
    assert line.flop_per_byte == pytest.approx(5)


def test_limited_by_arithmetic() -> None:
    line = roofline(flop=100e12, moved=1e12, seconds=4, peak_flop=50e12, peak_bytes=3e12)
    assert line.limit == "arithmetic"
    assert line.share == pytest.approx(0.5)


def test_on_the_roofline() -> None:
    assert roofline(flop=50e12, moved=1e12, seconds=1, peak_flop=50e12, peak_bytes=3e12).share == pytest.approx(1)


def test_peaks_of_a_cpu() -> None:
    peaks = measure_peaks(torch.device("cpu"), edge=64, copied=2**16, repeats=2)
    assert set(peaks.flop_per_second) == {"float32", "bf16"}
    assert min(*peaks.flop_per_second.values(), peaks.bytes_per_second) > 0


def test_the_fastest_of_several_runs() -> None:
    runs: list[int] = []
    assert fastest(lambda: runs.append(1), torch.device("cpu"), 5) >= 0
    assert len(runs) == 5

"""The benchmark of AOI mode: whose memory is measured, and what a failure does."""

from __future__ import annotations

import sys

import pytest

from benchmarks.area import peak_memory

MIB = 2**20


def test_peak_memory_is_that_of_the_command() -> None:
    held = bytearray(400 * MIB)
    code = "import time; held = bytes(range(256)) * (100 * 4096); del held; time.sleep(0.4)"
    assert 100 * MIB <= peak_memory([sys.executable, "-c", code]) < 200 * MIB
    del held


def test_a_command_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="65"):
        peak_memory([sys.executable, "-c", "raise SystemExit(65)"])

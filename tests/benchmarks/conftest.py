"""Fixtures of the benchmarks: a plan for a tiny network, and environments that both hold this package."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch

from benchmarks.report import Plan
from benchmarks.session import Environment


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def plan() -> Plan:
    return Plan(scene_size=70, year_size=80, s2=2, s1=1, tile_size=64, overlap=32, rounds=2, threads=1, bf16=True)


@pytest.fixture
def demo_environment() -> Environment:
    return Environment("ours", sys.executable, "demo", threads=1)

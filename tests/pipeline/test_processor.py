"""What a processor is called in the record."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from betaearth.pipeline import processor
from betaearth.pipeline.processor import named_in, processor_name

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Processor
power management:

processor\t: 1
model name\t: Another
"""
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\n"


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    processor_name.cache_clear()
    yield
    processor_name.cache_clear()


def test_two_generations_of_one_name_are_told_apart() -> None:
    assert named_in(XEON) == "Intel(R) Xeon(R) Processor, cpu family 6, model 143"
    assert named_in(XEON.replace("143", "85")) != named_in(XEON)
    assert named_in(ARM) is None
    assert named_in("") is None


def test_where_nothing_is_written_the_platform_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert processor_name() == "riscv64"


def test_it_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(XEON)
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "cpuinfo")
    assert processor_name() == "Intel(R) Xeon(R) Processor, cpu family 6, model 143"

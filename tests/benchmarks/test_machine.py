"""What is said of a machine."""

from __future__ import annotations

import pytest

from benchmarks.machine import slug, this_machine

CPU = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile
"""


def test_x86() -> None:
    machine = this_machine(CPU, "MemTotal:       24641764 kB\n")
    assert machine.cpu == "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"
    assert machine.bf16_flags == ("amx_bf16", "avx512_bf16")
    assert machine.memory_gib == 23.5
    assert machine.slug == f"intel-xeon-platinum-8481c-cpu-2-70ghz-{machine.cores}-cores"


@pytest.mark.parametrize(("features", "flags"), [("fp asimd bf16 i8mm", ("bf16",)), ("fp asimd", ())])
def test_arm(features: str, flags: tuple[str, ...]) -> None:
    assert this_machine(f"Features\t: {features}\n", "").bf16_flags == flags


def test_a_machine_that_says_nothing() -> None:
    machine = this_machine("", "")
    assert machine.cpu
    assert machine.cores >= 1
    assert machine.bf16_flags == ()
    assert machine.memory_gib == 0.0


def test_slug() -> None:
    assert slug("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"

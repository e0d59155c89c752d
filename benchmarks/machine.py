"""The machine that a benchmark ran on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict

CPU_INFO = Path("/proc/cpuinfo")
MEMORY_INFO = Path("/proc/meminfo")
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of CPUs that multiply bfloat16: of x86-64 the first two, of ARM the last."""


class Machine(BaseModel):
    """What a result depends on besides the code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    """Model."""
    cores: int
    """Cores that this process may use."""
    bf16_flags: tuple[str, ...]
    """The CPU's instructions for bfloat16; empty where it has none."""
    memory_gib: float
    system: str

    @property
    def slug(self) -> str:
        """A name for files."""
        return f"{slug(self.cpu)}-{self.cores}-cores"


def this_machine(cpu_info: str | None = None, memory_info: str | None = None) -> Machine:
    """Describe this machine.

    Args:
        cpu_info: text of /proc/cpuinfo; read if None.
        memory_info: text of /proc/meminfo; read if None.
    """
    cpu = _text(CPU_INFO) if cpu_info is None else cpu_info
    memory = _text(MEMORY_INFO) if memory_info is None else memory_info
    kib = re.search(r"^MemTotal:\s*(\d+) kB", memory, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", cpu, re.MULTILINE)
    model = re.search(r"^model name\s*:\s*(.+)$", cpu, re.MULTILINE)
    return Machine(
        cpu=model[1].strip() if model else platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        bf16_flags=tuple(sorted(BF16_FLAGS & set(flags[1].split()))) if flags else (),
        memory_gib=round(int(kib[1]) / 2**20, 1) if kib else 0.0,
        system=platform.platform(),
    )


def slug(name: str) -> str:
    """Spell a name with lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((?:r|tm)\)", "", name.lower())).strip("-")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""

"""Which processor this machine has: on the same one, the same software makes the same bytes."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
_NUMBERS = ("cpu family", "model")
"""Virtual machines call processors of several generations by one name; their kernels differ."""


@cache
def processor_name() -> str:
    """Name the model of this machine's processor: `Intel(R) Xeon(R) Processor, cpu family 6, model 143`."""
    return named_in(_text_of(CPU_INFO)) or platform.processor() or platform.machine() or "unknown"


def named_in(cpu_info: str) -> str | None:
    """Read the name of the first processor off the text of `/proc/cpuinfo`; None where it has none, as on ARM."""
    first = cpu_info.partition("\n\n")[0]
    facts = {name.strip(): text.strip() for name, _, text in (line.partition(":") for line in first.splitlines())}
    name = facts.get("model name")
    return ", ".join([name, *(f"{key} {facts[key]}" for key in _NUMBERS if facts.get(key))]) if name else None


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""

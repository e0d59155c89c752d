"""In which arithmetic the encoders compute: float32, or bfloat16 where the processor has it.

What follows the encoders (date, fusion, blending, mean) is always float32. float16 is no choice: activations of the
released networks exceed its range.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # options are read without loading torch
    import torch

AMPERE = (8, 0)
"""Lowest CUDA compute capability with bfloat16 units."""
CPU_FEATURES = ("amx_bf16", "avx512_bf16", "bf16")
"""Names of bfloat16 arithmetic in `torch.cpu.get_capabilities`: two of x86-64 and one of ARM."""


class Precision(StrEnum):
    """Arithmetic of the encoders."""

    FLOAT32 = "float32"
    BF16 = "bf16"


def effective(asked: Precision, device: torch.device) -> Precision:
    """Return what a device computes in when asked for a precision: float32 where it has no bfloat16 units."""
    return asked if asked is Precision.FLOAT32 or has_bf16(device) else Precision.FLOAT32


def has_bf16(device: torch.device) -> bool:
    """Tell whether a device computes in bfloat16 without emulating it."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= AMPERE
    # PyTorch before 2.11 cannot tell; unknown counts as no.
    features: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(features.get(name) for name in CPU_FEATURES)


def arithmetic(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which the encoders run at an `effective` precision."""
    import torch

    if precision is Precision.FLOAT32:
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)

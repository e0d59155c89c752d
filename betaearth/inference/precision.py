"""In which arithmetic the encoders compute: float32, or bfloat16 where the processor has it.

What follows the encoders (date, fusion, blending, mean) is always float32. float16 is no choice: its range
ends at 65,504, and nobody has measured that activations of the released networks stay within.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute at an `effective` precision, whatever a caller has set around it.

    An autocast of the caller ends here. On a GPU, float32 is float32: TensorFloat-32, the default of convolutions, is
    off by 1e-3. And convolutions choose the same kernel every time.
    """
    import torch

    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision is Precision.BF16), full_float32(device):
        yield


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Keep PyTorch's settings for float32 on GPUs from doing with less; they are left alone for other devices."""
    import torch

    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    settings = (torch.backends.cuda.matmul, cudnn.conv)  # type: ignore[attr-defined]  # PyTorch's stub leaves it out
    with _SETTINGS:
        before, deterministic = [setting.fp32_precision for setting in settings], cudnn.deterministic
        try:
            for setting in settings:
                setting.fp32_precision = "ieee"
            cudnn.deterministic = True
            yield
        finally:
            for setting, value in zip(settings, before, strict=True):
                setting.fp32_precision = value
            cudnn.deterministic = deterministic


_SETTINGS = threading.RLock()
"""Held while settings of the whole process differ from the user's: one thread that restores them must not take them
from another."""

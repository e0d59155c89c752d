"""How near a computation comes to what a device can do: its peaks, measured, and the share of the roofline."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


class Peaks(BaseModel):
    """What a device did at its best in this run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flop_per_second: dict[str, float]
    """Precision to the rate of a large square matrix product; float32 without TensorFloat-32, as the package
    computes."""
    bytes_per_second: float
    """Of a large copy, reading and writing."""


class Roofline(BaseModel):
    """A computation against the peaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flop_per_second: float
    bytes_per_second: float
    flop_per_byte: float
    limit: str
    """`arithmetic` or `memory`: which of the two would take longer at its peak."""
    share: float
    """The time that this limit alone would take, by the time taken: 1 is on the roofline."""


def roofline(*, flop: float, moved: float, seconds: float, peak_flop: float, peak_bytes: float) -> Roofline:
    """Compare a computation with the roofline.

    Args:
        flop: how many it needs.
        moved: bytes that it moves.
        seconds: time that it took.
        peak_flop: FLOP per second of the device.
        peak_bytes: bytes per second of the device.
    """
    arithmetic, memory = flop / peak_flop, moved / peak_bytes
    return Roofline(
        flop_per_second=flop / seconds,
        bytes_per_second=moved / seconds,
        flop_per_byte=flop / moved,
        limit="arithmetic" if arithmetic >= memory else "memory",
        share=max(arithmetic, memory) / seconds,
    )


def measure_peaks(device: torch.device, *, edge: int = 8192, copied: int = 2**31, repeats: int = 10) -> Peaks:
    """Measure a device's peaks.

    Args:
        device: idle otherwise.
        edge: of the matrices.
        copied: bytes to copy.
        repeats: of which the fastest counts.
    """
    source = torch.empty(copied, dtype=torch.uint8, device=device).fill_(1)
    target = torch.empty_like(source)
    rates: dict[str, float] = {}
    for name, dtype in DTYPES.items():
        a, b = (torch.randn(edge, edge, device=device).to(dtype) for _ in range(2))
        product = torch.empty_like(a)
        rates[name] = 2 * edge**3 / fastest(lambda: torch.mm(a, b, out=product), device, repeats)  # noqa: B023
    copying = fastest(lambda: target.copy_(source), device, repeats)
    return Peaks(flop_per_second=rates, bytes_per_second=2 * copied / copying)


def fastest(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the least seconds that something took."""
    return min(timed(run, device) for _ in range(repeats))


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that something takes until the device has done it."""
    settle(device)
    started = time.perf_counter()
    run()
    settle(device)
    return time.perf_counter() - started


def settle(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

"""Bytes of single operations, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.traffic import TrafficCounter, stored_bytes

CPU = torch.device("cpu")
A = torch.ones(6, 10)
B = torch.ones(6, 10)
IMAGE = torch.ones(1, 3, 8, 8)
KERNEL = torch.ones(5, 3, 3, 3)
ROWS = torch.tensor([1, 4])
NUMBER = 4
"""Bytes of a float32."""


@pytest.mark.parametrize(
    ("run", "elements"),
    [
        (lambda: A + B, 180),
        (lambda: A + A, 120),
        (lambda: A + 1, 120),
        (lambda: A + A[:1].expand(6, 10), 130),
        (lambda: A.add_(B), 180),
        (lambda: A.copy_(B), 120),
        (A.zero_, 60),
        (lambda: torch.add(A, B, out=torch.empty(6, 10)), 180),
        (lambda: torch.zeros(6, 10), 60),
        (lambda: torch.empty(6, 10), 0),
        (lambda: A.view(60)[3:7].unsqueeze(0), 0),
        (lambda: A.T, 0),
        (lambda: A.reshape(10, 6), 0),
        (A.contiguous, 0),
        (A.T.contiguous, 120),
        (lambda: A @ B.T, 156),
        (lambda: F.conv2d(IMAGE, KERNEL), 192 + 135 + 180),
        (lambda: A.index_select(0, ROWS), 40 + 4),
    ],
)
def test_operations(run: Callable[[], Tensor], elements: int) -> None:
    with torch.inference_mode(), TrafficCounter(CPU) as counter:
        run()
    assert counter.bytes == NUMBER * elements


def test_bfloat16_is_half() -> None:
    with TrafficCounter(CPU) as counter:
        torch.add(A.bfloat16(), B.bfloat16())
    assert counter.bytes == 2 * (60 * 4 + 60 * 2) + 3 * 60 * 2


def test_other_devices_do_not_count() -> None:
    with TrafficCounter(torch.device("meta")) as counter:
        _ = A + B
        there = A.to("meta")
        _ = there + there
    assert counter.bytes == NUMBER * (60 + 120)


def test_stored_bytes() -> None:
    assert stored_bytes(torch.ones(3, 1).expand(3, 5)) == 12
    assert stored_bytes(torch.ones(())) == 4
    assert stored_bytes(torch.ones(0, 5)) == 0

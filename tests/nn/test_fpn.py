"""The folded finest level of the pyramid against the sum that it stands for."""

from __future__ import annotations

import pytest
import torch

from betaearth.nn.fpn import RefineStep, SkipLevel


@pytest.mark.parametrize(("height", "width"), [(2, 2), (8, 8), (6, 14)])
@pytest.mark.parametrize("batch", [1, 3])
def test_refining_a_sum_without_making_it(height: int, width: int, batch: int) -> None:
    torch.manual_seed(0)
    level, step = SkipLevel(5, 12).double(), RefineStep(12, 8, groups=2, doubling=False).double()
    above = torch.randn(batch, 12, height // 2, width // 2, dtype=torch.float64)
    skip = torch.randn(batch, 5, height, width, dtype=torch.float64)
    with torch.no_grad():
        expected = step(level(above, skip))
        actual = step.refine_sum(above, skip, level.skip_conv)
    assert expected.std() > 0.1
    assert (actual - expected).abs().max() < 1e-12


def test_its_gradients_are_those_of_the_sum() -> None:
    torch.manual_seed(0)
    level, step = SkipLevel(5, 12).double(), RefineStep(12, 8, groups=2, doubling=False).double()
    above = torch.randn(1, 12, 3, 3, dtype=torch.float64)
    skip = torch.randn(1, 5, 6, 6, dtype=torch.float64)
    target = torch.randn(1, 8, 6, 6, dtype=torch.float64)
    parameters = [*level.parameters(), *step.parameters()]
    plain = torch.autograd.grad((step(level(above, skip)) * target).sum(), parameters)
    folded = torch.autograd.grad((step.refine_sum(above, skip, level.skip_conv) * target).sum(), parameters)
    assert all((one - other).abs().max() < 1e-11 for one, other in zip(plain, folded, strict=True))

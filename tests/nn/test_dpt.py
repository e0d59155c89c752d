"""The head of four layers, step by step against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from betaearth.nn.dpt import DPTHead, upsample_and_convolve


def upsampled(cells: Tensor) -> Tensor:
    return F.interpolate(cells, scale_factor=4, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (14, 14), (1, 1)])
def test_taps_before_upsampling_are_the_convolution_after_it(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(12, 5, 3, padding=1)
    cells = torch.randn(3, 12, *shape)
    with torch.no_grad():
        assert (upsample_and_convolve(cells, conv) - conv(upsampled(cells))).abs().max() < 2e-6


def test_it_is_the_published_order_of_steps() -> None:
    torch.manual_seed(1)
    head = DPTHead(dim=10, width=6).eval()
    levels = [torch.randn(2, 10, 4, 3) for _ in range(4)]
    with torch.no_grad():
        projected = [upsampled(project(level)) for project, level in zip(head.projections, levels, strict=True)]
        expected = head.fuse(torch.cat(projected, dim=1))
        actual = head(levels)
    assert actual.shape == (2, 6, 16, 12)
    assert (actual - expected).abs().max() < 2e-6


def test_every_tap_learns() -> None:
    conv = nn.Conv2d(3, 2, 3, padding=1)
    total = upsample_and_convolve(torch.rand(1, 3, 2, 2) + 1, conv).sum()
    taps, bias = torch.autograd.grad(total, list(conv.parameters()))
    assert (taps > 0).all()
    assert torch.equal(bias, torch.full((2,), 64.0))


def test_another_number_of_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        DPTHead(dim=4, width=4)([torch.zeros(1, 4, 2, 2)] * 3)

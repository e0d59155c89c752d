"""The head that joins four layers of a vision transformer into one map at 1/4 of the image's resolution.

After the dense prediction transformer (Ranftl et al. 2021, arXiv 2103.13413), in a plain form: every layer is
projected, upsampled to 4 x the grid of tokens, and two convolutions mix them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

UPSAMPLING = 4
"""Cells of the map along a token."""
LEVELS = 4


class DPTHead(nn.Module):
    """Four maps of tokens to one map of features."""

    def __init__(self, dim: int, width: int) -> None:
        """Begin with random parameters.

        Args:
            dim: channels of a token.
            width: channels of the map.
        """
        super().__init__()
        self.projections = nn.ModuleList(nn.Conv2d(dim, width, 1) for _ in range(LEVELS))
        self.fuse = nn.Sequential(
            nn.Conv2d(LEVELS * width, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, width, 3, padding=1), nn.GELU()
        )

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Four times (n, dim, h, w) -> (n, width, 4 h, 4 w)."""
        projected = [project(level) for project, level in zip(self.projections, levels, strict=True)]
        first = self.fuse[0]
        assert isinstance(first, nn.Conv2d)
        mixed = upsample_and_convolve(torch.cat(projected, dim=1), first)
        out: Tensor = self.fuse[3](self.fuse[2](self.fuse[1](mixed)))
        return out


def upsample_and_convolve(cells: Tensor, conv: nn.Conv2d) -> Tensor:
    """Upsample bilinearly by 4, then convolve 3x3: (n, c, h, w) -> (n, width, 4 h, 4 w).

    A convolution is a sum over its nine taps of a matrix across the channels and a shift. Each matrix may change places
    with the upsampling, which knows no channels, and so works on a sixteenth of the pixels.
    """
    assert conv.bias is not None
    height, width = (UPSAMPLING * size for size in cells.shape[2:])
    out = conv.bias[None, :, None, None].repeat(len(cells), 1, height, width)
    for row, column in ((row, column) for row in range(3) for column in range(3)):
        tap = conv.weight[:, :, row : row + 1, column : column + 1]
        full = F.interpolate(F.conv2d(cells, tap), scale_factor=UPSAMPLING, mode="bilinear", align_corners=False)
        (to_y, from_y), (to_x, from_x) = _shifted(row - 1, height), _shifted(column - 1, width)
        out[:, :, to_y, to_x] += full[:, :, from_y, from_x]
    return out


def _shifted(step: int, size: int) -> tuple[slice, slice]:
    """Return the pixels that a tap reaches, and those that it reads; beyond the edge are zeros."""
    to = slice(max(0, -step), size - max(0, step))
    return to, slice(to.start + step, to.stop + step)

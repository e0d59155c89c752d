"""The last step of a network, band by band: upsample, GELU, 1x1 convolution.

At full resolution the hidden layer of one 224 px window takes 51 MB, and moving it through memory costs more
than the arithmetic. A band of a few rows with the channels last stays in the cache, and comes out in the
order of the result. `EmbeddingNetwork.finish` is the same computation in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from betaearth.nn.fpn import SCALE


def finish_in_bands(hidden: Tensor, last: nn.Conv2d, *, rows: int) -> Iterator[tuple[slice, Tensor]]:
    """Finish a network's output.

    Args:
        hidden: (n, c, h, w), the hidden layer before its activation, at 1/4 resolution.
        last: the 1x1 convolution c -> 64.
        rows: rows of the output in a band.

    Yields:
        The band's rows in the output, and (n, rows, 4 w, 64).
    """
    cells = hidden.permute(0, 2, 3, 1).contiguous()
    height, width = cells.shape[1:3]
    left, right, across = _neighbours(width, cells.device)
    upper, lower, down = _neighbours(height, cells.device)
    wide = torch.lerp(cells.index_select(2, left), cells.index_select(2, right), across[:, None])
    matrix = last.weight[:, :, 0, 0]
    for start in range(0, SCALE * height, rows):
        band = slice(start, start + rows)
        above, below = wide.index_select(1, upper[band]), wide.index_select(1, lower[band])
        full = torch.lerp(above, below, down[band, None, None])
        yield band, F.linear(F.gelu(full), matrix, last.bias)


def _neighbours(size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return for every output pixel of an axis its two cells and the share of the second, corners aligned."""
    outputs = SCALE * size
    position = torch.arange(outputs, device=device, dtype=torch.float32) * ((size - 1) / (outputs - 1))
    first = position.floor().long().clamp(max=size - 2)
    return first, first + 1, position - first

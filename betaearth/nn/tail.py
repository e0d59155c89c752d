"""From the hidden layer at 1/4 resolution to full resolution, a few rows at a time.

At full resolution the hidden layer of one 224 px window takes 51 MB, and moving it through memory costs more than the
arithmetic. A few rows with the channels last stay in the cache. `EmbeddingNetwork.upsample` is the same computation in
one piece.
"""

from __future__ import annotations

import torch
from torch import Tensor

from betaearth.nn.network import SCALE


class BilinearRows:
    """Bilinear upsampling of square maps of one size, any rows of the output at a time."""

    def __init__(self, cells: int, *, corners_aligned: bool, device: torch.device) -> None:
        """Prepare.

        Args:
            cells: edge of the maps, at least 2.
            corners_aligned: whether corner pixels keep their place; otherwise areas do.
            device: where the maps lie.
        """
        position = _positions(cells, corners_aligned=corners_aligned)
        first = position.floor().clamp(max=cells - 2).long()
        second = position - first
        self._first = first.tolist()
        self._left, self._right = first.to(device), (first + 1).to(device)
        self._share = second[:, None].to(device)
        matrix = torch.zeros(len(position), cells)
        rows = torch.arange(len(position))
        matrix[rows, first] = 1 - second
        matrix[rows, first + 1] = second
        self._matrix = matrix.to(device)

    def needed(self, rows: slice) -> slice:
        """Return the rows of a map from which some rows of the output come."""
        return slice(self._first[rows.start], self._first[rows.stop - 1] + 2)

    def widen(self, cells: Tensor) -> Tensor:
        """Upsample along the rows: (h, w, c) -> (h, 4 w, c)."""
        left, right = cells.index_select(1, self._left), cells.index_select(1, self._right)
        return torch.lerp(left, right, self._share, out=left)

    def rows(self, wide: Tensor, first: int, rows: slice) -> Tensor:
        """Upsample along the columns.

        Args:
            wide: (h, 4 w, c) from `widen`, of some rows of a map.
            first: the map's row at which `wide` begins.
            rows: rows of the output, whose `needed` rows are in `wide`.

        Returns:
            (rows, 4 w, c).
        """
        needed = self.needed(rows)
        source = wide[needed.start - first : needed.stop - first]
        # Two neighbours a row: as a product of a narrow matrix, which reads and writes the rows only once.
        product = torch.matmul(self._matrix[rows, needed], source.flatten(1))
        return product.view(-1, *source.shape[1:])


def _positions(cells: int, *, corners_aligned: bool) -> Tensor:
    """Return where every output pixel of an axis lies among its cells, in the arithmetic of `F.interpolate`."""
    outputs = torch.arange(SCALE * cells, dtype=torch.float32)
    if corners_aligned:
        return outputs * ((cells - 1) / (SCALE * cells - 1))
    return ((outputs + 0.5) / SCALE - 0.5).clamp(0, cells - 1)

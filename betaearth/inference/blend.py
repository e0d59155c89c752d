"""Blending windows into one field, in the hidden layer, row by row.

The network's last step is linear, so it waits until the windows are blended and then runs once per pixel, not once per
window. The hidden layer has four times the channels of the result, so it is never held at full resolution for more than
a few rows: windows stay at 1/4 resolution until every window over their rows is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from betaearth.inference.precision import Precision, arithmetic
from betaearth.inference.windows import Tiling, Window
from betaearth.nn.network import SCALE, EmbeddingNetwork
from betaearth.nn.tail import BilinearRows

CPU_ROWS = 8
"""Rows that a CPU blends at a time, so that they stay in its cache."""
GROUP_ROWS = 56
"""Rows for which windows are upsampled along their rows at a time: 3.7 MB for a window of 224 px, of which a place of
any width has as many as fit."""
CUDA_ROWS = 56
"""Rows that a GPU blends at a time: large kernels, and 61 MB of a 1068 px wide hidden layer."""


@dataclass(frozen=True)
class Band:
    """Some finished rows of a prediction."""

    rows: slice
    """Their place in the rows that are kept."""
    vectors: Tensor
    """(rows, x, 64) of the columns that are kept: the weighted mean of the windows' outputs, not normalised; zero where
    no window was."""


@dataclass(frozen=True)
class _Piece:
    """A window's hidden layer."""

    window: Window
    cells: Tensor
    """(size / 4, size / 4, c)."""

    @property
    def end(self) -> int:
        return self.window.y + self.window.size


class Blend:
    """A running blend of windows that come row by row.

    Every row of the result is finished as soon as no window can cover it any more. What is padding or context is never
    upsampled.
    """

    def __init__(self, network: EmbeddingNetwork, tiling: Tiling, device: torch.device) -> None:
        """Begin with no window.

        Args:
            network: whose hidden layer it is.
            tiling: the windows.
            device: where the hidden layers lie.
        """
        self._network = network
        self._device = device
        self._rows, self._columns = tiling.inner
        self._height = tiling.padded_shape[0]
        self._weights = torch.from_numpy(tiling.weights()).to(device)[:, :, None]
        self._upsampling = BilinearRows(
            tiling.tile_size // SCALE, corners_aligned=network.corners_aligned, device=device
        )
        self._at_a_time = CUDA_ROWS if device.type == "cuda" else CPU_ROWS
        self._pieces: list[_Piece] = []
        self._done = 0

    def add(self, windows: Sequence[Window], hidden: Tensor) -> None:
        """Add windows, in the order of their rows.

        Args:
            windows: where they lie.
            hidden: (n, c, size / 4, size / 4) from `EmbeddingNetwork.fuse`.
        """
        cells = hidden.permute(0, 2, 3, 1).contiguous()
        self._pieces += [_Piece(window, piece) for window, piece in zip(windows, cells.unbind(0), strict=True)]

    def finished(self, until: int | None = None) -> Iterator[Band]:
        """Yield the bands above a row of the padded shape that no later window covers; None for all that is left.

        Rows over which no window was are left out.
        """
        until = self._height if until is None else until
        first, last = max(self._done, self._rows.start), min(until, self._rows.stop)
        # Between two rows of windows the same windows cover every row.
        starts = {piece.window.y for piece in self._pieces if first < piece.window.y < last}
        for start, stop in pairwise(sorted({first, *starts, max(first, last)})):
            for row in range(start, stop, GROUP_ROWS):
                yield from self._group(slice(row, min(row + GROUP_ROWS, stop)))
        self._done = until
        self._pieces = [piece for piece in self._pieces if piece.end > until]

    def _group(self, group: slice) -> Iterator[Band]:
        """Yield the bands of rows that the same windows cover, or that they leave on the way."""
        pieces = [piece for piece in self._pieces if piece.window.y < group.stop and piece.end > group.start]
        wide = [(piece, *self._widen(piece, group)) for piece in pieces]
        for start in range(group.start, group.stop, self._at_a_time):
            band = slice(start, min(start + self._at_a_time, group.stop))
            covering = [entry for entry in wide if entry[0].end > band.start]
            if covering:
                with arithmetic(Precision.FLOAT32, self._device):
                    vectors = self._mean(covering, band)
                yield Band(slice(band.start - self._rows.start, band.stop - self._rows.start), vectors)

    def _widen(self, piece: _Piece, group: slice) -> tuple[Tensor, int]:
        """Upsample along the rows what the group needs of a window; with the first row of the window's cells."""
        needed = self._upsampling.needed(_within(piece, group))
        wide = self._upsampling.widen(piece.cells[needed])
        return wide[:, self._across(piece)].contiguous(), needed.start

    def _across(self, piece: _Piece) -> slice:
        """Return the window's own columns that are kept."""
        window = piece.window
        start, stop = max(self._columns.start, window.x), min(self._columns.stop, window.x + window.size)
        return slice(start - window.x, stop - window.x)

    def _mean(self, covering: Sequence[tuple[_Piece, Tensor, int]], band: slice) -> Tensor:
        """Return the blended outputs of a band, (rows, width, 64)."""
        height, width = band.stop - band.start, self._columns.stop - self._columns.start
        total = self._weights.new_zeros(height, width, covering[0][1].shape[2])
        weight = self._weights.new_zeros(height, width, 1)
        for piece, wide, first in covering:
            rows, columns = _within(piece, band), self._across(piece)
            activated = self._network.activate(self._upsampling.rows(wide, first, rows))
            top, left = piece.window.y - band.start, piece.window.x - self._columns.start
            place = (slice(rows.start + top, rows.stop + top), slice(columns.start + left, columns.stop + left))
            total[place].addcmul_(activated, self._weights[rows, columns])
            weight[place] += self._weights[rows, columns]
        outputs = self._network.embed(total.div_(weight.clamp(min=SMALLEST_WEIGHT)))
        return outputs.masked_fill_(weight == 0, 0.0)


SMALLEST_WEIGHT = 1e-30
"""Below the product of two rims' weights: only a pixel that no window covers weighs less."""


def _within(piece: _Piece, rows: slice) -> slice:
    """Return the window's own rows within rows of the padded shape."""
    return slice(max(rows.start, piece.window.y) - piece.window.y, min(rows.stop, piece.end) - piece.window.y)

"""Upsampling some rows at a time against PyTorch's own upsampling in one piece."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from betaearth.nn.tail import BilinearRows


@pytest.mark.parametrize("corners_aligned", [True, False])
@pytest.mark.parametrize("cells", [8, 56])
@pytest.mark.parametrize("rows", [1, 5, 8, 40])
def test_some_rows_are_those_of_the_whole(cells: int, rows: int, corners_aligned: bool) -> None:
    torch.manual_seed(0)
    maps = torch.randn(cells, cells, 3)
    whole = F.interpolate(maps.permute(2, 0, 1)[None], scale_factor=4, mode="bilinear", align_corners=corners_aligned)[
        0
    ].permute(1, 2, 0)
    upsampling = BilinearRows(cells, corners_aligned=corners_aligned, device=torch.device("cpu"))
    for start in range(0, 4 * cells, rows):
        band = slice(start, min(start + rows, 4 * cells))
        needed = upsampling.needed(band)
        assert needed.stop - needed.start <= rows // 4 + 3
        part = upsampling.rows(upsampling.widen(maps[needed]), needed.start, band)
        assert (part - whole[band]).abs().max() < 2e-6

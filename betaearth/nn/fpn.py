"""The feature pyramid on top of an encoder: top-down decoder and the 1x1 head.

After Kirillov et al. 2019 (arXiv 1901.02446): four levels are brought to one width, added from coarse to
fine, refined to the finest resolution and summed. Parameter names are those of the released weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from betaearth.nn.mit import MiT, MiTConfig

DROPOUT = 0.2
"""Chance that a channel of the summed pyramid is dropped in training."""


def upsample(feature_map: Tensor, scale: int) -> Tensor:
    """Bilinear with aligned corners; its weights sum to one at every pixel."""
    return F.interpolate(feature_map, scale_factor=scale, mode="bilinear", align_corners=True)


class SkipLevel(nn.Module):
    """Adds an encoder level to the doubled level above it."""

    def __init__(self, channels: int, pyramid: int) -> None:
        super().__init__()
        self.skip_conv = nn.Conv2d(channels, pyramid, 1)

    def forward(self, above: Tensor, skip: Tensor) -> Tensor:
        """(n, pyramid, h / 2, w / 2) and (n, channels, h, w) -> (n, pyramid, h, w)."""
        out: Tensor = F.interpolate(above, scale_factor=2, mode="nearest") + self.skip_conv(skip)
        return out


class RefineStep(nn.Module):
    """3x3 convolution, GroupNorm, ReLU, and where asked twice the resolution."""

    def __init__(self, channels: int, width: int, *, groups: int, doubling: bool) -> None:
        super().__init__()
        self.doubling = doubling
        self.block = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.GroupNorm(groups, width), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, width, h, w) or twice that resolution."""
        out: Tensor = self.block(x)
        return upsample(out, 2) if self.doubling else out

    def refine_sum(self, above: Tensor, skip: Tensor, lateral: nn.Conv2d) -> Tensor:
        """Return what `forward` returns for `SkipLevel(above, skip)`, without making that sum.

        The sum's two terms go through the 3x3 convolution K on their own, each in its own resolution and width. The
        lateral 1x1 convolution and K are one 3x3 convolution of the encoder's level; doubling to the nearest and K are
        one 4x4 convolution transposed, stride 2. A third less arithmetic, and the 256-channel sum is never in memory.

        Args:
            above: (n, channels, h / 2, w / 2).
            skip: (n, c, h, w), the encoder's level.
            lateral: c -> channels, with its bias.
        """
        convolution, norm, activation = self.block
        assert isinstance(convolution, nn.Conv2d)
        kernel = convolution.weight
        joined = torch.einsum("oikl,ic->ockl", kernel, lateral.weight[:, :, 0, 0])
        doubling = kernel.new_ones(kernel.shape[1], 1, 2, 2)
        doubled = F.conv_transpose2d(kernel.flip(2, 3), doubling, groups=kernel.shape[1]).transpose(0, 1)
        assert lateral.bias is not None
        constant = lateral.bias[:, None, None]
        total = F.conv2d(skip, joined, padding=1) + F.conv_transpose2d(above + constant, doubled, stride=2, padding=1)
        out: Tensor = activation(norm(total))
        return out


class RefineLevel(nn.Module):
    """Brings one level of the pyramid to the finest resolution, one doubling per step."""

    def __init__(self, channels: int, width: int, *, groups: int, doublings: int) -> None:
        super().__init__()
        steps = max(doublings, 1)
        self.block = nn.Sequential(
            *(
                RefineStep(channels if i == 0 else width, width, groups=groups, doubling=doublings > 0)
                for i in range(steps)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, width, h * 2^doublings, w * 2^doublings)."""
        out: Tensor = self.block(x)
        return out


class PyramidDecoder(nn.Module):
    """Four encoder levels in, one sum at 1/4 resolution out."""

    def __init__(self, dims: Sequence[int], *, pyramid: int, segmentation: int, groups: int) -> None:
        super().__init__()
        self.p5 = nn.Conv2d(dims[3], pyramid, 1)
        self.p4 = SkipLevel(dims[2], pyramid)
        self.p3 = SkipLevel(dims[1], pyramid)
        self.p2 = SkipLevel(dims[0], pyramid)
        self.seg_blocks = nn.ModuleList(
            RefineLevel(pyramid, segmentation, groups=groups, doublings=doublings) for doublings in (3, 2, 1, 0)
        )
        self.dropout = nn.Dropout2d(DROPOUT)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Maps at 1/4, 1/8, 1/16, 1/32 -> (n, segmentation, y / 4, x / 4)."""
        c2, c3, c4, c5 = levels
        p5 = self.p5(c5)
        p4 = self.p4(p5, c4)
        p3 = self.p3(p4, c3)
        total = self.seg_blocks[0](p5) + self.seg_blocks[1](p4) + self.seg_blocks[2](p3)
        total = total + self._finest().refine_sum(p3, c2, self.p2.skip_conv)
        out: Tensor = self.dropout(total)
        return out

    def _finest(self) -> RefineStep:
        step = self.get_submodule("seg_blocks.3.block.0")
        assert isinstance(step, RefineStep)
        return step


class FPN(nn.Module):
    """Encoder, pyramid and head of one modality.

    Calling it gives the pyramid at 1/4 resolution, before the head: the head is a per-pixel linear map
    followed by a linear upsampling, so whoever applies further linear maps can fold it into them (see
    `betaearth.nn.segformer`).
    """

    def __init__(
        self, channels: int, mit: MiTConfig, *, pyramid: int, segmentation: int, groups: int, features: int
    ) -> None:
        super().__init__()
        self.encoder = MiT(channels, mit)
        self.decoder = PyramidDecoder(mit.dims, pyramid=pyramid, segmentation=segmentation, groups=groups)
        self.segmentation_head = nn.Sequential(nn.Conv2d(segmentation, features, 1))

    @property
    def head(self) -> nn.Conv2d:
        """The head's 1x1 convolution, segmentation -> features."""
        conv = self.segmentation_head[0]
        assert isinstance(conv, nn.Conv2d)
        return conv

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, y, x) -> (n, segmentation, y / 4, x / 4); y and x are multiples of 32."""
        out: Tensor = self.decoder(self.encoder(x))
        return out

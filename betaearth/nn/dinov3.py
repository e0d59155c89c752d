"""The DINOv3 networks: a frozen vision transformer sees every modality as images, a small head makes the embedding.

A modality becomes one to four images of three channels (`betaearth.nn.primitives`). The backbone encodes them all in
one batch, a head turns four of its layers into one feature map per image (`betaearth.nn.dpt`), a date modulates it, and
attention joins the maps pixel site by pixel site, however many there are (`betaearth.nn.set_fusion`). Fusion and
decoder work at 1/4 of the resolution; what follows is upsampling alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from betaearth.nn.dpt import DPTHead
from betaearth.nn.film import TimeCondition
from betaearth.nn.network import EMBEDDING, EmbeddingNetwork
from betaearth.nn.primitives import PRIMITIVES
from betaearth.nn.set_fusion import SetFusion
from betaearth.nn.variants import ALL_INPUTS, DEM


@dataclass(frozen=True)
class DINOv3Config:
    """Sizes of a head; the defaults are those of the released variants, which differ in `dim`."""

    dim: int
    """Channels of the backbone's tokens."""
    width: int = 128
    """Channels of a modality's tokens at the fusion."""
    fused: int = 256
    """Channels that the fusion gives."""
    heads: int = 8
    """Of the fusion's attention; they divide `width`."""
    feedforward: int = 512
    """Channels within the fusion's layers."""
    layers: int = 2
    """Of the fusion's encoder."""
    film: bool = True
    """Whether a date modulates the features."""


class Decoder(nn.Module):
    """What the fusion gives to the embedding, at the same resolution."""

    def __init__(self, fused: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(nn.Conv2d(fused, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, EMBEDDING, 1))

    def forward(self, fused: Tensor) -> Tensor:
        """(n, fused, h, w) -> (n, 64, h, w)."""
        out: Tensor = self.proj(fused)
        return out


class DINOv3(EmbeddingNetwork):
    """A head on a frozen backbone.

    The backbone is a module that maps images (m, 3, y, x) to four token maps (m, dim, y / 16, x / 16): the outputs of
    four of its layers, from early to late, each through its last norm, without class and register tokens.
    `betaearth.nn.vit.VisionTransformer` is one. It comes after the head's weights (`use_backbone`): the released files
    hold the head alone.
    """

    backbone: nn.Module | None
    time_cond: TimeCondition | None

    def __init__(self, config: DINOv3Config) -> None:
        super().__init__()
        self.config = config
        self.modalities = ALL_INPUTS
        self.hidden_channels = EMBEDDING
        self.corners_aligned = False
        self.backbone = None
        self.dpt_head = DPTHead(config.dim, config.width)
        self.time_cond = TimeCondition(config.width) if config.film else None
        self.fusion = SetFusion(config.width, config.heads, config.feedforward, config.layers, config.fused)
        self.decoder = Decoder(config.fused, config.width)

    def use_backbone(self, backbone: nn.Module) -> None:
        """Take a backbone (see the class) and freeze it."""
        self.backbone = backbone.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> DINOv3:
        """Set training mode; the backbone stays in evaluation mode."""
        super().train(mode)
        if self.backbone is not None:
            self.backbone.eval()
        return self

    def features(self, modality: str, x: Tensor) -> Tensor:
        """Encode one modality: (n, channels, y, x) -> (n, images, width, y / 4, x / 4), a map for every image."""
        assert self.backbone is not None
        images = PRIMITIVES[modality](x)
        with torch.no_grad():
            levels: Sequence[Tensor] = self.backbone(images.flatten(0, 1))
        maps: Tensor = self.dpt_head(levels)
        return maps.reshape(*images.shape[:2], *maps.shape[1:])

    def modulate(self, modality: str, features: Tensor, doy: Tensor | None) -> Tensor:
        """Apply FiLM, but not to elevation: (n, images, width, h, w) -> the same shape."""
        if doy is None or self.time_cond is None or modality == DEM:
            return features
        scale, shift = (amount[:, None, :, None, None] for amount in self.time_cond(doy))
        modulated: Tensor = features * scale + shift
        return modulated

    def fuse(self, terms: Sequence[Tensor]) -> Tensor:
        """Join the modalities' maps by attention and decode: (n, images, width, h, w) each -> (n, 64, h, w)."""
        tokens = torch.cat(list(terms), dim=1)
        n, images, width, rows, columns = tokens.shape
        sites = tokens.permute(0, 3, 4, 1, 2).reshape(n * rows * columns, images, width)
        fused = self.fusion(sites).reshape(n, rows, columns, -1).permute(0, 3, 1, 2)
        out: Tensor = self.decoder(fused)
        return out

    def activate(self, hidden: Tensor) -> Tensor:
        """Nothing follows the upsampling."""
        return hidden

    def embed(self, activated: Tensor) -> Tensor:
        """The hidden layer is the embedding."""
        return activated

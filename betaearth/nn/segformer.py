"""The SegFormer networks: four modalities fused, or Sentinel-2 RGB alone.

Both take one path. A modality's pyramid comes at 1/4 resolution and without a date (`features`). Everything
between the pyramid and the first GELU is linear and per pixel: the head's 1x1 convolution, FiLM, and the
modality's slice of the first fusion convolution. Bilinear weights sum to one, so these may change places with
the upsampling and become one small matrix per modality and date (`modulate`); only their sum (`fuse`) is
upsampled (`finish`). An absent modality is a missing term of that sum: the released networks fill it with
zeros, which adds nothing but work. The result is the same to rounding, at a third of the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from betaearth.nn.film import TimeCondition
from betaearth.nn.fpn import FPN
from betaearth.nn.mit import MiTConfig, map_of, tokens_of
from betaearth.nn.network import EMBEDDING, EmbeddingNetwork

FOUR_MODALITIES = (("s2_l1c", 9), ("s2_l2a", 9), ("s1", 2), ("dem", 1))
"""Modality and its channels, in the order of the fusion's input."""
RGB_MODALITY = (("rgb", 3),)
TIMELESS = frozenset({"dem"})
"""Modalities that no date modulates."""


@dataclass(frozen=True)
class SegFormerConfig:
    """Sizes of a network; the defaults are those of the released variants."""

    modalities: tuple[tuple[str, int], ...] = FOUR_MODALITIES
    """Modality and its channels, in the order of the fusion's input."""
    mit: MiTConfig = field(default_factory=MiTConfig)
    pyramid: int = 256
    """Channels of the pyramid's levels."""
    segmentation: int = 128
    """Channels of their sum."""
    groups: int = 32
    """Groups of channels that are normalised together; it divides `segmentation`."""
    features: int = 256
    """Channels of one modality at the fusion, and of the fusion's hidden layer."""
    film: bool = True
    """Whether a date modulates the features."""


class PyramidNetwork(EmbeddingNetwork):
    """One pyramid per modality, FiLM and a two-layer per-pixel mixer.

    A subclass gives the pyramids and the mixer the names that they have in the weights.
    """

    time_cond: TimeCondition | None

    def __init__(self, config: SegFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.modalities = tuple(name for name, _ in config.modalities)
        self.hidden_channels = config.features
        self.corners_aligned = True
        for name, channels in config.modalities:
            self.add_module(self.branch_name(name), self._new_branch(channels))
        self.time_cond = TimeCondition(config.features) if config.film else None
        self.add_module(self.mixer_name(), self._new_mixer())

    @staticmethod
    def branch_name(modality: str) -> str:
        """Name of a modality's pyramid in the weights."""
        raise NotImplementedError

    @staticmethod
    def mixer_name() -> str:
        """Name of the mixer in the weights."""
        raise NotImplementedError

    def _new_branch(self, channels: int) -> FPN:
        c = self.config
        return FPN(
            channels,
            c.mit,
            pyramid=c.pyramid,
            segmentation=c.segmentation,
            groups=c.groups,
            features=c.features,
        )

    def _new_mixer(self) -> nn.Sequential:
        width = self.config.features
        return nn.Sequential(
            nn.Conv2d(width * len(self.modalities), width, 1), nn.GELU(), nn.Conv2d(width, EMBEDDING, 1)
        )

    def branch(self, modality: str) -> FPN:
        """Return the pyramid of a modality."""
        module = self.get_submodule(self.branch_name(modality))
        assert isinstance(module, FPN)
        return module

    def _mixer(self, layer: int) -> nn.Conv2d:
        conv = self.get_submodule(f"{self.mixer_name()}.{layer}")
        assert isinstance(conv, nn.Conv2d)
        return conv

    def features(self, modality: str, x: Tensor) -> Tensor:
        """Encode one modality: (n, channels, y, x) -> (n, segmentation, y / 4, x / 4)."""
        out: Tensor = self.branch(modality)(x)
        return out

    def modulate(self, modality: str, features: Tensor, doy: Tensor | None) -> Tensor:
        """Apply head, FiLM and the modality's slice of the first mixer layer, folded into one matrix.

        With head A f + a, FiLM scale g and shift b, and slice W, the term is W diag(g) A f + W (g a + b).

        Returns:
            (n, features, h, w): the modality's term of the mixer's hidden layer, still at 1/4 resolution.
        """
        head = self.branch(modality).head
        matrix, offset = head.weight[None, :, :, 0, 0], _bias(head)[None]
        if doy is not None and self.time_cond is not None and modality not in TIMELESS:
            scale, shift = self.time_cond(doy)
            matrix, offset = scale[:, :, None] * matrix, scale * offset + shift
        mix = self._mixer_slice(modality)
        folded = torch.matmul(mix, matrix).expand(len(features), -1, -1)
        constant = torch.matmul(offset, mix.T)[:, None].expand(len(features), -1, -1)
        return map_of(torch.baddbmm(constant, tokens_of(features), folded.mT), *features.shape[2:])

    def _mixer_slice(self, modality: str) -> Tensor:
        width = self.config.features
        start = self.modalities.index(modality) * width
        return self._mixer(0).weight[:, start : start + width, 0, 0]

    def fuse(self, terms: Sequence[Tensor]) -> Tensor:
        """Add the modalities' terms, (n, features, h, w), to the mixer's hidden layer, not activated."""
        hidden = terms[0] + _bias(self._mixer(0))[:, None, None]
        for term in terms[1:]:
            hidden += term
        return hidden

    def activate(self, hidden: Tensor) -> Tensor:
        """Apply the GELU between the mixer's layers."""
        return F.gelu(hidden)

    def embed(self, activated: Tensor) -> Tensor:
        """Apply the mixer's second layer: (..., features) -> (..., 64)."""
        return F.linear(activated, self.last.weight[:, :, 0, 0], self.last.bias)

    @property
    def last(self) -> nn.Conv2d:
        """The mixer's second convolution, hidden -> 64."""
        return self._mixer(2)


class SegFormer(PyramidNetwork):
    """Four encoders, one per modality, and their fusion."""

    @staticmethod
    def branch_name(modality: str) -> str:
        """Name of a modality's pyramid in the weights."""
        return modality.replace("_", "") + "_encoder"

    @staticmethod
    def mixer_name() -> str:
        """Name of the mixer in the weights."""
        return "fusion"


class RGBOnly(PyramidNetwork):
    """One encoder for red, green and blue of Sentinel-2."""

    @staticmethod
    def branch_name(modality: str) -> str:  # noqa: ARG004  there is one
        """Name of the pyramid in the weights."""
        return "encoder"

    @staticmethod
    def mixer_name() -> str:
        """Name of the mixer in the weights."""
        return "head"


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias

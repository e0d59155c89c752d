"""The SegFormer networks: four modalities fused, or Sentinel-2 RGB alone.

Both take one path. A modality's pyramid comes at 1/4 resolution and without a date (`features`). Everything
between the pyramid and the first GELU is linear and per pixel: the head's 1x1 convolution, FiLM, and the
modality's slice of the first fusion convolution. Bilinear weights sum to one, so these may change places with
the upsampling and become one small matrix per modality and date (`modulate`); only their sum (`fuse`) is
upsampled (`finish`). An absent modality is a missing term of that sum: the released networks fill it with
zeros, which adds nothing but work. The result is the same to rounding, at a third of the arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from betaearth.nn.film import TimeCondition
from betaearth.nn.fpn import FPN, SCALE, upsample
from betaearth.nn.mit import MiTConfig

EMBEDDING = 64
"""Channels of the output."""
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


class EmbeddingNetwork(nn.Module):
    """One pyramid per modality, FiLM and a two-layer per-pixel mixer.

    A subclass gives the pyramids and the mixer the names that they have in the weights.
    """

    time_cond: TimeCondition | None

    def __init__(self, config: SegFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.modalities = tuple(name for name, _ in config.modalities)
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
        """Encode one modality: nearly all of the work, and independent of the date.

        Args:
            modality: one of `modalities`.
            x: (n, channels, y, x), normalised; y and x are multiples of 32.

        Returns:
            (n, segmentation, y / 4, x / 4).
        """
        out: Tensor = self.branch(modality)(x)
        return out

    def modulate(self, modality: str, features: Tensor, doy: Tensor | None) -> Tensor:
        """Apply head, FiLM and the modality's slice of the first mixer layer, folded into one matrix.

        With head A f + a, FiLM scale g and shift b, and slice W, the term is W diag(g) A f + W (g a + b).

        Args:
            modality: one of `modalities`.
            features: (n, segmentation, h, w) from `features`.
            doy: (n,) or (1,) days of the year; None leaves FiLM out, which is not the same as day 0.

        Returns:
            (n, features, h, w): the modality's term of the mixer's hidden layer, still at 1/4 resolution.
        """
        head = self.branch(modality).head
        matrix, offset = head.weight[None, :, :, 0, 0], _bias(head)[None]
        if doy is not None and self.time_cond is not None and modality not in TIMELESS:
            scale, shift = self.time_cond(doy)
            matrix, offset = scale[:, :, None] * matrix, scale * offset + shift
        mix = self._mixer_slice(modality)
        folded = torch.matmul(mix, matrix)
        constant = torch.matmul(offset, mix.T)[:, :, None]
        term = torch.matmul(folded, features.flatten(2)) + constant
        return term.reshape(*term.shape[:2], *features.shape[2:])

    def _mixer_slice(self, modality: str) -> Tensor:
        width = self.config.features
        start = self.modalities.index(modality) * width
        return self._mixer(0).weight[:, start : start + width, 0, 0]

    def fuse(self, terms: Sequence[Tensor]) -> Tensor:
        """Add at least one modality's term, (n, features, h, w), to the mixer's hidden layer, not activated."""
        hidden = _bias(self._mixer(0))[None, :, None, None] + terms[0]
        for term in terms[1:]:
            hidden = hidden + term
        return hidden

    def finish(self, hidden: Tensor) -> Tensor:
        """Upsample, activate and embed: (n, features, h, w) from `fuse` -> (n, 64, 4 h, 4 w), not normalised.

        `betaearth.nn.tail` does the same with less memory traffic.
        """
        out: Tensor = self.last(F.gelu(upsample(hidden, SCALE)))
        return out

    @property
    def last(self) -> nn.Conv2d:
        """The mixer's second convolution, hidden -> 64."""
        return self._mixer(2)

    def forward(self, inputs: Mapping[str, Tensor], doy: Tensor | None) -> Tensor:
        """Embed.

        Args:
            inputs: modality to (n, channels, y, x), normalised, at least one; y and x are multiples of 32.
            doy: (n,) days of the year, or None for no date.

        Returns:
            (n, 64, y, x), not normalised.
        """
        present = [name for name in self.modalities if name in inputs]
        terms = [self.modulate(name, self.features(name, inputs[name]), doy) for name in present]
        return self.finish(self.fuse(terms))


class SegFormer(EmbeddingNetwork):
    """Four encoders, one per modality, and their fusion."""

    @staticmethod
    def branch_name(modality: str) -> str:
        """Name of a modality's pyramid in the weights."""
        return modality.replace("_", "") + "_encoder"

    @staticmethod
    def mixer_name() -> str:
        """Name of the mixer in the weights."""
        return "fusion"


class RGBOnly(EmbeddingNetwork):
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

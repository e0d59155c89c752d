"""What every network of ours offers to the sliding window: encode, date, fuse, and a linear last step.

The steps are apart because their inputs change at different rates: elevation is encoded once per window and
year, a scene once per window, and the last step, being linear, may wait until all windows are blended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

EMBEDDING = 64
"""Channels of the output."""
SCALE = 4
"""Features have 1/4 of the input's resolution."""


class EmbeddingNetwork(nn.Module, ABC):
    """Embeds any of its modalities: `forward` in one piece, or step by step."""

    modalities: tuple[str, ...]
    """Names of the inputs, in the order of fusion."""
    hidden_channels: int
    """Channels of the hidden layer that `fuse` returns."""
    corners_aligned: bool
    """Whether the hidden layer's corner pixels keep their place when it is upsampled bilinearly."""

    @abstractmethod
    def features(self, modality: str, x: Tensor) -> Tensor:
        """Encode one modality: nearly all of the work, and independent of the date.

        Args:
            modality: one of `modalities`.
            x: (n, channels, y, x), normalised; y and x are multiples of 32.

        Returns:
            (n, ..., y / 4, x / 4), for `modulate`.
        """

    @abstractmethod
    def modulate(self, modality: str, features: Tensor, doy: Tensor | None) -> Tensor:
        """Condition a modality's features on the date.

        Args:
            modality: one of `modalities`.
            features: from `features`.
            doy: (n,) or (1,) days of the year; None leaves the date out, which is not the same as day 0.

        Returns:
            (n, ..., y / 4, x / 4): the modality's term, for `fuse`.
        """

    @abstractmethod
    def fuse(self, terms: Sequence[Tensor]) -> Tensor:
        """Join the terms of the modalities that are there, at least one.

        Returns:
            (n, hidden_channels, y / 4, x / 4): the hidden layer, before upsampling and activation.
        """

    @abstractmethod
    def activate(self, hidden: Tensor) -> Tensor:
        """Apply what follows the upsampling and is not linear; any shape."""

    @abstractmethod
    def embed(self, activated: Tensor) -> Tensor:
        """Apply the last step: (..., hidden_channels) -> (..., 64).

        It is linear but for a constant, so it commutes with means whose weights sum to one.
        """

    def upsample(self, hidden: Tensor) -> Tensor:
        """Bring the hidden layer (n, c, h, w) to full resolution, (n, c, 4 h, 4 w)."""
        return F.interpolate(hidden, scale_factor=SCALE, mode="bilinear", align_corners=self.corners_aligned)

    def finish(self, hidden: Tensor) -> Tensor:
        """Turn the hidden layer (n, c, h, w) into (n, 64, 4 h, 4 w), not normalised.

        `betaearth.nn.tail` does the same with less memory traffic.
        """
        full = self.activate(self.upsample(hidden))
        return self.embed(full.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

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

"""Conditioning on the date: a sinusoidal embedding of the day of year, and FiLM.

FiLM (Perez et al. 2018, arXiv 1709.07871) scales and shifts every channel by amounts that a linear layer
derives from the condition.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

EMBEDDING = 128
"""Length of the day-of-year embedding."""
DAYS = 366


class DayOfYearEmbedding(nn.Module):
    """cat(sin(t f), cos(t f)) with t = doy 2 pi / 366 and f = exp(-ln(10000) (0, 2, ..., 126) / 128)."""

    freqs: Tensor

    def __init__(self) -> None:
        super().__init__()
        steps = torch.arange(0, EMBEDDING, 2, dtype=torch.float32)
        self.register_buffer("freqs", torch.exp(steps * (-math.log(10000.0) / EMBEDDING)))

    def forward(self, doy: Tensor) -> Tensor:
        """(n,) days -> (n, 128)."""
        angle = (doy * (2.0 * math.pi / DAYS))[:, None] * self.freqs
        return torch.cat([angle.sin(), angle.cos()], dim=1)


class Film(nn.Module):
    """The linear layer from a condition to a scale and a shift per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Linear(EMBEDDING, 2 * channels)

    def forward(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 128) -> scale (n, channels), shift (n, channels)."""
        scale, shift = self.proj(condition).chunk(2, dim=1)
        return scale, shift


class TimeCondition(nn.Module):
    """Scale and shift of every channel on a day of the year."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.embedding = DayOfYearEmbedding()
        self.film = Film(channels)

    def forward(self, doy: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) days -> scale (n, channels), shift (n, channels); features become x * scale + shift."""
        scale, shift = self.film(self.embedding(doy))
        return scale, shift

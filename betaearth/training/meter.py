"""Sums over the steps since the last line of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from betaearth.training.distributed import World
from betaearth.training.loss import MSE_WEIGHT


@dataclass
class Meter:
    """What one model did since then, in this process."""

    steps: int = 0
    pixels: float = 0.0
    """Valid ones, of all processes."""
    distance: float = 0.0
    """Sum of 1 - cos."""
    error: float = 0.0
    """Sum of the squared error."""
    norm: float = 0.0
    """Sum of the gradients' norms."""

    def add(self, sums: tuple[float, float], pixels: float, norm: float) -> None:
        """Count a step."""
        self.steps += 1
        self.pixels += pixels
        self.distance += sums[0]
        self.error += sums[1]
        self.norm += norm

    def means(self, world: World) -> dict[str, float]:
        """Return the means over the pixels of all processes, and begin anew."""
        distance, error = world.sum([self.distance, self.error])
        pixels = max(self.pixels, 1.0)
        means = {
            "loss": (distance + MSE_WEIGHT * error) / pixels,
            "cosine": 1 - distance / pixels,
            "mse": error / pixels,
            "grad_norm": self.norm / max(self.steps, 1),
        }
        self.steps, self.pixels, self.distance, self.error, self.norm = 0, 0.0, 0.0, 0.0, 0.0
        return means

    def plain(self, world: World) -> dict[str, Any]:
        """Spell it for a checkpoint: the leader's has the sums of all processes."""
        distance, error = world.sum([self.distance, self.error])
        return {**asdict(self), "distance": distance, "error": error}

    @classmethod
    def restored(cls, plain: Mapping[str, Any], world: World) -> Meter:
        """Read what `plain` returned; others than the leader begin with nothing."""
        meter = cls(**plain)
        if not world.leads:
            meter.distance = meter.error = 0.0
        return meter

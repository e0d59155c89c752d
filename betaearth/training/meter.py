"""Sums over the steps since the last line of the journal."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

    def together(self, world: World) -> Meter:
        """Return it with the sums of all processes, for a checkpoint."""
        distance, error = world.sum([self.distance, self.error])
        return replace(self, distance=distance, error=error)

    def of_one(self, world: World) -> Meter:
        """Return what a process goes on with: the leader with all that `together` holds, others with no sums."""
        return replace(self) if world.leads else replace(self, distance=0.0, error=0.0)

"""The curriculum: which inputs and dates a model is denied, drawn for every chip by seed, epoch and place in the epoch.

The draws do not depend on what was drawn before, nor on how many processes share a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from betaearth.scenes.model import Sensor
from betaearth.training.config import OPTICAL, CurriculumConfig


@dataclass(frozen=True)
class View:
    """What a model may see of a batch."""

    present: Mapping[Sensor, Tensor]
    """Each (n,) bool; a chip may have no input at all, where the data do not hold one."""
    dated: Tensor
    """(n,) bool: whether it is told the day of the year."""

    @property
    def seen(self) -> Tensor:
        """(n,) bool: whether there is any input."""
        return torch.stack(list(self.present.values())).any(dim=0)


def grown(most: float, config: CurriculumConfig, progress: float) -> float:
    """Return a chance of withholding as far as it has grown.

    Args:
        most: what it is in the end.
        config: from when to when it grows.
        progress: share of the run that is done, 0..1.
    """
    if progress < config.start:
        return 0.0
    if progress >= config.full:
        return most
    return most * (progress - config.start) / (config.full - config.start)


def drop_chance(config: CurriculumConfig | None, progress: float) -> float:
    """Return the chance that an input is withheld.

    Args:
        config: None withholds nothing.
        progress: share of the run that is done, 0..1.
    """
    return 0.0 if config is None else grown(config.drop, config, progress)


def view(
    config: CurriculumConfig | None,
    present: Mapping[Sensor, Tensor],
    places: Sequence[int],
    *,
    progress: float,
    key: tuple[int, ...],
) -> View:
    """Draw what a model may see.

    Args:
        config: None withholds nothing.
        present: sensor to (n,) bool, what the data hold of the model's inputs.
        places: n, of the chips in the epoch's order.
        progress: share of the run that is done, 0..1.
        key: seed, epoch and model, of the draws.
    """
    if config is None:
        return View(dict(present), torch.ones(len(places), dtype=torch.bool))
    chance, clouded = (grown(most, config, progress) for most in (config.drop, config.withhold_s2))
    optical = np.array([sensor in OPTICAL for sensor in present])
    there = np.stack([mask.cpu().numpy() for mask in present.values()], axis=1)
    kept, dated = np.empty_like(there), np.empty(len(places), dtype=bool)
    for i, place in enumerate(places):
        rng = np.random.default_rng([*key, place])
        under_cloud = clouded > 0 and rng.random() < clouded  # configurations without it draw as they always did
        kept[i] = kept_of(unclouded(there[i], optical) if under_cloud else there[i], chance, rng)
        dated[i] = rng.random() >= config.withhold_date
    masks = {sensor: torch.from_numpy(kept[:, i].copy()) for i, sensor in enumerate(present)}
    return View(masks, torch.from_numpy(dated))


def unclouded(there: np.ndarray, optical: np.ndarray) -> np.ndarray:
    """Take away what cloud hides, unless it is all that there is.

    Args:
        there: (sensor,) bool.
        optical: (sensor,) bool, which ones cloud hides.
    """
    rest: np.ndarray = there & ~optical
    return rest if rest.any() else there


def kept_of(there: np.ndarray, chance: float, rng: np.random.Generator) -> np.ndarray:
    """Draw which of the inputs that are there stay: each on its own, but one at least.

    Args:
        there: (sensor,) bool.
        chance: of being withheld.
        rng: drawn from as often whatever comes of it.
    """
    draws, last = rng.random(len(there)), rng.random(len(there))
    kept: np.ndarray = there & (draws >= chance)
    if there.any() and not kept.any():
        kept[np.where(there, last, -1.0).argmax()] = True
    return kept


def key_of(name: str) -> int:
    """Turn a model's name into a number for its draws, the same in every run."""
    return crc32(name.encode())

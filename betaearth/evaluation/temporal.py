"""Averaging several dates of a year on the unit sphere, with and without what clouds hide.

Every arm is scored on the same pixels: an arm that leaves cloudy pixels out would otherwise be scored on easier ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.inference.predictor import to_unit_length


class Arm(StrEnum):
    """What a mean over dates counts."""

    PLAIN = "plain"
    """Every pixel of every date, clouds and all."""
    MASKED = "masked"
    """A pixel of a date where Sentinel-2 sees the ground."""
    GAP_FILL = "gap-fill"
    """Every pixel of every date; where clouds hide it, what the network says without Sentinel-2."""


class Pixels(StrEnum):
    """Which pixels are scored."""

    COMMON = "common"
    """Those that every arm and every number of dates can score: clear on the first date that is drawn."""
    EVERY = "every"
    """All with a target; the masked arm cannot score them, so it is not among these."""


@dataclass(frozen=True)
class Season:
    """A cell's year, embedded date by date."""

    cell: str
    year: int
    full: NDArray[np.float32]
    """(date, y, x, 64) of unit length, from all inputs."""
    target: NDArray[np.float32]
    """(y, x, 64) of unit length."""
    valid: NDArray[np.bool_]
    """(y, x), True where the target is known."""
    clear: NDArray[np.bool_] | None = None
    """(date, y, x), True where Sentinel-2 sees the ground; None where nobody knows."""
    fill: NDArray[np.float32] | None = None
    """(date, y, x, 64) of unit length, from all inputs but Sentinel-2; None where the network needs it."""

    def __post_init__(self) -> None:
        """Check that everything lies on one lattice.

        Raises:
            DataError: it does not.
        """
        dates, *place, _ = self.full.shape
        found = {"target": (self.target.shape[:2], tuple(place)), "valid": (self.valid.shape, tuple(place))}
        if self.clear is not None:
            found["clear"] = (self.clear.shape, (dates, *place))
        if self.fill is not None:
            found["fill"] = (self.fill.shape, self.full.shape)
        for name, (shape, needed) in found.items():
            if shape != needed:
                raise DataError(f"{name} {shape} of {self.cell} {self.year} does not fit {needed}")

    def arms(self) -> tuple[Arm, ...]:
        """List the arms that this cell's year has the data for."""
        if self.clear is None:
            return (Arm.PLAIN,)
        return (Arm.PLAIN, Arm.MASKED) if self.fill is None else tuple(Arm)


@dataclass(frozen=True)
class AveragedCosine:
    """How near a mean over some dates comes to the target, in one cell's year."""

    cell: str
    year: int
    dates: int
    arm: Arm
    pixels: Pixels
    cosine: float
    """Mean over pixels, then over draws."""
    count: float
    """Pixels that were scored, a mean over draws."""


def score_season(season: Season, counts: Sequence[int], *, draws: int, seed: int) -> list[AveragedCosine]:
    """Score the arms of a cell's year.

    Args:
        season: the embeddings.
        counts: numbers of dates to average.
        draws: random orders of the dates; a draw's larger sets hold its smaller ones.
        seed: of the draws; cell and year enter, too, so that the order of cells does not matter.

    Returns:
        One for each arm, number of dates and choice of pixels that there are pixels for.

    Raises:
        DataError: there are fewer dates than the largest count, or no count.
    """
    if not counts or min(counts) < 1 or max(counts) > len(season.full):
        raise DataError(f"{season.cell} {season.year} has {len(season.full)} dates; {tuple(counts)} are asked for")
    generator = np.random.default_rng([seed, season.year, *season.cell.encode()])
    found: dict[tuple[int, Arm, Pixels], list[tuple[float, int]]] = {}
    for _ in range(draws):
        order = generator.permutation(len(season.full))
        for key, cosine, pixels in _draw(season, counts, order):
            found.setdefault(key, []).append((cosine, pixels))
    return [
        AveragedCosine(
            season.cell,
            season.year,
            dates,
            arm,
            pixels,
            float(np.mean([cosine for cosine, _ in scores])),
            float(np.mean([count for _, count in scores])),
        )
        for (dates, arm, pixels), scores in found.items()
    ]


def _draw(
    season: Season, counts: Sequence[int], order: NDArray[np.int64]
) -> Iterator[tuple[tuple[int, Arm, Pixels], float, int]]:
    """Score one order of the dates."""
    common = season.valid.copy()
    if season.clear is not None:
        common &= season.clear[order[: min(counts)]].any(axis=0)
    for dates in sorted(counts):
        for arm in season.arms():
            vectors = averaged(season, order[:dates], arm)
            cosines = np.einsum("yxc,yxc->yx", vectors, season.target)
            for pixels, mask in ((Pixels.COMMON, common), (Pixels.EVERY, season.valid)):
                if mask.any() and not (arm is Arm.MASKED and pixels is Pixels.EVERY):
                    yield (dates, arm, pixels), float(cosines[mask].mean(dtype=np.float64)), int(mask.sum())


def averaged(season: Season, dates: NDArray[np.int64], arm: Arm) -> NDArray[np.float32]:
    """Average some dates on the unit sphere.

    Returns:
        (y, x, 64) of unit length; zero where the arm counts no date.

    Raises:
        DataError: the arm needs what this cell's year lacks.
    """
    if arm not in season.arms():
        lacking = "nobody knows where it is clear" if season.clear is None else "nothing fills its gaps"
        raise DataError(f"{season.cell} {season.year} has no arm {arm}: {lacking}")
    vectors = season.full[dates]
    if arm is not Arm.PLAIN:
        assert season.clear is not None
        clear = season.clear[dates][..., None]
        vectors = np.where(clear, vectors, season.fill[dates] if arm is Arm.GAP_FILL and season.fill is not None else 0)
    total: NDArray[np.float32] = vectors.sum(axis=0, dtype=np.float32)
    to_unit_length(total)
    return total

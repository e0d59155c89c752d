"""Which Sentinel-1 scenes of a year: one orbit direction for the cell, evenly spread over each quarter.

A slope looks different from either side, so one direction serves the whole cell: the one whose best scenes, summed over
the quarters, cover more of it; then the one with more scenes; then `ascending`. Within a quarter scenes that cover the
whole cell come first, and others only where those are too few. Of the former those nearest to the middles of equal
parts of the quarter are taken.

Worked example: with one a quarter, of scenes of January 10, February 10 and March 28 that cover the cell, that of
February 10 is taken, next to the quarter's middle; with two those of January 10 and March 28, next to January 23 and
March 9. Where the scene of February 10 covers half of the cell only, January 10 comes before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from betaearth.scenes.model import Scene
from betaearth.scenes.selection import (
    COVERS_TOO_LITTLE,
    QUARTER_FULL,
    SHOWS_NOTHING,
    Quarter,
    Selection,
    SelectionOptions,
    quarter_of,
    reasons,
)

COVERS_ALL = 0.99
"""Share of a cell from which a footprint counts as covering it: footprints are drawn with few corners."""

OTHER_ORBIT = "it is of the other orbit direction"


def pick_radar(scenes: Sequence[Scene], coverage: Mapping[str, float], options: SelectionOptions) -> Selection:
    """Choose Sentinel-1 scenes.

    Args:
        scenes: candidates that have both polarisations, sorted by (sensed, id).
        coverage: id of every candidate to the share of the cell, 0 to 1, that its footprints cover.
        options: how to choose.

    Returns:
        The choice, not yet sorted; reserves are of the same direction.
    """
    chosen: list[Scene] = []
    reserves: list[Scene] = []
    touching = [scene for scene in scenes if coverage[scene.id] > 0]
    rejected = reasons([scene for scene in scenes if scene not in touching], SHOWS_NOTHING)
    direction = _direction(touching, coverage)
    rejected |= reasons([scene for scene in touching if _orbit(scene) != direction], OTHER_ORBIT)
    for quarter, found in _by_quarter(scene for scene in touching if _orbit(scene) == direction).items():
        fit = [scene for scene in found if options.covers_enough(_share(scene, coverage))]
        ranked = sorted(fit or found, key=lambda scene: (-_share(scene, coverage), scene.sensed, scene.id))
        taken = _spread(ranked, coverage, quarter, options.s1_per_quarter)
        spare = [scene for scene in ranked if scene not in taken]
        chosen += taken
        reserves += spare
        rejected |= reasons(spare, QUARTER_FULL)
        rejected |= reasons([scene for scene in found if scene not in ranked], COVERS_TOO_LITTLE)
    return Selection(tuple(chosen), tuple(reserves), rejected)


def _direction(scenes: Iterable[Scene], coverage: Mapping[str, float]) -> str:
    """Return the orbit direction that covers more of the cell in more quarters, then has more scenes, then by name."""
    by_direction: dict[str, list[Scene]] = defaultdict(list)
    for scene in scenes:
        by_direction[_orbit(scene)].append(scene)

    def rank(direction: str) -> tuple[float, int, str]:
        found = by_direction[direction]
        best = [max(_share(scene, coverage) for scene in part) for part in _by_quarter(found).values()]
        return (-round(sum(best), 3), -len(found), direction)

    return min(by_direction, key=rank, default="")


def _spread(ranked: Sequence[Scene], coverage: Mapping[str, float], quarter: Quarter, number: int) -> list[Scene]:
    """Take the scenes nearest to the middles of equal parts of a quarter; partial ones only where others are too few.

    Args:
        ranked: best coverage first.
        coverage: scene id to share.
        quarter: theirs.
        number: how many to take, at most.
    """
    full = [scene for scene in ranked if _share(scene, coverage) == 1.0]
    pool = full if len(full) >= number else list(ranked[:number])
    _, year, season = quarter
    start = datetime(year, 3 * season - 2, 1, tzinfo=UTC)
    length = datetime(year + season // 4, 3 * season % 12 + 1, 1, tzinfo=UTC) - start
    taken: list[Scene] = []
    for part in range(min(number, len(pool))):
        middle = start + length * (2 * part + 1) / (2 * number)
        left = [scene for scene in pool if scene not in taken]
        taken.append(min(left, key=lambda scene: (abs(scene.sensed - middle), scene.sensed, scene.id)))
    return taken


def _by_quarter(scenes: Iterable[Scene]) -> dict[Quarter, list[Scene]]:
    quarters: dict[Quarter, list[Scene]] = defaultdict(list)
    for scene in scenes:
        quarters[quarter_of(scene)].append(scene)
    return quarters


def _share(scene: Scene, coverage: Mapping[str, float]) -> float:
    """Share of the cell that a scene covers, 0 to 1; all but a rim is all."""
    share = coverage[scene.id]
    return 1.0 if share >= COVERS_ALL else share


def _orbit(scene: Scene) -> str:
    """Orbit direction of a scene, in one spelling; empty where the source does not say."""
    return next((granule.orbit_state.lower() for granule in scene.granules if granule.orbit_state), "")

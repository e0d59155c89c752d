"""The policy `cell`: the scenes that show most of the cell, season by season.

First a shortlist by metadata; then, from a look at each listed scene's classification (`betaearth.scenes.looks`), the
choice. In every calendar quarter the scene is taken that adds most, until `max_per_quarter` are taken or none is left;
what shows no ground at all is never taken. A pixel's first clear observation in a quarter adds 1, the next ones 1/2,
1/3 and 1/4, each further one 1/20: the n-th value moves a mean by 1/n of its difference, and averages of observations
were seen to gain little beyond four of them. The count starts anew with each quarter, because every season tells
something else.

Scenes that are too cloudy (of what they cover, within the cell, `max_cloud` percent or more is hidden) or that cover
less than `min_coverage` are passed over, unless the quarter has no other: then the one that shows most stands for its
season. Scenes nearer to a taken one than `min_spacing_days`, in whatever quarter, wait among the reserves, unless their
quarter would be silent. Where scenes add the
same, the one with less granule cloud cover comes first, then the earlier one, then the id.

Worked example, a cell of four places, `max_cloud` 50 and at most two a quarter:

    scene  day  clear    adds first       adds after a             what becomes of it
    a      10   1 1 1 0  3                -                        taken first: less granule cloud than b
    b      20   1 1 0 1  3                1/2 + 1/2 + 1 = 2        taken second
    c      13   0 1 1 1  3                1/2 + 1/2 + 1 = 2        3 days from a: a reserve
    d      40   0 0 0 1  1                1                        75 % hidden: too cloudy

Sentinel-1 is chosen by `radar_selection`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.scenes.model import Look, Scene, Sensor
from betaearth.scenes.radar_selection import pick_radar
from betaearth.scenes.selection import (
    COVERS_TOO_LITTLE,
    NOT_ASKED,
    QUARTER_FULL,
    SHOWS_NOTHING,
    TOO_CLOUDY,
    Quarter,
    Selection,
    SelectionOptions,
    in_order,
    quarter_of,
    reasons,
    with_whole_granules,
)

GAINS = np.array([60, 30, 20, 15, 3], np.int64)
"""What a pixel's first, second, ... clear observation in a quarter adds, in sixtieths, so that equals are equal; the
last one goes on for ever."""

NOT_LISTED = "the quarter's shortlist is full of scenes with less granule cloud cover"
TOO_CLOSE = "it is nearer than min_spacing_days to a scene that was taken"
UNREADABLE = "its scene classification cannot be read"


@dataclass(frozen=True)
class Shortlist:
    """Scenes that may be chosen, as far as metadata tell."""

    s2: tuple[Scene, ...]
    """To be looked at; sorted by (sensed, id), without granules that lack a band."""
    s1: tuple[Scene, ...]
    """Candidates with VV and VH; sorted by (sensed, id)."""
    rejected: Mapping[str, str]
    """Granule id to reason."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """A Sentinel-2 scene and what it shows."""

    scene: Scene
    look: Look
    rank: tuple[float, datetime, str]
    """Which of two scenes that add the same comes first: (granule cloud cover, sensed, id)."""

    @property
    def hidden(self) -> float:
        """Percent of what it covers."""
        covered = int(np.count_nonzero(self.look.covered))
        return 100.0 * (covered - int(np.count_nonzero(self.look.clear))) / max(covered, 1)

    @property
    def covered(self) -> float:
        """Share of the cell, 0 to 1."""
        return float(self.look.covered.mean())


def shortlist(scenes: Iterable[Scene], options: SelectionOptions, *, sensors: frozenset[Sensor]) -> Shortlist:
    """Leave only scenes that are worth a look.

    Args:
        scenes: in any order, which does not change the result. The DEM is no observation and is passed over.
        options: how to choose.
        sensors: what the variant looks at, one scene at a time.
    """
    rejected: dict[str, str] = {}
    radar: list[Scene] = []
    quarters: dict[Quarter, list[Scene]] = defaultdict(list)
    for scene in scenes:
        if scene.sensor is Sensor.DEM:
            continue
        if scene.sensor not in sensors:
            rejected |= reasons([scene], NOT_ASKED)
            continue
        whole, lacking = with_whole_granules(scene)
        rejected |= lacking
        if whole is not None:
            (radar if whole.sensor is Sensor.S1 else quarters[quarter_of(whole)]).append(whole)
    listed: list[Scene] = []
    length = max(options.shortlist_per_quarter, options.max_per_quarter)
    for candidates in quarters.values():
        ranked = sorted(candidates, key=_rank)
        listed += ranked[:length]
        rejected |= reasons(ranked[length:], NOT_LISTED)
    return Shortlist(in_order(listed), in_order(radar), rejected)


def pick(
    listed: Shortlist,
    looks: Mapping[str, Look],
    options: SelectionOptions,
    *,
    s1_coverage: Mapping[str, float],
    unreadable: Mapping[str, str] | None = None,
) -> Selection:
    """Choose from a shortlist.

    Args:
        listed: the shortlist.
        looks: Sentinel-2 scene id to what it shows, all on one coarse grid; a scene without look could not be read.
        options: how to choose.
        s1_coverage: Sentinel-1 scene id to the share of the cell, 0 to 1, that its footprints cover.
        unreadable: granule id to the reason why it could not be looked at.

    Raises:
        DataError: looks are not on one grid.
    """
    unseen = [scene for scene in listed.s2 if scene.id not in looks]
    told = unreadable or {}
    rejected = dict(listed.rejected)
    rejected |= {granule: told.get(granule, reason) for granule, reason in reasons(unseen, UNREADABLE).items()}
    optical = _pick_optical([_seen(scene, looks[scene.id]) for scene in listed.s2 if scene.id in looks], options)
    radar = pick_radar(listed.s1, s1_coverage, options)
    return Selection(
        chosen=in_order([*optical.chosen, *radar.chosen]),
        reserves=(*optical.reserves, *radar.reserves),
        rejected={**rejected, **optical.rejected, **radar.rejected},
    )


def gain(count: NDArray[np.uint16], clear: NDArray[np.bool_]) -> int:
    """Return what a scene adds to a quarter, in sixtieths of a coarse pixel.

    Args:
        count: (y, x); clear observations of the quarter so far.
        clear: (y, x); True where the scene shows the ground.
    """
    order = np.minimum(count[clear], len(GAINS) - 1)
    return int(np.bincount(order, minlength=len(GAINS)) @ GAINS)


def _pick_optical(seen: Sequence[_Seen], options: SelectionOptions) -> Selection:
    if len(shapes := {one.look.clear.shape for one in seen} | {one.look.covered.shape for one in seen}) > 1:
        raise DataError(f"looks of one cell must have one shape, not {sorted(shapes)}")
    chosen: list[Scene] = []
    reserves: list[Scene] = []
    rejected: dict[str, str] = {}
    quarters: dict[Quarter, list[_Seen]] = defaultdict(list)
    for one in seen:
        if one.look.clear.any():
            quarters[quarter_of(one.scene)].append(one)
        else:
            rejected |= reasons([one.scene], TOO_CLOUDY if one.look.covered.any() else SHOWS_NOTHING)
    for quarter in sorted(quarters):
        choice = _pick_quarter(quarters[quarter], options, _of_sensor(chosen, quarter[0]))
        chosen += choice.chosen
        reserves += choice.reserves
        rejected |= choice.rejected
    return Selection(tuple(chosen), tuple(reserves), rejected)


def _pick_quarter(seen: Sequence[_Seen], options: SelectionOptions, taken: Sequence[Scene]) -> Selection:
    """Choose from the scenes of a quarter; `taken` are those of earlier quarters."""
    unfit = {one.scene.id: reason for one in seen if (reason := _objection(one, options)) is not None}
    fit = [one for one in seen if one.scene.id not in unfit]
    count = np.zeros(seen[0].look.clear.shape, np.uint16)
    chosen = _greedy(fit, count, taken, options.min_spacing_days, limit=options.max_per_quarter)
    spaced = _greedy(_without(fit, chosen), count, [*taken, *chosen], options.min_spacing_days)
    close = _greedy(_without(fit, [*chosen, *spaced]), count, [], 0)
    standing = _by_ground([one for one in seen if one.scene.id in unfit])
    if not chosen:
        chosen = (close or standing)[:1]
    # A cloudy scene is kept ready only where its season would be silent without it.
    spare = [*spaced, *close, *(standing if len(fit) <= 1 else [])]
    why = {**_each(spaced, QUARTER_FULL), **_each(close, TOO_CLOSE), **unfit}
    left = [one.scene for one in seen if one.scene not in chosen]
    rejected = {granule.id: why[scene.id] for scene in left for granule in scene.granules}
    return Selection(tuple(chosen), tuple(scene for scene in spare if scene not in chosen), rejected)


def _greedy(
    seen: Sequence[_Seen], count: NDArray[np.uint16], taken: Sequence[Scene], spacing: int, *, limit: int | None = None
) -> list[Scene]:
    """Take the scene that adds most, again and again; adds what it shows to `count`, which is changed."""
    left, chosen = list(seen), list[Scene]()
    while limit is None or len(chosen) < limit:
        left = [one for one in left if _is_spaced(one.scene, [*taken, *chosen], spacing)]
        if not left:
            break
        best = min(left, key=lambda one: (-gain(count, one.look.clear), one.rank))
        count += best.look.clear
        chosen.append(best.scene)
        left.remove(best)
    return chosen


def _objection(one: _Seen, options: SelectionOptions) -> str | None:
    """Say why a scene is passed over; None where it is fit."""
    if not options.covers_enough(one.covered):
        return COVERS_TOO_LITTLE
    return None if one.hidden < options.max_cloud else TOO_CLOUDY


def _by_ground(seen: Iterable[_Seen]) -> list[Scene]:
    """Those that show most of the cell first."""
    ranked = sorted(seen, key=lambda one: (-int(np.count_nonzero(one.look.clear)), one.rank))
    return [one.scene for one in ranked]


def _is_spaced(scene: Scene, taken: Iterable[Scene], days: int) -> bool:
    """Tell whether a scene is days away from others; passes of one orbit differ by seconds, so half a day is given."""
    least = timedelta(days=days - 0.5)
    return all(abs(scene.sensed - other.sensed) >= least for other in taken)


def _each(scenes: Iterable[Scene], reason: str) -> dict[str, str]:
    return {scene.id: reason for scene in scenes}


def _without(seen: Iterable[_Seen], scenes: Collection[Scene]) -> list[_Seen]:
    ids = {scene.id for scene in scenes}
    return [one for one in seen if one.scene.id not in ids]


def _of_sensor(scenes: Iterable[Scene], sensor: Sensor) -> list[Scene]:
    return [scene for scene in scenes if scene.sensor is sensor]


def _seen(scene: Scene, look: Look) -> _Seen:
    return _Seen(scene, look, _rank(scene))


def _rank(scene: Scene) -> tuple[float, datetime, str]:
    """Least granule cloud cover first, the mean of those that say it; what does not say it comes last."""
    known = [granule.cloud_cover for granule in scene.granules if granule.cloud_cover is not None]
    return (fmean(known) if known else float("inf"), scene.sensed, scene.id)

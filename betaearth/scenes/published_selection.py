"""The policy `published`: the scenes that the published tool (betaearth 0.2.5) takes, item by item.

Found by running it on catalogs made for the purpose; `tests/scenes/published_choices.json` holds what it chose. Of each
sensor it walks the first 200 results in the order of the source's answer, for which it states no sorting. The Planetary
Computer then answers newest first, and of equal times the id that sorts last first, which is the order here. (A source
that sorts otherwise would let the published tool choose differently where there are more than 200 results, equal
cloud covers, or several Sentinel-1 scenes.) By calendar quarter, it takes

- of Sentinel-2 the least cloudy granules below `max_cloud`, at most `max_per_quarter`, equals in the order of the walk;
  where none is below, the single least cloudy one. A granule that does not state its cloud cover counts as 100 %.
  (Where it says `null`, the published tool stops with an error; here it counts as 100 % too.)
- of Sentinel-1 the first of the walk, whatever its orbit, polarisations or ground.

Every granule is a scene of its own: copies of an acquisition and neighbouring tiles take several places. A granule
that lacks a band takes a place and is lost with it, and so does one that covers less than `min_coverage` of the area:
nothing replaces them. Coverage is the share of pixels where any band has data, clouded or not, and is compared
unrounded. (The published tool also counts Sentinel-1's nodata inside a file as covered; that is not repeated here.)

Worked example: with at most two a quarter and `max_cloud` 20, of granules of January 10, 15 and 20 with 5 % of cloud
each, those of January 20 and 15 are taken; of two in April with 20 and 19.99 % the second alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from betaearth.scenes.model import Granule, Scene, Sensor
from betaearth.scenes.selection import (
    BAND_MISSING,
    COVERS_TOO_LITTLE,
    NOT_ASKED,
    QUARTER_FULL,
    TOO_CLOUDY,
    Quarter,
    Selection,
    SelectionOptions,
    in_order,
    is_whole,
    quarter_of,
    reasons,
)

BEYOND_RESULTS = "it lies beyond the first max_results of the search"
CLOUD_NOT_STATED = 100.0
"""Percent that a granule counts as where the source does not say."""


def published(granules: Iterable[Granule], options: SelectionOptions, *, sensors: frozenset[Sensor]) -> Selection:
    """Choose as the published tool does before it reads pixels; `covering` is the rest.

    Args:
        granules: what the search found of the year, in any order, which does not change the result. The DEM is no
            observation and is passed over.
        options: how to choose.
        sensors: what the variant looks at, one scene at a time.

    Returns:
        One scene a granule; no reserves, since the published tool replaces nothing.
    """
    taken: list[Granule] = []
    rejected: dict[str, str] = {}
    for sensor, walk in _walks(granules).items():
        if sensor not in sensors:
            rejected |= {granule.id: NOT_ASKED for granule in walk}
            continue
        within = walk[: options.max_results]
        rejected |= {granule.id: BEYOND_RESULTS for granule in walk[len(within) :]}
        for found in _quarters(within).values():
            chosen, left = _first(found, options) if sensor is Sensor.S1 else _clearest(found, options)
            taken += chosen
            rejected |= left
    rejected |= {granule.id: BAND_MISSING for granule in taken if not is_whole(granule)}
    return Selection(chosen=in_order(_scene(granule) for granule in taken if is_whole(granule)), rejected=rejected)


def covering(selection: Selection, coverage: Mapping[str, float], options: SelectionOptions) -> Selection:
    """Leave out the chosen scenes that cover too little; nothing comes in their place.

    Args:
        selection: what was chosen by metadata.
        coverage: scene id to the share of the area, 0 to 1, that it covers, clouded or not; those that are not
            named cover it all.
        options: how to choose.
    """
    little = [scene for scene in selection.chosen if not options.covers_enough(coverage.get(scene.id, 1.0))]
    return Selection(
        chosen=tuple(scene for scene in selection.chosen if scene not in little),
        reserves=selection.reserves,
        rejected={**selection.rejected, **reasons(little, COVERS_TOO_LITTLE)},
    )


def _walks(granules: Iterable[Granule]) -> dict[Sensor, list[Granule]]:
    """By sensor, in the order in which the Planetary Computer answers."""
    walks: dict[Sensor, list[Granule]] = defaultdict(list)
    for granule in sorted(granules, key=lambda granule: (granule.sensed, granule.id), reverse=True):
        if granule.sensor is not Sensor.DEM:
            walks[granule.sensor].append(granule)
    return walks


def _quarters(walk: Iterable[Granule]) -> dict[Quarter, list[Granule]]:
    quarters: dict[Quarter, list[Granule]] = defaultdict(list)
    for granule in walk:
        quarters[quarter_of(granule)].append(granule)
    return quarters


def _clearest(walk: Sequence[Granule], options: SelectionOptions) -> tuple[list[Granule], dict[str, str]]:
    # Sorting keeps the order of equals.
    ranked = sorted(walk, key=_cloud)
    clear = [granule for granule in ranked if _cloud(granule) < options.max_cloud]
    taken = clear[: options.max_per_quarter] or ranked[:1]
    left = {granule.id: QUARTER_FULL if granule in clear else TOO_CLOUDY for granule in ranked if granule not in taken}
    return taken, left


def _first(walk: Sequence[Granule], options: SelectionOptions) -> tuple[list[Granule], dict[str, str]]:
    taken, left = walk[: options.s1_per_quarter], walk[options.s1_per_quarter :]
    return list(taken), {granule.id: QUARTER_FULL for granule in left}


def _cloud(granule: Granule) -> float:
    return CLOUD_NOT_STATED if granule.cloud_cover is None else granule.cloud_cover


def _scene(granule: Granule) -> Scene:
    return Scene(id=granule.id, sensor=granule.sensor, sensed=granule.sensed, granules=(granule,))

"""Which scenes of a year enter its embedding; the same scenes and options give the same choice.

The policy `seasonal`: in every calendar quarter the least cloudy Sentinel-2 scenes and the first Sentinel-1
scenes, so that each season speaks. With at most two a quarter, of five scenes with 3, 12, none said, 25
and 8 % of cloud, those with 3 and 8 % are chosen; with at most six those with 3, 8 and 12 %, and the one that
is silent. Where all are cloudier than the limit, the least cloudy one stands for its season.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from betaearth.scenes.model import BANDS, Granule, Scene, Sensor

Quarter = tuple[Sensor, int, int]
"""Sensor, year, and calendar quarter 0..3."""

BAND_MISSING = "a band that the network needs is missing"
NOT_ASKED = "the variant does not look at this sensor"
QUARTER_FULL = "the quarter has enough scenes that are clearer or earlier"
TOO_CLOUDY = "cloud cover is not below max_cloud"


class SelectionOptions(BaseModel):
    """How scenes are chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Literal["seasonal"] = "seasonal"
    """By quarter and by the cloud cover that the source states for whole granules."""
    max_cloud: float = Field(default=20.0, ge=0.0, le=100.0)
    """Percent; a Sentinel-2 scene must stay below it."""
    max_per_quarter: int = Field(default=6, ge=1)
    """Sentinel-2 scenes a quarter, at most."""
    s1_per_quarter: int = Field(default=1, ge=1)
    """Sentinel-1 scenes a quarter, at most: the first, and others evenly spread over those that there are."""


@dataclass(frozen=True)
class Selection:
    """The choice."""

    chosen: tuple[Scene, ...]
    """Sorted by (sensed, id); without granules that lack a band."""
    rejected: Mapping[str, str]
    """Granule id to reason, for each granule that is not part of a chosen scene, but for the DEM's."""


def select(scenes: Iterable[Scene], options: SelectionOptions, *, sensors: frozenset[Sensor]) -> Selection:
    """Choose the scenes of a year.

    Args:
        scenes: in any order, which does not change the result. The DEM is no observation and is passed over.
        options: how to choose.
        sensors: what the variant looks at, one scene at a time.
    """
    chosen: list[Scene] = []
    rejected: dict[str, str] = {}
    quarters: dict[Quarter, list[Scene]] = defaultdict(list)
    for scene in sorted(scenes, key=lambda scene: (scene.sensed, scene.id)):
        if scene.sensor is Sensor.DEM:
            continue
        if scene.sensor not in sensors:
            rejected |= _all(scene, NOT_ASKED)
            continue
        rejected |= {granule.id: BAND_MISSING for granule in scene.granules if not _complete(granule)}
        if granules := tuple(granule for granule in scene.granules if _complete(granule)):
            quarters[_quarter(scene)].append(replace(scene, granules=granules))
    for (sensor, _, _), candidates in quarters.items():
        take, reasons = _spread(candidates, options) if sensor is Sensor.S1 else _clearest(candidates, options)
        chosen += take
        rejected |= reasons
    return Selection(tuple(sorted(chosen, key=lambda scene: (scene.sensed, scene.id))), rejected)


def _clearest(scenes: Sequence[Scene], options: SelectionOptions) -> tuple[list[Scene], dict[str, str]]:
    """Choose from the scenes of a quarter by cloud cover, then by id."""
    ranked = sorted(scenes, key=lambda scene: (_cloud_rank(scene), scene.id))
    clear = [scene for scene in ranked if (cloud := _cloud(scene)) is None or cloud < options.max_cloud]
    taken = clear[: options.max_per_quarter] or ranked[:1]
    full = _reasons(clear[options.max_per_quarter :], QUARTER_FULL)
    cloudy = [scene for scene in ranked if scene not in clear and scene not in taken]
    return taken, full | _reasons(cloudy, TOO_CLOUDY)


def _spread(scenes: Sequence[Scene], options: SelectionOptions) -> tuple[list[Scene], dict[str, str]]:
    """Choose the first of a quarter's scenes and others at even distance in their order."""
    count = min(options.s1_per_quarter, len(scenes))
    picks = {index * len(scenes) // count for index in range(count)}
    taken = [scene for index, scene in enumerate(scenes) if index in picks]
    return taken, _reasons([scene for scene in scenes if scene not in taken], QUARTER_FULL)


def _cloud(scene: Scene) -> float | None:
    """Mean over the granules that say it, percent; None where none does."""
    known = [granule.cloud_cover for granule in scene.granules if granule.cloud_cover is not None]
    return fmean(known) if known else None


def _cloud_rank(scene: Scene) -> tuple[bool, float]:
    """Known cloud cover first, least first."""
    cloud = _cloud(scene)
    return (cloud is None, cloud or 0.0)


def _quarter(scene: Scene) -> Quarter:
    return (scene.sensor, scene.sensed.year, (scene.sensed.month - 1) // 3)


def _complete(granule: Granule) -> bool:
    return all(band in granule.assets for band in BANDS[granule.sensor])


def _all(scene: Scene, reason: str) -> dict[str, str]:
    return {granule.id: reason for granule in scene.granules}


def _reasons(scenes: Iterable[Scene], reason: str) -> dict[str, str]:
    return {granule: reason for scene in scenes for granule in _all(scene, reason)}

"""What goes together on a date: from chosen scenes to the observations that a network sees.

`separate`, the published way: every Sentinel-2 scene and every Sentinel-1 scene is an observation of its own, each with
the elevation. `joint`: a Sentinel-2 scene comes together with the nearest Sentinel-1 scene, and with the Level-1C of
the same acquisition where the source has it.

With gap-fill, the pixels that cloud hides on a Sentinel-2 date are filled by what the nearest Sentinel-1 scene and the
elevation say of them. A Sentinel-1 scene is embedded once, however many dates it fills: there it counts as often as it
stands in for a date.

Worked example: Sentinel-2 on days 10, 40 and 90, Sentinel-1 on days 6 and 44, `s1_within_days` 12. Joint observations
are (10, 6) and (40, 44); day 90 has no radar near: it stays alone where the variant takes any subset, and is left out
where the variant needs all its inputs. Gap-fill takes day 6 for day 10 and day 44 for day 40.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from betaearth.scenes.grouping import SAME_PASS, platform_name
from betaearth.scenes.model import Granule, Scene, Sensor

NO_RADAR = "no Sentinel-1 scene lies within s1_within_days of it, and the variant needs one"
NO_LEVEL_1C = "its acquisition has no Level-1C granule, and the variant needs one"
NOT_TAKEN_UP = "no chosen Sentinel-2 scene took it up"


class Together(StrEnum):
    """What the network sees at once."""

    SEPARATE = "separate"
    """One sensor's scene with the elevation."""
    JOINT = "joint"
    """A Sentinel-2 scene with the nearest Sentinel-1 scene and its Level-1C, and the elevation."""


class ObservationOptions(BaseModel):
    """How scenes become observations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    together: Together | None = None
    """None takes what suits the variant: `joint` where it needs all its inputs at once, else `separate`."""
    s1_within_days: int = Field(default=12, ge=0, le=366)
    """Days that may lie between a Sentinel-2 scene and the Sentinel-1 scene that comes with it or fills it."""
    gap_fill: bool = False
    """Fill what cloud hides on a Sentinel-2 date from Sentinel-1 and the elevation."""


@dataclass(frozen=True)
class Observation:
    """What the network sees at once, besides the elevation."""

    scenes: tuple[Scene, ...]
    """The leading scene first: Sentinel-2 Level-2A where there is one. One scene a sensor."""

    @property
    def id(self) -> str:
        """Id of the leading scene."""
        return self.scenes[0].id

    @property
    def sensor(self) -> Sensor:
        """Sensor of the leading scene."""
        return self.scenes[0].sensor

    @property
    def sensed(self) -> datetime:
        """When the leading scene was sensed, UTC."""
        return self.scenes[0].sensed

    @property
    def doy(self) -> int:
        """Day of the year of the leading scene, 1..366."""
        return self.scenes[0].doy


@dataclass(frozen=True)
class Programme:
    """The observations of a year."""

    observations: tuple[Observation, ...]
    """Those that Sentinel-2 leads, by time; then Sentinel-1's own, by time."""
    fillers: Mapping[str, Scene] = field(default_factory=dict)
    """Id of a Sentinel-2 observation to the Sentinel-1 scene that fills its gaps."""
    rejected: Mapping[str, str] = field(default_factory=dict)
    """Granule id to the reason why its scene is part of nothing."""


def compose(
    chosen: Iterable[Scene],
    radar: Iterable[Scene],
    level_1c: Iterable[Scene],
    options: ObservationOptions,
    *,
    needed: frozenset[Sensor] = frozenset(),
) -> Programme:
    """Put scenes together; pure, and the same whatever the order of the arguments.

    Args:
        chosen: the scenes of the selection.
        radar: Sentinel-1 scenes that may come with a Sentinel-2 scene or fill it, the chosen ones among them.
        level_1c: Level-1C scenes that may come with a Level-2A scene.
        options: how; `together` None is `separate`.
        needed: dated sensors without which an observation is none, for variants that need all their inputs.
    """
    scenes = sorted(chosen, key=lambda scene: (scene.sensed, scene.id))
    optical = [scene for scene in scenes if scene.sensor is Sensor.S2_L2A]
    own_radar = [scene for scene in scenes if scene.sensor is Sensor.S1]
    pool = sorted(radar, key=lambda scene: (scene.sensed, scene.id))
    if options.together is Together.JOINT:
        return _joint(optical, pool, list(level_1c), options, needed)
    fillers = _fillers(optical, pool, options)
    return Programme(tuple(Observation((scene,)) for scene in (*optical, *own_radar)), fillers)


def nearest(scene: Scene, pool: Sequence[Scene], days: int) -> Scene | None:
    """Return the scene of a pool that was sensed nearest to another one, the earlier of two; None beyond `days`."""
    limit = timedelta(days=days)
    near = [other for other in pool if abs(other.sensed - scene.sensed) <= limit]
    return min(near, key=lambda other: (abs(other.sensed - scene.sensed), other.sensed, other.id), default=None)


def _joint(
    optical: Sequence[Scene],
    radar: Sequence[Scene],
    level_1c: Sequence[Scene],
    options: ObservationOptions,
    needed: frozenset[Sensor],
) -> Programme:
    observations: list[Observation] = []
    rejected: dict[str, str] = {}
    for scene in optical:
        found = {
            Sensor.S2_L1C: _same_acquisition(scene, level_1c),
            Sensor.S1: nearest(scene, radar, options.s1_within_days),
        }
        lacking = [sensor for sensor, other in found.items() if sensor in needed and other is None]
        if lacking:
            rejected |= _all(scene, NO_RADAR if Sensor.S1 in lacking else NO_LEVEL_1C)
            continue
        observations.append(Observation((scene, *(other for other in found.values() if other is not None))))
    taken = {scene.id for observation in observations for scene in observation.scenes}
    for scene in (*radar, *level_1c):
        if scene.id not in taken:
            rejected |= _all(scene, NOT_TAKEN_UP)
    leading = [observation.scenes[0] for observation in observations]
    return Programme(tuple(observations), _fillers(leading, radar, options), rejected)


def _fillers(optical: Iterable[Scene], radar: Sequence[Scene], options: ObservationOptions) -> dict[str, Scene]:
    if not options.gap_fill:
        return {}
    found = {scene.id: nearest(scene, radar, options.s1_within_days) for scene in optical}
    return {name: scene for name, scene in found.items() if scene is not None}


def _same_acquisition(scene: Scene, others: Sequence[Scene]) -> Scene | None:
    """Find the scene of another level of the same pass of the same satellite."""
    same = [
        other
        for other in others
        if abs(other.sensed - scene.sensed) <= SAME_PASS and _same_orbit(scene.granules[0], other.granules[0])
    ]
    return min(same, key=lambda other: (abs(other.sensed - scene.sensed), other.id), default=None)


def _same_orbit(one: Granule, other: Granule) -> bool:
    """Two sources, or two levels, spell a platform differently, and one may leave the orbit out."""
    orbits = {one.relative_orbit, other.relative_orbit} - {None}
    return platform_name(one) == platform_name(other) and len(orbits) <= 1


def _all(scene: Scene, reason: str) -> dict[str, str]:
    return {granule.id: reason for granule in scene.granules}

"""From granules to scenes: what one satellite saw in one pass belongs together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from betaearth.scenes.footprints import covered_share
from betaearth.scenes.model import Granule, Scene, Sensor

SAME_PASS = timedelta(minutes=10)
"""Granules of one platform and orbit that follow each other closer than this are one acquisition. Slices of a
pass over one cell are seconds apart, its next pass at least an orbit of 98 minutes."""
SAME_GROUND = 0.9
"""Share of a granule's footprint that newer issues must cover to replace it."""

SUPERSEDED = "a newer processing of the same acquisition covers its ground"

_PLATFORM = re.compile(r"s(?:entinel)?[-_ ]?(\d)[-_ ]?([a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Grouping:
    """Scenes, and the granules that became part of none."""

    scenes: tuple[Scene, ...]
    """Sorted by (sensed, id)."""
    rejected: Mapping[str, str]
    """Granule id to reason."""


def to_scenes(granules: Iterable[Granule], epsg: int | None = None) -> Grouping:
    """Group granules by acquisition; every DEM granule belongs to one scene.

    Of several issues of the same acquisition and MGRS tile the newest stays, by (baseline, generation time).
    An older one stays too where it shows ground that newer ones do not: one pass may be delivered in two
    parts.

    Args:
        granules: in any order, which does not change the result.
        epsg: zone of the pixel grid; granules in it come first in a scene, since they need no warping.
    """
    scenes: list[Scene] = []
    rejected: dict[str, str] = {}
    for acquisition in _acquisitions(granules):
        kept = _newest(acquisition)
        rejected |= {granule.id: SUPERSEDED for granule in acquisition if granule not in kept}
        scenes.append(_scene(kept, epsg))
    return Grouping(tuple(sorted(scenes, key=lambda scene: (scene.sensed, scene.id))), rejected)


def _acquisitions(granules: Iterable[Granule]) -> Iterator[list[Granule]]:
    passes: dict[tuple[Sensor, str, int], list[Granule]] = defaultdict(list)
    for granule in sorted(granules, key=lambda granule: (granule.sensed, granule.id)):
        orbit = -1 if granule.relative_orbit is None else granule.relative_orbit
        passes[granule.sensor, platform_name(granule), orbit].append(granule)
    for (sensor, _, _), members in passes.items():
        if sensor is Sensor.DEM:
            continue
        yield from _split_in_time(members)
    if dem := [granule for members in passes.values() for granule in members if granule.sensor is Sensor.DEM]:
        yield dem


def _split_in_time(granules: Sequence[Granule]) -> Iterator[list[Granule]]:
    current = [granules[0]]
    for granule in granules[1:]:
        if granule.sensed - current[-1].sensed > SAME_PASS:
            yield current
            current = []
        current.append(granule)
    yield current


def _newest(granules: Sequence[Granule]) -> list[Granule]:
    """Drop what newer issues of the same tile cover."""
    kept: list[Granule] = []
    for granule in sorted(sorted(granules, key=lambda granule: granule.id), key=_issue, reverse=True):
        newer = [other for other in kept if other.mgrs_tile is not None and other.mgrs_tile == granule.mgrs_tile]
        if not newer or covered_share(granule, newer) < SAME_GROUND:
            kept.append(granule)
    return kept


def _issue(granule: Granule) -> tuple[str, str]:
    return (granule.baseline or "", granule.generated or "")


def _scene(newest_first: Sequence[Granule], epsg: int | None) -> Scene:
    sensed = min(granule.sensed for granule in newest_first)
    # Sorting keeps the order of equals, so of two issues of a tile the newer one stays in front.
    by_tile = sorted(newest_first, key=lambda granule: granule.mgrs_tile or granule.id)
    granules = tuple(sorted(by_tile, key=lambda granule: epsg is not None and granule.epsg != epsg))
    first = granules[0]
    parts = [first.sensor.value]
    if first.sensor is not Sensor.DEM:
        orbit = "" if first.relative_orbit is None else f"R{first.relative_orbit:03d}"
        parts += [f"{sensed:%Y%m%dT%H%M%S}", platform_name(first), orbit]
    return Scene(id="-".join(part for part in parts if part), sensor=first.sensor, sensed=sensed, granules=granules)


def platform_name(granule: Granule) -> str:
    """Short name of the platform, such as S2A, however the source spells it."""
    name = granule.platform or ""
    match = _PLATFORM.fullmatch(name)
    return f"S{match[1]}{match[2].upper()}" if match else re.sub(r"[^A-Za-z0-9]", "", name)

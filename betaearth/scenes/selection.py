"""What it is to choose scenes of a year: the options, the choice, and what both policies share.

`cell_selection`, with `radar_selection`, chooses by what each scene shows of the cell; `published_selection` chooses as
the published tool does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from betaearth.scenes.model import BANDS, Granule, Scene, Sensor

Quarter = tuple[Sensor, int, int]
"""Sensor, year, and calendar quarter 1..4."""

BAND_MISSING = "a band that the network needs is missing"
NOT_ASKED = "the variant does not look at this sensor"
QUARTER_FULL = "the quarter has enough scenes that are preferred to it"
TOO_CLOUDY = "too much of it is cloud: max_cloud"
SHOWS_NOTHING = "it shows nothing of the cell"
COVERS_TOO_LITTLE = "it covers less than min_coverage"

ROUNDING_PERCENT = 1e-7
"""Far less than a pixel, far more than what rounding takes from the share that footprints cover."""


class SelectionOptions(BaseModel):
    """How scenes are chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Literal["cell", "published"] = "cell"
    """`cell`: by what each scene shows of the cell. `published`: the published tool's choice, item by item."""
    max_cloud: float = Field(default=20.0, ge=0.0, le=100.0)
    """Percent; a Sentinel-2 scene must stay below it, or be the best of its quarter where none does. `cell`: the
    hidden share of what the scene covers of the cell; `published`: what the source states for the granule."""
    max_per_quarter: int = Field(default=6, ge=1)
    """Sentinel-2 scenes a quarter, at most."""
    s1_per_quarter: int = Field(default=1, ge=1)
    """Sentinel-1 scenes a quarter, at most."""
    min_coverage: float | None = Field(default=None, ge=0.0, le=100.0)
    """Percent of the cell that a scene must cover, clouded or not; None: 100 for `published`, 0 for `cell`."""
    max_results: int | None = Field(default=200, ge=1)
    """Search results a sensor that `published` looks at, newest first; None: all. `cell` looks at all."""
    min_spacing_days: int = Field(default=5, ge=0, le=366)
    """Days between Sentinel-2 scenes, at least; `cell` only."""
    shortlist_per_quarter: int = Field(default=12, ge=1)
    """Sentinel-2 scenes a quarter whose classification `cell` reads; never fewer than `max_per_quarter`."""
    min_scenes: int = Field(default=4, ge=1)
    """Chosen scenes that must turn out to be readable, or all of them where fewer were chosen."""

    @property
    def least_coverage(self) -> float:
        """Percent of the cell that a scene must cover, by `min_coverage` or else by the policy."""
        if self.min_coverage is not None:
            return self.min_coverage
        return 100.0 if self.policy == "published" else 0.0

    def covers_enough(self, share: float) -> bool:
        """Tell whether a scene covers enough.

        Args:
            share: of the cell's pixels, 0 to 1, where any band has data, clouded or not.
        """
        return 100.0 * share >= self.least_coverage - ROUNDING_PERCENT


@dataclass(frozen=True)
class Selection:
    """The choice."""

    chosen: tuple[Scene, ...]
    """Sorted by (sensed, id); without granules that lack a band."""
    reserves: tuple[Scene, ...] = ()
    """What may stand in for a chosen scene that cannot be read; of each sensor and quarter in order of preference."""
    rejected: Mapping[str, str] = field(default_factory=dict)
    """Granule id to reason, for each granule that is not part of a chosen scene, reserves included, DEM excluded."""


def replacement(selection: Selection, failed: Scene, used: Collection[str]) -> Scene | None:
    """Return what stands in for a scene that cannot be read: the best reserve of its sensor and quarter.

    Args:
        selection: the choice that the scene was part of.
        failed: the scene.
        used: ids of scenes that stood in already.

    Returns:
        A reserve; None where none is left.
    """
    quarter = quarter_of(failed)
    candidates = (scene for scene in selection.reserves if quarter_of(scene) == quarter)
    return next((scene for scene in candidates if scene.id not in used and scene.id != failed.id), None)


def missing_upstream(
    granules: Iterable[Granule], year: int, sensors: Collection[Sensor], *, today: date
) -> tuple[str, ...]:
    """Name what a source has nothing of: a state of its own, since every year has holes that later fill.

    A quarter that is not over can still fill, and is not named. The DEM has no date: it is there or not.

    Args:
        granules: what the search found.
        year: what was asked for.
        sensors: what was asked for.
        today: UTC.

    Returns:
        Names such as `s1 2021 Q2` and `dem`, by sensor and quarter; empty where nothing is missing.
    """
    there = {quarter_of(granule) for granule in granules if granule.sensor is not Sensor.DEM}
    elevation = any(granule.sensor is Sensor.DEM for granule in granules)
    over = [quarter for quarter in (1, 2, 3, 4) if _end(year, quarter) <= today]
    missing: list[str] = []
    for sensor in Sensor:
        if sensor not in sensors:
            continue
        if sensor is Sensor.DEM:
            missing += [] if elevation else [sensor.value]
        else:
            missing += [f"{sensor.value} {year} Q{number}" for number in over if (sensor, year, number) not in there]
    return tuple(missing)


def quarter_of(seen: Scene | Granule) -> Quarter:
    """Return the quarter in which a scene or granule counts."""
    return (seen.sensor, seen.sensed.year, (seen.sensed.month - 1) // 3 + 1)


def in_order(scenes: Iterable[Scene]) -> tuple[Scene, ...]:
    """Sort by (sensed, id)."""
    return tuple(sorted(scenes, key=lambda scene: (scene.sensed, scene.id)))


def with_whole_granules(scene: Scene) -> tuple[Scene | None, dict[str, str]]:
    """Leave out the granules that lack a band; None where no granule is left."""
    whole = tuple(granule for granule in scene.granules if is_whole(granule))
    rejected = {granule.id: BAND_MISSING for granule in scene.granules if granule not in whole}
    return (replace(scene, granules=whole) if whole else None), rejected


def is_whole(granule: Granule) -> bool:
    """Tell whether a granule has every band that the networks look at; a scene classification is not needed."""
    return all(band in granule.assets for band in BANDS[granule.sensor])


def reasons(scenes: Iterable[Scene], reason: str) -> dict[str, str]:
    """Give one reason for every granule of the scenes."""
    return {granule.id: reason for scene in scenes for granule in scene.granules}


def _end(year: int, quarter: int) -> date:
    """Return the first day after a calendar quarter."""
    return date(year + 1, 1, 1) if quarter == 4 else date(year, 3 * quarter + 1, 1)

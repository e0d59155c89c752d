"""From a job to what is read for it: search, grouping, selection, and what goes together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from betaearth.inference.annual import check_inputs, default_together
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import Job
from betaearth.products.fingerprint import fingerprint, sources_digest
from betaearth.scenes.cell_selection import pick, shortlist
from betaearth.scenes.files import Traffic
from betaearth.scenes.footprints import footprint_coverage
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.looks import read_looks
from betaearth.scenes.model import Granule, Look, Scene, Sensor, Source
from betaearth.scenes.observations import Observation, Programme, Together, compose
from betaearth.scenes.options import DEFAULT_WORKERS
from betaearth.scenes.profile import AbsentDem
from betaearth.scenes.published_selection import covering, published
from betaearth.scenes.selection import Selection, missing_upstream, replacement

DATED = frozenset({Sensor.S2_L2A, Sensor.S1})
"""Sensors whose scenes are selected; Level-1C follows its Level-2A."""


@dataclass(frozen=True)
class Choice:
    """What was found for a job, and what of it is to be read."""

    candidates: tuple[Granule, ...]
    selection: Selection
    programme: Programme
    dem: Scene | None
    rejected: Mapping[str, str]
    """Granule id to the rule by which it was not chosen."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Granule id to the reason why it could not even be looked at."""
    missing: tuple[str, ...] = ()
    """What the source has nothing of, such as `s1 2021 Q2`."""
    needed: frozenset[Sensor] = frozenset()
    """Dated sensors that an observation must have."""
    level_1c: tuple[Scene, ...] = ()
    traffic: Traffic = field(default_factory=lambda: Traffic(0, 0))
    """What looking at scenes asked of servers."""

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Every scene that is part of an observation, each once, in the order of reading."""
        found = {scene.id: scene for observation in self.programme.observations for scene in observation.scenes}
        return tuple(found.values())

    def digest(self, job: Job) -> str:
        """Digest of the job and of every granule to be read: a stopped computation goes on only with the same."""
        granules = [granule for scene in self.scenes for granule in scene.granules]
        filling = [granule for scene in self.programme.fillers.values() for granule in scene.granules]
        elevation = self.dem.granules if self.dem else ()
        return fingerprint(job.digest, sources_digest(granule.version for granule in (*granules, *filling, *elevation)))

    def replacement(self, failed: Observation, used: Iterable[str], job: Job) -> tuple[Observation, ...]:
        """Return what stands in for an observation whose leading scene cannot be read; empty where nothing is left."""
        other = replacement(self.selection, failed.scenes[0], set(used))
        if other is None:
            return ()
        return self.observations_of(other, job)

    def observations_of(self, scene: Scene, job: Job) -> tuple[Observation, ...]:
        """Return the observation that a scene leads; empty where it lacks a companion that it needs."""
        return programme([scene], self.selection, self.level_1c, job, self.needed).observations


def choose(job: Job, source: Source, model: BetaEarth, *, workers: int = DEFAULT_WORKERS) -> Choice:
    """Search the source and choose the scenes of the year.

    Raises:
        ConfigError: the source cannot give the variant the inputs that it needs.
        TransientError: the source did not answer, or a scene classification could not be read now.
    """
    together = job.options.observations.together or Together.SEPARATE
    sensors = check_inputs(model.variant, together, frozenset(source.profile.collections))
    before = source.files.traffic
    candidates = source.search(job.area, job.year, sensors)
    grouped = to_scenes(candidates, job.grid.epsg)
    looking = Looking(job, source, workers)
    if job.options.selection.policy == "published":
        selection, unreadable = looking.as_published(candidates, sensors & DATED)
    else:
        selection, unreadable = looking.inside([scene for scene in grouped.scenes if scene.sensor in DATED], sensors)
    level_1c = tuple(scene for scene in grouped.scenes if scene.sensor is Sensor.S2_L1C)
    needs_all = default_together(model.variant) is Together.JOINT
    needed = sensors - {Sensor.DEM} if needs_all else frozenset()
    composed = programme(selection.chosen, selection, level_1c, job, needed)
    superseded = {} if job.options.selection.policy == "published" else grouped.rejected
    return Choice(
        candidates=tuple(candidates),
        selection=selection,
        programme=composed,
        dem=elevation(grouped.scenes, sensors, source),
        rejected=_never_read({**superseded, **selection.rejected, **composed.rejected}, composed),
        unreadable=unreadable,
        missing=missing_upstream(candidates, job.year, sensors, today=datetime.now(UTC).date()),
        needed=needed,
        level_1c=level_1c,
        traffic=since(before, source),
    )


def elevation(scenes: Iterable[Scene], sensors: frozenset[Sensor], source: Source) -> Scene | None:
    """Return the DEM's scene; one without granules where a worldwide DEM has no tile, because there is sea."""
    if Sensor.DEM not in sensors:
        return None
    found = next((scene for scene in scenes if scene.sensor is Sensor.DEM), None)
    if found is None and source.profile.absent_dem is AbsentDem.SEA:
        return Scene(id=Sensor.DEM.value, sensor=Sensor.DEM, sensed=datetime.min.replace(tzinfo=UTC), granules=())
    return found


def since(before: Traffic, source: Source) -> Traffic:
    """Return what was asked of servers for a source's files since an earlier count."""
    now = source.files.traffic
    return Traffic(now.requests - before.requests, now.bytes - before.bytes)


@dataclass(frozen=True)
class Looking:
    """Chooses scenes with an eye to what their scene classifications show of the grid."""

    job: Job
    source: Source
    workers: int

    def inside(self, scenes: Sequence[Scene], sensors: frozenset[Sensor]) -> tuple[Selection, dict[str, str]]:
        """Choose by what is clear inside the cell; the choice, and granules that could not be looked at."""
        options = self.job.options.selection
        listed = shortlist(scenes, options, sensors=sensors & DATED)
        looks, unreadable = self._look(listed.s2)
        coverage = footprint_coverage(listed.s1, self.job.grid)
        return pick(listed, looks, options, s1_coverage=coverage, unreadable=unreadable), unreadable

    def as_published(
        self, candidates: Sequence[Granule], sensors: frozenset[Sensor]
    ) -> tuple[Selection, dict[str, str]]:
        """Choose as the published tool does."""
        options = self.job.options.selection
        chosen = published(candidates, options, sensors=sensors)
        looks, _ = self._look([scene for scene in chosen.chosen if scene.sensor is Sensor.S2_L2A])
        seen = {name: float(look.covered.mean()) for name, look in looks.items()}
        radar = footprint_coverage([scene for scene in chosen.chosen if scene.sensor is Sensor.S1], self.job.grid)
        return covering(chosen, {**radar, **seen}, options), {}

    def _look(self, scenes: Sequence[Scene]) -> tuple[dict[str, Look], dict[str, str]]:
        return read_looks(
            scenes,
            self.job.grid,
            files=self.source.files,
            profile=self.source.profile,
            options=self.job.options.scenes,
            workers=self.workers,
        )


def programme(
    chosen: Sequence[Scene], selection: Selection, level_1c: Sequence[Scene], job: Job, needed: frozenset[Sensor]
) -> Programme:
    """Put chosen scenes together; radar that was not chosen may still come with a Sentinel-2 scene, or fill it."""
    radar = {scene.id: scene for scene in (*selection.chosen, *selection.reserves) if scene.sensor is Sensor.S1}
    return compose(chosen, radar.values(), level_1c, job.options.observations, needed=needed)


def _never_read(rejected: Mapping[str, str], composed: Programme) -> dict[str, str]:
    """A scene that was not chosen for itself may still be read with another one."""
    scenes = [scene for observation in composed.observations for scene in observation.scenes]
    read = {granule.id for scene in (*scenes, *composed.fillers.values()) for granule in scene.granules}
    return {granule: reason for granule, reason in rejected.items() if granule not in read}

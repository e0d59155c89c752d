"""From a job to what is read for it: search, grouping, selection, and what goes together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from betaearth._version import __version__
from betaearth.inference.annual import check_inputs, default_together
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import Job
from betaearth.pipeline.premises import check_assets, check_company, notices_of
from betaearth.products.fingerprint import fingerprint, sources_digest
from betaearth.scenes.cell_selection import pick, shortlist
from betaearth.scenes.files import Traffic
from betaearth.scenes.footprints import footprint_coverage
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.looks import read_looks
from betaearth.scenes.model import Granule, Look, Scene, Sensor, Source
from betaearth.scenes.observations import Observation, ObservationOptions, Programme, Together, compose
from betaearth.scenes.options import DEFAULT_WORKERS
from betaearth.scenes.profile import AbsentDem
from betaearth.scenes.published_selection import covering, published
from betaearth.scenes.selection import Selection, missing_upstream, replacement

DATED = frozenset({Sensor.S2_L2A, Sensor.S1})
"""Sensors whose scenes are selected; Level-1C follows its Level-2A."""
COVERS_ALL = 0.99
"""Share of the grid within a scene's footprint from which on it counts as all of it."""


@dataclass(frozen=True)
class Company:
    """The scenes that may come with others, and the rules by which they do."""

    options: ObservationOptions
    radar: tuple[Scene, ...] = ()
    """Sentinel-1 of the one orbit direction; those that cover the whole grid, where there are any."""
    level_1c: tuple[Scene, ...] = ()
    needed: frozenset[Sensor] = frozenset()
    """Dated sensors that an observation must have."""

    def programme(self, chosen: Iterable[Scene]) -> Programme:
        """Put chosen scenes together with theirs."""
        return compose(chosen, self.radar, self.level_1c, self.options, needed=self.needed)


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
    notices: tuple[str, ...] = ()
    """What whoever runs the job should know of the choice, in sentences."""
    company: Company = field(default_factory=lambda: Company(ObservationOptions()))
    traffic: Traffic = field(default_factory=lambda: Traffic(0, 0))
    """What looking at scenes asked of servers."""

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Every scene that is part of an observation, each once, in the order of reading."""
        found = {scene.id: scene for observation in self.programme.observations for scene in observation.scenes}
        return tuple(found.values())

    def digest(self, job: Job) -> str:
        """Digest of the job, of every granule that may be read, and of this version of the program.

        A stopped computation goes on only where all of it is the same.
        """
        scenes = (*self.scenes, *self.selection.chosen, *self.selection.reserves, *self.company.level_1c)
        granules = {granule.id: granule for scene in scenes for granule in scene.granules}
        elevation = self.dem.granules if self.dem else ()
        sources = sources_digest(granule.version for granule in (*granules.values(), *elevation))
        return fingerprint(job.digest, fingerprint(sources, __version__))

    def replacement(self, failed: Observation, used: Iterable[str]) -> Observation | None:
        """Return what stands in for an observation that cannot be read; None where nothing is left."""
        tried = set(used)
        while (other := replacement(self.selection, failed.scenes[0], tried)) is not None:
            tried.add(other.id)
            if found := self.observation_of(other):
                return found
        return None

    def observation_of(self, scene: Scene) -> Observation | None:
        """Return the observation that a scene leads; None where it lacks a companion that it needs."""
        led = self.company.programme([scene]).observations
        return led[0] if led else None

    def filler_of(self, observation: Observation) -> Scene | None:
        """Return the Sentinel-1 scene that fills the gaps of an observation; None where none does."""
        return self.company.programme(observation.scenes[:1]).fillers.get(observation.id)


def choose(job: Job, source: Source, model: BetaEarth, *, workers: int = DEFAULT_WORKERS) -> Choice:
    """Search the source and choose the scenes of the year.

    Raises:
        ConfigError: the source cannot give the variant the inputs that it needs.
        TransientError: the source did not answer, or a scene classification could not be read now.
    """
    together = job.options.observations.together or Together.SEPARATE
    sensors = check_inputs(model.variant, together, frozenset(source.profile.collections))
    check_company(job.options.observations, together, model.variant, sensors)
    before = source.files.traffic
    candidates = source.search(job.area, job.year, sensors)
    check_assets(candidates, source.profile)
    grouped = to_scenes(candidates, job.grid.epsg)
    looking = Looking(job, source, workers)
    if job.options.selection.policy == "published":
        selection, unreadable = looking.as_published(candidates, sensors & DATED)
    else:
        selection, unreadable = looking.inside([scene for scene in grouped.scenes if scene.sensor in DATED], sensors)
    needs_all = default_together(model.variant) is Together.JOINT
    company = Company(
        job.options.observations,
        radar=radar_of(selection, job),
        level_1c=tuple(scene for scene in grouped.scenes if scene.sensor is Sensor.S2_L1C),
        needed=sensors - {Sensor.DEM} if needs_all else frozenset(),
    )
    composed = company.programme(selection.chosen)
    missing = missing_upstream(candidates, job.year, sensors, today=datetime.now(UTC).date())
    superseded = {} if job.options.selection.policy == "published" else grouped.rejected
    return Choice(
        candidates=tuple(candidates),
        selection=selection,
        programme=composed,
        dem=elevation(grouped.scenes, sensors, source),
        rejected=_never_read({**superseded, **selection.rejected, **composed.rejected}, composed),
        unreadable=unreadable,
        missing=missing,
        notices=tuple(notices_of(candidates, composed, missing, together, source.profile)),
        company=company,
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


def radar_of(selection: Selection, job: Job) -> tuple[Scene, ...]:
    """Return the Sentinel-1 scenes that may come with a date or fill it: those that cover all, where there are any.

    One that covers half of the grid would take the other half of a clear date away.
    """
    scenes = {scene.id: scene for scene in (*selection.chosen, *selection.reserves) if scene.sensor is Sensor.S1}
    coverage = footprint_coverage(scenes.values(), job.grid)
    whole = [scene for name, scene in scenes.items() if coverage[name] >= COVERS_ALL]
    return tuple(whole or scenes.values())


def _never_read(rejected: Mapping[str, str], composed: Programme) -> dict[str, str]:
    """A scene that was not chosen for itself may still be read with another one."""
    scenes = [scene for observation in composed.observations for scene in observation.scenes]
    read = {granule.id for scene in (*scenes, *composed.fillers.values()) for granule in scene.granules}
    return {granule: reason for granule, reason in rejected.items() if granule not in read}

"""From candidate granules to an annual embedding, with the fate of every candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from betaearth.errors import DataError
from betaearth.events import Emit, GranuleDropped, SceneEncoded, ScenesSelected
from betaearth.inference.annual import annual_embedding, composite_sensors
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import Job
from betaearth.products.embedding import Embedding
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.model import Granule, Scene, SceneArrays, Sensor, Source
from betaearth.scenes.reading import read_scene, read_scenes
from betaearth.scenes.selection import select


@dataclass(frozen=True)
class Choice:
    """What was found for a job, and what of it is to be read."""

    candidates: tuple[Granule, ...]
    scenes: tuple[Scene, ...]
    """Observations in the order of reading."""
    dem: Scene | None
    rejected: Mapping[str, str]
    """Granule id to the rule by which it was not chosen."""


@dataclass(frozen=True)
class Observed:
    """What became of a scene that was read."""

    scene: Scene
    valid_fraction: float
    """Share of the grid's pixels that it observed."""
    unreadable: Mapping[str, str]
    """Granule id to the reason why its pixels are missing."""


@dataclass(frozen=True)
class Annual:
    """The outcome of a job's computation."""

    choice: Choice
    observed: tuple[Observed, ...]
    """Every scene that was read, the DEM among them."""
    embedding: Embedding | None
    """None where no pixel was observed."""
    reason: str | None
    """Why there is no embedding."""
    computed: Mapping[str, str] = field(default_factory=dict)
    """On which device and in which arithmetic; empty where nothing was."""


def choose(job: Job, source: Source, model: BetaEarth) -> Choice:
    """Search the source and choose the scenes of the year.

    Raises:
        ConfigError: the variant cannot work from observations of one sensor.
        TransientError: the source did not answer.
    """
    sensors = composite_sensors(model.variant)
    candidates = source.search(job.grid, job.year, sensors)
    grouped = to_scenes(candidates, job.grid.epsg)
    selection = select(grouped.scenes, job.options.selection, sensors=sensors)
    dem = next((scene for scene in grouped.scenes if scene.sensor is Sensor.DEM), None)
    return Choice(
        candidates=tuple(candidates),
        scenes=selection.chosen,
        dem=dem,
        rejected={**grouped.rejected, **selection.rejected},
    )


def compute_annual(job: Job, choice: Choice, model: BetaEarth, emit: Emit) -> Annual:
    """Read the chosen scenes, embed each and average them on the unit sphere.

    Raises:
        TransientError: a scene could not be read now; the product must not depend on that, so the job fails.
        DataError: not one of the chosen scenes could be read.
    """
    emit(ScenesSelected(job.name, job.year, granules=len(choice.candidates), scenes=len(choice.scenes)))
    if not choice.scenes:
        return Annual(choice, (), None, no_scene_reason(choice))
    dem = read_scene(choice.dem, job.grid) if choice.dem else None
    done: list[Observed] = []

    def note(arrays: SceneArrays) -> None:
        for granule, reason in arrays.unreadable.items():
            emit(GranuleDropped(job.name, job.year, granule=granule, reason=reason))
        emit(SceneEncoded(job.name, job.year, scene=arrays.scene.id, index=len(done) + 1, total=len(choice.scenes)))
        done.append(observe(arrays))

    scenes = read_scenes(choice.scenes, job.grid)
    embedding = annual_embedding(model, scenes, dem, job.grid.shape, job.options.inference, on_scene=note)
    observed = [*([observe(dem)] if dem else []), *done]
    refuse_unreadable(job, observed)
    if not embedding.valid.any():
        return Annual(choice, tuple(observed), None, "no chosen scene has a valid pixel over the grid")
    computed = {"device": model.device_name, "precision": model.arithmetic(job.options.inference.precision).value}
    return Annual(choice, tuple(observed), embedding, None, computed)


def refuse_unreadable(job: Job, observed: Sequence[Observed]) -> None:
    """Refuse to call a year empty that nobody has seen.

    A granule that cannot be read is left out of its product; where that is every granule, the files are gone, or not
    mounted, and a manifest would say for ever that there is nothing.

    Raises:
        DataError: not one of the chosen scenes could be read.
    """
    scenes = [entry for entry in observed if entry.scene.sensor is not Sensor.DEM]
    unread = [entry for entry in scenes if all(granule.id in entry.unreadable for granule in entry.scene.granules)]
    if scenes and len(unread) == len(scenes):
        granule, reason = next(iter(unread[0].unreadable.items()))
        raise DataError(
            f"{job.name} {job.year}: none of the {len(scenes)} chosen scenes could be read ({granule}: {reason}); "
            "make the source's files readable and run again"
        )


def observe(arrays: SceneArrays) -> Observed:
    """Note what became of a scene."""
    return Observed(arrays.scene, float(arrays.valid.mean()), dict(arrays.unreadable))


def no_scene_reason(choice: Choice) -> str:
    """Say why nothing was chosen."""
    observing = [granule for granule in choice.candidates if granule.sensor is not Sensor.DEM]
    if not observing:
        return "the source has no imagery over the grid in this year"
    return f"none of the {len(observing)} granules found is usable"

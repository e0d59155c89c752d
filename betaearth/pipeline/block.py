"""One block of a job: its observations read, embedded and averaged; can be stopped after any observation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from betaearth.grid.pixels import PixelGrid
from betaearth.inference.annual import CompositeState, Inputs, OnVectors, annual_embedding
from betaearth.inference.blocks import Block
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.choice import Choice
from betaearth.pipeline.job import Job
from betaearth.pipeline.ledger import Ledger
from betaearth.products.embedding import Embedding
from betaearth.scenes.masks import DEM_NODATA
from betaearth.scenes.model import Scene, SceneArrays, Sensor, Source
from betaearth.scenes.observations import Observation
from betaearth.scenes.reading import read_scene, read_scenes

if TYPE_CHECKING:
    from betaearth.inference.composite import AnnualComposite


NO_GAPS: Mapping[str, NDArray[np.uint16]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class ReadObservation(Inputs):
    """An observation, read over a block."""

    observation: Observation
    scenes: tuple[SceneArrays, ...]
    """Of the observation; the pixels are in `arrays`."""
    lost: bool
    """Whether the leading scene, or a companion that the variant needs, could not be read at all."""
    in_place_of: str | None = None
    """Id of the chosen observation that could not be read, where this one replaces it."""

    @property
    def gaps(self) -> NDArray[np.uint16]:
        """(y, x); 1 where the leading scene has data that do not count, because cloud hides the ground."""
        covered = self.scenes[0].covered
        if covered is None:
            return np.zeros_like(self.weight)
        gaps: NDArray[np.uint16] = (covered & (self.weight == 0)).astype(np.uint16)
        return gaps


@dataclass
class BlockState:
    """How far a block is."""

    done: list[str] = field(default_factory=list)
    """Ids of the observations that are in the composite."""
    lost: list[str] = field(default_factory=list)
    """Ids of those of them that could not be read at all."""
    noted: set[str] = field(default_factory=set)
    """Ids of the scenes that are in the ledger for this block."""
    gaps: dict[str, NDArray[np.uint16]] = field(default_factory=dict)
    """Sentinel-1 scene id to how many dates it fills at each pixel of the block's outer part."""
    composite: CompositeState | None = None
    """The mean with which to begin; None before the first observation."""

    def take_composite(self) -> CompositeState | None:
        """Return the mean with which to begin, and let go of it: it takes as much memory as the block."""
        mean, self.composite = self.composite, None
        return mean


@dataclass(frozen=True)
class BlockJob:
    """A block of a job, and where its pixels come from."""

    job: Job
    choice: Choice
    block: Block
    source: Source
    workers: int

    @property
    def outer(self) -> PixelGrid:
        """What is read of every scene."""
        return self.job.area.part(*self.block.outer)

    def read(self, scenes: Iterable[Scene]) -> Iterator[SceneArrays]:
        """Read scenes over the block, ahead of their use."""
        return read_scenes(
            scenes,
            self.outer,
            files=self.source.files,
            profile=self.source.profile,
            options=self.job.options.scenes,
            workers=self.workers,
        )

    def elevation(self) -> SceneArrays | None:
        """Read the elevation over what the scaling looks at; None where there is no DEM."""
        if self.choice.dem is None:
            return None
        return read_scene(
            self.choice.dem,
            self.job.area.part(*self.block.heights),
            files=self.source.files,
            profile=self.source.profile,
            options=self.job.options.scenes,
            workers=self.workers,
        )


def compute_block(
    work: BlockJob,
    model: BetaEarth,
    ledger: Ledger,
    state: BlockState,
    *,
    on_unreadable: Callable[[Mapping[str, str]], None],
    on_done: Callable[[ReadObservation, AnnualComposite], None],
    on_vectors: OnVectors | None = None,
) -> Embedding:
    """Read and embed the observations of a block, and average them on the unit sphere.

    Args:
        work: the block.
        model: the network.
        ledger: is told what becomes of every scene.
        state: how far an earlier run came; all but its mean is brought up to date before each `on_done`.
        on_unreadable: told of granules that turn out to be unreadable, id to reason, each once.
        on_done: called after each observation, with the mean so far.
        on_vectors: called with the vectors of each observation, see `annual_embedding`.

    Raises:
        TransientError: a file could not be read now; the product must not depend on that.
    """

    def done(inputs: Inputs, composite: AnnualComposite) -> None:
        if not isinstance(inputs, ReadObservation):
            raise TypeError(f"{type(inputs).__name__} is no observation that this block read")
        for arrays in inputs.scenes:
            seen = arrays.scene.sensor in inputs.arrays and arrays.scene.id not in state.noted
            pixels = _kept_pixels(inputs.weight > 0, work.block) if seen else 0
            on_unreadable(ledger.note(arrays, pixels))
            state.noted.add(arrays.scene.id)
        if inputs.in_place_of:
            ledger.replaced[inputs.observation.id] = inputs.in_place_of
        state.done.append(inputs.observation.id)
        if inputs.lost:
            state.lost.append(inputs.observation.id)
        _add_gaps(work, state.gaps, inputs)
        on_done(inputs, composite)

    elevation = work.elevation()
    if elevation is not None:
        pixels = 0 if elevation.scene.id in state.noted else int(elevation.valid.sum())
        on_unreadable(ledger.note(elevation, pixels))
        state.noted.add(elevation.scene.id)
    return annual_embedding(
        model,
        observations_of(work, state),
        None if elevation is None or not elevation.valid.any() else _metres(elevation),
        work.block,
        work.job.options.inference,
        state=state.take_composite(),
        on_done=done,
        on_vectors=on_vectors,
    )


def observations_of(work: BlockJob, state: BlockState) -> Iterator[ReadObservation]:
    """Read the observations that are not done yet: Sentinel-2 first, then Sentinel-1 and what it fills.

    It runs ahead of the network, so it keeps an account of the gaps of its own; `state` has those that are done.
    """
    gaps = {name: counts.copy() for name, counts in state.gaps.items()}
    programme = work.choice.programme
    for read in _with_stand_ins(
        work, state, [entry for entry in programme.observations if entry.sensor is not Sensor.S1]
    ):
        _add_gaps(work, gaps, read)
        yield read
    own = [entry for entry in programme.observations if entry.sensor is Sensor.S1]
    known = {entry.id for entry in own}
    pool = {scene.id: scene for scene in work.choice.company.radar}
    filling = [Observation((pool[name],)) for name, dates in gaps.items() if name not in known and dates.any()]
    radar = sorted([*own, *filling], key=lambda entry: (entry.sensed, entry.id))
    yield from _with_stand_ins(work, state, radar, only_filling=frozenset(entry.id for entry in filling), gaps=gaps)


def _with_stand_ins(
    work: BlockJob,
    state: BlockState,
    observations: Sequence[Observation],
    *,
    only_filling: frozenset[str] = frozenset(),
    gaps: Mapping[str, NDArray[np.uint16]] = NO_GAPS,
) -> Iterator[ReadObservation]:
    """Read observations; where one cannot be read at all, another date of its season comes in its place.

    Args:
        work: the block.
        state: what is done already.
        observations: in the order of reading.
        only_filling: ids of those that count only where they fill gaps; nothing comes in their place.
        gaps: what each fills.
    """
    queue = list(observations)
    used = {entry.id for entry in queue}
    in_place_of: dict[str, str] = {}
    lost = set(state.lost)
    while queue:
        waiting = [entry for entry in queue if entry.id not in state.done]
        arrays = work.read(scene for entry in waiting for scene in entry.scenes)
        for entry in waiting:
            scenes = [next(arrays) for _ in entry.scenes]
            own = entry.id not in only_filling
            read = _observed(entry, scenes, work.choice.company.needed, own=own, gaps=gaps.get(entry.id))
            if read.lost:
                lost.add(entry.id)
            yield replace(read, in_place_of=in_place_of.get(entry.id))
        failed, queue = [entry for entry in queue if entry.id in lost - only_filling], []
        for entry in failed:
            other = work.choice.replacement(entry, used)
            if other is not None:
                # What comes in the place of a stand-in comes in that of the chosen one.
                in_place_of[other.id] = in_place_of.get(entry.id, entry.id)
                used.add(other.id)
                queue.append(other)


def _observed(
    observation: Observation,
    scenes: Sequence[SceneArrays],
    needed: frozenset[Sensor],
    *,
    own: bool = True,
    gaps: NDArray[np.uint16] | None = None,
) -> ReadObservation:
    """Join what was read of an observation.

    A companion of which nothing can be read is left out, unless the variant needs it: the others are an observation
    still.
    """
    leading, *companions = scenes
    there = [leading, *(other for other in companions if other.scene.sensor in needed or not _lost(other))]
    valid = np.logical_and.reduce([arrays.valid for arrays in there])
    weight = valid * np.uint16(own)
    if gaps is not None:
        weight = weight + valid * gaps
    return ReadObservation(
        arrays={arrays.scene.sensor: arrays.data for arrays in there},
        doy=observation.doy,
        weight=weight,
        observation=observation,
        scenes=tuple(scenes),
        lost=any(_lost(arrays) for arrays in there),
    )


def _add_gaps(work: BlockJob, gaps: dict[str, NDArray[np.uint16]], read: ReadObservation) -> None:
    """Note where cloud hid a date that Sentinel-1 is to fill."""
    filler = work.choice.filler_of(read.observation) if read.observation.sensor is not Sensor.S1 else None
    if filler is not None:
        gaps[filler.id] = gaps.get(filler.id, np.uint16(0)) + read.gaps


def _metres(dem: SceneArrays) -> NDArray[np.float32]:
    return np.where(dem.valid, dem.data, DEM_NODATA).astype(np.float32)


def _lost(arrays: SceneArrays) -> bool:
    """Whether what a scene shows of the block could not be read: a granule that lies elsewhere is no comfort."""
    return bool(arrays.unreadable) and not (arrays.valid if arrays.covered is None else arrays.covered).any()


def _kept_pixels(valid: NDArray[np.bool_], block: Block) -> int:
    return int(valid[block.inner].sum())

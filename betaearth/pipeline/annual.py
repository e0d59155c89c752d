"""From what was chosen to an annual embedding in a draft, with the fate of every candidate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from betaearth.errors import DataError
from betaearth.events import BlockStarted, Emit, GranuleDropped, Notice, Resumed, SceneEncoded, ScenesSelected
from betaearth.inference.blocks import Block, blocks
from betaearth.inference.model import BetaEarth
from betaearth.inference.windows import Place
from betaearth.pipeline.block import BlockJob, BlockState, ReadObservation, compute_block
from betaearth.pipeline.checkpoint import Checkpoint
from betaearth.pipeline.choice import Choice, since
from betaearth.pipeline.job import Job
from betaearth.pipeline.ledger import Ledger
from betaearth.pipeline.processor import processor_name
from betaearth.pipeline.scene_outputs import SceneOutputs
from betaearth.products.draft import Draft
from betaearth.products.embedding import Embedding
from betaearth.scenes.files import Traffic
from betaearth.scenes.model import Sensor, Source

if TYPE_CHECKING:
    from betaearth.inference.composite import AnnualComposite


@dataclass(frozen=True)
class Annual:
    """The outcome of a job's computation; its pixels are in the draft."""

    choice: Choice
    ledger: Ledger
    observed: bool
    """Whether any pixel was."""
    reason: str | None
    """Why none was."""
    computed: Mapping[str, str] = field(default_factory=dict)
    """On which device and processor, by how many threads, in which arithmetic; empty where nothing was."""
    traffic: Traffic = field(default_factory=lambda: Traffic(0, 0))
    """What was asked of servers for it."""


@dataclass
class Progress:
    """Tells how far a job is, over all its blocks."""

    job: Job
    emit: Emit
    total: int
    """Observations of all blocks."""
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    here: int = 0
    """Observations done by this process: what the time left is reckoned from."""
    dropped: set[str] = field(default_factory=set)
    """Granules that were told of."""

    def resume(self, observations: int) -> None:
        """Tell that an earlier run did some observations."""
        self.done += observations
        self.emit(Resumed(self.job.name, self.job.year, scenes=self.done))

    def drop(self, unreadable: Mapping[str, str]) -> None:
        """Tell of granules that cannot be read."""
        for granule, reason in unreadable.items():
            if granule not in self.dropped:
                self.dropped.add(granule)
                self.emit(GranuleDropped(self.job.name, self.job.year, granule=granule, reason=reason))

    def advance(self, read: ReadObservation) -> None:
        """Tell of an observation."""
        self.done += 1
        self.here += 1
        self.total = max(self.total, self.done)
        pace = (time.monotonic() - self.started) / self.here
        self.emit(
            SceneEncoded(
                self.job.name,
                self.job.year,
                scene=read.observation.id,
                index=self.done,
                total=self.total,
                seconds_left=round(pace * (self.total - self.done), 1),
            )
        )


def compute_annual(
    job: Job,
    choice: Choice,
    model: BetaEarth,
    source: Source,
    draft: Draft,
    *,
    workers: int,
    emit: Emit,
    checkpoint: Checkpoint | None = None,
    outputs: SceneOutputs | None = None,
) -> Annual:
    """Read the chosen scenes, embed each observation and average them on the unit sphere, block by block.

    Args:
        job: what was asked.
        choice: what is to be read.
        model: the network.
        source: where the pixels come from.
        draft: where the blocks go.
        workers: files read at once.
        emit: called with progress events.
        checkpoint: what an earlier run left, and where this one leaves what it has; None keeps nothing.
        outputs: takes what is to be kept of every scene; None keeps nothing.

    Raises:
        TransientError: a scene could not be read now; the product must not depend on that, so the job fails.
        DataError: none, or too few, of the chosen scenes could be read.
    """
    emit(ScenesSelected(job.name, job.year, granules=len(choice.candidates), scenes=len(choice.scenes)))
    for sentence in choice.notices:
        emit(Notice(f"{job.name} {job.year}: {sentence}"))
    parts = blocks_of(job)
    progress = Progress(job, emit, total=len(parts) * len(choice.programme.observations))
    progress.drop(choice.unreadable)
    refuse_unseen(job, choice)
    if not choice.programme.observations:
        return Annual(choice, Ledger(), observed=False, reason=no_scene_reason(choice), traffic=choice.traffic)
    before = source.files.traffic
    maker = BlockMaker(model, draft, progress, checkpoint, outputs)
    ledger = Ledger()
    for index, block in enumerate(parts):
        if len(parts) > 1:
            emit(BlockStarted(job.name, job.year, index=index + 1, total=len(parts)))
        ledger = maker.make(BlockJob(job, choice, block, source, workers), index, ledger)
    refuse_unreadable(job, choice, ledger)
    read = since(before, source)
    traffic = Traffic(choice.traffic.requests + read.requests, choice.traffic.bytes + read.bytes)
    if not draft.observed:
        reason = "no chosen scene has a valid pixel over the grid"
        return Annual(choice, ledger, observed=False, reason=reason, traffic=traffic)
    computed = {
        "device": model.device_name,
        "processor": processor_name(),
        "threads": str(model.threads),  # sums in other parts round otherwise
        "precision": model.arithmetic(job.options.inference.precision).value,
    }
    return Annual(choice, ledger, observed=True, reason=None, computed=computed, traffic=traffic)


@dataclass(frozen=True)
class BlockMaker:
    """Makes blocks, or finds them made."""

    model: BetaEarth
    draft: Draft
    progress: Progress
    checkpoint: Checkpoint | None
    outputs: SceneOutputs | None

    def make(self, work: BlockJob, index: int, ledger: Ledger) -> Ledger:
        """Put a block into the draft; returns the ledger with it."""
        place = on_grid(work.block, work.job.options.scenes.halo)
        finished = self.checkpoint.finished(index) if self.checkpoint else None
        if finished is not None and self.draft.holds(place):
            self.progress.resume(len(work.choice.programme.observations))
            return finished
        state, ledger = (self.checkpoint.current(index) if self.checkpoint else None) or (BlockState(), ledger)
        if state.done:
            self.progress.resume(len(state.done))
        self.draft.put(place, self._compute(work, index, state, ledger, place))
        if self.checkpoint:
            self.checkpoint.finish(index, ledger)
        return ledger

    def _compute(self, work: BlockJob, index: int, state: BlockState, ledger: Ledger, place: Place) -> Embedding:
        def done(read: ReadObservation, mean: AnnualComposite) -> None:
            self.progress.advance(read)
            if self.outputs:
                self.outputs.put_inputs(read, place, work.block.inner)
            if self.checkpoint:
                self.checkpoint.keep(index, state, mean.state(), ledger)

        return compute_block(
            work,
            self.model,
            ledger,
            state,
            on_unreadable=self.progress.drop,
            on_done=done,
            on_vectors=self.outputs.vectors_of(place) if self.outputs else None,
        )


def blocks_of(job: Job) -> list[Block]:
    """Cut a job into blocks."""
    return blocks(job.grid.shape, halo=job.options.scenes.halo, **job.options.inference.windows)


def places_of(job: Job) -> list[Place]:
    """Return the rows and columns of the grid that each block makes."""
    return [on_grid(block, job.options.scenes.halo) for block in blocks_of(job)]


def on_grid(block: Block, halo: int) -> Place:
    """Return the rows and columns of the grid that a block makes."""
    rows, columns = (slice(part.start - halo, part.stop - halo) for part in block.kept)
    return (rows, columns)


def refuse_unseen(job: Job, choice: Choice) -> None:
    """Refuse to go without Sentinel-2 where its scenes could not even be looked at.

    A year of radar alone is another product, and a manifest would say for ever that there is nothing else.

    Raises:
        DataError: a scene classification could not be read, and no Sentinel-2 scene was chosen.
    """
    if any(observation.sensor is not Sensor.S1 for observation in choice.programme.observations):
        return
    for granule, reason in choice.unreadable.items():
        raise DataError(
            f"{job.name} {job.year}: none of the scenes that could be looked at is usable ({granule}: {reason}); "
            "make the source's files readable and run again"
        )


def refuse_unreadable(job: Job, choice: Choice, ledger: Ledger) -> None:
    """Refuse a product that rests on too little because granules could not be read.

    A granule that cannot be read is left out of its product, and another date comes in its place. Where that leaves
    fewer scenes than `min_scenes`, or none, the files are gone, or not mounted, and a manifest would say for ever that
    there is nothing. Where there is Sentinel-2, its scenes are counted: a year of radar alone is another product.

    Raises:
        DataError: too few of the chosen scenes could be read.
    """
    optical = [entry for entry in choice.programme.observations if entry.sensor is not Sensor.S1]
    counted = optical or list(choice.programme.observations)
    torn = {name: entry.unreadable for name, entry in ledger.entries.items() if entry.lost}
    lost = {
        entry.id: torn[scene.id]
        for entry in counted
        for index, scene in enumerate(entry.scenes)
        if scene.id in torn and (index == 0 or scene.sensor in choice.company.needed)
    }
    if not lost:
        return
    names = {entry.id for entry in counted}
    stand_ins = [name for name, missing in ledger.replaced.items() if missing in names and name not in torn]
    left = len(counted) - len(lost) + len(stand_ins)
    if left >= min(len(counted), job.options.selection.min_scenes):
        return
    granule, reason = next(iter(next(iter(lost.values())).items()))
    count = "none" if left <= 0 else f"only {left}"
    raise DataError(
        f"{job.name} {job.year}: {count} of the {len(counted)} chosen scenes could be read ({granule}: {reason}); "
        "make the source's files readable and run again"
    )


def no_scene_reason(choice: Choice) -> str:
    """Say why nothing was chosen."""
    observing = [granule for granule in choice.candidates if granule.sensor is not Sensor.DEM]
    if not observing:
        return "the source has no imagery over the grid in this year"
    reasons = sorted({reason for granule, reason in choice.rejected.items()})
    return f"none of the {len(observing)} granules found is usable: {'; '.join(reasons)}"

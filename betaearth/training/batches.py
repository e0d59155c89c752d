"""Batches of crops in a seeded order: each is a function of seed, epoch, step and rank alone.

A run that goes on therefore needs nothing but its position, and processes that share a batch see, together, what one
process with the larger batch sees.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from betaearth.errors import ConfigError
from betaearth.scenes.model import BANDS, Sensor
from betaearth.training.dataset import Dataset, Row, Sample, Window

AHEAD = 3
"""Batches that are read before they are needed."""
ORDER, CROP = 1, 2
"""What a draw is for, as a part of its seed."""


@dataclass(frozen=True)
class Batch:
    """Chips of one size, as the networks take them."""

    inputs: Mapping[Sensor, Tensor]
    """Each (n, channels, y, x), scaled; zeros where it is absent."""
    present: Mapping[Sensor, Tensor]
    """Each (n,) bool, on the CPU."""
    doy: Tensor
    """(n,) days of the year."""
    target: Tensor
    """(n, 64, y, x), unit length, 0 where there is none."""
    valid: Tensor
    """(n, y, x) bool, True where there is a target."""
    places: tuple[int, ...] = ()
    """Of the chips in the epoch's order, over all processes."""

    def __len__(self) -> int:
        return len(self.doy)

    def to(self, device: torch.device) -> Batch:
        """Move what networks compute with to a device."""
        if device.type == "cpu":
            return self
        return Batch(
            {sensor: value.to(device, non_blocking=True) for sensor, value in self.inputs.items()},
            self.present,
            self.doy.to(device),
            self.target.to(device, non_blocking=True),
            self.valid.to(device, non_blocking=True),
            self.places,
        )


class Batches:
    """The batches of a split, epoch by epoch. A chip comes at most once an epoch; what fills no batch is left."""

    def __init__(
        self,
        data: Dataset,
        rows: Sequence[Row],
        *,
        batch_size: int,
        crop: int,
        seed: int,
        augment: Literal["none", "dihedral"] = "none",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """Prepare.

        Args:
            data: that the rows are of.
            rows: chips to learn from.
            batch_size: chips of this process.
            crop: edge of a crop in pixels, which fits into every chip (see `lessons.check_crop`).
            seed: of order, crops and mirroring.
            augment: `dihedral` mirrors and turns.
            rank: of this process.
            world: number of processes.

        Raises:
            ConfigError: there are fewer chips than one batch needs.
        """
        self._data, self._rows = data, tuple(rows)
        self._size, self._crop, self._seed, self._augment = batch_size, crop, seed, augment
        self._rank, self._world = rank, world
        needed = batch_size * world
        if len(self._rows) < needed:
            raise ConfigError(
                f"a batch of {needed} chips ({batch_size} by {world} processes) needs more than the {len(self._rows)} "
                f"chips with a target that {data.folder} has to learn from: lower batch_size"
            )

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return len(self._rows) // (self._size * self._world)

    def places(self, step: int) -> range:
        """Tell which places in the epoch's order this process takes at a step."""
        first = (step * self._world + self._rank) * self._size
        return range(first, first + self._size)

    def batch(self, epoch: int, step: int) -> Batch:
        """Read a batch; epochs and steps count from 0.

        Raises:
            DataError: a shard is damaged.
        """
        order = self._order(epoch)
        places = self.places(step)
        return stacked([self._sample(epoch, place, order[place]) for place in places], tuple(places))

    def stream(self, epoch: int, start: int, workers: int) -> Iterator[Batch]:
        """Read the batches of an epoch from a step on, ahead of their use where there are workers.

        Raises:
            DataError: a shard is damaged.
        """
        if workers == 0:
            for step in range(start, self.steps):
                yield self.batch(epoch, step)
            return
        order = self._order(epoch)
        pool = ThreadPoolExecutor(workers, thread_name_prefix="betaearth-batches")
        waiting: deque[tuple[range, list[Future[Sample]]]] = deque()
        try:
            for step in range(start, self.steps + AHEAD):
                if step < self.steps:
                    places = self.places(step)
                    waiting.append((places, [pool.submit(self._sample, epoch, p, order[p]) for p in places]))
                if step >= start + AHEAD - 1 and waiting:
                    places, samples = waiting.popleft()
                    yield stacked([sample.result() for sample in samples], tuple(places))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, ORDER, epoch]).permutation(len(self._rows))

    def _sample(self, epoch: int, place: int, index: int) -> Sample:
        row = self._rows[index]
        rng = np.random.default_rng([self._seed, CROP, epoch, place])
        top, left = (int(rng.integers(edge - self._crop + 1)) for edge in (row.height, row.width))
        sample = self._data.read(row, Window(top, left, self._crop, self._crop))
        return turned(sample, int(rng.integers(8))) if self._augment == "dihedral" else sample


def turned(sample: Sample, which: int) -> Sample:
    """Apply one of the eight symmetries of a square to all arrays of a sample; 0 leaves it as it is."""

    def turn(array: NDArray[np.generic]) -> NDArray[np.generic]:
        mirrored = array[..., ::-1] if which >= 4 else array
        return np.rot90(mirrored, which % 4, axes=(-2, -1))

    return Sample(
        sample.row,
        {sensor: turn(array) for sensor, array in sample.inputs.items()},  # type: ignore[misc]
        turn(sample.target),  # type: ignore[arg-type]
        turn(sample.valid),  # type: ignore[arg-type]
        None if sample.clear is None else turn(sample.clear),  # type: ignore[arg-type]
        None if sample.labels is None else turn(sample.labels),  # type: ignore[arg-type]
    )


def stacked(samples: Sequence[Sample], places: tuple[int, ...] = ()) -> Batch:
    """Stack samples of one size into a batch."""
    height, width = samples[0].valid.shape
    inputs, present = {}, {}
    for sensor, bands in BANDS.items():
        arrays = np.zeros((len(samples), len(bands), height, width), np.float32)
        for i, sample in enumerate(samples):
            if sensor in sample.inputs:
                arrays[i] = sample.inputs[sensor]
        inputs[sensor] = torch.from_numpy(arrays)
        present[sensor] = torch.tensor([sensor in sample.inputs for sample in samples])
    return Batch(
        inputs,
        present,
        torch.tensor([float(sample.row.doy) for sample in samples]),
        # The networks' output has its channels last, too: products of two layouts took three times as long.
        torch.from_numpy(np.stack([sample.target.transpose(1, 2, 0) for sample in samples])).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([sample.valid for sample in samples])),
        places,
    )

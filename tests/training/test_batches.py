"""Batches: a function of seed, epoch, step and rank, whoever asks and however they are read."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch

from betaearth.errors import ConfigError
from betaearth.scenes.model import Sensor
from betaearth.training.batches import Batch, Batches, stacked, turned
from betaearth.training.dataset import Dataset
from tests.training.learnable import learnable_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return learnable_data(tmp_path_factory.mktemp("data") / "set", size=48)


def batches(data: Dataset, size: int = 4, **given: object) -> Batches:
    options: dict[str, object] = {"crop": 32, "seed": 5, "augment": "dihedral", **given}
    return Batches(data, data.rows(), batch_size=size, **options)  # type: ignore[arg-type]


def same(one: Batch, other: Batch) -> bool:
    return one.places == other.places and all(
        torch.equal(a, b)
        for a, b in (
            (one.target, other.target),
            (one.valid, other.valid),
            (one.doy, other.doy),
            *((one.inputs[sensor], other.inputs[sensor]) for sensor in Sensor),
            *((one.present[sensor], other.present[sensor]) for sensor in Sensor),
        )
    )


def test_an_epoch_holds_every_chip_once_in_an_order_of_its_own(data: Dataset) -> None:
    feed = batches(data, 6)
    assert feed.steps == 4

    def first_pixels(epoch: int) -> list[float]:
        plain = batches(data, 6, crop=32)
        return [float(value) for step in range(4) for value in plain.batch(epoch, step).target.sum(dim=(1, 2, 3))]

    assert len(set(first_pixels(0))) == 24
    assert first_pixels(0) == first_pixels(0)
    assert first_pixels(0) != first_pixels(1)


def test_reading_ahead_and_going_on_change_nothing(data: Dataset) -> None:
    feed = batches(data)
    expected = [feed.batch(1, step) for step in range(feed.steps)]
    for workers in (0, 3):
        for start in (0, 4):
            found = list(feed.stream(1, start, workers))
            assert len(found) == feed.steps - start
            assert all(same(a, b) for a, b in zip(found, expected[start:], strict=True))
    assert list(feed.stream(0, feed.steps, 2)) == []


def test_processes_share_the_batch_of_one(data: Dataset) -> None:
    whole = batches(data, 8).batch(2, 1)
    parts = [batches(data, 4, rank=rank, world=2).batch(2, 1) for rank in range(2)]
    assert tuple(chain(*(part.places for part in parts))) == whole.places
    assert torch.equal(torch.cat([part.target for part in parts]), whole.target)
    assert torch.equal(torch.cat([part.inputs[Sensor.S1] for part in parts]), whole.inputs[Sensor.S1])


def test_all_arrays_turn_alike(data: Dataset) -> None:
    sample = data.read(data.rows()[0])
    seen = set()
    for which in range(8):
        other = turned(sample, which)
        seen.add(other.target.tobytes())
        # The first target band and the elevation are functions of the same fields: what joins them stays joined.
        pairs = {(t, d) for t, d in zip(other.target[0].ravel(), other.inputs[Sensor.DEM].ravel(), strict=True)}
        assert pairs == set(zip(sample.target[0].ravel(), sample.inputs[Sensor.DEM].ravel(), strict=True))
    assert len(seen) == 8
    assert np.array_equal(turned(sample, 0).target, sample.target)


def test_an_absent_sensor_is_marked(data: Dataset) -> None:
    sample = data.read(data.rows()[0])
    lacking = turned(sample, 0)
    del lacking.inputs[Sensor.S1]  # type: ignore[attr-defined]
    batch = stacked([sample, lacking])
    assert batch.present[Sensor.S1].tolist() == [True, False]
    assert not batch.inputs[Sensor.S1][1].any()


def test_too_little_is_refused(data: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"a batch of 32 chips .16 by 2 processes. needs more than the 24 chips with"):
        batches(data, 16, world=2)

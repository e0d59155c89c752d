"""What a model is denied: how much, when, and that nobody else's draws matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from betaearth.scenes.model import Sensor
from betaearth.training.config import CurriculumConfig
from betaearth.training.curriculum import drop_chance, view

CONFIG = CurriculumConfig()
COUNT = 4000
DRAWN = {0.4: [2983, 2990, 3050, 2986, 3581], 1.0: [2065, 2032, 2128, 2069, 3581]}
"""Progress to the chips that keep each input and their date, as this drew before `withhold_s2` was there."""
ALL = {sensor: torch.ones(COUNT, dtype=torch.bool) for sensor in Sensor}


def test_nothing_is_dropped_at_first_then_ever_more_then_half() -> None:
    assert [drop_chance(CONFIG, progress) for progress in (0, 0.149, 0.15)] == [0, 0, 0]
    assert drop_chance(CONFIG, 0.4) == pytest.approx(0.25)
    assert [drop_chance(CONFIG, progress) for progress in (0.65, 0.9, 1.0)] == [0.5] * 3
    assert drop_chance(None, 1.0) == 0


def test_at_the_end_half_is_dropped_and_never_all() -> None:
    seen = view(CONFIG, ALL, range(COUNT), progress=1.0, key=(0, 0))
    kept = np.stack([mask.numpy() for mask in seen.present.values()])
    # Of the 1 in 16 that would have none, one of the four is kept.
    assert kept.mean() == pytest.approx(0.5 + 1 / 64, abs=0.02)
    assert kept.any(axis=0).all()
    assert {tuple(row) for row in kept.T} == {tuple(bool(n >> i & 1) for i in range(4)) for n in range(1, 16)}
    assert float(seen.dated.float().mean()) == pytest.approx(0.9, abs=0.02)


def test_early_only_dates_are_withheld() -> None:
    seen = view(CONFIG, ALL, range(COUNT), progress=0.1, key=(0, 0))
    assert all(mask.all() for mask in seen.present.values())
    assert not seen.dated.all()


def test_what_the_data_lack_stays_away() -> None:
    present = {Sensor.S1: torch.tensor([True, False, False]), Sensor.DEM: torch.tensor([False, True, False])}
    seen = view(CONFIG, present, (0, 1, 2), progress=1.0, key=(0, 0))
    assert seen.present[Sensor.S1].tolist() == [True, False, False]
    assert seen.present[Sensor.DEM].tolist() == [False, True, False]
    assert seen.seen.tolist() == [True, True, False]


def test_draws_depend_on_the_key_and_the_place_alone() -> None:
    def masks(places: range, key: tuple[int, ...]) -> torch.Tensor:
        some = {sensor: mask[: len(places)] for sensor, mask in ALL.items()}
        seen = view(CONFIG, some, places, progress=1.0, key=key)
        return torch.stack([*seen.present.values(), seen.dated])

    whole = masks(range(64), (7, 1))
    assert torch.equal(torch.cat([masks(range(32), (7, 1)), masks(range(32, 64), (7, 1))], dim=1), whole)
    assert not torch.equal(masks(range(64), (7, 2)), whole)


def test_cloud_takes_both_products_of_sentinel_2_and_nothing_else() -> None:
    config = CurriculumConfig(start=0, full=0, drop=0, withhold_s2=0.3)
    seen = view(config, ALL, range(COUNT), progress=0.5, key=(0, 0)).present
    assert torch.equal(seen[Sensor.S2_L1C], seen[Sensor.S2_L2A])
    assert float(seen[Sensor.S2_L2A].float().mean()) == pytest.approx(0.7, abs=0.03)
    assert bool(seen[Sensor.S1].all() and seen[Sensor.DEM].all())


def test_cloud_grows_with_the_curriculum() -> None:
    config = CurriculumConfig(start=0.2, full=0.6, drop=0, withhold_s2=0.8)

    def hidden(progress: float) -> float:
        seen = view(config, ALL, range(COUNT), progress=progress, key=(0, 0))
        return 1 - float(seen.present[Sensor.S2_L1C].float().mean())

    assert hidden(0.1) == 0
    assert hidden(0.4) == pytest.approx(0.4, abs=0.03)
    assert hidden(0.6) == pytest.approx(0.8, abs=0.03)


def test_cloud_does_not_take_all_that_there_is() -> None:
    config = CurriculumConfig(start=0, full=0, drop=0.5, withhold_s2=0.99)
    optical = {Sensor.S2_L1C: torch.tensor([True, False]), Sensor.S2_L2A: torch.tensor([False, True])}
    seen = view(config, optical, (0, 1), progress=1.0, key=(0, 0))
    assert seen.seen.tolist() == [True, True]


@pytest.mark.parametrize("progress", [0.4, 1.0])
def test_without_cloud_the_draws_are_what_they_were_before_there_was_any(progress: float) -> None:
    """So the demo weights, which are older than `withhold_s2`, are still what their commands give."""
    seen = view(CurriculumConfig(), ALL, range(COUNT), progress=progress, key=(1, 2))
    assert [int(mask.sum()) for mask in (*(seen.present[sensor] for sensor in Sensor), seen.dated)] == DRAWN[progress]


def test_without_a_curriculum_all_is_there() -> None:
    seen = view(None, ALL, range(COUNT), progress=1.0, key=(0,))
    assert bool(seen.dated.all())
    assert all(bool(mask.all()) for mask in seen.present.values())

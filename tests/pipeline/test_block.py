"""One block: what is read in which order, what stands in for what is lost, and a stop after any observation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from betaearth.grid.patch import area_pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.blocks import whole
from betaearth.pipeline.block import BlockJob, BlockState, ReadObservation, compute_block, observations_of
from betaearth.pipeline.choice import Choice, choose
from betaearth.pipeline.job import area_year
from betaearth.pipeline.ledger import Ledger
from betaearth.pipeline.options import ProductionOptions
from betaearth.products.embedding import Embedding
from betaearth.scenes.model import Granule, Sensor, Source
from betaearth.scenes.selection import SelectionOptions
from betaearth.synthetic.source import DEMO_LONLAT
from tests.pipeline.conftest import Relay, Workshop, read

if TYPE_CHECKING:
    from betaearth.inference.composite import AnnualComposite

LON, LAT = DEMO_LONLAT
GRID = area_pixel_grid((LON, LAT, LON + 0.006, LAT + 0.004))
CLOUDY = SelectionOptions(max_cloud=100.0, max_per_quarter=2)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterable[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Torn(Relay):
    """A source some of whose granules have a file that is not there."""

    ids: frozenset[str] = frozenset()

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        found = super().search(grid, year, sensors)
        return [self._torn(granule) if granule.id in self.ids else granule for granule in found]

    def _torn(self, granule: Granule) -> Granule:
        band = "VV" if granule.sensor is Sensor.S1 else "B08"
        return replace(granule, assets={**granule.assets, band: "/nowhere/torn.tif"})


def work_of(workshop: Workshop, source: Source, **groups: Any) -> BlockJob:
    """The only block of a small area in 2021."""
    options = ProductionOptions.model_validate({"selection": CLOUDY, **groups})
    job = area_year("area", GRID, 2021, model=workshop.model, source=source, options=options)
    block = whole(GRID.shape, **options.inference.windows)
    return BlockJob(job, choose(job, source, workshop.model), block, source, workers=4)


def torn(workshop: Workshop, choice: Choice, *indices: int) -> Source:
    """The workshop's source without some of the chosen observations."""
    lost = [choice.programme.observations[index].scenes[0] for index in indices]
    return Torn(workshop.source, frozenset(granule.id for scene in lost for granule in scene.granules))


def nothing(*_: object) -> None:
    """Do nothing."""


def test_optical_comes_first_and_each_by_time(workshop: Workshop) -> None:
    work = work_of(workshop, workshop.source)
    reads = list(observations_of(work, BlockState()))
    names = [entry.observation.id for entry in reads]
    assert names == [entry.id for entry in work.choice.programme.observations]
    sensors = [entry.observation.sensor for entry in reads]
    assert sensors == sorted(sensors, key=lambda sensor: sensor is Sensor.S1)
    for entry in reads:
        arrays = read(entry.observation.scenes[0], GRID, workshop.source)
        np.testing.assert_array_equal(entry.weight, arrays.valid)
        np.testing.assert_array_equal(entry.arrays[entry.observation.sensor], arrays.data)
        assert not entry.lost


def test_another_date_of_the_season_comes_in_the_place_of_a_lost_one(workshop: Workshop) -> None:
    choice = work_of(workshop, workshop.source, selection=SelectionOptions(max_per_quarter=1)).choice
    source = torn(workshop, choice, 1)
    work = work_of(workshop, source, selection=SelectionOptions(max_per_quarter=1))
    lost = work.choice.programme.observations[1]
    ledger, state = Ledger(), BlockState()
    dropped: list[Mapping[str, str]] = []
    embedding = compute_block(work, workshop.model, ledger, state, on_unreadable=dropped.append, on_done=nothing)
    ((other, instead),) = ledger.replaced.items()
    assert instead == lost.id
    reserve = next(scene for scene in work.choice.selection.reserves if scene.id == other)
    assert (reserve.sensed.month - 1) // 3 == (lost.sensed.month - 1) // 3
    assert state.lost == [lost.id]
    assert [set(entry) for entry in dropped if entry] == [{granule.id for granule in lost.scenes[0].granules}]
    scenes = [entry.scenes[0] for entry in work.choice.programme.observations if entry.id != lost.id]
    expected = sum(read(scene, GRID, source).valid.astype(int) for scene in [*scenes, reserve])
    np.testing.assert_array_equal(embedding.count, expected)


def test_a_companion_that_is_lost_is_left_out(workshop: Workshop) -> None:
    together = {"together": "joint", "s1_within_days": 60}
    choice = work_of(workshop, workshop.source, observations=together).choice
    pairs = [entry.scenes for entry in choice.programme.observations if entry.scenes[-1].sensor is Sensor.S1]
    radar = pairs[0][-1]
    source = Torn(workshop.source, frozenset(granule.id for granule in radar.granules))
    work = work_of(workshop, source, observations=together)
    for entry in observations_of(work, BlockState()):
        names = {scene.id for scene in entry.observation.scenes}
        assert (Sensor.S1 in entry.arrays) == (radar.id not in names and len(names) > 1)
        whole_ones = [arrays.valid for arrays in entry.scenes if arrays.scene.id != radar.id]
        np.testing.assert_array_equal(entry.weight, np.logical_and.reduce(whole_ones))


class StoppedError(Exception):
    """A stop in the midst of work."""


@pytest.mark.parametrize("after", [1, 4, 9])
def test_stopped_after_any_observation_it_goes_on_to_the_same_bits(after: int, workshop: Workshop) -> None:
    filling = {"gap_fill": True, "s1_within_days": 40}
    source = torn(workshop, work_of(workshop, workshop.source, observations=filling).choice, 0)
    work = work_of(workshop, source, observations=filling)

    def run(state: BlockState, ledger: Ledger, stop: int) -> tuple[Embedding, list[str]]:
        done: list[str] = []

        def on_done(given: ReadObservation, mean: AnnualComposite) -> None:
            done.append(given.observation.id)
            if len(done) == stop:
                state.composite = mean.state()
                raise StoppedError

        return compute_block(work, workshop.model, ledger, state, on_unreadable=nothing, on_done=on_done), done

    whole_ledger, ledger, state = Ledger(), Ledger(), BlockState()
    undisturbed, order = run(BlockState(), whole_ledger, 0)
    with pytest.raises(StoppedError):
        run(state, ledger, after)
    assert state.done == order[:after]
    kept, again = Ledger.from_json(ledger.to_json()), replace(state, noted=set(state.noted))
    resumed, rest = run(again, kept, 0)
    assert rest == order[after:]
    np.testing.assert_array_equal(resumed.vectors, undisturbed.vectors)
    np.testing.assert_array_equal(resumed.count, undisturbed.count)
    np.testing.assert_array_equal(resumed.dispersion, undisturbed.dispersion)
    assert kept == whole_ledger
    assert len(kept.replaced) == 1


def test_radar_counts_as_often_as_it_fills(workshop: Workshop) -> None:
    every = SelectionOptions(max_cloud=100.0, s1_per_quarter=2)
    filling = {"gap_fill": True, "s1_within_days": 60}
    work = work_of(workshop, workshop.source, selection=every, observations=filling)
    programme = work.choice.programme
    gaps: dict[str, Any] = {}
    for entry in programme.observations:
        if entry.id in programme.fillers:
            arrays = read(entry.scenes[0], GRID, workshop.source)
            filler = programme.fillers[entry.id].id
            assert arrays.covered is not None
            gaps[filler] = gaps.get(filler, 0) + (arrays.covered & ~arrays.valid)
    own = {entry.id for entry in programme.observations}
    reads = observations_of(work, BlockState())
    radar = {found.observation.id: found for found in reads if found.observation.sensor is Sensor.S1}
    assert max(found.weight.max() for found in radar.values()) > 1
    for name, found in radar.items():
        valid = read(found.observation.scenes[0], GRID, workshop.source).valid
        np.testing.assert_array_equal(found.weight, valid * (gaps.get(name, np.zeros(GRID.shape)) + (name in own)))
    idle = {name for name, filled in gaps.items() if not filled.any()} - own
    assert idle.isdisjoint(radar)

"""The story of a tile-year: what is written, in which order, and what is said of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from betaearth.errors import DataError, TransientError
from betaearth.events import Event, SceneEncoded, ScenesSelected, TileYearFinished, TileYearSkipped, TileYearStarted
from betaearth.grid.pixels import PixelGrid
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.plan import State, plan
from betaearth.pipeline.tile_year import find_manifest, run_tile_year
from betaearth.products.manifest import Fate, Manifest
from betaearth.products.quantise import dequantise
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import Granule, Sensor
from betaearth.scenes.selection import SelectionOptions
from betaearth.storage.folder import FolderStore
from betaearth.storage.store import Store
from tests.pipeline.conftest import Relay, Workshop, read

NewStore = Callable[[str], Store]


@pytest.fixture(scope="module")
def made(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> tuple[FolderStore, Manifest, list[Event]]:
    store = FolderStore(tmp_path_factory.mktemp("made"))
    events: list[Event] = []
    manifest = run_tile_year(
        workshop.job(), source=workshop.source, model=workshop.model, store=store, emit=events.append
    )
    return store, manifest, events


def test_the_events_tell_the_story(made: tuple[FolderStore, Manifest, list[Event]], workshop: Workshop) -> None:
    _, manifest, events = made
    encoded = [event for event in events if isinstance(event, SceneEncoded)]
    assert isinstance(events[0], TileYearStarted)
    assert isinstance(events[1], ScenesSelected)
    assert isinstance(events[-1], TileYearFinished)
    assert [event.index for event in encoded] == list(range(1, len(encoded) + 1))
    assert {event.cell for event in encoded} == {workshop.cell.id}
    assert {scene.id for scene in manifest.scenes} <= {event.scene for event in encoded}


def test_every_candidate_has_a_fate(made: tuple[FolderStore, Manifest, list[Event]], workshop: Workshop) -> None:
    _, manifest, _ = made
    found = workshop.source.search(workshop.job().grid, 2021, frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM}))
    assert sorted(record.id for record in manifest.granules) == sorted(granule.id for granule in found)
    for record in manifest.granules:
        assert (record.fate is Fate.USED) == (record.reason is None)
        assert not any(Path(href).is_absolute() for href in record.hrefs.values())
    used = {record.id for record in manifest.granules if record.fate is Fate.USED and record.sensor != "dem"}
    assert used <= {granule for scene in manifest.scenes for granule in scene.granules}
    assert {"used", "rejected"} <= {record.fate.value for record in manifest.granules}


def test_the_product_is_the_mean_of_its_scenes(
    made: tuple[FolderStore, Manifest, list[Event]], workshop: Workshop
) -> None:
    """Recompute the annual mean with `predict` and numpy alone, scene by scene of the manifest."""
    from betaearth.scenes.grouping import to_scenes

    store, manifest, _ = made
    grid = workshop.job().grid
    granules = workshop.source.search(grid, 2021, frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM}))
    scenes = {scene.id: scene for scene in to_scenes(granules, grid.epsg).scenes}
    dem = read(scenes["dem"], grid, workshop.source).data
    total = np.zeros((*grid.shape, 64), np.float64)
    count = np.zeros(grid.shape, int)
    for record in manifest.scenes:
        arrays = read(scenes[record.id], grid, workshop.source)
        vectors = workshop.model.predict(**{record.sensor: arrays.data}, dem=dem, doy=record.doy)  # type: ignore[arg-type]
        total += np.where(arrays.valid[:, :, None], vectors, 0.0)
        count += arrays.valid
    expected = total / np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), 1e-12)
    with rasterio.open(store.href(manifest.files["embeddings.tif"].key)) as file:
        codes = np.moveaxis(file.read(), 0, -1)
    with rasterio.open(store.href(manifest.files["quality.tif"].key)) as file:
        np.testing.assert_array_equal(file.read(1), np.where(count > 0, count, 65535))
    cosine = (dequantise(codes)[count > 0] * expected[count > 0]).sum(axis=-1)
    assert cosine.mean() > 0.9999
    assert cosine.min() > 0.9997  # what the codes of 8 bits leave


def test_a_second_run_finds_it_made(made: tuple[FolderStore, Manifest, list[Event]], workshop: Workshop) -> None:
    store, manifest, _ = made
    events: list[Event] = []
    before = sorted(store.list())
    again = run_tile_year(workshop.job(), source=workshop.source, model=workshop.model, store=store, emit=events.append)
    assert again == manifest
    assert events == [TileYearSkipped(workshop.cell.id, 2021)]
    assert sorted(store.list()) == before


def test_equal_requests_give_equal_bytes(
    made: tuple[FolderStore, Manifest, list[Event]], workshop: Workshop, store: Store
) -> None:
    _, manifest, _ = made
    again = run_tile_year(workshop.job(), source=workshop.source, model=workshop.model, store=store)
    assert again.files == manifest.files
    assert again.fingerprint == manifest.fingerprint
    assert again.product_digest == manifest.product_digest


def test_each_option_changes_the_product(
    made: tuple[FolderStore, Manifest, list[Event]], workshop: Workshop, new_store: NewStore
) -> None:
    _, manifest, _ = made
    for number, change in enumerate(
        (
            {"selection": {"max_cloud": 1.0}},
            {"selection": {"max_per_quarter": 1}},
            {"selection": {"s1_per_quarter": 2}},
            {"inference": {"tile_size": 64, "overlap": 32}},
            {"product": {"dtype": "float32"}},
        )
    ):
        job = workshop.job(options=ProductionOptions.model_validate(change))
        other = run_tile_year(job, source=workshop.source, model=workshop.model, store=new_store(f"s{number}"))
        assert other.product_digest != manifest.product_digest, change


def test_another_request_is_not_taken_for_made(workshop: Workshop, store: Store) -> None:
    first = run_tile_year(workshop.job(), source=workshop.source, model=workshop.model, store=store)
    plain = workshop.job(options=ProductionOptions.model_validate({"product": {"dtype": "float32"}}))
    events: list[Event] = []
    second = run_tile_year(plain, source=workshop.source, model=workshop.model, store=store, emit=events.append)
    assert second.request_digest != first.request_digest
    assert TileYearSkipped(workshop.cell.id, 2021) not in events
    assert find_manifest(workshop.job(), store) == first
    assert find_manifest(plain, store) == second


def test_plan_tells_missing_stale_and_current(
    made: tuple[FolderStore, Manifest, list[Event]], workshop: Workshop
) -> None:
    store, _, _ = made

    def states(years: list[int], options: ProductionOptions) -> list[State]:
        planned = plan(
            [workshop.cell], years, model=workshop.model, source=workshop.source, options=options, store=store
        )
        return [entry.state for entry in planned]

    assert states([2021, 2022, 2021], ProductionOptions()) == [State.CURRENT, State.MISSING]
    assert states([2021], ProductionOptions(selection=SelectionOptions(max_cloud=5))) == [State.STALE]


def copied_source(workshop: Workshop, folder: Path) -> Path:
    """Copy the synthetic granules, so that a test may damage them."""
    grid = workshop.job().grid
    found = workshop.source.search(grid, 2021, frozenset({Sensor.S2_L2A}))
    original = Path(found[0].assets["B02"]).parents[2]
    shutil.copytree(original, folder)
    return folder / "items.json"


def test_an_unreadable_asset_drops_its_granule_and_says_so(workshop: Workshop, store: Store, tmp_path: Path) -> None:
    items = copied_source(workshop, tmp_path / "source")
    source = ItemCollectionSource(str(items))
    damaged = Workshop(workshop.model, source, workshop.cell)
    whole = run_tile_year(damaged.job(), source=source, model=workshop.model, store=FolderStore(tmp_path))
    victim = next(scene for scene in whole.scenes if scene.sensor == "s2_l2a" and len(scene.granules) == 1)
    next(items.parent.rglob(f"{victim.granules[0]}/B04.tif")).write_bytes(b"not a raster")
    manifest = run_tile_year(damaged.job(), source=source, model=workshop.model, store=store)
    record = next(record for record in manifest.granules if record.id == victim.granules[0])
    assert record.fate is Fate.UNREADABLE
    assert "B04" in str(record.reason)
    assert str(tmp_path) not in str(record.reason)
    assert victim.id not in {scene.id for scene in manifest.scenes}
    assert manifest.statistics is not None
    assert whole.statistics is not None
    assert manifest.statistics.observations_mean < whole.statistics.observations_mean
    assert manifest.sources_digest != whole.sources_digest


def test_a_year_of_unreadable_assets_is_no_empty_year(workshop: Workshop, store: Store, tmp_path: Path) -> None:
    items = copied_source(workshop, tmp_path / "source")
    for path in items.parent.rglob("*.tif"):
        path.write_bytes(b"not a raster")
    source = ItemCollectionSource(str(items))
    job = Workshop(workshop.model, source, workshop.cell).job()
    with pytest.raises(DataError, match="none of the scenes that could be looked at is usable"):
        run_tile_year(job, source=source, model=workshop.model, store=store)
    assert list(store.list()) == []


class Flaky(Relay):
    """A source whose network fails."""

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        raise TransientError(f"{grid.epsg} {year} {len(sensors)}: no answer")


def test_a_transient_failure_fails_the_tile_year(workshop: Workshop, store: Store) -> None:
    flaky = Flaky(workshop.source)
    job = Workshop(workshop.model, flaky, workshop.cell).job()
    with pytest.raises(TransientError, match="no answer"):
        run_tile_year(job, source=flaky, model=workshop.model, store=store)
    assert list(store.list()) == []


def test_the_image_is_recorded_and_is_part_of_no_digest(
    made: tuple[FolderStore, Manifest, list[Event]], workshop: Workshop, store: Store
) -> None:
    _, plain, _ = made
    image = "registry.test/betaearth@sha256:" + "a" * 64
    manifest = run_tile_year(workshop.job(), source=workshop.source, model=workshop.model, store=store, image=image)
    assert manifest.software == {**plain.software, "image": image}
    assert "image" not in plain.software
    assert (manifest.request_digest, manifest.fingerprint) == (plain.request_digest, plain.fingerprint)
    assert manifest.product_digest == plain.product_digest

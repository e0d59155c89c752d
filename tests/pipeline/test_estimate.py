"""What a year would take, against what it took and against sizes that are known."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from betaearth.grid.patch import area_pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.blocks import whole
from betaearth.pipeline import estimate as module
from betaearth.pipeline.choice import choose
from betaearth.pipeline.estimate import Estimate, estimate_year, seconds_per_window
from betaearth.pipeline.generate import generate_area
from betaearth.pipeline.job import Job, area_year
from betaearth.pipeline.options import ProductionOptions
from betaearth.products.options import ProductOptions
from betaearth.scenes.files import Files
from betaearth.scenes.model import BANDS, SCL, Granule, Scene, Sensor
from betaearth.scenes.selection import SelectionOptions
from betaearth.synthetic.source import DEMO_LONLAT, OCEAN_LONLAT
from tests.pipeline.conftest import Workshop

OPTIONS = ProductionOptions(selection=SelectionOptions(max_per_quarter=1), product=ProductOptions(dtype="float32"))
LON, LAT = DEMO_LONLAT
WIDE = area_pixel_grid((LON, LAT, LON + 0.037, LAT + 0.002))


def job_of(workshop: Workshop, grid: PixelGrid) -> Job:
    return area_year("area", grid, 2021, model=workshop.model, source=workshop.source, options=OPTIONS)


@pytest.fixture
def wide(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Estimate:
    """Of an area of two windows, at a second a window."""
    monkeypatch.setattr(module, "seconds_per_window", lambda *_: 1.0)
    return estimate_year(job_of(workshop, WIDE), workshop.source, workshop.model)


def test_it_counts_what_a_run_reads_and_writes(workshop: Workshop, wide: Estimate, tmp_path: Path) -> None:
    (made,) = generate_area(
        "area", WIDE, [2021], source=workshop.source, model=workshop.model, options=OPTIONS, folder=tmp_path
    )
    manifest = made.manifest
    hrefs = [href for granule in manifest.granules if granule.scene for href in granule.hrefs.values()]
    assert (wide.scenes, wide.granules, wide.files) == (len(manifest.scenes), len(manifest.granules), len(hrefs))
    assert 224 < WIDE.width <= 336  # so there are two windows
    assert (wide.windows, wide.seconds) == (2 * len(manifest.observations), 2.0 * len(manifest.observations))
    assert made.embedding_path is not None
    assert wide.output_bytes == pytest.approx(made.embedding_path.stat().st_size, rel=0.2)


def test_looking_reads_no_band(workshop: Workshop, wide: Estimate, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    by_files = Files.open

    def note(files: Files, href: str) -> object:
        opened.append(href)
        return by_files(files, href)

    monkeypatch.setattr(Files, "open", note)
    assert estimate_year(job_of(workshop, WIDE), workshop.source, workshop.model) == wide
    assert {Path(href).name for href in opened} == {"SCL.tif"}


def made_up(sensor: Sensor, count: int) -> list[Scene]:
    bands = [*BANDS[sensor], *([SCL] if sensor is Sensor.S2_L2A else [])]
    sensed = datetime(2021, 1, 1, tzinfo=UTC)
    granule = Granule(
        id="g",
        collection="c",
        sensor=sensor,
        sensed=sensed,
        bounds=(8.0, 50.0, 9.0, 51.0),
        assets=dict.fromkeys(bands, "f"),
    )
    return [Scene(id=f"{sensor}-{index}", sensor=sensor, sensed=sensed, granules=(granule,)) for index in range(count)]


def test_the_bytes_of_a_tile_year_are_what_is_known_of_it(workshop: Workshop) -> None:
    """24 + 4 scenes and the DEM of a Major TOM cell are 0.55 to 0.7 GB over the network."""
    grid = PixelGrid(32632, 399_960.0, 5_800_020.0, 1068, 1068)
    block = whole(grid.shape, tile_size=224, overlap=112)
    scenes = [*made_up(Sensor.S2_L2A, 24), *made_up(Sensor.S1, 4), *made_up(Sensor.DEM, 1)]
    total = sum(module._bytes(scene, job_of(workshop, grid), block) for scene in scenes)
    assert 0.55e9 < total < 0.7e9


def test_where_there_is_no_scene_there_is_nothing_to_do(workshop: Workshop) -> None:
    lon, lat = OCEAN_LONLAT
    grid = area_pixel_grid((lon, lat, lon + 0.004, lat + 0.003))
    found = estimate_year(job_of(workshop, grid), workshop.source, workshop.model)
    assert (found.granules, found.scenes, found.files, found.bytes_) == (0, 0, 0, 0)
    assert (found.windows, found.seconds) == (0, 0.0)


def test_a_trial_measures_this_machine(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(workshop, WIDE)
    choice = choose(job, workshop.source, workshop.model)
    ticks = iter([0.0, 100.0, 200.0, 218.0])  # the first time, the network is being loaded
    monkeypatch.setattr("betaearth.pipeline.estimate.time.perf_counter", lambda: next(ticks))
    monkeypatch.setattr("betaearth.inference.observer.Observer.observe", lambda *_, **__: None)
    assert seconds_per_window(workshop.model, choice, job.options.inference) == 18.0 / 9  # 448 px: 3 x 3 windows

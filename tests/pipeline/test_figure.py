"""Figures beside products: drawn where they lack, bound to nothing, and never a reason to fail."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from betaearth.analysis.coarse import coarse_quality
from betaearth.errors import DataError, TransientError
from betaearth.events import Event, Notice
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.pipeline import figure
from betaearth.pipeline.area_folder import WORK
from betaearth.pipeline.figure import Story, marks_of
from betaearth.pipeline.generate import AreaYear, generate_area
from betaearth.pipeline.local import run_region
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.plan import Planned, plan
from betaearth.products.bands import QUALITY_NAMES
from betaearth.products.run_overview import Outcome
from betaearth.storage.store import Store
from betaearth.synthetic.source import OCEAN_LONLAT
from tests.pipeline.conftest import Workshop
from tests.pipeline.test_generate import area


def planned(workshop: Workshop, store: Store, *cells: Cell) -> list[Planned]:
    options = ProductionOptions()
    return plan(cells, [2021], model=workshop.model, source=workshop.source, options=options, store=store)


def size_of(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return image.size


def test_a_run_draws_what_it_made_beside_its_report(workshop: Workshop, store: Store) -> None:
    ocean = MajorTomGrid(500.0).cell_at(*OCEAN_LONLAT)
    entries = planned(workshop, store, workshop.cell, ocean)
    report = run_region(entries, source=workshop.source, model=workshop.model, store=store)
    assert report.overview == f"runs/{report.run}/overview.png"
    first = store.read(report.overview)
    assert size_of(first)[0] > 1000

    marks = list(marks_of(entries, Story(report.made, (), ())))
    assert [mark.outcome for mark in marks] == [Outcome.MADE, Outcome.EMPTY]
    (made,) = (manifest for manifest in report.made if manifest.outcome == "product")
    assert made.statistics
    assert marks[0].observations == made.statistics.observations_mean
    assert marks[0].preview
    assert marks[0].preview.key == made.files["preview.png"].key
    assert marks[0].preview.share == pytest.approx(500 / 1200)

    again = planned(workshop, store, workshop.cell, ocean)
    story = Story([], [f"{entry.name} {entry.year}" for entry in again], ())
    assert [mark.outcome for mark in marks_of(again, story)] == [Outcome.THERE] * 2
    events: list[Event] = []
    key = figure.run_figure("later", again, story, source=workshop.source, store=store, emit=events.append)
    assert key == "runs/later/overview.png"
    assert events == []
    assert size_of(store.read(key)) == size_of(first), "manifests of what was there already are read"
    assert run_region(again, source=workshop.source, model=workshop.model, store=store).overview is None


def test_what_failed_and_what_was_not_come_to(workshop: Workshop, store: Store) -> None:
    entries = planned(workshop, store, workshop.cell, MajorTomGrid(500.0).cell_at(13.0, 48.0))
    marks = list(marks_of(entries, Story([], (), [f"{workshop.cell.id} 2021"])))
    assert [mark.outcome for mark in marks] == [Outcome.FAILED, Outcome.LEFT]


@pytest.mark.parametrize("error", [DataError("odd"), TransientError("not now")])
def test_a_figure_that_cannot_be_drawn_fails_no_run(
    error: Exception, workshop: Workshop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise error

    monkeypatch.setattr(figure, "draw_run", refuse)
    events: list[Event] = []
    entries = planned(workshop, store, MajorTomGrid(500.0).cell_at(*OCEAN_LONLAT))
    report = run_region(entries, source=workshop.source, model=workshop.model, store=store, emit=events.append)
    assert (len(report.made), report.overview) == (1, None)
    assert Notice(f"the overview of the run was not drawn: {error}") in events
    assert not [key for key in store.list() if key.endswith(".png")]


def made(workshop: Workshop, folder: Path, events: list[Event] | None = None) -> AreaYear:
    (year,) = generate_area(
        "area",
        area(),
        [2021],
        source=workshop.source,
        model=workshop.model,
        options=ProductionOptions(),
        folder=folder,
        emit=events.append if events is not None else lambda _: None,
    )
    return year


def test_an_area_is_drawn_where_its_figure_lacks_and_only_there(workshop: Workshop, tmp_path: Path) -> None:
    first = made(workshop, tmp_path)
    path = tmp_path / "2021_overview.png"
    assert first.overview_path == path
    drawn = path.read_bytes()
    assert size_of(drawn)[0] > 1000
    assert path.name not in {record.key for record in first.manifest.files.values()}

    path.unlink()
    manifest = (tmp_path / "2021_manifest.json").read_bytes()
    again = made(workshop, tmp_path)
    assert (again.skipped, again.overview_path) == (True, path)
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(drawn).digest()
    assert (tmp_path / "2021_manifest.json").read_bytes() == manifest
    path.write_bytes(b"mine")
    made(workshop, tmp_path)
    assert path.read_bytes() == b"mine"

    (tmp_path / "2021_manifest.json").unlink()
    assert not made(workshop, tmp_path).skipped
    assert path.read_bytes() == drawn, "a year that is made anew has no figure of the old one"

    path.unlink()
    (tmp_path / "2021_preview_pca.png").write_bytes(bytes(first.manifest.files["preview.png"].size))
    (tmp_path / f"{WORK}2021-overview.tmp").write_bytes(b"of a process that was killed")
    events: list[Event] = []
    assert made(workshop, tmp_path, events).overview_path is None
    assert any(isinstance(event, Notice) and "2021_overview.png was not drawn" in event.message for event in events)
    assert not list(tmp_path.glob(f"{WORK}*"))


@pytest.mark.parametrize(("width", "read"), [(300, 300), (1024, 1024), (3000, 750)])
def test_a_large_raster_is_read_by_its_overview(width: int, read: int, tmp_path: Path) -> None:
    path = tmp_path / "quality.tif"
    profile = {"driver": "GTiff", "width": width, "height": 40, "count": 2, "dtype": "uint16", "nodata": 65535}
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 400_000, 0, -10, 5_400_000)}
    with rasterio.open(path, "w", **profile, **place, tiled=True, blockxsize=256, blockysize=256) as file:
        file.write(np.full((2, 40, width), 7, np.uint16))
        file.descriptions = QUALITY_NAMES
        file.scales = (1.0, 0.0001)
        if width > 1024:
            file.build_overviews([2, 4, 8])
    raster = coarse_quality(str(path))
    assert raster.canvas.width == read
    assert (raster.read((slice(0, raster.canvas.height), slice(0, read)), 0) == 7).all()

"""The demo's probe: what it reads, and that it finds what vectors tell of the land cover and nothing else."""

from __future__ import annotations

import json
import sys
from typing import cast

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.warp import transform
from sklearn.neighbors import KNeighborsClassifier

from betaearth.errors import DataError
from betaearth.evaluation.probes import ProbeTask, predict_linear, predict_majority
from betaearth.pipeline import land_cover_probe
from betaearth.pipeline.demo import DemoResult, probe
from betaearth.pipeline.job import TileYear
from betaearth.pipeline.land_cover_probe import STEP, probe_land_cover
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.products.manifest import Manifest
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.storage.open import open_store
from betaearth.storage.store import Store
from betaearth.synthetic.landscape import land_cover
from tests.pipeline.conftest import Relay, Workshop


@pytest.fixture(scope="module")
def made(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> tuple[TileYear, Manifest, Store]:
    """A small cell's product."""
    store, job = open_store(str(tmp_path_factory.mktemp("store"))), workshop.job()
    return job, run_tile_year(job, source=workshop.source, model=workshop.model, store=store), store


def source_of(workshop: Workshop) -> SyntheticSource:
    return cast("SyntheticSource", workshop.source)


def test_pixels_are_those_of_the_raster(made: tuple[TileYear, Manifest, Store], workshop: Workshop) -> None:
    """Place, vector and mean reflectance of every pixel that is asked about, by rasterio alone."""
    job, manifest, store = made
    samples = land_cover_probe._samples(job, manifest, source_of(workshop), store, 2)
    with rasterio.open(store.href(manifest.files["embeddings.tif"].key)) as file:
        rows, columns = np.mgrid[STEP // 2 : file.height : STEP, STEP // 2 : file.width : STEP]
        easting, northing = file.transform @ (columns.ravel() + 0.5, rows.ravel() + 0.5)
        codes = file.read()[:, rows.ravel(), columns.ravel()].astype(float)
        lon, lat = transform(file.crs, "EPSG:4326", easting, northing)
    np.testing.assert_allclose(samples.lon, lon, atol=1e-9)
    np.testing.assert_allclose(samples.lat, lat, atol=1e-9)
    vectors = np.sign(codes) * (codes / 127.5) ** 2
    np.testing.assert_allclose(samples.embeddings, (vectors / np.linalg.norm(vectors, axis=0)).T, atol=1e-6)
    assert samples.reflectance.shape == (len(lon), 9)
    assert np.nanmin(samples.reflectance) > 0
    assert np.nanmax(samples.reflectance) < 10_000  # a cloud is brighter than that of ground in the mean


def test_the_mean_is_that_of_the_scenes_that_entered(
    made: tuple[TileYear, Manifest, Store], workshop: Workshop
) -> None:
    job, manifest, _ = made
    first = next(scene for scene in manifest.scenes if scene.sensor == "s2_l2a")
    alone = manifest.model_copy(update={"scenes": [first]})
    one, every = (land_cover_probe._reflectance(job, it, source_of(workshop), 2) for it in (alone, manifest))
    seen = np.isfinite(one).all(axis=0)
    assert seen.mean() == pytest.approx(first.valid_fraction, abs=0.02)
    assert not np.allclose(one[:, seen], every[:, seen])


def striped(counts: dict[int, int]) -> NDArray[np.int64]:
    """Labels in turns, so that every block has some of each."""
    labels = np.repeat(list(counts), list(counts.values()))
    return labels[np.random.default_rng(0).permutation(len(labels))]


def test_a_linear_probe_finds_what_is_there_and_the_majority_does_not() -> None:
    labels = striped({1: 300, 4: 700})
    vectors = np.random.default_rng(1).normal(size=(1000, 5)).astype(np.float32)
    vectors[:, 0] += np.where(labels == 4, 6.0, -6.0)
    task = ProbeTask(vectors, labels, np.repeat(np.arange(10), 100))
    neighbours = KNeighborsClassifier(1).fit(vectors[:800], labels[:800]).score(vectors[800:], labels[800:])
    assert land_cover_probe._score(task, predict_linear) == pytest.approx(neighbours, abs=0.02)
    assert land_cover_probe._score(task, predict_majority) == 0.5
    mixed = ProbeTask(np.roll(vectors, 501, axis=0), labels, task.groups)
    assert land_cover_probe._score(mixed, predict_linear) < 0.6


def test_it_scores_the_classes_that_are_there(
    made: tuple[TileYear, Manifest, Store], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, manifest, store = made
    monkeypatch.setattr(land_cover_probe, "BLOCK_KM", 0.1)
    monkeypatch.setattr(land_cover_probe, "STEP", 3)
    monkeypatch.setattr(land_cover_probe, "LEAST", 10)
    source = source_of(workshop)
    found = probe_land_cover([(job, manifest)], source=source, store=store)
    lon, lat = land_cover_probe._pixels(job.grid)
    truth, counts = np.unique(land_cover(lon, lat), return_counts=True)
    assert len(found.classes) == (counts >= 10).sum()
    assert len(found.left_out) == (counts < 10).sum()
    assert found.pixels == counts[counts >= 10].sum()
    assert found.majority <= 1 / len(found.classes)
    assert found.embeddings > found.majority
    assert found.reflectance > found.majority
    assert probe_land_cover([(job, manifest)], source=source, store=store) == found
    assert len(truth) >= 2


def test_nothing_to_probe_is_said(made: tuple[TileYear, Manifest, Store], workshop: Workshop) -> None:
    job, manifest, store = made
    empty = manifest.model_copy(update={"outcome": "empty"})
    with pytest.raises(DataError, match="no product"):
        probe_land_cover([(job, empty)], source=source_of(workshop), store=store)


def test_without_scikit_learn_or_truth_there_is_no_probe(
    made: tuple[TileYear, Manifest, Store], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, manifest, store = made
    assert probe([(job, manifest)], source=Relay(workshop.source), store=store) is None
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert probe([(job, manifest)], source=workshop.source, store=store) is None
    assert json.loads(DemoResult(()).to_json()) == {"tile_years": [], "land_cover_probe": None, "overview": None}

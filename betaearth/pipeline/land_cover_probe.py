"""What embeddings of the synthetic Earth know of its land cover: a linear probe, beside what the bare imagery knows.

Every few pixels of every cell of a year are asked about. The ground is cut into blocks, whole blocks into folds: the
same ground in the patch of the next cell is never in both parts. All folds' answers are scored as one. The baselines
are the same probe on the year's mean reflectance, of the same Sentinel-2 scenes under the same cloud masks, and the
most frequent class. Nothing is drawn at random but the order of blocks, by a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from betaearth.analysis.rasters import embedding_file
from betaearth.errors import DataError
from betaearth.evaluation.confusion import Labels, score_classes
from betaearth.evaluation.probe_splits import block_folds, geographic_blocks
from betaearth.evaluation.probes import ProbeTask, predict_linear, predict_majority
from betaearth.grid.pixels import PixelGrid
from betaearth.grid.utm import lonlat_points
from betaearth.pipeline.job import TileYear
from betaearth.products.manifest import Manifest
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.model import S2_BANDS, Sensor
from betaearth.scenes.options import DEFAULT_WORKERS
from betaearth.scenes.reading import read_scenes
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.storage.store import Store
from betaearth.synthetic.landscape import LandCover, land_cover

STEP = 6
"""Pixels from one that is asked about to the next, in rows and columns."""
BLOCK_KM = 0.5
FOLDS = 5
LEAST = 50
"""Pixels that a class must have: balanced accuracy counts a class of three as much as one of three thousand."""

Values = NDArray[np.float32]
"""(pixel, feature)"""


@dataclass(frozen=True)
class LandCoverProbe:
    """How well a linear probe finds the land cover; scores are balanced accuracies, 0 to 1."""

    year: int
    pixels: int
    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    """Classes with too few pixels."""
    folds: int
    block_km: float
    """Edge of the blocks that folds are made of."""
    embeddings: float
    reflectance: float
    """Of the year's mean of the Sentinel-2 bands."""
    majority: float
    """Of the most frequent class: one over the number of classes, or less."""


@dataclass(frozen=True)
class _Samples:
    """Pixels of a cell."""

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    embeddings: Values
    """NaN where there is none."""
    reflectance: Values
    """Digital numbers; NaN where no scene shows the ground."""


def probe_land_cover(
    tile_years: Sequence[tuple[TileYear, Manifest]],
    *,
    source: SyntheticSource,
    store: Store,
    workers: int = DEFAULT_WORKERS,
) -> LandCoverProbe:
    """Ask embeddings and imagery for the land cover.

    Args:
        tile_years: of one year, with their manifests; those without a product have no part in it.
        source: of their imagery, which it is read from again, and of the truth.
        store: where their products lie.
        workers: files read at once.

    Raises:
        DataError: there is no product, or its pixels are of fewer than two classes.
    """
    samples = [
        _samples(job, manifest, source, store, workers) for job, manifest in tile_years if manifest.outcome == "product"
    ]
    if not samples:
        raise DataError("there is no product to probe")
    lon, lat = (np.concatenate([getattr(one, name) for one in samples]) for name in ("lon", "lat"))
    embeddings, reflectance = (
        np.concatenate([getattr(one, name) for one in samples]) for name in ("embeddings", "reflectance")
    )
    known = np.isfinite(embeddings).all(axis=1) & np.isfinite(reflectance).all(axis=1)
    truth = land_cover(lon, lat, seed=source.seed)
    values, counts = np.unique(truth[known], return_counts=True)
    frequent = values[counts >= LEAST]
    asked = known & np.isin(truth, frequent)
    blocks = geographic_blocks(lon[asked], lat[asked], BLOCK_KM)
    learned, bare = (ProbeTask(vectors[asked], truth[asked], blocks) for vectors in (embeddings, reflectance))
    # The sums are small: threads mostly wait for each other, on a busy machine for a minute instead of a second.
    with threadpool_limits(1):
        return LandCoverProbe(
            year=tile_years[0][0].year,
            pixels=len(learned.labels),
            classes=_names(frequent),
            left_out=_names(values[counts < LEAST]),
            folds=FOLDS,
            block_km=BLOCK_KM,
            embeddings=_score(learned, predict_linear),
            reflectance=_score(bare, predict_linear),
            majority=_score(learned, predict_majority),
        )


def _score(task: ProbeTask, predict: Callable[[ProbeTask, Values], Labels]) -> float:
    """Answer fold by fold; return the balanced accuracy of all answers."""
    said = np.empty_like(task.labels)
    for fold in block_folds(task.groups, FOLDS, seed=0):
        said[fold.test] = predict(task.take(fold.train), task.vectors[fold.test])
    return round(score_classes(task.labels, said, task.groups, seed=0).balanced_accuracy, 4)


def _samples(job: TileYear, manifest: Manifest, source: SyntheticSource, store: Store, workers: int) -> _Samples:
    lon, lat = _pixels(job.grid)
    whole = (slice(0, job.grid.height), slice(0, job.grid.width))
    vectors = embedding_file(store.href(manifest.files["embeddings.tif"].key)).read(whole)
    return _Samples(lon, lat, _thinned(vectors), _thinned(_reflectance(job, manifest, source, workers)))


def _pixels(grid: PixelGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitudes and latitudes of the centres of the pixels that are asked about, row by row."""
    rows, columns = (np.arange(STEP // 2, edge, STEP) + 0.5 for edge in grid.shape)
    easting, northing = np.meshgrid(grid.west + columns * grid.resolution, grid.north - rows * grid.resolution)
    return lonlat_points(easting.ravel(), northing.ravel(), grid.epsg)


def _thinned(values: NDArray[np.float32]) -> Values:
    """Take the pixels that are asked about of (feature, y, x), row by row."""
    taken = values[:, STEP // 2 :: STEP, STEP // 2 :: STEP]
    return taken.reshape(len(values), -1).T


def _reflectance(job: TileYear, manifest: Manifest, source: SyntheticSource, workers: int) -> NDArray[np.float32]:
    """Average what the embeddings' Sentinel-2 scenes show: (band, y, x), NaN where none shows the ground."""
    used = {scene.id for scene in manifest.scenes if scene.sensor == Sensor.S2_L2A.value}
    granules = source.search(job.grid, job.year, frozenset({Sensor.S2_L2A}))
    scenes = [scene for scene in to_scenes(granules, job.grid.epsg).scenes if scene.id in used]
    total = np.zeros((len(S2_BANDS), *job.grid.shape), np.float64)
    seen = np.zeros(job.grid.shape, np.int64)
    for arrays in read_scenes(
        scenes, job.grid, files=source.files, profile=source.profile, options=job.options.scenes, workers=workers
    ):
        total += np.where(arrays.valid, arrays.data, 0)
        seen += arrays.valid
    return np.where(seen > 0, total / np.maximum(seen, 1), np.nan).astype(np.float32)


def _names(values: NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(LandCover(value).name.lower() for value in values.tolist())

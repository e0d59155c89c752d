from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from betaearth.synthetic.ground import survey
from betaearth.synthetic.landscape import LandCover, landscape
from betaearth.synthetic.lattice import Lattice
from betaearth.synthetic.season import season
from betaearth.synthetic.source import DEMO_LONLAT
from betaearth.synthetic.teacher import MARGIN, _smoothed, teach
from betaearth.training.land import land_places

DEMO = Lattice(32611, 715_020.0, 5_388_000.0, 60, 54)
FIELDS = Lattice(32610, 318_240.0, 4_551_420.0, 240, 240)
"""Farmland with spring and summer crops."""
Cells = list[tuple[NDArray[np.float32], NDArray[np.uint8]]]


@pytest.fixture(scope="module")
def cells() -> Cells:
    """Vectors (64, 1024) and classes (1024) of places on all land."""
    found = []
    for place in land_places(48, 32, 2):
        grid = place.grid
        ground = survey(Lattice(grid.epsg, grid.west, grid.north, 32, 32).padded(MARGIN), 0)
        classes = ground.landscape.land_cover.reshape(ground.lattice.shape)[MARGIN:-MARGIN, MARGIN:-MARGIN]
        found.append((teach(ground, 2021, 0).reshape(64, -1), classes.ravel()))
    return found


def test_vectors_are_of_unit_length_on_the_lattice_without_its_margin() -> None:
    vectors = teach(survey(DEMO.padded(MARGIN), 0), 2021, 0)
    assert vectors.shape == (64, 54, 60)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), 1.0, atol=1e-5)


def test_windows_of_a_place_agree() -> None:
    whole = teach(survey(DEMO.padded(MARGIN), 0), 2021, 0)
    part = teach(survey(DEMO.window(10, 20, 16, 12).padded(MARGIN), 0), 2021, 0)
    np.testing.assert_allclose(part, whole[:, 10:26, 20:32], atol=1e-4)


def test_classes_are_smoothed_over_some_pixels_and_keep_their_sum() -> None:
    planes = np.zeros((1, 21, 25), np.float32)
    planes[0, 10, 12] = 1.0
    spread = _smoothed(planes)
    taps = np.array([1, 2, 3, 4, 3, 2, 1]) / 16
    expected = np.zeros((15, 19))
    expected[4:11, 6:13] = np.outer(taps, taps)
    np.testing.assert_allclose(spread[0], expected, atol=1e-7)


def test_a_constant_scores_between_a_half_and_seven_tenths(cells: Cells) -> None:
    vectors = np.concatenate([part for part, _ in cells], axis=1)
    # The mean cosine with the best constant is the length of the mean of unit vectors.
    assert 0.5 < np.linalg.norm(vectors.mean(axis=1)) < 0.7


def test_a_linear_probe_tells_land_cover(cells: Cells) -> None:
    def some(part: Cells) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        return np.concatenate([v[:, ::9].T for v, _ in part]), np.concatenate([c[::9] for _, c in part])

    # Every third place judges: another cell, often on another continent.
    train, test = some([c for n, c in enumerate(cells) if n % 5]), some(cells[::5])
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(*train)
    assert balanced_accuracy_score(test[1], probe.predict(test[0])) > 0.85


def test_it_is_of_the_year_not_of_a_day() -> None:
    ground = survey(DEMO.padded(MARGIN), 0)
    classes = ground.landscape.land_cover.reshape(ground.lattice.shape)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    one, two = (teach(ground, year, 0) for year in (2021, 2022))
    cosine = (one * two).sum(axis=0)
    # Fields are sown anew every year, forests and water stay.
    assert cosine[classes == LandCover.CROPS].min() < 0.97
    kept = np.isin(classes, [LandCover.TREES, LandCover.WATER])
    assert kept.any()
    assert cosine[kept].mean() > 0.97


def test_fields_of_one_look_in_winter_differ_by_their_summer() -> None:
    ground = survey(FIELDS.padded(MARGIN), 0)
    inner = np.zeros(ground.lattice.shape, np.bool_)
    inner[MARGIN:-MARGIN, MARGIN:-MARGIN] = True
    winter, spring, autumn = (season(ground, 2021, day, 0).green[inner.ravel()] for day in (15, 150, 258))
    bare = (ground.landscape.land_cover[inner.ravel()] == LandCover.CROPS) & (winter < 0.1)
    late, early = bare & (autumn > spring + 0.3), bare & (spring > autumn + 0.3)
    assert min(late.sum(), early.sum()) > 500
    vectors = teach(ground, 2021, 0).reshape(64, -1)
    one, two = (vectors[:, kind].mean(axis=1) for kind in (late, early))
    assert one @ two / np.linalg.norm(one) / np.linalg.norm(two) < 0.97


def test_another_earth_has_another_teacher() -> None:
    ground = survey(DEMO.padded(MARGIN), 0)
    assert np.abs(teach(ground, 2021, 0) - teach(ground, 2021, 1)).max() > 0.1


def test_the_demo_place_is_where_these_tests_look() -> None:
    lon, lat = DEMO.lonlat()
    assert abs(lon - DEMO_LONLAT[0]).max() < 0.1
    assert abs(lat - DEMO_LONLAT[1]).max() < 0.1
    assert len(set(landscape(lon.ravel(), lat.ravel()).land_cover)) >= 3

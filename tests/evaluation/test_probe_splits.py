from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from pyproj import Geod

from betaearth.errors import DataError
from betaearth.evaluation.probe_splits import Split, block_folds, geographic_blocks, leave_one_out, random_folds


def assert_each_tested_once(splits: Sequence[Split], count: int) -> None:
    assert sorted(np.concatenate([split.test for split in splits])) == list(range(count))
    for split in splits:
        assert sorted([*split.train, *split.test]) == list(range(count))


def test_random_folds_hold_every_class_evenly() -> None:
    labels = np.array(["a"] * 53 + ["b"] * 20 + ["c"] * 3)
    splits = random_folds(labels, 5, seed=0)
    assert_each_tested_once(splits, len(labels))
    for split in splits:
        assert len(split.test) in {15, 16}
        names, counts = np.unique(labels[split.test], return_counts=True)
        held = dict(zip(names, counts, strict=True))
        assert held["a"] in {10, 11}
        assert held["b"] == 4
        assert held.get("c", 0) <= 1
    assert (random_folds(labels, 5, seed=0)[0].test == splits[0].test).all()
    assert set(random_folds(labels, 5, seed=1)[0].test) != set(splits[0].test)


def test_block_folds_share_no_block_and_are_of_like_size() -> None:
    rng = np.random.default_rng(0)
    blocks = rng.choice([f"block {number}" for number in range(40)], size=1000, p=rng.dirichlet(np.ones(40)))
    splits = block_folds(blocks, 4, seed=0)
    assert_each_tested_once(splits, 1000)
    for split in splits:
        assert not set(blocks[split.train]) & set(blocks[split.test])
        assert 200 <= len(split.test) <= 300
    assert set(block_folds(blocks, 4, seed=1)[0].test) != set(splits[0].test)


def test_leave_one_out_tests_each_region() -> None:
    regions = np.array(["x", "y", "x", "z"])
    splits = leave_one_out(regions)
    assert [split.name for split in splits] == ["x", "y", "z"]
    assert_each_tested_once(splits, 4)
    assert list(splits[0].test) == [0, 2]


@pytest.mark.parametrize("lat", [0.1, 52.0, -78.0])
def test_blocks_have_their_size_wherever_they_lie(lat: float) -> None:
    lon = np.linspace(20, 60, 400_001)
    names = geographic_blocks(lon, np.full(len(lon), lat), 50)
    edges = lon[1:][names[1:] != names[:-1]]
    widths = [Geod(ellps="WGS84").inv(a, lat, b, lat)[2] / 1000 for a, b in pairwise(edges)]
    assert len(widths) > 10
    assert min(widths) > 48
    assert max(widths) < 52


def test_blocks_keep_neighbours_together_and_the_far_apart() -> None:
    lon, lat = np.array([5.0, 5.001, 5.0, 5.0, -5.0, 180.0]), np.array([50.0, 50.0, 50.8, -50.0, 50.0, 90.0])
    names = geographic_blocks(lon, lat, 20)
    assert names[0] == names[1]
    assert len(set(names)) == 5


@pytest.mark.parametrize(
    ("lon", "lat", "size", "said"),
    [
        ([0.0], [0.0, 1.0], 10, r"\(1,\) do not fit latitudes \(2,\)"),
        ([0.0], [91.0], 10, "-90..90"),
        ([np.nan], [0.0], 10, "-180..180"),
        ([0.0], [0.0], 0, "above 0"),
    ],
)
def test_places_off_the_earth_are_refused(lon: list[float], lat: list[float], size: float, said: str) -> None:
    with pytest.raises(DataError, match=said):
        geographic_blocks(np.array(lon), np.array(lat), size)


def test_folds_that_cannot_be_are_refused() -> None:
    with pytest.raises(DataError, match="2 samples cannot be cut into 3 folds"):
        random_folds(np.array([0, 1]), 3, seed=0)
    with pytest.raises(DataError, match="2 blocks cannot be cut into 3 folds"):
        block_folds(np.array(["a", "a", "b"]), 3, seed=0)
    with pytest.raises(DataError, match="at least 2"):
        block_folds(np.array(["a", "b"]), 1, seed=0)
    with pytest.raises(DataError, match="all samples lie in iowa"):
        leave_one_out(np.array(["iowa", "iowa"]))

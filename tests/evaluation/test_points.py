from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from betaearth.errors import DataError
from betaearth.evaluation.points import (
    DYNAMIC_WORLD,
    OTHERS,
    RADAR,
    REGION,
    VECTOR,
    Points,
    point_splits,
    read_points,
    score_points,
)
from betaearth.evaluation.probes import ProbeScores
from betaearth.products.quantise import decode, quantise

COLUMNS = (*VECTOR, *RADAR, *OTHERS, REGION)


@pytest.fixture(scope="module")
def real(sample_data: Path) -> Points:
    return read_points(sample_data / "aef")


@pytest.fixture(scope="module")
def scores(real: Points) -> dict[tuple[str, str], ProbeScores]:
    return {(score.split, score.features): score.scores for score in score_points(real, draws=4)}


def write(path: Path, *rows: dict[str, object], columns: tuple[str, ...] = COLUMNS) -> Path:
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def a_row(**changed: object) -> dict[str, object]:
    vector = np.random.default_rng(0).normal(size=(1, 64))
    stored = decode(quantise(vector / np.linalg.norm(vector), np.ones(1, dtype=np.bool_)))[0]
    place = {"S1_VV": -8.0, "S1_VH": -15.5, "dw_label": 4, "longitude": -93.1, "latitude": 42.0, REGION: "iowa"}
    return {**dict(zip(VECTOR, stored, strict=True)), **place, **changed}


def test_a_row_is_read_as_it_is_written(tmp_path: Path) -> None:
    points = read_points(write(tmp_path / "points_a.csv", a_row(), a_row(dw_label=0)))
    np.testing.assert_allclose(points.radar, [[-8, -15.5, 7.5]] * 2)
    assert points.labels.tolist() == ["crops", "water"]
    assert points.regions.tolist() == ["iowa", "iowa"]
    assert np.linalg.norm(points.vectors, axis=1) == pytest.approx(1, abs=1e-12)
    assert (points.lon[0], points.lat[0]) == (-93.1, 42.0)


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / f"points_{name}.csv", a_row(region=name))
    assert read_points(tmp_path).regions.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dw_label": 9}, "points_a.csv, line 3: dw_label is 9"),
        ({"dw_label": 1.5}, "line 3: dw_label is 1.5"),
        ({"S1_VV": ""}, "line 3: a value is no number"),
        ({"S1_VV": "nan"}, "line 3: a value is no finite number"),
        ({"A00": 127}, "line 3: the vector's length is 127.*decoded values, not codes"),
        ({"A00": "nan"}, "line 3: the vector's length is nan"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    path = write(tmp_path / "points_a.csv", a_row(), a_row(**changed))
    with pytest.raises(DataError, match=said):
        read_points(path)


def test_tables_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no points_\*.csv"):
        read_points(tmp_path)
    with pytest.raises(DataError, match=r"points_x\.csv cannot be read"):
        read_points(tmp_path / "points_x.csv")
    with pytest.raises(DataError, match="has no column A63, S1_VV, S1_VH"):
        read_points(write(tmp_path / "points_y.csv", columns=VECTOR[:63]))
    with pytest.raises(DataError, match=r"points_z\.csv has no row"):
        read_points(write(tmp_path / "points_z.csv"))


def test_real_points_are_what_they_are_said_to_be(sample_data: Path, real: Points) -> None:
    assert real.vectors.shape == (2160, 64)
    pairs, counts = np.unique(np.stack([real.regions, real.labels]), axis=1, return_counts=True)
    assert pairs.shape[1] == 3 * len(DYNAMIC_WORLD)
    assert set(counts) == {80}
    first = np.genfromtxt(
        sample_data / "aef" / "points_california_coast.csv", delimiter=",", skip_header=1, usecols=range(1, 65)
    )
    assert np.abs(np.linalg.norm(first, axis=1) - 1).max() < 0.0225  # but for the rounding of the int8 code
    codes = np.sqrt(np.abs(first)) * 127.5
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-6)  # the code of the products, undone
    inside = first / np.linalg.norm(first, axis=1, keepdims=True)
    np.testing.assert_allclose(real.vectors[:720], inside, atol=1e-12)


def test_real_splits_keep_apart_what_they_say(real: Points) -> None:
    splits = point_splits(real, seed=0)
    blocks = real.blocks()
    assert len(set(blocks)) > 100
    for split in splits["blocks of 10 km"]:
        assert not set(blocks[split.train]) & set(blocks[split.test])
    assert [len(set(real.regions[split.test])) for split in splits["region left out"]] == [1, 1, 1]


def test_vectors_say_more_than_radar_which_says_more_than_chance(
    scores: dict[tuple[str, str], ProbeScores],
) -> None:
    for split in ("random", "blocks of 10 km", "region left out"):
        vectors, radar = scores[split, "AlphaEarth"], scores[split, "Sentinel-1"]
        assert vectors.linear.balanced_accuracy > radar.linear.balanced_accuracy + 0.1
        assert vectors.knn1.balanced_accuracy > radar.knn1.balanced_accuracy + 0.1
        assert radar.linear.balanced_accuracy > 2 / 9 > 1 / 9 >= radar.majority.balanced_accuracy
    assert scores["random", "AlphaEarth"].majority.balanced_accuracy == pytest.approx(1 / 9)


def test_the_farther_the_harder(scores: dict[tuple[str, str], ProbeScores]) -> None:
    linear = [
        scores[split, "AlphaEarth"].linear.balanced_accuracy
        for split in ("random", "blocks of 10 km", "region left out")
    ]
    assert linear[0] > linear[1] > linear[2]
    few = scores["random", "AlphaEarth"].few_shot
    assert few is not None
    assert few.balanced_accuracy.mean < linear[0]


def test_a_region_left_out_scores_as_a_plain_regression_says(
    real: Points, scores: dict[tuple[str, str], ProbeScores]
) -> None:
    hits = 0
    for region in np.unique(real.regions):
        away = real.regions == region
        mean, deviation = real.vectors[~away].mean(axis=0), real.vectors[~away].std(axis=0)
        probe = LogisticRegression(max_iter=5000).fit((real.vectors[~away] - mean) / deviation, real.labels[~away])
        hits += (probe.predict((real.vectors[away] - mean) / deviation) == real.labels[away]).sum()
    assert scores["region left out", "AlphaEarth"].linear.accuracy == pytest.approx(hits / 2160, abs=2 / 2160)

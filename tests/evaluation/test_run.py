"""A whole evaluation on random numbers, its files read by others, and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from betaearth.errors import ConfigError, DataError
from betaearth.evaluation.config import EvaluationConfig, ModelEntry, make_config
from betaearth.evaluation.embedder import DateMode, Embedder
from betaearth.evaluation.material import DrawnPixels, gather, regions_of
from betaearth.evaluation.pace import EvaluationStep
from betaearth.evaluation.probes import ProbeTask, predict_linear
from betaearth.evaluation.probing import folds_of
from betaearth.evaluation.results import ModelResults, Results, read_results
from betaearth.evaluation.run import evaluate, name_of
from betaearth.evaluation.temporal import Arm
from betaearth.events import Event, Notice
from betaearth.inference.model import BetaEarth
from betaearth.nn.weight_files import find_weights
from betaearth.products.quantise import decode
from betaearth.scenes.model import Sensor
from betaearth.training.dataset import Dataset
from tests.evaluation.conftest import COVER, DATES, SIZE, MakeDataset

OPTIONS: dict[str, Any] = {
    "models": [{"weights": "demo", "name": "first"}],
    "temporal": {"dates": [1, 2, 3, 8], "draws": 2, "cells": 6},
    "probes": {"draws": 2, "shots": 5, "folds": 3, "pixels_per_chip": 32},
    "ablation_cells": 4,
    "maps": 2,
}


class Ran:
    """An evaluation that ran, its folder, and what it told."""

    def __init__(self, dataset: Dataset, out: Path, **options: object) -> None:
        self.dataset = dataset
        self.out = out
        self.events: list[Event] = []
        self.config: EvaluationConfig = make_config({**OPTIONS, **options}, data=dataset.folder)
        self.results: Results = evaluate(self.config, out, emit=self.events.append)

    @property
    def model(self) -> ModelResults:
        return self.results.models[0]


@pytest.fixture(scope="module")
def ran(random_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(random_dataset, tmp_path_factory.mktemp("ran") / "out")


def test_results_say_what_was_run(ran: Ran) -> None:
    assert read_results(ran.out) == ran.results
    assert ran.results.data.digest == hashlib.sha256((ran.dataset.folder / "dataset.json").read_bytes()).hexdigest()
    assert ran.model.weights_sha256 == find_weights("demo").sha256
    assert (ran.model.name, ran.model.variant, ran.results.config) == ("first", "demo", ran.config)
    assert ran.results.data.cell_years == len(ran.dataset.cell_years("test"))
    assert ran.results.data.chips == DATES * ran.results.data.cell_years
    assert ran.results.data.land_cover == COVER


def test_the_headline_is_the_mean_over_cells_of_what_predict_gives(ran: Ran) -> None:
    model, per_cell = BetaEarth.from_pretrained("demo", "cpu"), []
    for rows in ran.dataset.cell_years("test"):
        cosines = []
        for row in rows:
            sample = ran.dataset.read(row)
            wanted = (Sensor.S2_L2A, Sensor.S2_L1C, Sensor.S1, Sensor.DEM)
            l2a, l1c, s1, dem = (sample.inputs[sensor] for sensor in wanted)
            vectors = model.predict(l2a, l1c, s1, dem, doy=row.doy, normalise=False, tile_size=SIZE, overlap=0)
            cosines.append((vectors * sample.target.transpose(1, 2, 0)).sum(axis=-1)[sample.valid].mean())
        per_cell.append(np.mean(cosines))
    score = ran.model.cosine
    assert score.mean == pytest.approx(np.mean(per_cell), abs=1e-5)
    assert score.std == pytest.approx(np.std(per_cell), abs=1e-5)
    assert score.tiles == len(per_cell)
    assert score.interval is not None
    assert score.interval.low < score.mean < score.interval.high


def test_the_constant_is_the_mean_target_of_the_train_split(ran: Ran) -> None:
    targets = {split: [] for split in ("train", "test")}  # type: dict[str, list[np.ndarray[Any, Any]]]
    for split, found in targets.items():
        for rows in ran.dataset.cell_years(split):
            sample = ran.dataset.read(rows[0])
            found.append(sample.target[:, sample.valid].T.astype(np.float64))
    mean = np.concatenate(targets["train"]).sum(axis=0)
    mean /= np.linalg.norm(mean)
    assert ran.model.cosine.constant == pytest.approx(
        np.mean([(part @ mean).mean() for part in targets["test"]]), abs=1e-5
    )
    assert ran.results.data.constant_from == len(targets["train"])


def test_every_subset_and_date_is_scored_on_the_same_chips(ran: Ran) -> None:
    arms = {(entry.inputs, entry.dates) for entry in ran.model.subsets}
    assert len(ran.model.subsets) == len(arms) == 45
    assert {entry.score.tiles for entry in ran.model.subsets} == {4}
    everything = max((inputs for inputs, _ in arms), key=len)
    day, zero = (
        next(entry.score.mean for entry in ran.model.subsets if (entry.inputs, entry.dates) == (everything, dates))
        for dates in (DateMode.DAY, DateMode.ZERO)
    )
    assert ran.model.date_importance is not None
    assert ran.model.date_importance.drop_zero == pytest.approx(day - zero)


def test_tiles_hold_the_scores_that_results_sum_up(ran: Ran) -> None:
    tiles = pq.read_table(ran.out / "tiles.parquet").to_pylist()
    chips = [tile for tile in tiles if tile["experiment"] == "cosine"]
    assert len(chips) == ran.results.data.chips
    assert np.mean([tile["cosine"] for tile in chips]) == pytest.approx(ran.model.cosine_chips.mean)
    s1 = [tile["cosine"] for tile in tiles if tile["inputs"] == ["s1"] and tile["dates"] == "zero"]
    (score,) = [entry.score for entry in ran.model.subsets if entry.inputs == ("s1",) and entry.dates is DateMode.ZERO]
    assert np.mean(s1) == pytest.approx(score.mean)
    assert {tile["pixels"] for tile in tiles} == {SIZE * (SIZE - 1)}


def test_the_teacher_knows_the_land_cover_that_it_was_made_of(ran: Ran) -> None:
    teacher, raw = ran.results.baselines.teacher, ran.results.baselines.raw
    assert [result.split for result in teacher] == ["train to test", "random", "blocks", "region left out"]
    assert all(result.scores.linear.balanced_accuracy > 0.99 for result in teacher)
    assert raw[0].scores.linear.balanced_accuracy < 0.5
    assert ran.model.probes[0].scores.transferred is not None
    assert ran.model.probes[0].scores.few_shot is not None
    labels = ran.model.probes[0].scores.linear.confusion.labels
    assert labels == ("crops", "trees", "water")


def test_means_over_dates_are_of_the_numbers_that_there_are(ran: Ran) -> None:
    assert {entry.dates for entry in ran.model.temporal} == {1, 2, 3}
    judged = ran.results.data.cell_years
    assert ran.model.not_run == {
        "temporal, 8 dates": f"0 of {judged} judged cell-years have a target and 8 dates with all inputs; "
        f"{min(6, -(-judged // 2))} are needed"
    }
    assert {entry.arm for entry in ran.model.temporal} == set(Arm)
    assert {entry.score.tiles for entry in ran.model.temporal if entry.stratum is None} == {6}


def test_strata_are_those_of_the_data(ran: Ran) -> None:
    assert set(ran.model.strata) == {"biome", "month", "latitude", "clouds", "land_cover"}
    assert set(ran.model.strata["land_cover"].scores) == {"crops", "trees", "water"}
    biome = ran.model.strata["biome"]
    assert sum(score.tiles for score in biome.scores.values()) + sum(biome.left_out.values()) == ran.model.cosine.tiles


def test_compression_keeps_less_in_fewer_bytes(ran: Ran) -> None:
    scores = {score.name: score for score in ran.model.compression}
    assert scores["int8"].cosine > 0.999
    assert scores["float32"].cosine == pytest.approx(1)
    assert scores["PCA-8 int8"].bytes_per_vector == scores["64 sign bits"].bytes_per_vector == 8


def test_vectors_and_maps_are_those_of_the_chips(ran: Ran) -> None:
    with np.load(ran.out / "vectors.npz") as vectors, np.load(ran.out / "maps.npz") as maps:
        assert vectors["target"].shape == vectors["model/first"].shape == (32 * ran.model.cosine.tiles, 64)
        assert set(vectors["labels"]) == {"crops", "trees", "water"}
        cell, year, day = str(maps["chips"][0]).split("/")
        (row,) = [row for row in ran.dataset.rows("test") if row.cell == cell and str(row.day) == day]
        sample = ran.dataset.read(row)
        target = decode(maps["target/0"])
        assert year == "2021"
        assert (target * sample.target).sum(axis=0)[sample.valid] == pytest.approx(1, abs=0.03)
        assert maps["rgb/0"].shape == (SIZE, SIZE, 3)
        assert maps["model/first/1"].shape == (64, SIZE, SIZE)
        assert sample.labels is not None
        assert np.array_equal(maps["labels/0"], sample.labels)


def test_neuco_has_a_row_a_cell(ran: Ran) -> None:
    with (ran.out / "neuco-first.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", *map(str, range(64))]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert len(rows) == ran.model.cosine.tiles
    assert np.linalg.norm(np.array([row[1:] for row in rows], float), axis=1) == pytest.approx(1, abs=1e-5)


def test_tables_name_sources_and_forbid_claims(ran: Ran) -> None:
    text = (ran.out / "tables.md").read_text()
    assert "The data are synthetic" in text
    assert "| robust | 0.873 | 0.109 | 0.873 | 0.109 | not run | not run | not run | 0.833 | 0.833 | not run |" in text
    assert f"| first | - | - | - | - | {ran.model.cosine.mean:.3f} (" in text
    assert "published README 0.2.5 (6,250 test tiles)" in text


def test_progress_ends_where_all_is_done(ran: Ran) -> None:
    assert not any(isinstance(event, Notice) for event in ran.events)
    steps = [event for event in ran.events if isinstance(event, EvaluationStep)]
    ends = {step.step: (step.index, step.total) for step in steps}
    assert ends["chips"] == (ran.results.data.chips, ran.results.data.chips)
    vectors = {"judged vectors", "vectors that teach", "probes", "compression"}
    assert set(ends) == {"constant", "chips", "subsets", "temporal", *vectors}


def test_untrained_weights_are_said_to_be(make_dataset: MakeDataset, tmp_path: Path) -> None:
    weights = tmp_path / "mine"
    shutil.copytree(str(files("betaearth.nn") / "demo"), weights)
    about = json.loads((weights / "config.json").read_text()) | {"variant": "mine", "trained": False}
    about.pop("trained_on", None)
    (weights / "config.json").write_text(json.dumps(about))
    models = [{"weights": str(weights), "name": "first"}]
    dataset = make_dataset((0.0, 0.0, 1.0), count=1, dates=1)
    bare = Ran(dataset, tmp_path / "out", models=models, experiments=[])
    assert any(isinstance(event, Notice) and "untrained" in event.message for event in bare.events)
    assert "first is untrained" in (tmp_path / "out" / "tables.md").read_text()


def test_two_models_are_compared_on_the_same_cells(make_dataset: MakeDataset, tmp_path: Path) -> None:
    models = [{"weights": "demo", "name": "first"}, {"weights": "demo", "name": "second"}]
    dataset = make_dataset(count=8, dates=1)
    two = Ran(dataset, tmp_path / "out", models=models, experiments=["subsets"])
    assert len(two.results.differences) == 16
    assert {(entry.model, entry.against, entry.mean) for entry in two.results.differences} == {("second", "first", 0.0)}
    assert "| second - first | s1 | +0.000 | +0.000 to +0.000 |" in (tmp_path / "out" / "tables.md").read_text()


def test_the_same_evaluation_gives_the_same_figures(ran: Ran, tmp_path: Path) -> None:
    again = Ran(ran.dataset, tmp_path / "again", experiments=["probes"])
    assert again.model.probes == ran.model.probes
    assert again.model.cosine == ran.model.cosine
    assert again.model.not_run == dict.fromkeys(("subsets", "strata", "compression", "temporal"), "not asked for")


def test_without_labels_probes_are_not_run_and_compression_is(make_dataset: MakeDataset, tmp_path: Path) -> None:
    bare = Ran(
        make_dataset(count=8, dates=1, labels=False),
        tmp_path / "out",
        experiments=["probes", "compression", "temporal"],
    )
    assert bare.model.not_run["probes"] == "the data set has no labels"
    judged = bare.results.data.cell_years
    assert bare.model.not_run["temporal"] == (
        f"two numbers of dates are needed; 0 of {judged} judged cell-years have a target and 2 dates with all inputs; "
        f"{-(-judged // 2)} are needed"
    )
    assert bare.model.probes == bare.results.baselines.teacher == ()
    assert bare.model.compression[0].linear is None
    assert "first, probes: the data set has no labels" in (tmp_path / "out" / "tables.md").read_text()


def test_without_a_train_split_there_is_no_constant(make_dataset: MakeDataset, tmp_path: Path) -> None:
    alone = Ran(
        make_dataset((0.0, 0.0, 1.0), count=3, dates=1), tmp_path / "out", experiments=["probes", "compression"]
    )
    assert alone.model.cosine.constant is None
    assert "no labelled cell in its split train" in alone.model.not_run["probes"]
    assert alone.model.not_run["compression"] == "0 pixels of the split train teach the codes; 32 are needed"


def test_judged_cells_without_a_pixel_have_that_as_the_reason(
    ran: Ran, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No date has all inputs that half of the dates have, so that no pixel is drawn, though many could teach codes."""
    monkeypatch.setattr("betaearth.evaluation.material.with_inputs", lambda *_: ())
    bare = gather(make_dataset(count=6, dates=1, labels=False), ran.config)
    assert bare.no_pixel == "no judged pixel has a target and all of s2_l2a, s2_l1c, s1, dem"
    assert bare.no_compression == bare.no_pixel


def test_regions_are_the_data_sets_own_or_blocks(random_dataset: Dataset) -> None:
    rows = random_dataset.rows()[:2]
    named = [replace(row, strata={"region": word}) for row, word in zip(rows, ("Iowa", "Peru"), strict=True)]
    assert regions_of(named, 2000).tolist() == ["Iowa", "Peru"]
    far = [replace(named[0], strata={}, lon=0.5, lat=0.5), replace(named[1], lon=100.5, lat=40.5)]
    assert regions_of(far, 2000).tolist() == ["0N_0E", "2N_3E"]


def test_each_region_is_left_out_in_turn_or_the_reason_told(
    ran: Ran, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    (left,) = [result for result in ran.model.probes if result.split == "region left out"]
    with np.load(ran.out / "vectors.npz") as vectors:
        assert left.scores.linear.samples == left.train_samples == len(vectors["regions"])
        assert len(np.unique(vectors["regions"])) > 1
        regions, labels, found = vectors["regions"], vectors["labels"], 0
        for region in np.unique(regions):
            there = regions == region
            task = ProbeTask(vectors["model/first"][~there], labels[~there])
            found += int((predict_linear(task, vectors["model/first"][there]) == labels[there]).sum())
    assert left.scores.linear.accuracy == pytest.approx(found / len(labels))
    one = {**OPTIONS["probes"], "region_km": 40_000, "splits": ["region left out"]}
    alone = Ran(make_dataset(count=8, dates=1), tmp_path / "out", experiments=["probes"], probes=one, maps=0)
    assert [result.split for result in alone.model.probes] == ["train to test"]
    reason = "all samples lie in -1N_-1E: leaving it out leaves nothing"
    assert alone.model.not_run["probes, region left out"] == reason
    assert f"- first, probes, region left out: {reason}" in (tmp_path / "out" / "tables.md").read_text()


def test_a_fold_that_leaves_too_few_pixels_to_learn_from_is_told() -> None:
    labels, regions = np.array(["a", "b", "a", "b", "a"]), np.array(["x", "x", "x", "y", "y"])
    vectors = np.eye(5, 64, dtype=np.float32)
    asked = DrawnPixels((), labels, regions, regions, regions, vectors, vectors)
    config = make_config({**OPTIONS, "probes": {"folds": 2}})
    for split in ("blocks", "region left out"):
        told = folds_of(asked, split, config)
        assert isinstance(told, str)
        assert told.endswith("the judged pixels have 2 labels; 3 neighbours need as many"), told


def test_where_the_train_split_is_judged_nothing_is_taught_by_it(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = Ran(
        make_dataset((1.0, 0.0, 0.0), count=4, dates=1),
        tmp_path / "out",
        split="train",
        experiments=["probes", "compression"],
    )
    reason = "the judged split is the one that teaches"
    assert {name: train.model.not_run[name] for name in ("probes", "compression")} == {
        "probes": reason,
        "compression": reason,
    }
    assert train.model.probes == train.results.baselines.teacher == ()
    assert train.model.compression == train.results.baselines.compression == ()
    assert train.model.cosine.constant is not None


def test_a_model_that_nothing_can_be_given_to_is_refused_before_baselines(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("betaearth.evaluation.run.baselines", lambda _: pytest.fail("hours of probes"))
    monkeypatch.setattr(Embedder, "used", lambda *_: ())
    with pytest.raises(DataError, match="not one of the 2 judged chips has a target and an input that first takes"):
        Ran(make_dataset((0.0, 0.0, 1.0), count=2, dates=1), tmp_path / "out")


def test_a_split_without_cells_is_refused(ran: Ran, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no cell in its split val; there are cells in test, train"):
        Ran(ran.dataset, tmp_path / "out", split="val")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused_at_once(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(DataError, match="holds something already"):
        Ran(ran.dataset, tmp_path)
    with pytest.raises(DataError, match="holds results already"):
        Ran(ran.dataset, ran.out)


def test_missing_weights_and_data_are_refused(ran: Ran, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a variant"):
        Ran(ran.dataset, tmp_path / "out", models=[{"weights": "nothing"}])
    with pytest.raises(ConfigError, match="names no data set"):
        evaluate(make_config(OPTIONS), tmp_path / "out")
    twice = [{"weights": "demo"}, {"weights": "demo"}]
    with pytest.raises(ConfigError, match="two models are called demo"):
        Ran(ran.dataset, tmp_path / "out", models=twice)


def test_a_damaged_shard_is_named(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset(count=6, dates=1)
    shard = dataset.folder / dataset.rows()[0].shard
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"shards/00000\.safetensors"):
        Ran(dataset, tmp_path / "out")


def test_results_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no results"):
        read_results(tmp_path)
    (tmp_path / "results.json").write_text('{"schema_version": 7}')
    with pytest.raises(DataError, match=r"no results\.json of schema 1"):
        read_results(tmp_path)


def test_a_models_name_is_its_own_or_its_variants_or_its_folders() -> None:
    entry = make_config({"models": [{"weights": "runs/mine/model.safetensors"}]}).models[0]
    assert name_of(entry, "custom") == "mine"
    assert name_of(entry, "robust") == "robust"


def test_a_folder_keeps_its_dots_and_a_file_loses_its_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run-0.5").mkdir()
    (tmp_path / "mine.v2.safetensors").touch()
    monkeypatch.chdir(tmp_path / "run-0.5")
    words = {
        str(tmp_path / "run-0.5"): "run-0.5",
        str(tmp_path / "mine.v2.safetensors"): "mine.v2",
        "somebody/model-v1.5": "model-v1.5",
        ".": "run-0.5",
        "..": tmp_path.name,
    }
    assert {word: name_of(ModelEntry(weights=word), "custom") for word in words} == words

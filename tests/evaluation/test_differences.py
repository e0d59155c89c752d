"""Differences of models: by hand, and of the same weights with fewer inputs on uneven data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from betaearth.evaluation.chip_scores import ChipCosine
from betaearth.evaluation.config import Experiment, make_config
from betaearth.evaluation.cosine import TileCosine, bootstrap_interval
from betaearth.evaluation.differences import compare
from betaearth.evaluation.embedder import DateMode, Embedder
from betaearth.evaluation.material import gather
from betaearth.evaluation.model_run import ModelFindings, run_model
from betaearth.scenes.model import Sensor
from betaearth.training.dataset import Dataset, Row
from betaearth.training.description import About
from betaearth.training.splits import SplitOptions
from betaearth.training.writing import write_dataset
from tests.evaluation.conftest import ABOUT, MakeDataset, random_cells

S1_AND_DEM = (Sensor.S1, Sensor.DEM)


def findings(name: str, chips: Sequence[ChipCosine], ablation: Sequence[ChipCosine] = ()) -> ModelFindings:
    """What a comparison looks at."""
    return cast("ModelFindings", SimpleNamespace(results=SimpleNamespace(name=name), chips=chips, ablation=ablation))


def chip(row: Row, cosine: float, dates: DateMode = DateMode.DAY, pixels: int = 10) -> ChipCosine:
    return ChipCosine(row, S1_AND_DEM, dates, TileCosine(name=str(row.day), pixels=pixels, cosine=cosine))


def test_a_difference_is_of_shared_dates_by_cell_year(random_dataset: Dataset) -> None:
    cells = random_dataset.cell_years()[:5]
    ours, theirs = (0.9, 0.8, 0.7, 0.65), (0.5, 0.6, 0.65, 0.7)
    first = [chip(rows[0], cosine) for rows, cosine in zip(cells, theirs, strict=False)]
    second = [chip(rows[0], cosine) for rows, cosine in zip(cells, ours, strict=False)]
    only_ours, only_theirs = chip(cells[0][1], 0.1), chip(cells[1][2], 0.2)
    cell_of_ours = chip(cells[4][0], 0.3)
    (found,) = compare(
        [findings("first", [*first, only_theirs]), findings("second", [*second, only_ours, cell_of_ours])], seed=5
    )
    expected = np.array([0.4, 0.2, 0.05, -0.05])
    assert (found.model, found.against, found.inputs, found.tiles) == ("second", "first", None, 4)
    assert found.mean == pytest.approx(expected.mean())
    interval = bootstrap_interval(np.subtract(ours, theirs), seed=5)
    assert found.interval == interval
    assert interval is not None
    assert interval.low < 0.15 < interval.high


def test_dates_of_a_cell_year_are_joined_and_arms_are_of_the_day(random_dataset: Dataset) -> None:
    rows = random_dataset.cell_years()[0]
    first = [chip(rows[0], 0.5, pixels=30), chip(rows[1], 0.1, pixels=10), chip(rows[0], 0.9, DateMode.ZERO)]
    second = [chip(rows[0], 0.6, pixels=30), chip(rows[1], 0.6, pixels=10), chip(rows[0], 0.1, DateMode.ZERO)]
    (found,) = compare([findings("first", [], first), findings("second", [], second)], seed=0)
    assert (found.inputs, found.tiles, found.interval) == (("s1", "dem"), 1, None)
    assert found.mean == pytest.approx(0.6 - (30 * 0.5 + 10 * 0.1) / 40)


def test_models_that_share_no_date_are_not_compared(random_dataset: Dataset) -> None:
    rows = random_dataset.cell_years()[0]
    assert compare([findings("first", [chip(rows[0], 0.5)]), findings("second", [chip(rows[1], 0.6)])], seed=0) == ()
    assert compare([findings("first", [chip(rows[0], 0.5)])], seed=0) == compare([], seed=0) == ()


def test_a_model_that_takes_less_is_judged_on_the_same_dates(tmp_path_factory: pytest.TempPathFactory) -> None:
    cells = [
        replace(cell, chips=tuple(part if at % 2 else replace(part, s1=None) for at, part in enumerate(cell.chips)))
        for cell in random_cells(8, size=32, dates=4)
    ]
    folder = tmp_path_factory.mktemp("uneven") / "data"
    about: About = ABOUT
    dataset = write_dataset(cells, folder, about=about, split=SplitOptions(shares=(0.0, 0.0, 1.0)))
    config = make_config({"models": [{"weights": "demo"}], "experiments": [Experiment.SUBSETS], "maps": 0})
    whole = Embedder.load("demo", name="whole", device="cpu")
    inputs = tuple(name for name in whole.variant.inputs if name != Sensor.S1)
    less = Embedder(whole.network, replace(whole.variant, inputs=inputs), name="less")
    material = gather(dataset, config)
    assert Sensor.S1 in material.sensors
    runs = [run_model(embedder, config.models[0], material) for embedder in (whole, less)]
    subsets = [found for found in compare(runs, seed=0) if found.inputs is not None]
    assert len(subsets) == 7
    assert {(found.mean, found.tiles) for found in subsets} == {(0.0, 8)}


def test_dates_that_all_lack_an_input_are_judged_without_it(make_dataset: MakeDataset) -> None:
    """No date has both S1 and L1C, though half of them have each: a model that takes one of them is ablated anyway."""
    dataset = make_dataset((0.0, 0.0, 1.0), count=2, dates=2)
    config = make_config({"models": [{"weights": "demo"}], "experiments": [Experiment.SUBSETS], "maps": 0})
    material = gather(dataset, config)
    judged = tuple(
        (replace(a, sensors=a.sensors - {Sensor.S1}), replace(b, sensors=b.sensors - {Sensor.S2_L1C}))
        for a, b in material.judged
    )
    whole = Embedder.load("demo", device="cpu")
    less = Embedder(whole.network, replace(whole.variant, inputs=("s2_l2a", "s1")), name="less")
    run = run_model(less, config.models[0], replace(material, judged=judged))
    assert {str(found.row.day) for found in run.ablation} == {str(rows[1].day) for rows in judged}

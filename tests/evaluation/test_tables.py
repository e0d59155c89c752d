"""Tables beside what was published, with results made by hand."""

from __future__ import annotations

from betaearth.evaluation.ablation_tables import SUBSET_WORDS, dates, subsets
from betaearth.evaluation.config import make_config
from betaearth.evaluation.cosine import CosineScore, Interval
from betaearth.evaluation.embedder import DateMode
from betaearth.evaluation.results import Baselines, DataFacts, DateImportance, ModelResults, Results, SubsetCosine
from betaearth.evaluation.tables import tables
from betaearth.nn.variants import VARIANTS

ALL = ("s2_l1c", "s2_l2a", "s1", "dem")


def score(mean: float) -> CosineScore:
    return CosineScore(
        tiles=9,
        pixels=90,
        mean=mean,
        std=0.1,
        interval=Interval(low=mean - 0.01, high=mean + 0.01),
        pooled=mean,
        constant=0.6,
        constant_pooled=0.6,
    )


ROBUST = ModelResults(
    name="robust",
    variant="robust",
    weights="robust",
    origin="hub",
    weights_sha256="0" * 64,
    trained=True,
    parameters=1,
    inputs=ALL,
    seconds=1.0,
    cosine=score(0.87),
    cosine_chips=score(0.86),
    subsets=tuple(
        SubsetCosine(inputs=inputs, dates=mode, score=score(mean))
        for inputs, mode, mean in (
            (ALL, DateMode.DAY, 0.87),
            (ALL, DateMode.ZERO, 0.77),
            (("dem",), DateMode.DAY, 0.5),
            (("dem",), DateMode.ZERO, 0.5),
        )
    ),
    date_importance=DateImportance(
        day=0.87, zero=0.77, none=0.8, drop_zero=0.1, drop_zero_interval=Interval(low=0.08, high=0.12), drop_none=0.07
    ),
    not_run={"probes": "the data set has no labels"},
)
DATA = DataFacts(
    name="Core",
    digest="0" * 64,
    source="Major TOM",
    target="AlphaEarth",
    synthetic=False,
    licence="CC-BY-4.0",
    attribution=None,
    split="test",
    cell_years=9,
    chips=9,
    sensors=ALL,
    land_cover=(),
    constant_from=80,
)


def results_of(*models: ModelResults, data: DataFacts = DATA) -> Results:
    return Results(
        created_by="betaearth 0",
        seconds=1.0,
        device="cpu",
        config=make_config({"models": [{"weights": "robust"}]}),
        data=data,
        baselines=Baselines(),
        models=models,
    )


def test_a_subset_stands_beside_its_published_figures() -> None:
    text = subsets(ROBUST)
    assert (
        "| s2_l1c + s2_l2a + s1 + dem | 0.870 (0.860 to 0.880) | 0.770 (0.760 to 0.780) | 0.872 | 0.773 | 0.873 | - |"
    ) in text
    assert "| dem | 0.500 (0.490 to 0.510) | 0.500 (0.490 to 0.510) | 0.541 | - | 0.609 | - |" in text


def test_a_published_figure_of_the_validation_tiles_says_so() -> None:
    alone = tuple(
        SubsetCosine(inputs=(name,), dates=DateMode.DAY, score=score(0.8)) for name in ("s2_l1c", "s2_l2a", "s1")
    )
    text = subsets(ROBUST.model_copy(update={"subsets": alone}))
    l1c, l2a, s1 = text.splitlines()[-3:]
    assert "| 0.806 (validation) |" in l1c
    assert "| 0.755 (validation) |" in l2a
    assert "validation" not in s1


def test_every_published_subset_has_its_inputs() -> None:
    assert {entry.inputs for entry in VARIANTS["robust"].subset_scores} == set(SUBSET_WORDS)


def test_the_date_is_worth_what_was_measured_and_published() -> None:
    text = dates(results_of(ROBUST))
    assert "| robust | 9.9 (0.2.5) | 10.0 (8.0 to 12.0) | 7.0 |" in text
    assert "| rgb-only | 22 (0.2.3) | not run | not run |" in text
    left_out = ROBUST.model_copy(update={"date_importance": None, "not_run": {"subsets": "not asked for"}})
    assert "| robust | 9.9 (0.2.5) | not run | not run |" in dates(results_of(left_out))


def test_real_data_forbid_nothing_and_synthetic_data_do() -> None:
    assert "synthetic" not in tables(results_of(ROBUST))
    made_up = DATA.model_copy(update={"synthetic": True})
    assert "They say nothing about AlphaEarth" in tables(results_of(ROBUST, data=made_up))


def test_each_model_stands_beside_the_constant_of_its_own_dates() -> None:
    less = score(0.7).model_copy(update={"constant": 0.43})
    other = ROBUST.model_copy(update={"name": "other", "variant": "custom", "cosine": less})
    text = tables(results_of(ROBUST, other))
    assert "| 0.870 (0.860 to 0.880) | 0.100 | 0.600 |" in text
    assert "| other | - | - | - | - | 0.700 (0.690 to 0.710) | 0.100 | 0.430 |" in text
    rows = [line for line in text.split("\n\n## ")[1].splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1


def test_tables_say_what_was_resampled() -> None:
    before = results_of(ROBUST)
    assert "95 % bootstrap intervals over cell-years." in tables(before)
    assert "95 % bootstrap intervals over cells." in tables(before.model_copy(update={"resampled": "cells"}))


def test_what_was_not_run_is_said_with_its_reason() -> None:
    text = tables(results_of(ROBUST))
    assert "- robust, probes: the data set has no labels" in text
    assert (
        "| robust | 0.873 | 0.109 | 0.873 | 0.109 | 0.870 (0.860 to 0.880) | 0.100 | 0.600 | 0.833 | 0.833 | not run |"
        in text
    )
    assert "| reinit | 0.883 | 0.106 | 0.886 | 0.098 | not run | not run | not run | 0.836 | 0.873 | not run |" in text

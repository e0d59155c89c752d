"""Which numbers of dates are averaged where cells have unequal numbers of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from betaearth.evaluation.config import make_config
from betaearth.evaluation.embedder import Embedder
from betaearth.evaluation.material import Material, gather
from betaearth.evaluation.model_run import run_model
from betaearth.evaluation.seasons import seasonal_cells
from betaearth.training.dataset import Dataset
from tests.evaluation.conftest import MakeDataset


@pytest.fixture(scope="module")
def dataset(make_dataset: MakeDataset) -> Dataset:
    """Six judged cells with four dates each."""
    return make_dataset((0.0, 0.0, 1.0), count=6, dates=4)


@pytest.fixture(scope="module")
def demo() -> Embedder:
    return Embedder.load("demo", device="cpu")


def material_of(dataset: Dataset, kept: Sequence[int], **plan: Any) -> Material:
    """Gather the cells, of which each keeps so many of its dates."""
    options = {"dates": [1, 2, 4, 8], "draws": 1, "window": 8} | plan
    config = make_config(
        {"models": [{"weights": "demo"}], "experiments": ["temporal"], "temporal": options, "maps": 0, "window": 8}
    )
    material = gather(dataset, config)
    pairs = zip(material.judged, kept, strict=True)
    return replace(material, judged=tuple(rows[:count] for rows, count in pairs))


def test_one_cell_with_many_dates_does_not_leave_out_the_others(dataset: Dataset, demo: Embedder) -> None:
    material = material_of(dataset, (4, 2, 2, 2, 1, 1))
    results = run_model(demo, material.config.models[0], material).results
    assert {entry.dates for entry in results.temporal} == {1, 2}
    assert {entry.score.tiles for entry in results.temporal if entry.stratum is None} == {4}
    said = "of 6 judged cell-years have a target and {} dates with all inputs; 3 are needed"
    assert results.not_run["temporal, 4 dates"] == f"1 {said.format(4)}"
    assert results.not_run["temporal, 8 dates"] == f"0 {said.format(8)}"


def test_as_many_cells_as_are_planned_are_enough(dataset: Dataset, demo: Embedder) -> None:
    chosen = seasonal_cells(demo, material_of(dataset, (4, 4, 2, 2, 1, 1), cells=2))
    assert chosen.counts == (1, 2, 4)
    assert [len(rows) for rows in chosen.cells] == [4, 4]
    assert list(chosen.not_scored) == [8]


def test_cells_without_a_target_count_for_nothing(dataset: Dataset, demo: Embedder) -> None:
    material = material_of(dataset, (4, 4, 1, 1, 1, 1))
    judged = [tuple(replace(row, target_fraction=0.0) for row in rows) for rows in material.judged[2:]]
    chosen = seasonal_cells(demo, replace(material, judged=(*material.judged[:2], *judged)))
    assert chosen.counts == (1, 2, 4)
    assert len(chosen.cells) == 2


@pytest.mark.parametrize(
    ("kept", "plan", "said"),
    [
        (
            (4, 1, 1, 1, 1, 1),
            [1, 2],
            "1 of 6 judged cell-years have a target and 2 dates with all inputs; 3 are needed",
        ),
        ((4, 4, 4, 4, 4, 4), [2], "two numbers of dates are needed"),
    ],
)
def test_no_means_have_a_reason(
    dataset: Dataset, demo: Embedder, kept: tuple[int, ...], plan: list[int], said: str
) -> None:
    material = material_of(dataset, kept, dates=plan)
    results = run_model(demo, material.config.models[0], material).results
    assert results.temporal == ()
    assert results.not_run["temporal"].endswith(said)


def test_windows_without_a_target_have_a_reason(
    dataset: Dataset, demo: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = material_of(dataset, (2, 2, 2, 2, 2, 2), dates=[1, 2])
    monkeypatch.setattr("betaearth.evaluation.model_run.score_cell", lambda *_: [])
    results = run_model(demo, material.config.models[0], material).results
    assert results.not_run["temporal"] == "no pixel of the cells' middle windows has a target"

"""The ablation of inputs and date: every subset that shows a model something else, told the day, day 0, or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from betaearth.evaluation.chip_scores import ChipCosine, by_cell_year, chip_cosine
from betaearth.evaluation.choice import one_date, some, with_inputs
from betaearth.evaluation.cosine import bootstrap_interval, cells_of, score_tiles
from betaearth.evaluation.embedder import DateMode, Embedder, Sensors
from betaearth.evaluation.material import Material
from betaearth.evaluation.results import DateImportance, SubsetCosine
from betaearth.training.dataset import Row, Sample


def ablation_rows(embedder: Embedder, material: Material) -> tuple[Row, ...]:
    """Choose one date of each judged cell's year that has all inputs of the data: the same for every arm and model.

    Where no date has them all, those of the model are asked for alone: models then may draw different dates.
    """
    inputs = [sensor for sensor in material.sensors if sensor in embedder.inputs]
    if not inputs:
        return ()
    config = material.config
    cell_years = with_inputs(material.judged, material.sensors) or with_inputs(material.judged, inputs)
    return one_date(some(cell_years, config.ablation_cells, config.seed), config.seed)


def ablate(embedder: Embedder, material: Material, sample: Sample) -> Iterator[ChipCosine]:
    """Score every subset and treatment of the date of one chip; each input is encoded once.

    Raises:
        DataError: an embedding holds what is no number.
    """
    if not sample.valid.any():
        return
    encoded = embedder.encode(sample)
    for inputs in embedder.subsets(material.sensors):
        for dates in embedder.date_modes():
            vectors = encoded.embed(inputs, dates)
            yield chip_cosine(sample, vectors, inputs, dates, material.constant)[0]


def score_subsets(chips: Sequence[ChipCosine], *, seed: int) -> tuple[SubsetCosine, ...]:
    """Score each arm over the chips, in the order in which `ablate` yields them."""
    return tuple(
        SubsetCosine(inputs=inputs, dates=dates, score=score_tiles(by_cell_year(arm), seed=seed))
        for (inputs, dates), arm in arms_of(chips).items()
    )


def arms_of(chips: Sequence[ChipCosine]) -> Mapping[tuple[Sensors, DateMode], list[ChipCosine]]:
    """Group chips by what was given, and told of the date."""
    arms: dict[tuple[Sensors, DateMode], list[ChipCosine]] = {}
    for chip in chips:
        arms.setdefault((chip.inputs, chip.dates), []).append(chip)
    return arms


def date_importance(chips: Sequence[ChipCosine], *, seed: int) -> DateImportance | None:
    """Measure what the date is worth with all inputs; None for a model that takes no date.

    The published ablation calls the drop at day 0 the importance of FiLM, in percentage points.
    """
    arms = arms_of(chips)
    everything = max((inputs for inputs, _ in arms), key=len, default=())
    wanted = [arms.get((everything, dates)) for dates in (DateMode.DAY, DateMode.ZERO, DateMode.NONE)]
    if any(arm is None for arm in wanted):
        return None
    tiles = [by_cell_year(arm or ()) for arm in wanted]
    day, zero, none = (np.array([tile.cosine for tile in arm]) for arm in tiles)
    return DateImportance(
        day=float(day.mean()),
        zero=float(zero.mean()),
        none=float(none.mean()),
        drop_zero=float((day - zero).mean()),
        drop_zero_interval=bootstrap_interval(day - zero, seed=seed, groups=cells_of(tiles[0])),
        drop_none=float((day - none).mean()),
    )

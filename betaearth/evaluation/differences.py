"""Models against each other on the same dates: a difference has a narrower interval than the two figures have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import numpy as np

from betaearth.evaluation.chip_scores import ChipCosine, by_cell_year
from betaearth.evaluation.cosine import TileCosine, bootstrap_interval, cells_of
from betaearth.evaluation.embedder import DateMode
from betaearth.evaluation.model_run import ModelFindings
from betaearth.evaluation.results import ModelDifference
from betaearth.evaluation.subsets import arms_of


def compare(findings: Sequence[ModelFindings], *, seed: int) -> tuple[ModelDifference, ...]:
    """Compare every model with the first, with all inputs and with each subset that both take."""
    if not findings:
        return ()
    first, *others = findings
    return tuple(difference for other in others for difference in _differences(other, first, seed))


def _differences(model: ModelFindings, against: ModelFindings, seed: int) -> Iterator[ModelDifference]:
    ours, theirs = _arms(model), _arms(against)
    for inputs, chips in ours.items():
        both = _paired(chips, theirs.get(inputs, ()))
        if both:
            values = np.array([difference for _, difference in both])
            yield ModelDifference(
                model=model.results.name,
                against=against.results.name,
                inputs=inputs,
                tiles=len(both),
                mean=float(values.mean()),
                interval=bootstrap_interval(values, seed=seed, groups=cells_of([tile for tile, _ in both])),
            )


def _arms(findings: ModelFindings) -> Mapping[tuple[str, ...] | None, Sequence[ChipCosine]]:
    """List all dates with all inputs, as None, and arms of the ablation that know the day, where the model takes it."""
    arms = arms_of(findings.ablation)
    told = DateMode.DAY if any(dates is DateMode.DAY for _, dates in arms) else DateMode.NONE
    return {
        None: findings.chips,
        **{tuple(map(str, inputs)): chips for (inputs, dates), chips in arms.items() if dates is told},
    }


def _paired(ours: Sequence[ChipCosine], theirs: Sequence[ChipCosine]) -> list[tuple[TileCosine, float]]:
    """Subtract over the cell-years of the dates that both were scored on: ours, and by how much it is above theirs."""
    shared = {_date(chip) for chip in ours} & {_date(chip) for chip in theirs}
    mine, others = (by_cell_year(chip for chip in chips if _date(chip) in shared) for chips in (ours, theirs))
    told = {tile.name: tile.cosine for tile in others}
    return [(tile, tile.cosine - told[tile.name]) for tile in mine]


def _date(chip: ChipCosine) -> tuple[str, date]:
    return chip.row.key, chip.row.day

"""Scores as parts of an evaluation hold them: without the row that they are of, which the data set knows."""

from __future__ import annotations

from pydantic import TypeAdapter

from betaearth.evaluation.chip_scores import ChipCosine, ChipScore
from betaearth.evaluation.compression import CompressionScore
from betaearth.evaluation.cosine import Measure, TileCosine
from betaearth.evaluation.embedder import DateMode
from betaearth.evaluation.parts import Array
from betaearth.evaluation.results import ProbeResult
from betaearth.evaluation.temporal import AveragedCosine
from betaearth.scenes.model import Sensor
from betaearth.training.dataset import Row


class KeptCosine(Measure):
    """A date's cosine; see `ChipCosine`."""

    inputs: tuple[Sensor, ...]
    dates: DateMode
    tile: TileCosine

    @classmethod
    def of(cls, chip: ChipCosine) -> KeptCosine:
        """Leave the row out."""
        return cls(inputs=chip.inputs, dates=chip.dates, tile=chip.tile)

    def chip(self, row: Row) -> ChipCosine:
        """Put the row in."""
        return ChipCosine(row, self.inputs, self.dates, self.tile)


class KeptScore(Measure):
    """A date judged with all its inputs; see `ChipScore`."""

    cosine: KeptCosine
    by_land_cover: tuple[tuple[str, TileCosine], ...]
    mean: Array

    @classmethod
    def of(cls, score: ChipScore | None) -> KeptScore | None:
        """Leave the row out; None stays None."""
        if score is None:
            return None
        return cls(cosine=KeptCosine.of(score.cosine), by_land_cover=score.by_land_cover, mean=score.mean)

    def score(self, row: Row) -> ChipScore:
        """Put the row in."""
        return ChipScore(self.cosine.chip(row), self.by_land_cover, self.mean)


SCORE: TypeAdapter[KeptScore | None] = TypeAdapter(KeptScore | None)
ABLATED: TypeAdapter[tuple[KeptCosine, ...]] = TypeAdapter(tuple[KeptCosine, ...])
AVERAGED: TypeAdapter[tuple[AveragedCosine, ...]] = TypeAdapter(tuple[AveragedCosine, ...])
PROBED: TypeAdapter[tuple[ProbeResult, ...]] = TypeAdapter(tuple[ProbeResult, ...])
COMPRESSED: TypeAdapter[tuple[CompressionScore, ...]] = TypeAdapter(tuple[CompressionScore, ...])

"""Cell-years embedded date by date, and the scores of means over their dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from betaearth.evaluation.choice import CellYearRows, generator_of, some, with_inputs
from betaearth.evaluation.config import MOST_DATES
from betaearth.evaluation.cosine import TileCosine, score_tiles
from betaearth.evaluation.embedder import Embedder
from betaearth.evaluation.material import Material
from betaearth.evaluation.results import TemporalScore
from betaearth.evaluation.strata import LEAST_TILES
from betaearth.evaluation.temporal import Arm, AveragedCosine, Pixels, Season, score_season
from betaearth.scenes.model import Sensor
from betaearth.training.dataset import Row

OPTICAL = (Sensor.S2_L2A, Sensor.S2_L1C)
LEAST_COUNTS = 2
"""Numbers of dates that say something of each other."""


@dataclass(frozen=True)
class SeasonalCells:
    """What means over dates are scored on: all numbers of dates in the same cells."""

    counts: tuple[int, ...]
    """Numbers of dates, ascending; empty where not two of them can be scored."""
    cells: tuple[CellYearRows, ...]
    """Dates of each cell's year that have all inputs, at least the largest of `counts`."""
    not_scored: Mapping[int, str]
    """Number of dates that was asked for to the reason."""

    @property
    def no_means(self) -> str | None:
        """Why nothing is scored; None where it is."""
        if self.counts:
            return None
        return "; ".join(["two numbers of dates are needed", *list(self.not_scored.values())[:1]])


def seasonal_cells(embedder: Embedder, material: Material) -> SeasonalCells:
    """Choose the largest number of dates that enough cell-years have, and the cell-years that have it.

    Enough are half of those with a target, or as many as the plan takes: a few cells with many dates would otherwise
    leave out all others.
    """
    plan, config = material.config.temporal, material.config
    usable = [rows for rows in _dated(embedder, material) if rows[0].target_fraction > 0]
    asked = sorted(set(plan.dates))
    needed = max(1, min(plan.cells, -(-len(usable) // 2)))
    reached = {count: sum(len(rows) >= count for rows in usable) for count in asked}
    counts = tuple(count for count in asked if reached[count] >= needed)
    not_scored = {
        count: f"{reached[count]} of {len(usable)} judged cell-years have a target and {count} dates with all inputs; "
        f"{needed} are needed"
        for count in asked
        if count not in counts
    }
    if len(counts) < LEAST_COUNTS:
        return SeasonalCells((), (), not_scored)
    enough = [rows for rows in usable if len(rows) >= counts[-1]]
    return SeasonalCells(counts, some(enough, plan.cells, config.seed), not_scored)


def _dated(embedder: Embedder, material: Material) -> tuple[CellYearRows, ...]:
    """List the dates of each cell's year that have all inputs, and a mask of clouds where the data set has some."""
    inputs = [sensor for sensor in material.sensors if sensor in embedder.inputs]
    cell_years = with_inputs(material.judged, inputs) if inputs else ()
    if any(row.has_clear for rows in cell_years for row in rows):
        masked = (tuple(row for row in rows if row.has_clear) for rows in cell_years)
        cell_years = tuple(rows for rows in masked if rows)
    return cell_years


def embed_season(embedder: Embedder, material: Material, rows: CellYearRows) -> Season | None:
    """Embed the dates of a cell's year, with all inputs and without Sentinel-2; None where it has no target."""
    if len(rows) > MOST_DATES:
        chosen = generator_of(rows[0], material.config.seed, "dates").permutation(len(rows))[:MOST_DATES]
        rows = tuple(rows[number] for number in sorted(chosen))
    inputs = [sensor for sensor in material.sensors if sensor in embedder.inputs]
    others = [sensor for sensor in inputs if sensor not in OPTICAL]
    full, fill, clear, sample = [], [], [], None
    for row in rows:
        sample = material.read(row, _edge(material))
        encoded = embedder.encode(sample)
        full.append(encoded.embed(inputs))
        if others and sample.clear is not None:
            fill.append(encoded.embed(others))
        clear.append(sample.clear)
    assert sample is not None
    if not sample.valid.any():
        return None
    known = [mask for mask in clear if mask is not None]
    whole = len(known) == len(rows)
    return Season(
        cell=rows[0].cell,
        year=rows[0].year,
        full=np.stack(full),
        target=np.ascontiguousarray(sample.target.transpose(1, 2, 0)),
        valid=sample.valid,
        clear=np.stack(known) if whole else None,
        fill=np.stack(fill) if whole and others else None,
    )


def _edge(material: Material) -> int:
    edge, window = material.config.temporal.window, material.config.window
    return edge if window is None else min(edge, window)


def score_cell(
    embedder: Embedder, material: Material, rows: CellYearRows, counts: Sequence[int]
) -> tuple[AveragedCosine, ...]:
    """Score the arms in one cell's year."""
    season = embed_season(embedder, material, rows)
    if season is None:
        return ()
    config = material.config
    return tuple(score_season(season, counts, draws=config.temporal.draws, seed=config.seed))


def score_temporal(found: Sequence[tuple[Row, AveragedCosine]], *, seed: int) -> tuple[TemporalScore, ...]:
    """Score each arm over the cells that all arms were scored in, and over those of each stratum."""
    groups: dict[tuple[str, Pixels, Arm, int], list[TileCosine]] = {}
    for row, averaged in found:
        tile = TileCosine(
            name=f"{averaged.cell}/{averaged.year}",
            pixels=max(1, round(averaged.count)),
            cosine=averaged.cosine,
            cell=averaged.cell,
        )
        for stratum in ("", *(f"{name}: {word}" for name, word in sorted(row.strata.items()))):
            groups.setdefault((stratum, averaged.pixels, averaged.arm, averaged.dates), []).append(tile)
    order = sorted(groups, key=lambda key: (key[0], list(Pixels).index(key[1]), list(Arm).index(key[2]), key[3]))
    return tuple(
        TemporalScore(
            dates=dates,
            arm=arm,
            pixels=pixels,
            stratum=stratum or None,
            score=score_tiles(groups[stratum, pixels, arm, dates], seed=seed),
        )
        for stratum, pixels, arm, dates in order
        if not stratum or len(groups[stratum, pixels, arm, dates]) >= LEAST_TILES
    )

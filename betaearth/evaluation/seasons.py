"""Cell-years embedded date by date, and the scores of means over their dates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from betaearth.evaluation.choice import CellYearRows, generator_of, some, with_inputs
from betaearth.evaluation.cosine import TileCosine, score_tiles
from betaearth.evaluation.embedder import Embedder
from betaearth.evaluation.material import Material
from betaearth.evaluation.results import TemporalScore
from betaearth.evaluation.strata import LEAST_TILES
from betaearth.evaluation.temporal import Arm, AveragedCosine, Pixels, Season, score_season
from betaearth.scenes.model import Sensor
from betaearth.training.dataset import Row

OPTICAL = (Sensor.S2_L2A, Sensor.S2_L1C)
MOST_DATES = 12
"""Dates of a cell that are held at once; where there are more, the seed chooses."""


def seasonal_cells(embedder: Embedder, material: Material) -> tuple[tuple[int, ...], tuple[CellYearRows, ...]]:
    """Choose the numbers of dates, and the cell-years that have the largest of them: all are scored in the same cells.

    Returns:
        The numbers, empty where no cell has two dates; and the dates of each cell's year that have all inputs.
    """
    plan, config = material.config.temporal, material.config
    inputs = [sensor for sensor in material.sensors if sensor in embedder.inputs]
    cell_years = with_inputs(material.judged, inputs) if inputs else ()
    if any(row.has_clear for rows in cell_years for row in rows):
        masked = (tuple(row for row in rows if row.has_clear) for rows in cell_years)
        cell_years = tuple(rows for rows in masked if rows)
    most = max((len(rows) for rows in cell_years), default=0)
    counts = tuple(sorted({count for count in plan.dates if count <= min(most, MOST_DATES)}))
    if len(counts) < 2:
        return (), ()
    enough = [rows for rows in cell_years if len(rows) >= counts[-1] and rows[0].target_fraction > 0]
    return counts, some(enough, plan.cells, config.seed)


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
) -> list[tuple[Row, AveragedCosine]]:
    """Score the arms in one cell's year."""
    season = embed_season(embedder, material, rows)
    if season is None:
        return []
    config = material.config
    found = score_season(season, counts, draws=config.temporal.draws, seed=config.seed)
    return [(rows[0], averaged) for averaged in found]


def score_temporal(found: Sequence[tuple[Row, AveragedCosine]], *, seed: int) -> tuple[TemporalScore, ...]:
    """Score each arm over the cells that all arms were scored in, and over those of each stratum."""
    groups: dict[tuple[str, Pixels, Arm, int], list[TileCosine]] = {}
    for row, averaged in found:
        tile = TileCosine(
            name=f"{averaged.cell}/{averaged.year}", pixels=max(1, round(averaged.count)), cosine=averaged.cosine
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

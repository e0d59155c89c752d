"""One model through all experiments."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.chip_scores import (
    ChipCosine,
    ChipScore,
    by_cell_year,
    cell_means,
    rows_of,
    score_chip,
    strata_of,
)
from betaearth.evaluation.choice import one_date, some
from betaearth.evaluation.config import Experiment, ModelEntry
from betaearth.evaluation.cosine import score_tiles
from betaearth.evaluation.embedder import Embedder
from betaearth.evaluation.material import DrawnPixels, Material
from betaearth.evaluation.pace import paced
from betaearth.evaluation.probing import compress, probe
from betaearth.evaluation.results import ModelResults
from betaearth.evaluation.seasons import score_cell, score_temporal, seasonal_cells
from betaearth.evaluation.subsets import ablate, ablation_rows, date_importance, score_subsets
from betaearth.events import Emit, ignore
from betaearth.products.quantise import quantise
from betaearth.training.dataset import Row

Vectors = NDArray[np.float32]
MAP_EDGE = 256
"""Edge in pixels of a map that is kept, at most."""


@dataclass(frozen=True)
class ModelFindings:
    """What was found of a model, and what files keep besides."""

    results: ModelResults
    chips: tuple[ChipCosine, ...]
    """Every date with all the inputs that it has."""
    ablation: tuple[ChipCosine, ...]
    """Every arm on some of the dates."""
    means: Mapping[str, Vectors]
    """Cell and year to (64,), of unit length."""
    test_vectors: Vectors | None
    """(n, 64) of the judged pixels that were drawn; None where there are none."""
    maps: Mapping[str, NDArray[np.int8]]
    """Cell, year and day to (64, y, x) codes."""


@dataclass
class _Found:
    """Results so far, as fields of `ModelResults`."""

    fields: dict[str, object] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    ablation: tuple[ChipCosine, ...] = ()
    test_vectors: Vectors | None = None


def run_model(embedder: Embedder, entry: ModelEntry, material: Material, emit: Emit = ignore) -> ModelFindings:
    """Run a model through the experiments of a configuration.

    Args:
        embedder: the model.
        entry: as the configuration names it.
        material: what it is judged on.
        emit: where progress goes.

    Raises:
        DataError: not one judged chip has an input that it takes, a shard is damaged, or it gives what is no number.
    """
    began, wanted, found = time.monotonic(), material.config.experiments, _Found()
    scores = _score_chips(embedder, material, emit)
    if Experiment.STRATA in wanted:
        found.fields["strata"] = strata_of(scores, seed=material.config.seed)
    if Experiment.SUBSETS in wanted:
        _run_subsets(embedder, material, found, emit)
    if {Experiment.PROBES, Experiment.COMPRESSION} & set(wanted):
        _run_vectors(embedder, material, found, emit)
    if Experiment.TEMPORAL in wanted:
        _run_temporal(embedder, material, found, emit)
    found.not_run.update({name: "not asked for" for name in Experiment if name not in wanted})
    seed, maps = material.config.seed, maps_of(embedder, material)
    results = ModelResults.model_validate(
        {
            "name": embedder.name,
            "variant": embedder.variant.name,
            "weights": entry.weights,
            "origin": embedder.origin,
            "weights_sha256": embedder.weights_sha256,
            "trained": embedder.variant.trained,
            "parameters": sum(parameter.numel() for parameter in embedder.network.parameters()),
            "inputs": tuple(embedder.inputs),
            "seconds": time.monotonic() - began,
            "cosine": score_tiles(by_cell_year(score.cosine for score in scores), seed=seed),
            "cosine_chips": score_tiles([score.cosine.tile for score in scores], seed=seed),
            "not_run": found.not_run,
            **found.fields,
        }
    )
    chips = tuple(score.cosine for score in scores)
    return ModelFindings(results, chips, found.ablation, cell_means(scores), found.test_vectors, maps)


def check_scorable(embedder: Embedder, material: Material) -> None:
    """Check that a model can be judged at all, before hours of computing.

    Raises:
        DataError: not one judged chip has a target and an input that it takes.
    """
    rows = list(rows_of(material.judged))
    if not any(row.target_fraction > 0 and embedder.used(row.sensors) for row in rows):
        raise _unscorable(embedder, len(rows))


def _unscorable(embedder: Embedder, chips: int) -> DataError:
    return DataError(
        f"not one of the {chips} judged chips has a target and an input that {embedder.name} takes: "
        f"{', '.join(embedder.inputs)}"
    )


def _score_chips(embedder: Embedder, material: Material, emit: Emit) -> list[ChipScore]:
    rows = list(rows_of(material.judged))
    scored = (score_chip(embedder, material, row) for row in paced(rows, emit, model=embedder.name, step="chips"))
    scores = [score for score in scored if score is not None]
    if not scores:
        raise _unscorable(embedder, len(rows))
    return scores


def _run_subsets(embedder: Embedder, material: Material, found: _Found, emit: Emit) -> None:
    rows = ablation_rows(embedder, material)
    chips = tuple(
        chip
        for row in paced(rows, emit, model=embedder.name, step="subsets")
        for chip in ablate(embedder, material, material.read(row))
    )
    if not chips:
        found.not_run["subsets"] = "no judged chip has a target and all inputs that ablations take away from"
        return
    found.ablation = chips
    found.fields["subsets"] = score_subsets(chips, seed=material.config.seed)
    found.fields["date_importance"] = date_importance(chips, seed=material.config.seed)


def _run_vectors(embedder: Embedder, material: Material, found: _Found, emit: Emit) -> None:
    """Probe and compress the vectors of the drawn pixels."""
    wanted = [name for name in (Experiment.PROBES, Experiment.COMPRESSION) if name in material.config.experiments]
    reasons = {Experiment.PROBES: material.no_probe, Experiment.COMPRESSION: material.no_compression}
    if not set(material.sensors) & set(embedder.inputs) or not material.test_pixels.places:
        reasons = dict.fromkeys(wanted, f"no judged chip has both a target and all of {', '.join(material.sensors)}")
    found.not_run.update({name: reason for name in wanted if (reason := reasons[name])})
    possible = [name for name in wanted if name not in found.not_run]
    if not possible:
        return
    test = found.test_vectors = vectors_at(embedder, material, material.test_pixels, emit, step="judged vectors")
    train = vectors_at(embedder, material, material.train_pixels, emit, step="vectors that teach")
    for name in paced(possible, emit, model=embedder.name, step="probes and codes"):
        if name is Experiment.PROBES:
            found.fields["probes"] = probe(material, train, test, transfer=True)
        else:
            found.fields["compression"] = compress(material, train, test)


def _run_temporal(embedder: Embedder, material: Material, found: _Found, emit: Emit) -> None:
    chosen = seasonal_cells(embedder, material)
    if chosen.no_means is not None:
        found.not_run["temporal"] = chosen.no_means
        return
    averaged = [
        entry
        for rows in paced(chosen.cells, emit, model=embedder.name, step="temporal")
        for entry in score_cell(embedder, material, rows, chosen.counts)
    ]
    if not averaged:
        found.not_run["temporal"] = "no pixel of the cells' middle windows has a target"
        return
    found.not_run.update({f"temporal, {count} dates": reason for count, reason in chosen.not_scored.items()})
    found.fields["temporal"] = score_temporal(averaged, seed=material.config.seed)


def vectors_at(
    embedder: Embedder, material: Material, pixels: DrawnPixels, emit: Emit = ignore, *, step: str = "vectors"
) -> Vectors:
    """Embed chips and take the vectors of some of their pixels, (n, 64)."""
    parts = []
    for place in paced(pixels.places, emit, model=embedder.name, step=step):
        vectors = embedder.encode(material.read(place.row)).embed()
        parts.append(vectors[place.rows, place.columns])
    return np.concatenate(parts)


def map_rows(material: Material) -> tuple[Row, ...]:
    """Choose the chips whose maps are kept: one date of some cells."""
    seed = material.config.seed
    return one_date(some(material.judged, material.config.maps, seed), seed) if material.config.maps else ()


def maps_of(embedder: Embedder, material: Material) -> dict[str, NDArray[np.int8]]:
    """Embed the chips whose maps are kept: cell, year and day to (64, y, x) codes."""
    maps = {}
    for row in map_rows(material):
        if embedder.used(row.sensors):
            vectors = embedder.encode(material.read(row, MAP_EDGE)).embed()
            maps[f"{row.key}/{row.day}"] = quantise(vectors, np.ones(vectors.shape[:2], np.bool_)).transpose(2, 0, 1)
    return maps

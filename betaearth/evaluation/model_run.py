"""One model through all experiments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

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
from betaearth.evaluation.kept_scores import ABLATED, AVERAGED, COMPRESSED, PROBED, SCORE, KeptCosine, KeptScore
from betaearth.evaluation.material import DrawnPixels, Material, Place
from betaearth.evaluation.pace import paced
from betaearth.evaluation.parts import ARRAY, Parts
from betaearth.evaluation.probing import compress, probe, undivided
from betaearth.evaluation.results import ModelResults
from betaearth.evaluation.seasons import score_cell, score_temporal, seasonal_cells
from betaearth.evaluation.subsets import ablate, ablation_rows, date_importance, score_subsets
from betaearth.events import Emit, ignore
from betaearth.products.quantise import quantise
from betaearth.training.dataset import Row

T = TypeVar("T")
V = TypeVar("V")
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
    earlier: float = 0.0
    """Seconds of `results.seconds` that an earlier process took, which was interrupted."""


@dataclass(frozen=True)
class _Work:
    """What the experiments of a model share."""

    embedder: Embedder
    material: Material
    parts: Parts
    emit: Emit

    def each(self, step: str, things: Sequence[T], kind: TypeAdapter[V], do: Callable[[T], V]) -> list[V]:
        """Do something with each of many things, as `Parts.each`, and tell how far it is."""

        def pace(things: Sequence[T], done: int) -> Iterator[T]:
            return paced(things, self.emit, model=self.embedder.name, step=step, done=done)

        return self.parts.each(step.replace(" ", "-"), things, kind, do, pace=pace)


@dataclass
class _Found:
    """Results so far, as fields of `ModelResults`."""

    fields: dict[str, object] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    ablation: tuple[ChipCosine, ...] = ()
    test_vectors: Vectors | None = None


def run_model(
    embedder: Embedder, entry: ModelEntry, material: Material, emit: Emit = ignore, *, parts: Parts | None = None
) -> ModelFindings:
    """Run a model through the experiments of a configuration.

    Args:
        embedder: the model.
        entry: as the configuration names it.
        material: what it is judged on.
        emit: where progress goes.
        parts: of this model, as far as they are finished; None keeps nothing.

    Raises:
        DataError: not one judged chip has an input that it takes, a shard is damaged, or it gives what is no number.
        ConfigError: a part cannot be written.
    """
    began, wanted, seed = time.monotonic(), material.config.experiments, material.config.seed
    work = _Work(embedder, material, parts or Parts(), emit)
    found = _Found()
    scores = _score_chips(work)
    if Experiment.STRATA in wanted:
        found.fields["strata"] = strata_of(scores, seed=seed)
    if Experiment.SUBSETS in wanted:
        _run_subsets(work, found)
    if {Experiment.PROBES, Experiment.COMPRESSION} & set(wanted):
        _run_vectors(work, found)
    if Experiment.TEMPORAL in wanted:
        _run_temporal(work, found)
    found.not_run.update({name: "not asked for" for name in Experiment if name not in wanted})
    maps = _keep_maps(work)
    results = ModelResults.model_validate(
        {
            "name": embedder.name,
            "variant": embedder.variant.name,
            "weights": entry.weights,
            "origin": embedder.origin,
            "weights_sha256": embedder.weights_sha256,
            "backbone": embedder.backbone.origin if embedder.backbone else None,
            "backbone_sha256": embedder.backbone.sha256 if embedder.backbone else None,
            "trained": embedder.variant.trained,
            "parameters": sum(parameter.numel() for parameter in embedder.network.parameters()),
            "inputs": tuple(embedder.inputs),
            "seconds": time.monotonic() - began + work.parts.earlier,
            "cosine": score_tiles(by_cell_year(score.cosine for score in scores), seed=seed),
            "cosine_chips": score_tiles([score.cosine.tile for score in scores], seed=seed),
            "not_run": found.not_run,
            **found.fields,
        }
    )
    chips = tuple(score.cosine for score in scores)
    means = cell_means(scores)
    return ModelFindings(results, chips, found.ablation, means, found.test_vectors, maps, work.parts.earlier)


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


def _score_chips(work: _Work) -> list[ChipScore]:
    rows = list(rows_of(work.material.judged))
    kept = work.each("chips", rows, SCORE, lambda row: KeptScore.of(score_chip(work.embedder, work.material, row)))
    scores = [score.score(row) for row, score in zip(rows, kept, strict=True) if score is not None]
    if not scores:
        raise _unscorable(work.embedder, len(rows))
    return scores


def _run_subsets(work: _Work, found: _Found) -> None:
    embedder, material = work.embedder, work.material
    rows = ablation_rows(embedder, material)

    def ablated(row: Row) -> tuple[KeptCosine, ...]:
        return tuple(KeptCosine.of(chip) for chip in ablate(embedder, material, material.read(row)))

    arms = work.each("subsets", rows, ABLATED, ablated)
    chips = tuple(arm.chip(row) for row, held in zip(rows, arms, strict=True) for arm in held)
    if not chips:
        found.not_run["subsets"] = "no judged chip has a target and all inputs that ablations take away from"
        return
    found.ablation = chips
    found.fields["subsets"] = score_subsets(chips, seed=material.config.seed)
    found.fields["date_importance"] = date_importance(chips, seed=material.config.seed)


def _run_vectors(work: _Work, found: _Found) -> None:
    """Probe and compress the vectors of the drawn pixels."""
    material, wanted = work.material, work.material.config.experiments
    reasons = {Experiment.PROBES: material.no_probe, Experiment.COMPRESSION: material.no_compression}
    if not set(material.sensors) & set(work.embedder.inputs):
        reasons = dict.fromkeys(reasons, f"{work.embedder.name} takes none of {', '.join(material.sensors)}")
    found.not_run.update({name: reason for name, reason in reasons.items() if reason is not None and name in wanted})
    possible = [name for name in reasons if name in wanted and name not in found.not_run]
    if not possible:
        return
    test = found.test_vectors = _vectors_at(work, material.test_pixels, "judged vectors")
    train = _vectors_at(work, material.train_pixels, "vectors that teach")
    if Experiment.PROBES in possible:
        (found.fields["probes"],) = work.each(
            "probes", ["probes"], PROBED, lambda _: probe(material, train, test, transfer=True)
        )
        found.not_run.update({f"probes, {split}": reason for split, reason in undivided(material).items()})
    if Experiment.COMPRESSION in possible:
        (found.fields["compression"],) = work.each(
            "compression", ["compression"], COMPRESSED, lambda _: compress(material, train, test)
        )


def _run_temporal(work: _Work, found: _Found) -> None:
    chosen = seasonal_cells(work.embedder, work.material)
    if chosen.no_means is not None:
        found.not_run["temporal"] = chosen.no_means
        return
    scored = work.each(
        "temporal",
        chosen.cells,
        AVERAGED,
        lambda rows: score_cell(work.embedder, work.material, rows, chosen.counts),
    )
    averaged = [(rows[0], entry) for rows, entries in zip(chosen.cells, scored, strict=True) for entry in entries]
    if not averaged:
        found.not_run["temporal"] = "no pixel of the cells' middle windows has a target"
        return
    found.not_run.update({f"temporal, {count} dates": reason for count, reason in chosen.not_scored.items()})
    found.fields["temporal"] = score_temporal(averaged, seed=work.material.config.seed)


def _vectors_at(work: _Work, pixels: DrawnPixels, step: str) -> Vectors:
    """Embed chips and take the vectors of some of their pixels, (n, 64)."""

    def embedded(place: Place) -> Vectors:
        return work.embedder.encode(work.material.read(place.row)).embed()[place.rows, place.columns]

    found = work.each(step, pixels.places, ARRAY, embedded)
    return np.concatenate(found)


def map_rows(material: Material) -> tuple[Row, ...]:
    """Choose the chips whose maps are kept: one date of some cells."""
    seed = material.config.seed
    return one_date(some(material.judged, material.config.maps, seed), seed) if material.config.maps else ()


def _keep_maps(work: _Work) -> dict[str, NDArray[np.int8]]:
    """Embed the chips whose maps are kept: cell, year and day to (64, y, x) codes."""

    def embedded(row: Row) -> NDArray[np.int8]:
        vectors = work.embedder.encode(work.material.read(row, MAP_EDGE)).embed()
        return quantise(vectors, np.ones(vectors.shape[:2], np.bool_)).transpose(2, 0, 1)

    rows = [row for row in map_rows(work.material) if work.embedder.used(row.sensors)]
    found = work.parts.each("maps", rows, ARRAY, embedded)
    return {f"{row.key}/{row.day}": codes for row, codes in zip(rows, found, strict=True)}

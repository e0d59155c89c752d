"""Land cover from vectors: a model's, its teacher's, and the raw inputs, on the same pixels and splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.compression import CompressionScore, fit_codecs, probe_codes, score_compression
from betaearth.evaluation.config import EvaluationConfig, FoldSplit
from betaearth.evaluation.material import DrawnPixels, Material
from betaearth.evaluation.probe_splits import Split, block_folds, leave_one_out, random_folds
from betaearth.evaluation.probes import ProbeOptions, run_few_shot, run_folds, run_probes, unlearnable
from betaearth.evaluation.results import ProbeResult

Vectors = NDArray[np.float32]


def probe(
    material: Material, train: Vectors, test: Vectors, *, transfer: bool = False, raw: bool = False
) -> tuple[ProbeResult, ...]:
    """Probe vectors in each split that the pixels allow; `undivided` says why in which not.

    Args:
        material: whose labelled pixels they are of.
        train: (n, feature) of the pixels that teach.
        test: (m, feature) of those that are asked about.
        transfer: whether to ask the teacher's probe, too.
        raw: whether features have units of their own.
    """
    taught, asked, config = material.train_pixels, material.test_pixels, material.config
    learned, questions = taught.task(train), asked.task(test)
    options = _options(config, raw=raw)
    alone = options.model_copy(update={"shots": None})
    scores = run_probes(learned, questions, teacher=taught.task(taught.target) if transfer else None, options=alone)
    if len(learned.frequent(config.probes.shots)) > 1:
        scores = scores.model_copy(update={"few_shot": run_few_shot(learned, questions, options=options)})
    found = [ProbeResult(split="train to test", train_samples=len(train), scores=scores)]
    for split in config.probes.splits:
        folds = folds_of(asked, split, config)
        if not isinstance(folds, str):
            scores = run_folds(questions, folds, options=alone)
            found.append(ProbeResult(split=split, train_samples=len(test), scores=scores))
    return tuple(found)


def _options(config: EvaluationConfig, *, raw: bool) -> ProbeOptions:
    return ProbeOptions(
        neighbours="euclidean" if raw else "cosine",
        shots=config.probes.shots,
        draws=config.probes.draws,
        seed=config.seed,
    )


def undivided(material: Material) -> dict[FoldSplit, str]:
    """Say which splits of the judged pixels cannot be made, and why."""
    found = {split: folds_of(material.test_pixels, split, material.config) for split in material.config.probes.splits}
    return {split: reason for split, reason in found.items() if isinstance(reason, str)}


def folds_of(asked: DrawnPixels, split: FoldSplit, config: EvaluationConfig) -> Sequence[Split] | str:
    """Cut the judged pixels, so that each fold has enough to learn from; or say why that cannot be."""
    if asked.labels is None:
        return "the pixels have no labels"
    try:
        folds = _cut(asked, asked.labels, split, config)
    except DataError as error:
        return str(error)
    for fold in folds:
        if (lacking := unlearnable(asked.labels[fold.train])) is not None:
            return f"without the fold {fold.name}, the judged pixels have {lacking}"
    return folds


def _cut(asked: DrawnPixels, labels: NDArray[np.str_], split: FoldSplit, config: EvaluationConfig) -> tuple[Split, ...]:
    count, seed = config.probes.folds, config.seed
    if split == "random":
        return random_folds(labels, count, seed=seed)
    if split == "blocks":
        return block_folds(asked.blocks, max(2, min(count, len(np.unique(asked.blocks)))), seed=seed)
    return leave_one_out(asked.regions)


def compress(material: Material, train: Vectors, test: Vectors) -> tuple[CompressionScore, ...]:
    """Measure what each code keeps of vectors, fitted on those that teach; the cosine alone where nothing is labelled.

    Args:
        material: whose pixels they are of.
        train: (n, 64) of the pixels that teach.
        test: (m, 64) of those that are asked about.
    """
    taught, asked = material.train_pixels, material.test_pixels
    if material.no_probe is not None:
        return tuple(score_compression(codec, test, target=asked.target) for codec in fit_codecs(train))
    return probe_codes([(taught.task(train), asked.task(test))], seed=material.config.seed, target=asked.target)

"""Land cover from vectors: a model's, its teacher's, and the raw inputs, on the same pixels and splits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from betaearth.evaluation.compression import CompressionScore, fit_codecs, probe_codes, score_compression
from betaearth.evaluation.config import EvaluationConfig, Experiment
from betaearth.evaluation.material import DrawnPixels, Material
from betaearth.evaluation.probe_splits import block_folds, random_folds
from betaearth.evaluation.probes import ProbeOptions, ProbeTask, run_folds, run_probes
from betaearth.evaluation.results import Baselines, ProbeResult

Vectors = NDArray[np.float32]
LEAST_BLOCKS = 2


def baselines(material: Material) -> Baselines:
    """Probe what no model has a part in: the teacher's own vectors, and the scaled inputs of each pixel."""
    taught, asked, wanted = material.train_pixels, material.test_pixels, material.config.experiments
    can_probe = material.no_probe is None and Experiment.PROBES in wanted
    can_compress = material.no_compression is None and Experiment.COMPRESSION in wanted
    return Baselines(
        teacher=probe(material, taught.target, asked.target) if can_probe else (),
        raw=probe(material, taught.raw, asked.raw, raw=True) if can_probe else (),
        raw_inputs=tuple(material.sensors),
        compression=compress(material, taught.target, asked.target) if can_compress else (),
    )


def probe(
    material: Material, train: Vectors, test: Vectors, *, transfer: bool = False, raw: bool = False
) -> tuple[ProbeResult, ...]:
    """Probe vectors in each split that the pixels allow.

    Args:
        material: whose labelled pixels they are of.
        train: (n, feature) of the pixels that teach.
        test: (m, feature) of those that are asked about.
        transfer: whether to ask the teacher's probe, too.
        raw: whether features have units of their own.
    """
    taught, asked, config = material.train_pixels, material.test_pixels, material.config
    learned, questions = taught.task(train), asked.task(test)
    frequent = learned.frequent(config.probes.shots)
    few = learned.of_classes(frequent) if len(frequent) > 1 else None
    options = _options(config, raw=raw)
    teacher = taught.task(taught.target) if transfer else None
    scores = run_probes(learned, questions, teacher=teacher, options=options.model_copy(update={"shots": None}))
    if few is not None:
        # A class with too few labels cannot be drawn from; its pixels count as never found.
        shots = run_probes(few, questions, options=options)
        scores = scores.model_copy(update={"few_shot": shots.few_shot})
    found = [ProbeResult(split="train to test", train_samples=len(train), scores=scores)]
    return (*found, *_folds(asked, questions, config, options))


def _options(config: EvaluationConfig, *, raw: bool) -> ProbeOptions:
    return ProbeOptions(
        neighbours="euclidean" if raw else "cosine",
        shots=config.probes.shots,
        draws=config.probes.draws,
        seed=config.seed,
    )


def _folds(
    asked: DrawnPixels, task: ProbeTask, config: EvaluationConfig, options: ProbeOptions
) -> tuple[ProbeResult, ...]:
    """Probe within the judged cells, at random and by whole blocks; leaves out what too few pixels or blocks allow."""
    alone, count = options.model_copy(update={"shots": None}), config.probes.folds
    blocks = min(count, len(np.unique(asked.blocks)))
    found = []
    if len(task.labels) >= count and len(task.frequent(count)) > 1:
        folds = random_folds(task.labels, count, seed=config.seed)
        found.append(("random", run_folds(task, folds, options=alone)))
    if blocks >= LEAST_BLOCKS:
        folds = block_folds(asked.blocks, blocks, seed=config.seed)
        if all(len(np.unique(task.labels[fold.train])) > 1 for fold in folds):
            found.append(("blocks", run_folds(task, folds, options=alone)))
    return tuple(
        ProbeResult.model_validate({"split": split, "train_samples": len(task.labels), "scores": scores})
        for split, scores in found
    )


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

"""An evaluation: from a configuration to results, tables and files."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sklearn
import torch

from betaearth._version import __version__
from betaearth.errors import ConfigError
from betaearth.evaluation.baselines import baselines
from betaearth.evaluation.config import EvaluationConfig, ModelEntry
from betaearth.evaluation.differences import compare
from betaearth.evaluation.embedder import Embedder
from betaearth.evaluation.material import gather
from betaearth.evaluation.model_run import check_scorable, run_model
from betaearth.evaluation.outputs import check_out, write_outputs
from betaearth.evaluation.parts import kept_parts
from betaearth.evaluation.results import Results
from betaearth.events import Emit, Notice, ignore
from betaearth.inference.model import BetaEarth
from betaearth.inference.precision import Precision
from betaearth.nn.variants import CUSTOM
from betaearth.nn.weight_files import FILE_NAMES
from betaearth.training.dataset import Dataset


def evaluate(config: EvaluationConfig, out: Path, *, emit: Emit = ignore) -> Results:
    """Evaluate models on a data set and write what was found.

    Args:
        config: what to run.
        out: folder for `results.json`, `tables.md`, `tiles.parquet`, `vectors.npz`, `maps.npz` and `neuco-NAME.csv`;
            new or empty. Until all is done, what is finished lies in a hidden folder beside it, from which the same
            evaluation goes on if it is interrupted; the results are the same but for their `seconds`.
        emit: where progress goes.

    Raises:
        DataError: the data set is damaged, or has no cell in the split that is judged; a model takes none of its
            inputs or gives what is no number; or `out` holds something.
        ConfigError: the configuration names no data, weights are not there or do not fit, or `out` cannot be written.
        TransientError: weights must be downloaded, and the network failed; or another evaluation is at work on `out`.
    """
    began = time.monotonic()
    check_out(out)
    if config.data is None:
        raise ConfigError("the configuration names no data set: give `data`, or --data FOLDER")
    dataset = Dataset.open(config.data)
    models = [(load(entry, config), entry) for entry in config.models]
    check_names([embedder.name for embedder, _ in models])
    for embedder, entry in models:
        if not embedder.variant.trained:
            emit(Notice(f"{entry.weights} is untrained: its figures are those of chance"))
    with kept_parts(out, inputs_of(config, dataset, [embedder for embedder, _ in models]), emit) as parts:
        material = gather(dataset, config, emit, parts=parts)
        for embedder, _ in models:
            check_scorable(embedder, material)
        own = parts.of("baselines")
        beside = baselines(material, own)
        findings = [
            run_model(embedder, entry, material, emit, parts=parts.of(f"model-{embedder.name}"))
            for embedder, entry in models
        ]
        here = time.monotonic() - began
        results = Results(
            created_by=f"betaearth {__version__}",
            seconds=here + parts.earlier + own.earlier + sum(found.earlier for found in findings),
            device=models[0][0].device_name,
            config=config,
            data=material.facts(),
            resampled="cells",
            baselines=beside,
            models=tuple(found.results for found in findings),
            differences=compare(findings, seed=config.seed),
        )
        write_outputs(out, results, findings, material)
    return results


def inputs_of(config: EvaluationConfig, dataset: Dataset, embedders: Sequence[Embedder]) -> dict[str, str]:
    """Say all that decides what an evaluation finds, whatever the folders are called.

    Args:
        config: what is to be run.
        dataset: the data.
        embedders: the models.
    """
    return {
        "configuration": config.model_dump_json(exclude={"data"}),
        "data": dataset.digest,
        "weights": json.dumps(
            [
                (embedder.name, embedder.weights_sha256, embedder.backbone.sha256 if embedder.backbone else None)
                for embedder in embedders
            ]
        ),
        "device": embedders[0].device_name,
        "software": f"betaearth {__version__}, torch {torch.__version__}, numpy {np.__version__}, "
        f"scikit-learn {sklearn.__version__}",
    }


def load(entry: ModelEntry, config: EvaluationConfig) -> Embedder:
    """Load a model of a configuration, and name it.

    Raises:
        ConfigError: its weights are not there, or do not fit.
        TransientError: they must be downloaded, and the network failed.
    """
    model = BetaEarth.from_pretrained(entry.weights, config.device, entry.dinov3_weights)
    return Embedder.of(model, name_of(entry, model.variant.name), precision=Precision(config.precision))


def name_of(entry: ModelEntry, variant: str) -> str:
    """Name a model: as the configuration does, else as its variant, else as its file without suffix, or its folder."""
    if entry.name or variant != CUSTOM:
        return entry.name or variant
    path = Path(entry.weights)
    if path.name in FILE_NAMES:
        return path.absolute().parent.name
    if path.is_file():
        return path.stem
    return path.name if path.name not in {"", ".."} else path.resolve().name


def check_names(names: list[str]) -> None:
    """Check that results can tell the models apart.

    Raises:
        ConfigError: two have one name.
    """
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two models are called {name}: give each a `name` of its own")

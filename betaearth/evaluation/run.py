"""An evaluation: from a configuration to results, tables and files."""

from __future__ import annotations

import time
from pathlib import Path

from betaearth._version import __version__
from betaearth.errors import ConfigError
from betaearth.evaluation.config import EvaluationConfig, ModelEntry
from betaearth.evaluation.differences import compare
from betaearth.evaluation.embedder import Embedder
from betaearth.evaluation.material import gather
from betaearth.evaluation.model_run import check_scorable, run_model
from betaearth.evaluation.outputs import check_free, write_outputs
from betaearth.evaluation.probing import baselines
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
            new or empty.
        emit: where progress goes.

    Raises:
        DataError: the data set is damaged, or has no cell in the split that is judged; a model takes none of its
            inputs or gives what is no number; or `out` holds something.
        ConfigError: the configuration names no data, weights are not there or do not fit, or `out` cannot be written.
        TransientError: weights must be downloaded, and the network failed.
    """
    began = time.monotonic()
    check_free(out)
    if config.data is None:
        raise ConfigError("the configuration names no data set: give `data`, or --data FOLDER")
    dataset = Dataset.open(config.data)
    models = [(load(entry, config), entry) for entry in config.models]
    check_names([embedder.name for embedder, _ in models])
    for embedder, entry in models:
        if not embedder.variant.trained:
            emit(Notice(f"{entry.weights} is untrained: its figures are those of chance"))
    material = gather(dataset, config, emit)
    for embedder, _ in models:
        check_scorable(embedder, material)
    beside = baselines(material)
    findings = [run_model(embedder, entry, material, emit) for embedder, entry in models]
    results = Results(
        created_by=f"betaearth {__version__}",
        seconds=time.monotonic() - began,
        device=models[0][0].device_name,
        config=config,
        data=material.facts(),
        baselines=beside,
        models=tuple(found.results for found in findings),
        differences=compare(findings, seed=config.seed),
    )
    write_outputs(out, results, findings, material)
    return results


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

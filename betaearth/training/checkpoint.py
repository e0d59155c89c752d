"""Checkpoints: all that a run needs to go on bit for bit, in one file of plain values and tensors, whole or not there.

`last.pt` holds `models` (`{model}.{key}`: what `betaearth models export` takes, the averaged weights where there are
such), `weights` (what each model's weights are), `training` (the configuration as JSON), the position, and below
`state` what only training needs. `best-{model}.pt` holds one model's weights of the epoch that validated best.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from betaearth._version import __version__
from betaearth.errors import ConfigError, DataError
from betaearth.nn.plain_files import read_pickle
from betaearth.nn.weight_files import WeightsConfig
from betaearth.storage.files import folder_errors, sync
from betaearth.training.config import RUNNING, TrainingConfig
from betaearth.training.config_files import flat
from betaearth.training.meter import Meter

FORMAT = "betaearth-training/2"
"""1: without the coordinates that steps are taken in."""
FOLDER = "checkpoints"
LAST = "last.pt"


@dataclass(frozen=True)
class Position:
    """How far a run has come."""

    epoch: int
    """Epochs that are done, validation and all."""
    step: int
    """Steps of the next epoch that are done; all of them where only the validation is lacking."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A run at a position."""

    position: Position
    training: Mapping[str, Any]
    """The configuration as plain values, without what changes no weight."""
    data: str
    """Digest of the data set."""
    world: int
    """Processes."""
    models: Mapping[str, Mapping[str, Tensor]]
    """Model to the tensors to export."""
    weights: Mapping[str, Mapping[str, Any]]
    """Model to what its weights are, as in `config.json`."""
    state: Mapping[str, Mapping[str, Any]]
    """Model to what only training needs."""
    best: Mapping[str, float]
    """Model to its best validation."""
    meters: Mapping[str, Meter]
    """Model to its sums since the last line of the journal, over all processes."""
    journal: int
    """Bytes of the journal."""


def last_path(out: Path) -> Path:
    """Return where a run's last checkpoint lies."""
    return out / FOLDER / LAST


def best_path(out: Path, model: str) -> Path:
    """Return where a model's best weights lie."""
    return out / FOLDER / f"best-{model}.pt"


def forget(out: Path) -> None:
    """Remove the checkpoints of a run that is begun anew, also of models that it no longer has."""
    for path in (last_path(out), *(out / FOLDER).glob(best_path(out, "*").name)):
        path.unlink(missing_ok=True)


def plain_config(config: TrainingConfig) -> dict[str, Any]:
    """Spell what decides the weights as plain values."""
    return config.model_dump(mode="json", exclude=set(RUNNING))


def write_checkpoint(checkpoint: Checkpoint, out: Path) -> Path:
    """Write a run's last checkpoint in place of the one before.

    Raises:
        ConfigError: the folder cannot be written.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "epoch": checkpoint.position.epoch,
        "step": checkpoint.position.step,
        "training": json.dumps(checkpoint.training, sort_keys=True),
        "data": checkpoint.data,
        "world": checkpoint.world,
        "models": {f"{name}.{key}": value for name, held in checkpoint.models.items() for key, value in held.items()},
        "weights": {f"models.{name}": dict(config) for name, config in checkpoint.weights.items()},
        "state": {name: dict(state) for name, state in checkpoint.state.items()},
        "best": dict(checkpoint.best),
        "meters": {name: asdict(meter) for name, meter in checkpoint.meters.items()},
        "journal": checkpoint.journal,
    }
    if len(checkpoint.weights) == 1:  # one network is exported without more words
        content["config"] = dict(*checkpoint.weights.values())
    return _save(content, last_path(out))


def write_best(out: Path, model: str, tensors: Mapping[str, Tensor], config: WeightsConfig, cosine: float) -> Path:
    """Write a model's best weights.

    Raises:
        ConfigError: the folder cannot be written.
    """
    plain = config.model_dump(mode="json", exclude_none=True)
    return _save({"model": dict(tensors), "config": plain, "cosine": cosine}, best_path(out, model))


def read_last(out: Path) -> Checkpoint | None:
    """Read a run's last checkpoint; None where there is none.

    Raises:
        ConfigError: it is damaged, or of another format.
    """
    path = last_path(out)
    if not path.is_file():
        return None
    content = read_pickle(path)
    found = content.get("format") if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping) or found != FORMAT:
        raise ConfigError(
            f"{path} is no checkpoint of a run of format {FORMAT} ({found!r}), and only such a run goes on: begin it "
            "anew, --no-resume, or give another --out"
        )
    try:
        return _checkpoint(content)
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"{path} is a damaged checkpoint: {error!r}; remove it, or train anew: --no-resume"
        ) from error


def _checkpoint(content: Mapping[str, Any]) -> Checkpoint:
    """Understand the content of a file; whatever is not as `write_checkpoint` has it raises one of Python's errors."""
    models: dict[str, dict[str, Tensor]] = {name: {} for name in content["state"]}
    for key, value in content["models"].items():
        name, _, own = key.partition(".")
        models[name][own] = value
    weights = {name.removeprefix("models."): config for name, config in content["weights"].items()}
    if not models.keys() == weights.keys() == content["meters"].keys():
        raise ValueError(f"it holds parts of different models: {', '.join(sorted(models.keys() | weights.keys()))}")
    counts = {name: content[name] for name in ("epoch", "step", "world", "journal")}
    if wrong := [name for name, count in counts.items() if type(count) is not int or count < 0]:
        raise ValueError(f"{wrong[0]} is {counts[wrong[0]]!r}, which is no count")
    return Checkpoint(
        position=Position(counts["epoch"], counts["step"]),
        training=json.loads(content["training"]),
        data=content["data"],
        world=counts["world"],
        models=models,
        weights=weights,
        state=content["state"],
        best={name: float(cosine) for name, cosine in content["best"].items()},
        meters={name: Meter(**meter) for name, meter in content["meters"].items()},
        journal=counts["journal"],
    )


def check_same_run(checkpoint: Checkpoint, config: TrainingConfig, data: str, world: int, out: Path) -> None:
    """Check that a checkpoint is of this very run.

    Raises:
        ConfigError: it is of another configuration, whose first difference is named, or of more or fewer processes.
        DataError: it is of other data.
    """
    path, advice = last_path(out), "take another --out, or begin anew: --no-resume"
    before, now = flat(checkpoint.training), flat(plain_config(config))
    for key in dict.fromkeys([*now, *before]):
        if before.get(key) != now.get(key):
            raise ConfigError(
                f"{path} is of another configuration: {key} is {_spelt(before, key)} there and {_spelt(now, key)} "
                f"here; {advice}"
            )
    if checkpoint.data != data:
        raise DataError(
            f"{path} learned from other data: the digest of the data set is {checkpoint.data[:12]}... there and "
            f"{data[:12]}... here; {advice}"
        )
    if checkpoint.world != world:
        raise ConfigError(
            f"{path} is of {checkpoint.world} processes, and these are {world}: start as many; or {advice}"
        )


def _spelt(options: Mapping[str, object], key: str) -> str:
    return json.dumps(options[key]) if key in options else "not there"


def _save(content: Mapping[str, Any], path: Path) -> Path:
    with folder_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with draft.open("wb") as file:
                torch.save(dict(content), file)
            sync(draft)
            draft.replace(path)
            sync(path.parent)
        finally:
            draft.unlink(missing_ok=True)
    return path

"""The journal of a training run, as curves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from betaearth.errors import DataError
from betaearth.storage.files import folder_errors
from betaearth.storage.unfinished import whole_lines
from betaearth.training.journal import NAME
from betaearth.training.run_folder import RUN_NAME


class _Part(BaseModel):
    # A later version may measure more.
    model_config = ConfigDict(frozen=True, extra="ignore")


class _StepModel(_Part):
    loss: float
    lr: float


class _Step(_Part):
    epoch: float
    models: dict[str, _StepModel]


class _ScoredModel(_Part):
    cosine: float


class _Validation(_Part):
    epoch: float
    constant: float | None = None
    tiles: int | None = None
    models: dict[str, _ScoredModel]


@dataclass(frozen=True)
class Point:
    """A value after some epochs."""

    epoch: float
    """Epochs done, with fractions."""
    value: float


@dataclass(frozen=True)
class Curves:
    """What a run has measured."""

    loss: Mapping[str, tuple[Point, ...]]
    """Model to its loss on the training batches, means between lines of the journal."""
    rate: Mapping[str, tuple[Point, ...]]
    """Model to its learning rate."""
    cosine: Mapping[str, tuple[Point, ...]]
    """Model to its mean cosine on the validation tiles; empty where nothing was validated."""
    constant: float | None
    """The constant baseline on those tiles."""
    tiles: int | None
    """Validation tiles."""


@dataclass(frozen=True)
class RunFacts:
    """On which data a run learned."""

    data: str
    """Name of the data set."""
    digest: str
    synthetic: bool | None
    """None where nobody says."""


def read_curves(folder: Path) -> Curves:
    """Read the journal of a run.

    Args:
        folder: that `betaearth train` wrote to.

    Raises:
        DataError: there is none, or a line of it is damaged; the last may be cut short, as it is while a run writes.
        ConfigError: it may not be read.
    """
    path = folder / NAME
    with folder_errors(path):
        if not path.exists():
            raise DataError(f"{folder} holds no training run: {NAME} is not there; `betaearth train` makes it")
        lines = list(whole_lines(path))
    steps: list[_Step] = []
    validations: list[_Validation] = []
    for number, line in enumerate(lines, 1):
        try:
            content = json.loads(line)
            if content["kind"] == "step":
                steps.append(_Step.model_validate(content))
            elif content["kind"] == "validation":
                validations.append(_Validation.model_validate(content))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}, line {number} is no line of a journal: {_reason(error)}") from error
    if not steps and not validations:
        raise DataError(f"{path} holds no step yet: wait for the run's first lines")
    return _curves(steps, validations)


def read_facts(folder: Path) -> RunFacts:
    """Find out on which data a run learned.

    Raises:
        DataError: the run's description is missing or damaged.
        ConfigError: it may not be read.
    """
    path = folder / RUN_NAME
    try:
        with folder_errors(path):
            about: dict[str, Any] = json.loads(path.read_bytes())
        name, digest = str(about["data"]), str(about["data_digest"])
        synthetic = about.get("synthetic")
    except FileNotFoundError as error:
        raise DataError(f"{folder} holds no training run: {RUN_NAME} is not there") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} does not describe a training run: {_reason(error)}") from error
    return RunFacts(name, digest, synthetic if isinstance(synthetic, bool) else None)


def _curves(steps: list[_Step], validations: list[_Validation]) -> Curves:
    names = list(dict.fromkeys(name for held in (steps, validations) for line in held for name in line.models))
    learned = {name: [(line.epoch, line.models[name]) for line in steps if name in line.models] for name in names}
    cosine = {
        name: tuple(Point(line.epoch, line.models[name].cosine) for line in validations if name in line.models)
        for name in names
    }
    return Curves(
        loss={name: tuple(Point(epoch, found.loss) for epoch, found in held) for name, held in learned.items()},
        rate={name: tuple(Point(epoch, found.lr) for epoch, found in held) for name, held in learned.items()},
        cosine={name: points for name, points in cosine.items() if points},
        constant=validations[-1].constant if validations else None,
        tiles=validations[-1].tiles if validations else None,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return f"{type(error).__name__}: {error}"

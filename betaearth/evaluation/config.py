"""What an evaluation runs, as a YAML file says it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from betaearth.errors import ConfigError
from betaearth.storage.files import folder_errors

Count = Annotated[int, Field(ge=1)]
FoldSplit = Literal["random", "blocks", "region left out"]
"""How the evaluated cells alone are cut for probes: at random by pixel, by geographic block, each region left out."""
MOST_DATES = 12
"""Dates of a cell that are held at once; where there are more, the seed chooses."""


class Experiment(StrEnum):
    """A part of an evaluation; the cosine with the target is always there."""

    SUBSETS = "subsets"
    """Every subset of the inputs, with the day, with day 0 and without a date."""
    PROBES = "probes"
    """Land cover from the vectors, by simple classifiers."""
    STRATA = "strata"
    """The cosine by biome, land cover, month, latitude and cloudiness."""
    COMPRESSION = "compression"
    """What is left of cosine and probe when vectors are stored in fewer bytes."""
    TEMPORAL = "temporal"
    """Means over several dates."""


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelEntry(_Options):
    """A model to evaluate."""

    weights: str
    """A variant's name, a hub id, or a file or folder of weights: what `BetaEarth.from_pretrained` takes."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] | None = None
    """What results call it; None for the variant's name, or that of the file's folder where it is a user's own."""
    dinov3_weights: str | None = None
    """Backbone of a DINOv3 variant; None for timm's release."""


class ProbePlan(_Options):
    """The probes; every figure here is our own choice, since the published protocol is not known in full."""

    pixels_per_chip: Count = 64
    """Labelled pixels that are drawn of a chip."""
    train_cells: Count = 300
    """Cell-years of the train split that teach, at most; each gives one date."""
    test_cells: Count = 300
    """Cell-years of the evaluated split that are asked about, at most."""
    splits: tuple[FoldSplit, ...] = ("random", "blocks", "region left out")
    """Of the evaluated cells among themselves, beside the data set's own split."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Of the random and the geographic-block splits."""
    region_km: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2000.0
    """Edge of a region, each of which is left out in turn; a data set whose strata name a `region` has its own."""
    shots: Count = 10
    """Labels a class of the few-shot probe."""
    draws: Count = 10
    """Draws of the few-shot probe."""


class TemporalPlan(_Options):
    """Means over dates."""

    dates: tuple[Annotated[int, Field(ge=1, le=MOST_DATES)], ...] = (1, 2, 4, 8)
    """Numbers of dates, of which those are scored that enough cell-years have: half of them, or `cells`."""
    draws: Count = 4
    """Random orders of the dates in each cell."""
    cells: Count = 200
    """Cell-years, at most; each has the largest number of dates that is scored."""
    window: Count = 224
    """Edge in pixels of the window in a cell's middle: all dates of a cell are held at once."""


class EvaluationConfig(_Options):
    """An evaluation."""

    data: Path | None = None
    """Folder of a data set; the command line gives it where it is None."""
    models: Annotated[tuple[ModelEntry, ...], Field(min_length=1)]
    split: Literal["train", "val", "test"] = "test"
    """Whose cells are judged. With `train`, probes and compression are not run, since the judged cells would be those
    that teach them; and the constant baseline is the mean of the very targets that it is asked about."""
    experiments: tuple[Experiment, ...] = tuple(Experiment)
    seed: Annotated[int, Field(ge=0)] = 0
    """Of all draws: pixels, dates, folds, bootstrap."""
    cells: Count | None = None
    """Cell-years of the split, at most, chosen by the seed; None for all."""
    window: Count | None = None
    """Edge in pixels of the window in a cell's middle; None for whole cells."""
    ablation_cells: Count | None = None
    """Cell-years of the subsets' ablation, at most; None for all that are judged."""
    maps: Annotated[int, Field(ge=0)] = 4
    """Cells whose maps are kept for figures."""
    probes: ProbePlan = ProbePlan()
    temporal: TemporalPlan = TemporalPlan()
    device: str | None = None
    """Such as `cpu` or `cuda`; None takes a GPU where there is one."""
    precision: Literal["float32", "bf16"] = "float32"
    """Of the encoders."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [entry.name for entry in self.models if entry.name]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two models are called {min(twice)}: give each a name of its own")
        return self


def shipped_configs() -> tuple[str, ...]:
    """Name the configurations that come with the package."""
    folder = files("betaearth.evaluation") / "configs"
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


def read_config(name_or_path: str | Path, changes: Sequence[str] = (), **options: object) -> EvaluationConfig:
    """Read a configuration.

    Args:
        name_or_path: one of `shipped_configs`, or a YAML file.
        changes: `key=value`, dots between the parts of a key, the value in YAML, such as `probes.shots=5` or
            `models.0.name=mine`.
        options: further values by key; None leaves the file's.

    Raises:
        ConfigError: it is not there or not YAML, a key is unknown (the nearest is named), or a value is wrong.
    """
    shipped = shipped_configs()
    path = Path(name_or_path)
    if str(name_or_path) in shipped:
        path = Path(str(files("betaearth.evaluation") / "configs" / f"{name_or_path}.yaml"))
    try:
        with folder_errors(path):
            text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ConfigError(
            f"{path} is not there: a YAML file that says what to evaluate is needed, or one of {', '.join(shipped)}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is no mapping of keys to values, such as `models: [{{weights: demo}}]`")
    return make_config(document, changes, where=str(path), **options)


def make_config(
    document: Mapping[str, Any], changes: Sequence[str] = (), *, where: str = "the options", **options: object
) -> EvaluationConfig:
    """Make a configuration of plain values; see `read_config`.

    Raises:
        ConfigError: a key is unknown (the nearest is named), or a value is wrong.
    """
    values = {**document, **{key: value for key, value in options.items() if value is not None}}
    for change in changes:
        values = _changed(values, change)
    try:
        return EvaluationConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_said(error.errors(include_url=False)[0])}") from error


def _changed(values: Mapping[str, Any], change: str) -> dict[str, Any]:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise ConfigError(f"{change!r} changes nothing: key=value is needed, such as probes.shots=5")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{change!r}: {text!r} is not YAML") from error
    changed = _put(values, key.split("."), value, change)
    assert isinstance(changed, dict)
    return changed


def _put(into: Any, path: Sequence[str], value: Any, change: str) -> Any:  # noqa: ANN401  # a YAML document
    """Return a copy of a document with one value replaced."""
    if not path:
        return value
    head, *rest = path
    if isinstance(into, list | tuple):
        if not head.isdecimal() or int(head) >= len(into):
            raise ConfigError(f"{change!r}: {head!r} is none of the {len(into)} entries, which count from 0")
        return [_put(entry, rest, value, change) if at == int(head) else entry for at, entry in enumerate(into)]
    if into is not None and not isinstance(into, Mapping):
        raise ConfigError(f"{change!r}: there is a value where {head!r} is looked for")
    held = dict(into or {})
    return {**held, head: _put(held.get(head), rest, value, change)}


def _said(error: ErrorDetails) -> str:
    """Spell the first thing that is wrong; an unknown key with the nearest that there is."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{where or 'it'}: {error['msg']}, not {error['input']!r}" if where else str(error["msg"])
    known = _keys(error["loc"][:-1])
    nearest = difflib.get_close_matches(str(error["loc"][-1]), known, 1, cutoff=0.0)
    return f"{where} is no key; the nearest is {nearest[0]}, and there are {', '.join(known)}"


def _keys(path: Sequence[str | int]) -> list[str]:
    """List the keys at a place of the document."""
    groups: Mapping[str, type[BaseModel]] = {
        "models": ModelEntry,
        "probes": ProbePlan,
        "temporal": TemporalPlan,
    }
    return list((groups[str(path[0])] if path else EvaluationConfig).model_fields)

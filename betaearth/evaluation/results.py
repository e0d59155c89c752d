"""What an evaluation found, each figure beside its baseline: `results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from betaearth.errors import DataError
from betaearth.evaluation.compression import CompressionScore
from betaearth.evaluation.config import EvaluationConfig, FoldSplit
from betaearth.evaluation.cosine import CosineScore, Interval, Measure
from betaearth.evaluation.embedder import DateMode
from betaearth.evaluation.probes import ProbeScores
from betaearth.evaluation.strata import Strata
from betaearth.evaluation.temporal import Arm, Pixels
from betaearth.scenes.model import Sensor
from betaearth.storage.files import folder_errors

SCHEMA_VERSION = 1
RESULTS_NAME = "results.json"

ProbeSplit = Literal["train to test"] | FoldSplit
"""How probes were taught and asked. `train to test`: the data set's own split. The others cut the evaluated cells alone
into folds: at random by pixel, by geographic block, and each region in turn against all others."""


class DataFacts(Measure):
    """Which data were used."""

    name: str
    digest: str
    """sha256 of `dataset.json`."""
    source: str
    target: str
    synthetic: bool
    """True where imagery and targets are made up: then no figure says anything about the world."""
    licence: str
    attribution: str | None
    split: str
    """That is judged."""
    cell_years: int
    """Judged."""
    chips: int
    """Judged: dates of all of them."""
    sensors: tuple[str, ...]
    """Inputs that at least half of the judged dates have."""
    land_cover: tuple[tuple[int, str], ...]
    constant_from: int
    """Cell-years of the train split whose mean target is the constant baseline; 0 where there is none. Where the train
    split is judged, the constant was made of the pixels that it is asked about: a little better than it should be."""


class SubsetCosine(Measure):
    """The cosine where only some inputs are given."""

    inputs: tuple[str, ...]
    dates: DateMode
    score: CosineScore


class DateImportance(Measure):
    """What the date is worth: all inputs, with the day, with day 0, without a date, on the same chips."""

    day: float
    """Mean cosine."""
    zero: float
    none: float
    drop_zero: float
    """`day` - `zero`: what the published ablation calls the importance of FiLM."""
    drop_zero_interval: Interval | None
    """Of it, paired, cells resampled."""
    drop_none: float
    """`day` - `none`."""


class ProbeResult(Measure):
    """Probes of one kind of vectors in one split."""

    split: ProbeSplit
    train_samples: int
    """That teach; in folds all samples, each taught by the other folds."""
    scores: ProbeScores


class TemporalScore(Measure):
    """The cosine of means over dates."""

    dates: int
    arm: Arm
    pixels: Pixels
    stratum: str | None
    """Such as `biome: humid`; None for all cells."""
    score: CosineScore


class ModelResults(Measure):
    """What was found of a model."""

    name: str
    variant: str
    weights: str
    """As the configuration names them."""
    origin: str
    """Where the file came from."""
    weights_sha256: str
    backbone: str | None = None
    """Where the frozen backbone of a DINOv3 network came from; None for other networks."""
    backbone_sha256: str | None = None
    """Digest of that backbone's file."""
    trained: bool
    parameters: int
    inputs: tuple[str, ...]
    seconds: float
    cosine: CosineScore
    """A tile is a cell's year: the mean over its dates."""
    cosine_chips: CosineScore
    """A tile is a date: more scatter, as in the published tables."""
    subsets: tuple[SubsetCosine, ...] = ()
    """On one date of each cell's year that has all inputs."""
    date_importance: DateImportance | None = None
    probes: tuple[ProbeResult, ...] = ()
    strata: Mapping[str, Strata] = {}
    """By `biome`, `land_cover`, `month`, `latitude`, `clouds` and what else the data set knows."""
    compression: tuple[CompressionScore, ...] = ()
    temporal: tuple[TemporalScore, ...] = ()
    not_run: Mapping[str, str] = {}
    """Experiment, or a part of one such as `temporal, 8 dates` or `probes, blocks`, to the reason."""

    def fill(self, data: DataFacts) -> tuple[str, ...]:
        """List the inputs that say what clouds hide, in means over dates: all that it was given but Sentinel-2."""
        given = [name for name in data.sensors if name in self.inputs]
        return tuple(name for name in given if name not in {Sensor.S2_L2A, Sensor.S2_L1C})


class Baselines(Measure):
    """What models are to be compared with; the constant's cosine stands in every score."""

    teacher: tuple[ProbeResult, ...] = ()
    """Probes of the target's own vectors: the ceiling."""
    raw: tuple[ProbeResult, ...] = ()
    """Probes of the scaled inputs of a pixel on that date."""
    raw_inputs: tuple[str, ...] = ()
    compression: tuple[CompressionScore, ...] = ()
    """Of the target's own vectors."""


class ModelDifference(Measure):
    """A model's cosine less that of another one, on the same dates of the same cells."""

    model: str
    against: str
    inputs: tuple[str, ...] | None
    """On the one date of each cell's year that ablations judge, given these inputs and the day; None for all dates that
    both can be scored on, given all that each takes."""
    tiles: int
    """Cell-years that have such a date."""
    mean: float
    interval: Interval | None
    """Paired, cells resampled."""


class Results(Measure):
    """An evaluation."""

    schema_version: Literal[1] = 1
    created_by: str
    """Software and its version."""
    seconds: float
    device: str
    config: EvaluationConfig
    data: DataFacts
    resampled: Literal["cells", "cell-years"] = "cell-years"
    """What intervals count as independent. `cells`: a cell with all its dates and years (cluster bootstrap of 2,000
    draws, percentiles of 95 %). `cell-years`: in results of before; too narrow where cells have several years."""
    baselines: Baselines
    models: tuple[ModelResults, ...]
    differences: tuple[ModelDifference, ...] = ()
    """Of every further model to the first."""

    def model(self, name: str) -> ModelResults:
        """Return the results of a model.

        Raises:
            DataError: there is none of this name.
        """
        for found in self.models:
            if found.name == name:
                return found
        raise DataError(f"no model is called {name!r}; there are {', '.join(found.name for found in self.models)}")


def read_results(folder: Path) -> Results:
    """Read the results in a folder.

    Raises:
        DataError: there are none, or they are of another schema.
        ConfigError: they may not be read.
    """
    path = folder / RESULTS_NAME
    try:
        with folder_errors(path):
            return Results.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"{folder} holds no results: {RESULTS_NAME} is not there; `betaearth evaluate` makes it"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path} is no {RESULTS_NAME} of schema {SCHEMA_VERSION}: {where}: {first['msg']}") from error

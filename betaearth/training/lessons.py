"""The chips that a run learns from, and whether they hold what its configuration needs; only the manifest is read."""

from __future__ import annotations

from collections.abc import Iterator

from betaearth.errors import ConfigError, DataError
from betaearth.nn.variants import Family, named_variant
from betaearth.training.config import COARSEST, ModelConfig, TrainingConfig
from betaearth.training.dataset import Dataset, Row

FEW = 0.1
"""Share of the chips below which an input is said to be in few."""


def lessons(data: Dataset) -> tuple[Row, ...]:
    """List the chips to learn from: those of the split `train` that have a target."""
    return tuple(row for row in data.rows("train") if row.target_fraction > 0)


def check_lessons(config: TrainingConfig, data: Dataset) -> None:
    """Check, before anything is built, that a run can learn from a data set.

    Raises:
        ConfigError: crops do not fit into the chips, or no chip has an input of a model.
        DataError: no crop would fit.
    """
    check_crop(config.crop, data)
    check_inputs(config, data)


def check_crop(crop: int, data: Dataset) -> None:
    """Check that a crop fits into the smallest chip.

    Args:
        crop: edge in pixels.
        data: to learn from.

    Raises:
        ConfigError: it does not.
        DataError: no crop would.
    """
    smallest = min(lessons(data), key=lambda row: min(row.height, row.width), default=None)
    if smallest is None:
        return
    size = f"{smallest.height} x {smallest.width} pixels"
    chip = f"the smallest chip of {data.folder}, {smallest.cell} {smallest.year} of {size}"
    edge = min(smallest.height, smallest.width) // COARSEST * COARSEST
    if edge == 0:
        raise DataError(
            f"{chip}, is too small: networks look at {COARSEST} x {COARSEST} at least; write the data set anew with "
            f"--size {COARSEST} or more"
        )
    if edge < crop:
        raise ConfigError(f"crop {crop} does not fit into {chip}: --set crop={edge}, or larger chips")


def check_inputs(config: TrainingConfig, data: Dataset) -> None:
    """Check that some chip has each input of each model: what is in none would stay as it was drawn at random.

    Raises:
        ConfigError: no chip has one.
    """
    rows = lessons(data)
    for number, model in enumerate(config.models):
        counts = _counts(model, rows)
        lacking = [name for name, count in counts.items() if count == 0]
        if not rows or not lacking:
            continue
        given = [sensor.value for sensor in model.sensors if any(sensor in row.sensors for row in rows)]
        # The name of a released network is kept for what takes the inputs of that network.
        renamed = f"--set models.{number}.name=mine " if named_variant(model.name) else ""
        other = f"{renamed}--set models.{number}.inputs=[{','.join(given)}], or " if given else ""
        raise ConfigError(
            f"no chip of {data.folder} has {' or '.join(lacking)}, which {model.name} learns from: {other}data with it"
        )


def rare_inputs(config: TrainingConfig, data: Dataset) -> Iterator[str]:
    """Say of each input of a model that is in few chips in how many."""
    rows = lessons(data)
    for model in config.models:
        for name, count in _counts(model, rows).items():
            if count < FEW * len(rows):
                yield f"{model.name} learns from {name}, which only {count} of {len(rows)} chips have"


def _counts(model: ModelConfig, rows: tuple[Row, ...]) -> dict[str, int]:
    """Count the chips that have each input of a model; an RGB network takes either product of Sentinel-2 as one."""
    if model.family is Family.RGB_ONLY:
        return {" or ".join(model.sensors): sum(bool(row.sensors & set(model.sensors)) for row in rows)}
    return {sensor.value: sum(sensor in row.sensors for row in rows) for sensor in model.sensors}

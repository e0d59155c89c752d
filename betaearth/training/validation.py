"""Validation: the mean cosine over tiles of a split, beside that of the best answer that is the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.inference.precision import Precision
from betaearth.scenes.model import Sensor
from betaearth.training.batches import Batch, stacked
from betaearth.training.config import COARSEST, ValidationConfig
from betaearth.training.dataset import Dataset, Row, Window
from betaearth.training.distributed import World
from betaearth.training.forward import embed_batch
from betaearth.training.loss import mean_cosines
from betaearth.training.student import Student

AT_ONCE = 8 * 224 * 224
"""Pixels that are embedded at once, unless one tile has more."""
MEAN_TILES = 256
"""Tiles of the training split that the constant answer is the mean of."""
MEAN_STRIDE = 4
"""Of whose pixels every fourth in both directions is taken."""


@dataclass(frozen=True)
class Score:
    """How a model did."""

    cosine: float
    """Mean over tiles of the mean cosine over a tile's valid pixels."""
    std: float
    """Over tiles."""
    tiles: int


@dataclass(frozen=True)
class Validation:
    """How all did, on the same tiles."""

    scores: Mapping[str, Score]
    """By model."""
    constant: float
    """Of the mean target of the training split, as an answer everywhere."""


def chosen_rows(rows: Sequence[Row], count: int) -> tuple[Row, ...]:
    """Choose rows spread evenly, in their order; those without any target, or too small to embed, are no use."""
    useful = [r for r in rows if r.target_fraction > 0 and r.sensors and min(r.height, r.width) >= COARSEST]
    if len(useful) <= count:
        return tuple(useful)
    return tuple(useful[int(i)] for i in np.linspace(0, len(useful) - 1, count).round())


def mean_target(data: Dataset, rows: Sequence[Row]) -> NDArray[np.float32]:
    """Return the mean target vector of a split's tiles, (64,), unit length."""
    total = np.zeros(64, np.float64)
    for row in chosen_rows(rows, MEAN_TILES):
        target, _ = data.read_target(row)
        picked = target[:, ::MEAN_STRIDE, ::MEAN_STRIDE]
        total += picked.sum(axis=(1, 2), dtype=np.float64)
    length = float(np.linalg.norm(total))
    return (total / length if length else total).astype(np.float32)


def validate(
    students: Sequence[Student],
    data: Dataset,
    rows: Sequence[Row],
    config: ValidationConfig,
    constant: NDArray[np.float32],
    *,
    world: World,
    precision: Precision,
    stop: Callable[[], bool],
) -> Validation | None:
    """Score models on tiles, which are shared out among the processes.

    Args:
        students: models to score, as they would be exported.
        data: that the rows are of.
        rows: of the split; `chosen_rows` says which are taken.
        config: how many.
        constant: (64,), unit length.
        world: the processes.
        precision: of the networks' arithmetic.
        stop: asked between tiles whether to leave off.

    Returns:
        None where it was left off, or some model has no tile with an input of its own.

    Raises:
        DataError: a shard is damaged, or a model's answer is not finite.
    """
    chosen = chosen_rows(rows, config.tiles)
    found: dict[str, dict[int, float]] = {student.config.name: {} for student in students}
    found[""] = {}
    mean = torch.from_numpy(constant).to(world.device)[None, :, None, None]
    stopped = False
    for batch in _batches(data, chosen, range(world.rank, len(chosen), world.size), config.crop):
        if stop():
            stopped = True
            break
        ready = batch.to(world.device)
        _keep(found[""], ready, mean_cosines(mean, ready.target, ready.valid).tolist())
        for student in students:
            cosines = _cosines(student, ready, precision)
            _keep(found[student.config.name], ready, cosines)
    if world.any(stopped):
        return None
    return _summed_up(found, world)


def _batches(data: Dataset, rows: Sequence[Row], places: Sequence[int], crop: int | None) -> Iterator[Batch]:
    """Read tiles, as many of one size together as fit."""
    held: list[int] = []
    for place in places:
        if held and (_size(rows[place], crop) != _size(rows[held[0]], crop) or _full(len(held), rows[place], crop)):
            yield _read(data, rows, held, crop)
            held = []
        held.append(place)
    if held:
        yield _read(data, rows, held, crop)


def _read(data: Dataset, rows: Sequence[Row], places: Sequence[int], crop: int | None) -> Batch:
    samples = []
    for row in (rows[place] for place in places):
        height, width = _size(row, crop)
        window = Window((row.height - height) // 2, (row.width - width) // 2, height, width)
        samples.append(data.read(row, window))
    return stacked(samples, tuple(places))


def _size(row: Row, crop: int | None) -> tuple[int, int]:
    height, width = (min(edge // COARSEST * COARSEST, crop or edge) for edge in (row.height, row.width))
    return height, width


def _full(count: int, row: Row, crop: int | None) -> bool:
    return (count + 1) * math.prod(_size(row, crop)) > AT_ONCE


def _cosines(student: Student, batch: Batch, precision: Precision) -> list[float]:
    """Embed a batch with all inputs that a model takes; NaN where it has none of them, or no target.

    Raises:
        DataError: an answer is not finite. Left out as if it had no target, it would flatter the model.
    """
    present = {sensor: batch.present[sensor] for sensor in student.config.sensors}
    seen = torch.stack(list(present.values())).any(dim=0)
    cosines = [float("nan")] * len(batch)
    rows = seen.nonzero().flatten()
    if len(rows) == 0:
        return cosines
    there = rows.to(batch.doy.device)
    inputs: dict[Sensor, torch.Tensor] = {sensor: batch.inputs[sensor][there] for sensor in present}
    network = student.best_network.eval()
    bf16 = precision is Precision.BF16
    with torch.inference_mode(), torch.autocast(batch.doy.device.type, dtype=torch.bfloat16, enabled=bf16):
        held = {sensor: mask[rows] for sensor, mask in present.items()}
        prediction = embed_batch(network, inputs, held, batch.doy[there])
    valid = batch.valid[there]
    found = mean_cosines(prediction, batch.target[there], valid)
    if not bool(found[valid.any(dim=(1, 2))].isfinite().all()):
        raise DataError(
            f"{student.config.name}: an answer to a tile of validation is not finite, though its loss was: train in "
            "float32 (precision), or lower its lr"
        )
    for row, cosine in zip(rows.tolist(), found.tolist(), strict=True):
        cosines[row] = cosine
    return cosines


def _keep(found: dict[int, float], batch: Batch, cosines: Sequence[float]) -> None:
    found.update({place: cosine for place, cosine in zip(batch.places, cosines, strict=True) if not math.isnan(cosine)})


def _summed_up(found: Mapping[str, Mapping[int, float]], world: World) -> Validation | None:
    every: dict[str, dict[int, float]] = {name: {} for name in found}
    for part in world.gather(found):
        assert isinstance(part, dict)
        for name, cosines in part.items():
            every[name].update(cosines)
    # In the order of the tiles, whichever process had them: the sums come out the same.
    ordered = {name: np.array([cosines[place] for place in sorted(cosines)]) for name, cosines in every.items()}
    constant = ordered.pop("")
    if not all(cosines.size for cosines in ordered.values()):
        return None
    scores = {name: Score(float(c.mean()), float(c.std()), c.size) for name, c in ordered.items()}
    return Validation(scores, float(constant.mean()))

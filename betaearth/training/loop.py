"""The training loop: several models on shared batches, from wherever a run was stopped to its end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from betaearth.errors import ConfigError, DataError
from betaearth.events import Emit, Notice, TrainingStarted, ignore
from betaearth.inference.precision import Precision, effective
from betaearth.nn.segformer import PyramidNetwork
from betaearth.nn.weight_files import TrainedOn
from betaearth.storage.files import folder_errors, replace_file
from betaearth.training.batches import Batch, Batches, stacked
from betaearth.training.checkpoint import Checkpoint, Position, check_same_run, last_path, plain_config, read_last
from betaearth.training.config import ModelConfig, TrainingConfig
from betaearth.training.curriculum import key_of
from betaearth.training.dataset import Dataset, Window
from betaearth.training.distributed import World, open_world
from betaearth.training.initial import begin_at, centre
from betaearth.training.lessons import check_lessons, lessons, rare_inputs
from betaearth.training.logbook import Logbook
from betaearth.training.models import build, weights_config
from betaearth.training.run_folder import RUN_NAME, check_run_folder
from betaearth.training.schedule import Schedule
from betaearth.training.student import Student
from betaearth.training.validation import Validation, chosen_rows, mean_target, validate

CENTRING_CHIPS = 16
"""Chips that a new fusion is centred on."""


@dataclass(frozen=True)
class TrainingReport:
    """What became of a run."""

    out: Path
    position: Position
    epochs: int
    """That the run is to have."""
    validation: Validation | None
    """The last one; None where there was none in this process."""
    best: Mapping[str, float]
    """Model to its best mean cosine; empty without validation."""
    weights: Mapping[str, Path]
    """Model to the checkpoint to export it from: the best one, or the last where nothing was validated."""

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.position.epoch >= self.epochs


def train(
    config: TrainingConfig,
    data: Dataset,
    out: Path,
    *,
    resume: bool = True,
    stop: Callable[[], bool] = lambda: False,
    emit: Emit = ignore,
    backbones: Mapping[str, nn.Module] | None = None,
) -> TrainingReport:
    """Train.

    Args:
        config: what to train and how.
        data: to learn from; split `train`.
        out: folder of the run: `checkpoints/`, `metrics.jsonl`, `training.json`.
        resume: go on where `out` holds a checkpoint of the same configuration and data; False begins anew.
        stop: asked after every step whether to write a checkpoint and leave off.
        emit: told of the progress.
        backbones: model to the backbone of a DINOv3 head, instead of the one that its configuration names.

    Raises:
        ConfigError: the configuration does not fit the data, `out` holds another run, or weights to begin with are not
            there.
        DataError: `out` holds what is of no run, or has learned from other data; chips are too small to learn from, a
            shard is damaged, or a loss or gradient is not finite.
        TransientError: weights to begin with must be downloaded, and the network failed.
    """
    check_run_folder(out)
    check_lessons(config, data)
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with open_world(config.device) as world, torch.random.fork_rng(devices=devices):
        run = Run(config, data, out, world, emit=emit if world.leads else ignore, backbones=backbones or {})
        try:
            run.begin(resume=resume)
            return run.go(stop)
        finally:
            run.close()


class Run:
    """A run at its position."""

    def __init__(
        self,
        config: TrainingConfig,
        data: Dataset,
        out: Path,
        world: World,
        *,
        emit: Emit,
        backbones: Mapping[str, nn.Module],
    ) -> None:
        self._config, self._data, self._out, self._world, self._emit = config, data, out, world, emit
        asked = Precision.BF16 if config.precision == "bfloat16" else Precision.FLOAT32
        self._precision = effective(asked, world.device)
        if self._precision is not asked:
            emit(Notice(f"{world.device.type} has no bfloat16 arithmetic here: training in float32"))
        self._batches = Batches(
            data,
            lessons(data),
            batch_size=config.batch_size,
            crop=config.crop,
            seed=config.seed,
            augment=config.augment,
            rank=world.rank,
            world=world.size,
        )
        self._schedule = Schedule(self._batches.steps, config.epochs, config.warmup_epochs)
        self._position = Position(0, 0)
        self._rows = data.rows(config.validation.split)
        self._constant = mean_target(data, data.rows("train"))
        self.students = [self._student(model, backbones.get(model.name)) for model in config.models]
        trained_on = TrainedOn(name=data.description.name, synthetic=data.description.synthetic, digest=data.digest)
        weights = {model.name: weights_config(model, config.licence, trained_on) for model in config.models}
        self._log = Logbook(config, self._schedule, out, world, data=data.digest, weights=weights, emit=emit)

    def _student(self, model: ModelConfig, backbone: nn.Module | None) -> Student:
        """Build a model as it begins."""
        built = build(model, _seed(self._config.seed, key_of(model.name)), backbone=backbone)
        if model.init is None or model.fusion == "fresh":
            begin_at(built.network, torch.from_numpy(self._constant))
            if isinstance(built.network, PyramidNetwork):
                some = self._some_chips()
                present = {sensor: some.present[sensor] for sensor in model.sensors}
                centre(built.network, some.inputs, present)
        return Student(model, built, self._world, ema=self._config.ema, precision=self._precision)

    def _some_chips(self) -> Batch:
        """Read a few of the chips to learn from, the same in every process."""
        crop = self._config.crop
        rows = chosen_rows(lessons(self._data), CENTRING_CHIPS)
        return stacked([self._data.read(row, Window(0, 0, crop, crop)) for row in rows])

    @property
    def _done(self) -> int:
        """Steps that are done."""
        return self._position.epoch * self._batches.steps + self._position.step

    def begin(self, *, resume: bool) -> None:
        """Take up what `out` holds, or begin anew there."""
        held = self._held() if resume else None
        if held is not None:
            self._position = held.position
            for student in self.students:
                student.restore(held.models[student.config.name], held.state[student.config.name])
        self._world.wait()  # nobody reads what the leader begins to change
        if self._world.leads:
            self._write_about()
        self._log.open(held)
        for sentence in rare_inputs(self._config, self._data):
            self._emit(Notice(sentence))
        if not self._rows:
            self._emit(Notice(f"split {self._config.validation.split} is empty: nothing is validated"))
        names = tuple(student.config.name for student in self.students)
        self._emit(TrainingStarted(names, self._config.epochs, self._batches.steps, self._done))

    def _held(self) -> Checkpoint | None:
        """Read the checkpoint in `out`, which must be of this run; None where there is none.

        Raises:
            ConfigError: it is damaged, of another configuration, or not all processes see the same.
            DataError: it is of other data.
        """
        held = read_last(self._out)
        seen = self._world.gather(None if held is None else (held.position.epoch, held.position.step))
        if any(other != seen[0] for other in seen):
            raise ConfigError(
                f"the processes see different checkpoints in {self._out}: give a folder that all machines share"
            )
        if held is not None:
            check_same_run(held, self._config, self._data.digest, self._world.size, self._out)
        return held

    def _write_about(self) -> None:
        about = {
            "config": plain_config(self._config),
            "data": self._data.description.name,
            "data_digest": self._data.digest,
            "synthetic": self._data.description.synthetic,
            "processes": self._world.size,
        }
        with folder_errors(self._out):
            self._out.mkdir(parents=True, exist_ok=True)
            replace_file(self._out / RUN_NAME, json.dumps(about, indent=1).encode() + b"\n")

    def go(self, stop: Callable[[], bool]) -> TrainingReport:
        """Train from here to the end, or until told to stop."""
        while self._position.epoch < self._config.epochs:
            if not self._epoch(stop) or not self._validated(stop):
                self._log.save(self.students, self._position)
                break
            self._position = Position(self._position.epoch + 1, 0)
            self._log.save(self.students, self._position)
        log = self._log
        return TrainingReport(
            self._out, self._position, self._config.epochs, log.validation, dict(log.best), log.weights()
        )

    def close(self) -> None:
        """Close what is open."""
        self._log.close()

    def _epoch(self, stop: Callable[[], bool]) -> bool:
        """Do the steps that are left of an epoch; False where it was left off."""
        epoch, first = self._position.epoch, self._position.step
        stream = self._batches.stream(epoch, first, self._config.workers)
        for step, batch in enumerate(stream, first):
            self._step(epoch, step, batch.to(self._world.device))
            self._position = Position(epoch, step + 1)
            self._log.step(self.students, self._done)
            if self._world.any(stop()):
                return False
            if self._world.any(self._log.due):
                self._log.save(self.students, self._position)
        return True

    def _step(self, epoch: int, step: int, batch: Batch) -> None:
        """Let every model learn from a batch."""
        done = epoch * self._batches.steps + step
        progress, factor, seed = self._schedule.progress(done), self._schedule.factor(done), self._config.seed
        views = [student.view(batch, seed=seed, epoch=epoch, progress=progress) for student in self.students]
        valid = batch.valid.sum(dim=(1, 2)).cpu()
        pixels = self._world.sum([float(valid[view.seen].sum()) for view in views])
        for student, view, count in zip(self.students, views, pixels, strict=True):
            name = student.config.name
            drawn = _seed(seed, done, self._world.rank, key_of(name))
            sums = student.learn(batch, view, pixels=count, seed=drawn)
            norm = student.update(factor=factor, clip=self._config.clip)
            if self._world.any(not math.isfinite(sums[0] + sums[1] + norm)):
                raise DataError(self._not_finite(name, epoch, step, norm))
            self._log.count(name, sums, count, norm)

    def _not_finite(self, name: str, epoch: int, step: int, norm: float) -> str:
        last = last_path(self._out)
        what = "gradient" if not math.isfinite(norm) else "loss"
        kept = f"the last checkpoint, {last}, is from before" if last.exists() else "there is no checkpoint yet"
        return (
            f"{name}: the {what} is not finite in epoch {epoch + 1}, step {step + 1} of {self._batches.steps}; {kept}. "
            "Lower its lr, warm up longer (warmup_epochs), or train in float32 (precision); where that does not help, "
            "look for odd values in the data, whose files are as they were written"
        )

    def _validated(self, stop: Callable[[], bool]) -> bool:
        """Score all models after an epoch; False where it was left off."""
        if not self._rows:
            return True
        found = validate(
            self.students,
            self._data,
            self._rows,
            self._config.validation,
            self._constant,
            world=self._world,
            precision=self._precision,
            stop=stop,
        )
        if found is not None:
            self._log.validated(found, self.students, self._position.epoch + 1)
            return True
        if self._world.any(stop()):
            return False
        split = self._config.validation.split
        self._emit(Notice(f"split {split} has no tile that every model can be scored on: nothing is validated"))
        return True


def _seed(*parts: int) -> int:
    """Mix numbers into a seed of torch's generator."""
    mixed = 0xCBF29CE484222325  # FNV-1a over the numbers: the same on every machine
    for part in parts:
        for byte in part.to_bytes(8, "little"):
            mixed = ((mixed ^ byte) * 0x100000001B3) % (1 << 64)
    return mixed >> 1

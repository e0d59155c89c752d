"""The training loop: several models on shared batches, from wherever a run was stopped to its end."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from betaearth.errors import DataError
from betaearth.events import CheckpointWritten, Emit, Notice, TrainingStarted, TrainingStep, Validated, ignore
from betaearth.inference.precision import Precision, effective
from betaearth.nn.segformer import PyramidNetwork
from betaearth.nn.weight_files import TrainedOn
from betaearth.storage.files import folder_errors, replace_file
from betaearth.training import journal
from betaearth.training.batches import Batch, Batches, stacked
from betaearth.training.checkpoint import (
    Checkpoint,
    Position,
    best_path,
    check_same_run,
    last_path,
    plain_config,
    read_last,
    write_best,
    write_checkpoint,
)
from betaearth.training.config import ModelConfig, TrainingConfig
from betaearth.training.curriculum import key_of
from betaearth.training.dataset import Dataset, Window
from betaearth.training.distributed import World, open_world
from betaearth.training.initial import begin_at, centre
from betaearth.training.meter import Meter
from betaearth.training.models import build, weights_config
from betaearth.training.schedule import rate_factor
from betaearth.training.student import Student
from betaearth.training.validation import Validation, chosen_rows, mean_target, validate

CENTRING_CHIPS = 16
"""Chips that a new fusion is centred on."""
RUN_NAME = "training.json"
"""What a run was told and learned from, for people."""


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
        DataError: a shard is damaged, `out` has learned from other data, or a loss or gradient is not finite.
        TransientError: weights to begin with must be downloaded, and the network failed.
    """
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
            [row for row in data.rows("train") if row.target_fraction > 0],
            batch_size=config.batch_size,
            crop=config.crop,
            seed=config.seed,
            augment=config.augment,
            rank=world.rank,
            world=world.size,
        )
        self._constant = mean_target(data, data.rows("train"))
        self.students = [self._student(model, backbones.get(model.name)) for model in config.models]
        trained_on = TrainedOn(name=data.description.name, synthetic=data.description.synthetic, digest=data.digest)
        self._weights = {model.name: weights_config(model, config.licence, trained_on) for model in config.models}
        self._meters = {model.name: Meter() for model in config.models}
        self._position = Position(0, 0)
        self._best: dict[str, float] = {}
        self._journal: journal.Journal | None = None
        self._validation: Validation | None = None
        self._rows = data.rows(config.validation.split)
        self._saved = self._began = time.monotonic()
        self._steps_here = 0

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
        """Read a few chips of the training split, the same in every process."""
        crop = self._config.crop
        rows = chosen_rows(self._data.rows("train"), CENTRING_CHIPS)
        return stacked([self._data.read(row, Window(0, 0, crop, crop)) for row in rows])

    @property
    def _total(self) -> int:
        """Steps of the whole run."""
        return self._batches.steps * self._config.epochs

    @property
    def _done(self) -> int:
        """Steps that are done."""
        return self._position.epoch * self._batches.steps + self._position.step

    def begin(self, *, resume: bool) -> None:
        """Take up what `out` holds, or begin anew there."""
        held = read_last(self._out) if resume else None
        if held is not None:
            check_same_run(held, self._config, self._data.digest, self._world.size, self._out)
            self._restore(held)
        self._world.wait()  # nobody reads what the leader begins to change
        if self._world.leads:
            with folder_errors(self._out):
                self._out.mkdir(parents=True, exist_ok=True)
                if held is None:
                    for name in (last_path(self._out), *(best_path(self._out, name) for name in self._weights)):
                        name.unlink(missing_ok=True)
                about: dict[str, object] = {"config": plain_config(self._config), "data": self._data.description.name}
                about |= {"data_digest": self._data.digest, "processes": self._world.size}
                replace_file(self._out / RUN_NAME, json.dumps(about, indent=1).encode() + b"\n")
            self._journal = journal.Journal(self._out / journal.NAME, held.journal if held else 0)
        if not self._rows:
            self._emit(Notice(f"split {self._config.validation.split} is empty: nothing is validated"))
        names = tuple(self._weights)
        self._emit(TrainingStarted(names, self._config.epochs, self._batches.steps, self._done))

    def go(self, stop: Callable[[], bool]) -> TrainingReport:
        """Train from here to the end, or until told to stop."""
        while self._position.epoch < self._config.epochs:
            if not self._epoch(stop) or not self._validated(stop):
                self._save()
                break
            self._position = Position(self._position.epoch + 1, 0)
            self._save()
        return TrainingReport(
            self._out,
            self._position,
            self._config.epochs,
            self._validation,
            dict(self._best),
            {n: best_path(self._out, n) if n in self._best else last_path(self._out) for n in self._weights},
        )

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def _epoch(self, stop: Callable[[], bool]) -> bool:
        """Do the steps that are left of an epoch; False where it was left off."""
        epoch, first = self._position.epoch, self._position.step
        stream = self._batches.stream(epoch, first, self._config.workers)
        for step, batch in enumerate(stream, first):
            self._step(epoch, step, batch.to(self._world.device))
            self._position = Position(epoch, step + 1)
            self._report()
            if self._world.any(stop()):
                return False
            if self._world.any(time.monotonic() - self._saved >= self._config.checkpoint_every_s):
                self._save()
        return True

    def _step(self, epoch: int, step: int, batch: Batch) -> None:
        """Let every model learn from a batch."""
        done = epoch * self._batches.steps + step
        progress, seed = done / self._total, self._config.seed
        warmup = round(self._config.warmup_epochs * self._batches.steps)
        factor = rate_factor(done, steps=self._total, warmup=warmup)
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
            self._meters[name].add(sums, count, norm)

    def _not_finite(self, name: str, epoch: int, step: int, norm: float) -> str:
        last = last_path(self._out)
        what = "gradient" if not math.isfinite(norm) else "loss"
        kept = f"the last checkpoint, {last}, is from before" if last.exists() else "there is no checkpoint yet"
        return (
            f"{name}: the {what} is not finite in epoch {epoch + 1}, step {step + 1} of {self._batches.steps}; {kept}. "
            "Lower its lr, warm up longer (warmup_epochs), or train in float32 (precision); where that does not help, "
            "look for damaged values in the data: betaearth dataset show --verify"
        )

    def _report(self) -> None:
        """Say how far it is, in the journal now and then."""
        self._steps_here += 1
        done = self._done
        logged = done % self._config.log_every == 0 or done == self._total
        if logged:
            self._log(done)
        pace = (time.monotonic() - self._began) / self._steps_here
        epoch = (done - 1) // self._batches.steps + 1
        self._emit(TrainingStep(epoch, done, self._total, pace * (self._total - done), logged))

    def _log(self, done: int) -> None:
        progress = (done - 1) / self._total
        warmup = round(self._config.warmup_epochs * self._batches.steps)
        factor = rate_factor(done - 1, steps=self._total, warmup=warmup)
        models = {
            student.config.name: {
                **self._meters[student.config.name].means(self._world),
                "lr": student.config.lr * factor,
                "drop": student.drop_chance(progress),
            }
            for student in self.students
        }
        self._write("step", {"epoch": done / self._batches.steps, "step": done, "models": models})

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
        if found is None:
            return not self._world.any(stop())
        self._validation = found
        epoch = self._position.epoch + 1
        models = {name: {"cosine": score.cosine, "std": score.std} for name, score in found.scores.items()}
        tiles = max(score.tiles for score in found.scores.values())
        content = {"epoch": epoch, "step": self._done, "constant": found.constant, "tiles": tiles, "models": models}
        self._write("validation", content)
        for student in self.students:
            self._keep_best(student, found.scores[student.config.name].cosine)
        cosines = {name: score.cosine for name, score in found.scores.items()}
        self._emit(Validated(epoch, self._config.epochs, cosines, found.constant))
        return True

    def _keep_best(self, student: Student, cosine: float) -> None:
        name = student.config.name
        if cosine > self._best.get(name, -math.inf):
            self._best[name] = cosine
            if self._world.leads:
                write_best(self._out, name, student.tensors(), self._weights[name], cosine)

    def _write(self, kind: str, content: Mapping[str, object]) -> None:
        if self._journal is not None:
            self._journal.write(kind, content)

    def _save(self) -> None:
        """Write a checkpoint."""
        meters = {name: meter.plain(self._world) for name, meter in self._meters.items()}
        self._saved = time.monotonic()
        if self._journal is None:
            return
        students = {student.config.name: student for student in self.students}
        checkpoint = Checkpoint(
            position=self._position,
            training=plain_config(self._config),
            data=self._data.digest,
            world=self._world.size,
            models={name: student.tensors() for name, student in students.items()},
            weights={n: weights.model_dump(mode="json", exclude_none=True) for n, weights in self._weights.items()},
            state={name: student.state() for name, student in students.items()},
            best=self._best,
            meters=meters,
            journal=self._journal.size(),
        )
        path = write_checkpoint(checkpoint, self._out)
        self._emit(CheckpointWritten(str(path), self._position.epoch, self._position.step))

    def _restore(self, held: Checkpoint) -> None:
        self._position, self._best = held.position, dict(held.best)
        for student in self.students:
            name = student.config.name
            student.restore(held.models[name], held.state[name])
            self._meters[name] = Meter.restored(held.meters[name], self._world)


def _seed(*parts: int) -> int:
    """Mix numbers into a seed of torch's generator."""
    mixed = 0xCBF29CE484222325  # FNV-1a over the numbers: the same on every machine
    for part in parts:
        for byte in part.to_bytes(8, "little"):
            mixed = ((mixed ^ byte) * 0x100000001B3) % (1 << 64)
    return mixed >> 1

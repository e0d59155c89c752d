"""What a run measures and keeps: lines of its journal, its checkpoints, the weights that validated best."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from betaearth.events import CheckpointWritten, Emit, TrainingStep, Validated
from betaearth.nn.weight_files import WeightsConfig
from betaearth.storage.files import folder_errors
from betaearth.training import journal
from betaearth.training.checkpoint import (
    Checkpoint,
    Position,
    best_path,
    forget,
    last_path,
    plain_config,
    write_best,
    write_checkpoint,
)
from betaearth.training.config import TrainingConfig
from betaearth.training.distributed import World
from betaearth.training.meter import Meter
from betaearth.training.schedule import Schedule
from betaearth.training.student import Student
from betaearth.training.validation import Validation


class Logbook:
    """The records of a run. Every process has one, for sums go over all of them; the leader's alone is written."""

    def __init__(
        self,
        config: TrainingConfig,
        schedule: Schedule,
        out: Path,
        world: World,
        *,
        data: str,
        weights: Mapping[str, WeightsConfig],
        emit: Emit,
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            config: of the run.
            schedule: of the run.
            out: its folder.
            world: the processes.
            data: digest of the data set.
            weights: model to what its weights are.
            emit: told of steps, validations and checkpoints.
        """
        self._config, self._schedule, self._out, self._world = config, schedule, out, world
        self._data, self._weights, self._emit = data, weights, emit
        self._meters = {name: Meter() for name in weights}
        self._journal: journal.Journal | None = None
        self._saved = self._began = time.monotonic()
        self._steps_here = 0
        self.best: dict[str, float] = {}
        """Model to its best mean cosine so far."""
        self.validation: Validation | None = None
        """The last one of this process."""

    def open(self, held: Checkpoint | None) -> None:
        """Begin to write where a checkpoint ends; without one, what `out` holds of another run is forgotten.

        Raises:
            ConfigError: the folder cannot be written.
        """
        if held is not None:
            self.best = dict(held.best)
            self._meters = {name: held.meters[name].of_one(self._world) for name in self._weights}
        if self._world.leads:
            with folder_errors(self._out):
                if held is None:
                    forget(self._out)
                self._journal = journal.Journal(self._out / journal.NAME, held.journal if held else 0)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._saved >= self._config.checkpoint_every_s

    def weights(self) -> dict[str, Path]:
        """Name the checkpoint to export each model from: its best one, or the last where nothing was validated."""
        out = self._out
        return {name: best_path(out, name) if name in self.best else last_path(out) for name in self._weights}

    def count(self, name: str, sums: tuple[float, float], pixels: float, norm: float) -> None:
        """Count what a model did in a step: `Student.learn`'s sums, valid pixels of all processes, gradient norm."""
        self._meters[name].add(sums, pixels, norm)

    def step(self, students: Sequence[Student], done: int) -> None:
        """Say that so many steps are done, in the journal now and then."""
        self._steps_here += 1
        total = self._schedule.total
        logged = done % self._config.log_every == 0 or done == total
        if logged:
            self._log(students, done)
        pace = (time.monotonic() - self._began) / self._steps_here
        epoch = (done - 1) // self._schedule.steps + 1
        self._emit(TrainingStep(epoch, done, total, pace * (total - done), logged))

    def _log(self, students: Sequence[Student], done: int) -> None:
        progress, factor = self._schedule.progress(done - 1), self._schedule.factor(done - 1)
        models = {
            student.config.name: {
                **self._meters[student.config.name].means(self._world),
                "lr": student.config.lr * factor,
                "drop": student.drop_chance(progress),
            }
            for student in students
        }
        self._write("step", {"epoch": done / self._schedule.steps, "step": done, "models": models})

    def validated(self, found: Validation, students: Sequence[Student], epoch: int) -> None:
        """Note how all models did after an epoch, counted from 1, and keep the weights of those that never did better.

        Raises:
            ConfigError: the folder cannot be written.
        """
        self.validation = found
        models = {name: {"cosine": score.cosine, "std": score.std} for name, score in found.scores.items()}
        tiles = max(score.tiles for score in found.scores.values())
        done = epoch * self._schedule.steps
        content = {"epoch": epoch, "step": done, "constant": found.constant, "tiles": tiles, "models": models}
        self._write("validation", content)
        cosines = {name: score.cosine for name, score in found.scores.items()}
        for student in students:
            self._keep_best(student, cosines[student.config.name])
        self._emit(Validated(epoch, self._config.epochs, cosines, found.constant))

    def _keep_best(self, student: Student, cosine: float) -> None:
        name = student.config.name
        if cosine > self.best.get(name, -math.inf):
            self.best[name] = cosine
            if self._world.leads:
                write_best(self._out, name, student.tensors(), self._weights[name], cosine)

    def save(self, students: Sequence[Student], position: Position) -> None:
        """Write a checkpoint; called in all processes at once.

        Raises:
            ConfigError: the folder cannot be written.
        """
        meters = {name: meter.together(self._world) for name, meter in self._meters.items()}
        self._saved = time.monotonic()
        if self._journal is None:
            return
        checkpoint = Checkpoint(
            position=position,
            training=plain_config(self._config),
            data=self._data,
            world=self._world.size,
            models={student.config.name: student.tensors() for student in students},
            weights={n: weights.model_dump(mode="json", exclude_none=True) for n, weights in self._weights.items()},
            state={student.config.name: student.state() for student in students},
            best=self.best,
            meters=meters,
            journal=self._journal.size(),
        )
        path = write_checkpoint(checkpoint, self._out)
        self._emit(CheckpointWritten(str(path), position.epoch, position.step))

    def _write(self, kind: str, content: Mapping[str, object]) -> None:
        if self._journal is not None:
            self._journal.write(kind, content)

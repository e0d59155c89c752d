"""The driver's end of a worker: start it in its environment, ask it one thing at a time, and end it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, NoReturn, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from betaearth.errors import ConfigError
from betaearth.inference.precision import Precision

WORKER = Path(__file__).with_name("worker.py")
GRACE_SECONDS = 10
"""How long a worker may take to end once its input has."""
SHOWN_LINES = 12
"""Lines of a failed worker's own words that the error repeats."""
Package = Literal["ours", "published"]
Task = Literal["scene", "year"]


class Message(BaseModel):
    """What goes through the pipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Ready(Message):
    """A worker's first words."""

    versions: Mapping[str, str]
    """`python`, `betaearth`, `torch`, `numpy`."""
    baseline_bytes: int
    """Most memory that it has held so far, weights and libraries loaded."""


class Request(Message):
    """What a worker is to run."""

    do: Task
    """One Sentinel-2 scene with elevation, or all scenes, each with elevation, and their mean."""
    inputs: str
    """File of `benchmarks.seeded.write_year`."""
    shape: tuple[int, int]
    """(y, x): how much of the file's place."""
    s2: int
    """How many of the file's Sentinel-2 scenes."""
    s1: int
    """How many of the file's Sentinel-1 scenes."""
    tile_size: int
    """Edge of a window in pixels."""
    overlap: int
    """Pixels that neighbouring windows share."""
    precision: Precision = Precision.FLOAT32
    count: bool = False
    """Count FLOP, which takes longer."""
    output: str | None = None
    """Where to write the vectors, as .npy."""


class Answer(Message):
    """What came of it."""

    seconds: float
    peak_bytes: int
    """Most memory that the worker has held since it was started."""
    flop: list[int]
    """So far after each scene; empty where they were not counted."""


Reply = TypeVar("Reply", Ready, Answer)


@dataclass(frozen=True)
class Environment:
    """A package and where it is installed."""

    package: Package
    python: str
    """Interpreter of its environment."""
    weights: str
    """What its `BetaEarth.from_pretrained` is given."""
    threads: int

    def start(self, log: Path) -> Worker:
        """Start a worker."""
        return Worker(self, log)


class Worker:
    """A process with one package's weights loaded; it ends with the `with` block, and with the driver."""

    def __init__(self, environment: Environment, log: Path) -> None:
        """Start it; `ready` waits until its weights are loaded.

        Args:
            environment: where it lives, and with what.
            log: file for what it prints; its name names the worker in messages.

        Raises:
            ConfigError: there is no such interpreter.
        """
        self._name = log.stem
        self._log = log
        self._ready: Ready | None = None
        options = [environment.package, environment.weights, str(environment.threads)]
        with log.open("wb") as stderr:
            try:
                self._process = subprocess.Popen(
                    [environment.python, "-P", str(WORKER), *options],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                    env=_clean_environment(environment.threads),
                )
            except OSError as error:
                raise ConfigError(f"{environment.python} is not an interpreter of {self._name}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def ready(self) -> Ready:
        """What it said when its weights were loaded.

        Raises:
            ConfigError: it could not load them.
        """
        if self._ready is None:
            self._ready = self._read(Ready, "loading weights")
        return self._ready

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def ask(self, request: Request) -> Answer:
        """Have it run something, and wait.

        Raises:
            ConfigError: it failed.
        """
        assert self.ready  # its first words come before any answer
        requests = self._pipe(self._process.stdin)
        try:
            if not requests.closed:
                print(request.model_dump_json(), file=requests, flush=True)
        except BrokenPipeError:
            self._fail(f"before it was asked for a {request.do}")
        return self._read(Answer, f"running {request.model_dump_json(exclude_defaults=True)}")

    def close(self) -> None:
        """End it: its input ends, and if that is not enough it is killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                self._pipe(pipe).close()
            except BrokenPipeError:
                continue  # what it had not read is lost with it
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self, kind: type[Reply], doing: str) -> Reply:
        answers = self._pipe(self._process.stdout)
        line = "" if answers.closed else answers.readline()
        if not line:
            self._fail(doing)
        try:
            return kind.model_validate_json(line)
        except ValidationError as error:
            raise ConfigError(f"the worker of {self._name} answered {line.strip()!r}, {doing}: {error}") from error

    def _fail(self, doing: str) -> NoReturn:
        """Report how the process ended."""
        self.close()
        said = "\n".join(self._log.read_text(errors="replace").splitlines()[-SHOWN_LINES:])
        code = self._process.returncode
        raise ConfigError(f"the worker of {self._name} ended with exit code {code}, {doing}; its last words:\n{said}")

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def _clean_environment(threads: int) -> dict[str, str]:
    """Return the driver's environment without what could change a package or let it download."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "BETAEARTH_", "OMP_", "GOMP_", "MKL_", "KMP_", "VIRTUAL_ENV"))
    }
    return {**kept, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}

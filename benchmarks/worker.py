"""One package under measurement, ours or the published one: answers requests with seconds, bytes and FLOP.

This script runs in either environment, so it needs no more than both have: numpy, torch, and the `betaearth` that is
installed there. It is not imported but run by its path, with `-P`, so that it does not meet this repository's own
`betaearth`. Requests come as JSON, one a line, and so do the answers; the end of the input ends the process.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from betaearth import BetaEarth

Vectors = NDArray[np.float32]
"""(y, x, 64), unit length."""
OURS, PUBLISHED = "ours", "published"
ABSENT = "torchvision"
"""The published package's libraries import it, need nothing of it here, and it does not import next to a CPU torch."""


@dataclass(frozen=True)
class Inputs:
    """Scenes of one place, raw."""

    s2: NDArray[np.uint16]
    """(n, 9, y, x) digital numbers."""
    s2_doy: list[int]
    s1: NDArray[np.float32]
    """(m, 2, y, x) linear power."""
    s1_doy: list[int]
    dem: NDArray[np.float32]
    """(1, y, x) metres."""
    tile_size: int
    """Edge of a window in pixels."""
    overlap: int
    """Pixels that neighbouring windows share."""

    @classmethod
    def read(cls, request: dict[str, Any]) -> Inputs:
        """Read the request's file, of which it may want only the first rows, columns and scenes."""
        height, width = request["shape"]
        s2, s1 = request["s2"], request["s1"]
        with np.load(request["inputs"]) as file:
            found = cls(
                s2=np.ascontiguousarray(file["s2"][:s2, :, :height, :width]),
                s2_doy=file["s2_doy"][:s2].tolist(),
                s1=np.ascontiguousarray(file["s1"][:s1, :, :height, :width]),
                s1_doy=file["s1_doy"][:s1].tolist(),
                dem=np.ascontiguousarray(file["dem"][:, :height, :width]),
                tile_size=request["tile_size"],
                overlap=request["overlap"],
            )
        if (len(found.s2), len(found.s1), found.dem.shape[1:]) != (s2, s1, (height, width)):
            raise ValueError(f"{request['inputs']} does not hold {s2} + {s1} scenes of {height} x {width}")
        return found

    @property
    def windows(self) -> dict[str, Any]:
        """Arguments of `predict` in both packages."""
        return {"tile_size": self.tile_size, "overlap": self.overlap}


class Package:
    """A package with weights loaded."""

    def __init__(self, model: BetaEarth) -> None:
        self.model = model

    def scene(self, inputs: Inputs, precision: str, progress: Progress) -> Vectors:
        """Embed the first Sentinel-2 scene with elevation; both packages spell that the same way."""
        if precision != "float32":
            raise ValueError(f"a scene is embedded in float32, not in {precision}")
        vectors = self.model.predict(s2_l2a=inputs.s2[0], dem=inputs.dem, doy=inputs.s2_doy[0], **inputs.windows)
        progress.note()
        return vectors

    def year(self, inputs: Inputs, precision: str, progress: Progress) -> Vectors:
        """Embed every scene with elevation, on its own day, and average on the unit sphere."""
        raise NotImplementedError


class Ours(Package):
    """This repository's package."""

    def year(self, inputs: Inputs, precision: str, progress: Progress) -> Vectors:
        """Embed a year as a tile-year does."""
        from betaearth.inference import annual
        from betaearth.inference.blocks import whole
        from betaearth.scenes.model import Sensor

        shape = inputs.dem.shape[1:]
        everywhere = np.ones(shape, np.uint16)
        dated = [(Sensor.S2_L2A, *pair) for pair in zip(inputs.s2, inputs.s2_doy, strict=True)]
        dated += [(Sensor.S1, *pair) for pair in zip(inputs.s1, inputs.s1_doy, strict=True)]
        scenes = [annual.Inputs({sensor: data}, doy, everywhere) for sensor, data, doy in dated]
        options = annual.InferenceOptions.model_validate({**inputs.windows, "precision": precision})
        return annual.annual_embedding(
            self.model,
            scenes,
            inputs.dem.astype(np.float32),
            whole(shape, **options.windows),
            options,
            on_done=lambda *_: progress.note(),
        ).vectors


class Published(Package):
    """The published package, used as its README shows."""

    def year(self, inputs: Inputs, precision: str, progress: Progress) -> Vectors:
        """Embed a year as its annual map is made: `predict` scene by scene, the plain mean, unit length."""
        if precision != "float32":
            raise ValueError(f"the published package computes in float32, not in {precision}")
        total = np.zeros((*inputs.dem.shape[1:], 64), np.float32)
        for s2, doy in zip(inputs.s2, inputs.s2_doy, strict=True):
            total += self.model.predict(s2_l2a=s2, dem=inputs.dem, doy=doy, **inputs.windows)
            progress.note()
        for s1, doy in zip(inputs.s1, inputs.s1_doy, strict=True):
            total += self.model.predict(s1=s1, dem=inputs.dem, doy=doy, **inputs.windows)
            progress.note()
        total /= len(inputs.s2) + len(inputs.s1)
        total /= np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), np.float32(1e-12))
        return total


class Progress:
    """Counts FLOP scene by scene where that is asked for; otherwise it does nothing."""

    def __init__(self, *, counting: bool) -> None:
        from torch.utils.flop_counter import FlopCounterMode

        self.counter = FlopCounterMode(display=False) if counting else None
        self.flop: list[int] = []
        """So far after each scene."""

    def note(self) -> None:
        """Call after each scene."""
        if self.counter is not None:
            self.flop.append(int(self.counter.get_total_flops()))


def answer(package: Package, request: dict[str, Any]) -> dict[str, Any]:
    """Run one request.

    It holds `do` (`scene` or `year`), `inputs` (a file), `shape`, `s2`, `s1`, `precision`, `count` (whether to count
    FLOP, which slows it down) and `output` (where to write the vectors, or null).
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    inputs = Inputs.read(request)
    run = package.scene if request["do"] == "scene" else package.year
    progress = Progress(counting=request["count"])
    with ExitStack() as stack:
        if progress.counter is not None:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))  # the counter does not know the CPU's fused kernel
            stack.enter_context(progress.counter)
        started = time.perf_counter()
        vectors = run(inputs, request["precision"], progress)
        seconds = time.perf_counter() - started
    peak = peak_memory()
    if request["output"] is not None:
        np.save(request["output"], vectors)
    return {"seconds": seconds, "peak_bytes": peak, "flop": progress.flop}


def load(package: str, weights: str) -> Package:
    """Load a package's weights."""
    if package == PUBLISHED:
        prepare_published()
    from betaearth import BetaEarth

    kind = {OURS: Ours, PUBLISHED: Published}[package]
    return kind(BetaEarth.from_pretrained(weights, device="cpu"))


def prepare_published() -> None:
    """Let the published package import, and build its encoders without downloads that its own weights replace."""
    sys.meta_path.insert(0, StandIn())
    networks: Any = importlib.import_module("segmentation_models_pytorch")
    build = networks.FPN
    networks.FPN = lambda *args, **options: build(*args, **{**options, "encoder_weights": None})


class Placeholder(type):
    """Type of the names in a module that stands in; so are their attributes, as members of an enumeration are."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return f"{cls.__name__}.{name}"


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes `import torchvision...` succeed with modules that hold whatever name is asked for, and do nothing."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the absent package and its modules, and nothing else."""
        if fullname.partition(".")[0] != ABSENT:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its names."""

        def attribute(name: str) -> Placeholder:
            if name.startswith("__"):
                raise AttributeError(name)
            return Placeholder(name, (), {})

        module.__getattr__ = attribute  # type: ignore[method-assign]


def peak_memory() -> int:
    """Most bytes of memory that this process has held.

    Linux counts into `ru_maxrss` what the parent held before this program was started; `VmHWM` is the program's own.
    """
    status = Path("/proc/self/status")
    own = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    unit = 1 if sys.platform == "darwin" else 1024
    return 1024 * int(own[1]) if own else unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def stay_on_cores(threads: int) -> None:
    """Use no more cores than threads: ours prepares scenes in a thread of its own, which would be one core more."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def own_output() -> TextIO:
    """Keep the standard output for answers: whatever libraries print there goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def main() -> None:
    """Load the weights, say what is ready, and answer until the requests end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", choices=[OURS, PUBLISHED])
    parser.add_argument("weights")
    parser.add_argument("threads", type=int)
    args = parser.parse_args()
    answers = own_output()

    def tell(what: dict[str, Any]) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    import torch

    stay_on_cores(args.threads)
    torch.set_num_threads(args.threads)
    package = load(args.package, args.weights)
    versions = {name: version(name) for name in ("betaearth", "torch", "numpy")}
    tell({"versions": {"python": platform.python_version(), **versions}, "baseline_bytes": peak_memory()})
    for line in sys.stdin:
        tell(answer(package, json.loads(line)))


if __name__ == "__main__":
    main()

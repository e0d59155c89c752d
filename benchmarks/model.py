"""One scene and one year by this package and by the published one, side by side: `make bench-model`.

Each package runs in a process and an environment of its own, with the same seeded weights, scenes and threads. Both
processes live at once and take turns, so that what else the machine does meets both; a ratio is that of two turns in
the same round. Peak memory is taken in a fresh process per package. FLOP are counted, not timed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from benchmarks.flops import TILE_YEAR, Year, scaled
from benchmarks.machine import this_machine
from benchmarks.report import Difference, Memory, Plan, Report, Turn, compare, difference, table
from benchmarks.seeded import write_weights, write_year
from benchmarks.session import Environment, Package, Request, Task, Worker
from betaearth.errors import ConfigError, DataError
from betaearth.inference.annual import InferenceOptions
from betaearth.inference.precision import Precision, has_bf16

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Step:
    """One turn of a round."""

    package: Package
    request: Request

    @property
    def output(self) -> Path:
        """Where its vectors are written, in the first round."""
        return Path(self.request.inputs).with_name(f"{self.package}-{self.request.do}-{self.request.precision}.npy")


def run(plan: Plan, environments: Mapping[Package, Environment], folder: Path) -> Report:
    """Run everything.

    Args:
        plan: what to run.
        environments: where each package lives; any two of this package's own may be compared as well.
        folder: for inputs, outputs and the workers' logs.

    Raises:
        ConfigError: a worker failed.
    """
    scene, year = _requests(plan, folder)
    logs = {package: folder / f"{package}.log" for package in environments}
    memory = {package: _peak_memory(environments[package], scene, log) for package, log in logs.items()}
    with ExitStack() as stack:
        workers = {package: stack.enter_context(environments[package].start(log)) for package, log in logs.items()}
        versions = {package: worker.ready.versions for package, worker in workers.items()}
        steps = _round(plan, scene, year)
        turns = _take_turns(plan, workers, steps)
        flop = {package: _flop(worker, plan, folder) for package, worker in workers.items()}
    return Report(
        date=datetime.now(UTC).replace(microsecond=0),
        machine=this_machine(),
        plan=plan,
        versions=versions,
        turns=tuple(turns),
        comparisons=tuple(
            compare(turns, step.request.do, step.request.precision, _difference(step, steps))
            for step in steps
            if step.package == "ours"
        ),
        memory=memory,
        flop_per_tile_year=flop,
    )


def _requests(plan: Plan, folder: Path) -> tuple[Request, Request]:
    """Write the inputs of the scene and of the year."""

    def request(do: Task, year: Year) -> Request:
        inputs = write_year(folder / f"{do}.npz", year)
        return _request(do, inputs, year, plan)

    scene = request("scene", Year((plan.scene_size,) * 2, s2=1, s1=0))
    return scene, request("year", Year((plan.year_size,) * 2, s2=plan.s2, s1=plan.s1))


def _request(do: Task, inputs: Path, year: Year, plan: Plan) -> Request:
    return Request(
        do=do,
        inputs=str(inputs),
        shape=year.shape,
        s2=year.s2,
        s1=year.s1,
        tile_size=plan.tile_size,
        overlap=plan.overlap,
    )


def _peak_memory(environment: Environment, scene: Request, log: Path) -> Memory:
    """Embed one scene in a process that does nothing else."""
    _say(f"peak memory of a scene: {log.stem}")
    with environment.start(log) as worker:
        baseline = worker.ready.baseline_bytes
        return Memory(baseline_bytes=baseline, peak_bytes=worker.ask(scene).peak_bytes)


def _round(plan: Plan, scene: Request, year: Request) -> list[Step]:
    """Return the turns of a round, in order: ours and the published package alternate."""
    steps = [Step(package, request) for request in (scene, year) for package in ("ours", "published")]
    if plan.bf16:
        steps.append(Step("ours", year.model_copy(update={"precision": Precision.BF16})))
    return steps


def _take_turns(plan: Plan, workers: Mapping[Package, Worker], steps: list[Step]) -> list[Turn]:
    """Run all rounds; the first also writes what was embedded."""
    for step in steps:  # the first run of anything is slow, and is not what is measured
        few = {"s2": min(step.request.s2, 1), "s1": min(step.request.s1, 1)}
        workers[step.package].ask(step.request.model_copy(update=few))
    turns: list[Turn] = []
    for number in range(plan.rounds):
        for step in steps if number % 2 == 0 else reversed(steps):  # neither is always the one that comes first
            output = None if number else str(step.output)
            answer = workers[step.package].ask(step.request.model_copy(update={"output": output}))
            turn = Turn(
                package=step.package,
                do=step.request.do,
                precision=step.request.precision,
                round=number,
                seconds=answer.seconds,
            )
            _say(f"round {number + 1} of {plan.rounds}: {turn.do} {turn.precision} {turn.package} {turn.seconds:.2f} s")
            turns.append(turn)
    return turns


def _difference(ours: Step, steps: list[Step]) -> Difference:
    (published,) = (s for s in steps if s.package == "published" and s.request.do == ours.request.do)
    return difference(np.load(ours.output), np.load(published.output))


def _flop(worker: Worker, plan: Plan, folder: Path) -> int:
    """Count what a package needs for a tile-year."""
    _say("FLOP per tile-year")
    options = InferenceOptions(tile_size=plan.tile_size, overlap=plan.overlap)
    edge = 3 * plan.tile_size
    inputs = write_year(folder / "flop.npz", Year((edge, edge), s2=2, s1=2))

    def count(year: Year) -> list[int]:
        return worker.ask(_request("year", inputs, year, plan).model_copy(update={"count": True})).flop

    return scaled(count, TILE_YEAR, options)


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    cores = this_machine().cores
    parser = argparse.ArgumentParser(prog="benchmarks.model", description=__doc__)
    parser.add_argument("--published-python", required=True, help="interpreter of the published package's environment")
    parser.add_argument("--ours-python", default=sys.executable, help="interpreter of this package's environment")
    parser.add_argument("--weights", help="weights for both packages; seeded ones by default")
    parser.add_argument("--threads", type=int, default=cores, help=f"of each package ({cores})")
    for name in ("scene_size", "year_size", "s2", "s1", "rounds"):
        default = Plan.model_fields[name].default
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default, help=f"({default})")
    parser.add_argument("--out", type=Path, help="JSON to write; by default one named by the machine in results/")
    return parser.parse_args()


def main() -> None:
    """Run, write the JSON and print the table."""
    args = _arguments()
    machine = this_machine()
    sizes = {name: getattr(args, name) for name in ("scene_size", "year_size", "s2", "s1", "rounds", "threads")}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            plan = Plan(**sizes, bf16=has_bf16(torch.device("cpu")))
            weights = args.weights or str(write_weights(folder))
            report = run(
                plan,
                {
                    "ours": Environment("ours", args.ours_python, weights, args.threads),
                    "published": Environment("published", args.published_python, weights, args.threads),
                },
                folder,
            )
        except (ConfigError, DataError) as error:
            sys.exit(f"the benchmark failed: {error}")
    out: Path = args.out or RESULTS / f"model-{machine.slug}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    print(table(report))
    print(f"written to {out}")


if __name__ == "__main__":
    main()

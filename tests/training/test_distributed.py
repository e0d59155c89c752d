"""Two processes that learn together are one with a batch twice as large."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from betaearth.errors import ConfigError
from betaearth.training.config_files import load_config
from betaearth.training.distributed import open_world
from betaearth.training.loop import train
from tests.training.command import ENVIRONMENT, PROGRAM, TORCHRUN, changes
from tests.training.learnable import SMALL, learnable_data

# Dropout is drawn by each process on its own, so it is left out where the two are to agree.
OPTIONS = (*SMALL, "epochs=1", "models.0.dropout=0", "models.0.curriculum.start=0", "models.0.curriculum.full=0")


def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    data = learnable_data(tmp_path / "data")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    words = ["tiny", f"--data={data.folder}", f"--out={tmp_path / 'two'}", *changes(*OPTIONS, "batch_size=2")]
    torchrun = [str(TORCHRUN), "--standalone", "--nproc-per-node=2", str(program)]
    done = subprocess.run(
        [*torchrun, *words], capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("models export") == 1  # one process speaks
    train(load_config("tiny", (*OPTIONS, "batch_size=4")), data, tmp_path / "one")
    two, one = (torch.load(tmp_path / name / "checkpoints" / "last.pt", weights_only=True) for name in ("two", "one"))
    assert (two["world"], one["world"]) == (2, 1)
    for key, value in one["models"].items():
        # Sums are rounded in another order, of which AdamW makes much where a gradient is nearly nothing: a twentieth
        # of a step. Moments or gradients that are not summed are off by a hundred steps.
        assert torch.allclose(two["models"][key], value, atol=1e-4, rtol=1e-5), key
    assert two["best"] == pytest.approx(one["best"], abs=1e-5)
    with pytest.raises(ConfigError, match="is of 2 processes, and these are 1"):
        train(load_config("tiny", (*OPTIONS, "batch_size=2")), data, tmp_path / "two")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="needs a GPU of its own, and there are 0"), open_world("cuda"):
        pass
    with open_world("auto") as world:
        assert (world.rank, world.size, world.device.type, world.leads) == (0, 1, "cpu", True)
        assert world.sum([1.0, 2.0]) == [1.0, 2.0]

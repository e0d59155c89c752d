"""The worker's two recipes, its stand-in for a library, and what it says of memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.flops import Year, count_year
from benchmarks.seeded import write_year
from benchmarks.worker import Ours, Published, answer, peak_memory
from betaearth.inference.annual import InferenceOptions
from betaearth.inference.model import BetaEarth

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo() -> BetaEarth:
    return BetaEarth.from_pretrained("demo", device="cpu")


@pytest.fixture
def request_(tmp_path: Path) -> dict[str, Any]:
    inputs = write_year(tmp_path / "year.npz", Year((70, 80), s2=2, s1=2))
    common = {"tile_size": 64, "overlap": 32, "precision": "float32", "count": False, "output": None}
    return {"do": "year", "inputs": str(inputs), "shape": [70, 80], "s2": 2, "s1": 2, **common}


def test_both_recipes_make_the_same_year(demo: BetaEarth, request_: dict[str, Any], tmp_path: Path) -> None:
    outputs = [tmp_path / "ours.npy", tmp_path / "published.npy"]
    for package, output in zip((Ours(demo), Published(demo)), outputs, strict=True):
        said = answer(package, {**request_, "output": str(output)})
        assert said["seconds"] > 0
        assert said["flop"] == []
    ours, published = map(np.load, outputs)
    assert ours.shape == (70, 80, 64)
    np.testing.assert_allclose(np.linalg.norm(published, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(ours, published, atol=5e-6)


def test_a_count_is_that_of_the_formulas_module(demo: BetaEarth, request_: dict[str, Any]) -> None:
    year, options = Year((70, 80), s2=2, s1=2), InferenceOptions(tile_size=64, overlap=32)
    assert answer(Ours(demo), {**request_, "count": True})["flop"] == count_year(demo, year, options)


def test_a_part_of_the_inputs_is_enough(demo: BetaEarth, request_: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "scene.npy"
    answer(Ours(demo), {**request_, "do": "scene", "shape": [66, 64], "s2": 1, "s1": 0, "output": str(output)})
    assert np.load(output).shape == (66, 64, 64)


@pytest.mark.parametrize("wanted", [{"shape": [90, 80]}, {"s2": 3}, {"s1": 3}])
def test_more_than_the_inputs_hold_is_refused(
    wanted: dict[str, Any], demo: BetaEarth, request_: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="does not hold"):
        answer(Ours(demo), {**request_, **wanted})


def test_the_published_package_has_one_precision(demo: BetaEarth, request_: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="float32, not in bf16"):
        answer(Published(demo), {**request_, "precision": "bf16"})


def test_the_stand_in_satisfies_imports_and_nothing_else() -> None:
    """In a process of its own, whose imports it may change."""
    program = """
import sys
from benchmarks.worker import StandIn
sys.meta_path.insert(0, StandIn())
import torchvision
from torchvision.transforms import InterpolationMode, functional
from torchvision.ops.misc import FrozenBatchNorm2d
assert InterpolationMode.BILINEAR != InterpolationMode.NEAREST
assert not isinstance(1, FrozenBatchNorm2d)
assert not hasattr(torchvision, "__version__")
try:
    import torchvisionary
except ModuleNotFoundError:
    print("good")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "good\n"


def test_peak_memory_counts_bytes_that_were_touched() -> None:
    program = """
from benchmarks.worker import peak_memory
before = peak_memory()
block = bytearray(200_000_000)
print(peak_memory() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert 150_000_000 < int(done.stdout) < 250_000_000
    assert peak_memory() > 10_000_000

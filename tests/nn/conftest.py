"""Fixtures of the room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from betaearth.nn.demo import CONFIG
from betaearth.nn.segformer import SegFormer
from betaearth.nn.weight_files import find_weights


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks on many threads mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def demo_tensors() -> dict[str, Tensor]:
    """The shipped weights of the demo variant, read without our reader."""
    tensors: dict[str, Tensor] = safetensors.torch.load_file(find_weights("demo").path)
    return tensors


@pytest.fixture
def demo_network(demo_tensors: dict[str, Tensor]) -> SegFormer:
    """A four-encoder network with the demo weights, in evaluation mode."""
    network = SegFormer(CONFIG)
    network.load_state_dict(demo_tensors, strict=True)
    return network.eval()


@pytest.fixture
def images() -> dict[str, Tensor]:
    """Two 64 px images of every modality, values in 0..1."""
    generator = torch.Generator().manual_seed(3)
    return {name: torch.rand((2, channels, 64, 64), generator=generator) for name, channels in CONFIG.modalities}


@pytest.fixture
def weights_folder(tmp_path: Path, demo_tensors: dict[str, Tensor]) -> Path:
    """A folder with a copy of the demo weights and their configuration."""
    source = find_weights("demo").path
    folder = tmp_path / "weights"
    folder.mkdir()
    safetensors.torch.save_file(demo_tensors, folder / "model.safetensors")
    (folder / "config.json").write_bytes((source.parent / "config.json").read_bytes())
    return folder

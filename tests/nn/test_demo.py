"""The shipped demo weights: small, said to be trained on the synthetic Earth, and not one constant vector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from betaearth import BetaEarth
from betaearth.nn.demo import CONFIG
from betaearth.nn.identity import identify
from betaearth.nn.segformer import SegFormer
from betaearth.nn.variants import VARIANTS
from betaearth.nn.weight_files import WeightsConfig, find_weights
from betaearth.nn.weights import load_state_dict
from betaearth.products.quantise import decode
from betaearth.training.chips import CellYear
from betaearth.training.earth import synthetic_cells
from tests.nn.seeded import seeded_config, write_seeded_weights


@pytest.fixture(scope="module")
def metrics() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((find_weights("demo").path.parent / "metrics.json").read_text())
    return read


def test_they_are_declared_trained_on_the_synthetic_earth(metrics: dict[str, Any]) -> None:
    config = WeightsConfig.model_validate_json((find_weights("demo").path.parent / "config.json").read_bytes())
    assert config.trained
    assert config.trained_on is not None
    assert config.trained_on.synthetic
    assert config.trained_on.digest == metrics["data"]["digest"]
    assert config.network == seeded_config().network
    assert identify(load_state_dict("demo")) == VARIANTS["demo"]
    assert VARIANTS["demo"].trained_on_synthetic


def test_the_metrics_are_of_these_weights_and_above_the_constant(metrics: dict[str, Any]) -> None:
    assert metrics["sha256"] == find_weights("demo").sha256
    curve = metrics["validation"]
    assert [point["epoch"] for point in curve] == sorted({point["epoch"] for point in curve})
    best = max(curve, key=lambda point: point["cosine"])
    assert best["epoch"] == metrics["epoch"]
    assert best["cosine"] >= best["constant"] + 0.1
    assert all(command.startswith("betaearth ") for command in metrics["commands"])


def test_they_are_small_and_as_the_registry_says(demo_network: SegFormer) -> None:
    folder = find_weights("demo").path.parent
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 4_000_000
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "metrics.json", "model.safetensors"]
    assert sum(p.numel() for p in demo_network.parameters()) == VARIANTS["demo"].parameters
    assert len(demo_network.state_dict()) == VARIANTS["demo"].tensors


def smooth_images(channels: int, seed: int) -> Tensor:
    coarse = np.random.default_rng(seed).random((1, channels, 9, 9), dtype=np.float32)
    return F.interpolate(torch.from_numpy(coarse), (224, 224), mode="bilinear", align_corners=True)


@pytest.fixture(scope="module")
def unseen() -> tuple[CellYear, ...]:
    """Places that no data set of the seed that the weights learned from holds."""
    return tuple(synthetic_cells(10, size_px=64, dates=1, seed=77))


@pytest.mark.parametrize(
    ("inputs", "gain"), [(("s2_l2a", "s2_l1c", "s1", "dem"), 0.1), (("s2_l1c",), 0.03), (("s1",), 0.03)]
)
def test_of_places_that_it_never_saw_it_says_more_than_a_constant(
    unseen: tuple[CellYear, ...], inputs: tuple[str, ...], gain: float
) -> None:
    """The constant is the mean of these very targets: a better one than any that could be learned elsewhere."""
    model = BetaEarth.from_pretrained("demo", device="cpu")
    target = np.concatenate([decode(np.moveaxis(cell.target, 0, -1)).reshape(-1, 64) for cell in unseen])
    said = np.concatenate([_embedding(model, cell, inputs) for cell in unseen])
    constant = target.mean(axis=0)
    baseline = float((target @ constant).mean() / np.linalg.norm(constant))
    assert float((said * target).sum(axis=1).mean()) > baseline + gain
    some = said[np.random.default_rng(0).choice(len(said), 400, replace=False)]
    pairs = (some @ some.T)[~np.eye(400, dtype=np.bool_)]
    assert pairs.mean() < 0.75


def _embedding(model: BetaEarth, cell: CellYear, inputs: tuple[str, ...]) -> NDArray[np.float32]:
    """Vectors (pixel, 64) of the first date."""
    chip = cell.chips[0]
    arrays = {"s2_l2a": chip.s2_l2a, "s2_l1c": chip.s2_l1c, "s1": chip.s1, "dem": cell.dem}
    given: dict[str, Any] = {name: arrays[name] for name in inputs}
    return model.predict(**given, doy=chip.day.timetuple().tm_yday).reshape(-1, 64)


def test_a_window_elsewhere_sees_a_place_nearly_the_same(demo_network: SegFormer) -> None:
    image = smooth_images(9, seed=6)
    with torch.no_grad():
        first, second = (
            F.normalize(demo_network({"s2_l2a": image[:, :, s : s + 128, s : s + 128]}, None), dim=1) for s in (0, 64)
        )
    cosine = (first[:, :, 80:112, 80:112] * second[:, :, 16:48, 16:48]).sum(1)
    assert cosine.mean() > 0.9


def test_seeded_weights_of_the_same_sizes_are_untrained(tmp_path: Path) -> None:
    """What tests call an untrained network is one, and says so, though its name is the demo's."""
    write_seeded_weights(tmp_path)
    weights = load_state_dict(tmp_path)
    variant = identify(weights)
    assert (variant.name, variant.trained, variant.trained_on_synthetic) == ("demo", False, False)
    assert {key: value.shape for key, value in weights.tensors.items()} == {
        key: value.shape for key, value in SegFormer(CONFIG).state_dict().items()
    }

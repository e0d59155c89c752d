"""The shipped demo weights: reproducible, small, declared untrained, and not one constant vector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from betaearth.nn.demo import demo_config, write_demo_weights
from betaearth.nn.segformer import SegFormer
from betaearth.nn.variants import VARIANTS
from betaearth.nn.weight_files import WeightsConfig, find_weights
from betaearth.nn.weights import load_state_dict


def test_regeneration_gives_the_shipped_weights(tmp_path: Path, demo_tensors: dict[str, Tensor]) -> None:
    write_demo_weights(tmp_path)
    again = load_state_dict(tmp_path).tensors
    assert again.keys() == demo_tensors.keys()
    for key, value in demo_tensors.items():
        # The frequencies come from float32 exp, whose last digit a processor may choose.
        assert torch.allclose(again[key], value, rtol=1e-6, atol=1e-9), key
    shipped = find_weights("demo").path.parent / "config.json"
    assert (tmp_path / "config.json").read_text() == shipped.read_text()


def test_another_seed_gives_other_weights(tmp_path: Path, demo_tensors: dict[str, Tensor]) -> None:
    write_demo_weights(tmp_path, seed=1)
    other = load_state_dict(tmp_path).tensors["fusion.0.weight"]
    assert not torch.allclose(other, demo_tensors["fusion.0.weight"], atol=1e-3)


def test_they_are_declared_untrained() -> None:
    config = json.loads((find_weights("demo").path.parent / "config.json").read_text())
    assert config["trained"] is False
    assert WeightsConfig.model_validate(config) == demo_config()
    assert not VARIANTS["demo"].trained


def test_they_are_small_and_as_the_registry_says(demo_network: SegFormer) -> None:
    assert find_weights("demo").path.stat().st_size <= 3_500_000
    assert sum(p.numel() for p in demo_network.parameters()) == VARIANTS["demo"].parameters
    assert len(demo_network.state_dict()) == VARIANTS["demo"].tensors


def smooth_images(channels: int, seed: int) -> Tensor:
    coarse = np.random.default_rng(seed).random((1, channels, 9, 9), dtype=np.float32)
    return F.interpolate(torch.from_numpy(coarse), (224, 224), mode="bilinear", align_corners=True)


def test_embeddings_follow_the_image(demo_network: SegFormer) -> None:
    for present in (("s2_l2a",), ("s1",), ("s2_l2a", "dem"), ("s1", "dem")):
        inputs = {name: smooth_images(dict(demo_network.config.modalities)[name], seed=5) for name in present}
        with torch.no_grad():
            out = F.normalize(demo_network(inputs, torch.tensor([182.0])), dim=1)[0].flatten(1).T
        sample = out[torch.randperm(len(out), generator=torch.Generator().manual_seed(0))[:400]]
        cosine = sample @ sample.T
        pairs = cosine[~torch.eye(400, dtype=torch.bool)]
        assert pairs.mean() < 0.75, present


def test_a_window_elsewhere_sees_a_place_nearly_the_same(demo_network: SegFormer) -> None:
    image = smooth_images(9, seed=6)
    with torch.no_grad():
        first, second = (
            F.normalize(demo_network({"s2_l2a": image[:, :, s : s + 128, s : s + 128]}, None), dim=1) for s in (0, 64)
        )
    cosine = (first[:, :, 80:112, 80:112] * second[:, :, 16:48, 16:48]).sum(1)
    assert cosine.mean() > 0.9

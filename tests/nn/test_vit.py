"""The vision transformer: timm's numbers, transformers' own construction, and what is said without transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from betaearth.errors import ConfigError
from betaearth.nn.backbone_weights import vision_transformer
from betaearth.nn.backbones import BACKBONES
from betaearth.nn.vit import check_transformers, new_vision_transformer, rotary_periods
from tests.dinov3 import TINY, timm_tensors

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden_backbone.json").read_text())


@pytest.fixture(scope="module")
def small() -> nn.Module:
    """The backbone of the small variant with seeded weights, biases of queries and values among them."""
    backbone = BACKBONES["vits16"]
    return vision_transformer(timm_tensors(backbone, biases=True), backbone, "seeded weights")


def test_it_gives_the_numbers_of_timm(small: nn.Module) -> None:
    images = torch.from_numpy(np.random.default_rng(0).random((2, 3, 64, 96), dtype=np.float32))
    levels = small(images)
    assert [tuple(level.shape) for level in levels] == [(2, 384, 4, 6)] * 4
    for place in GOLDEN["places"]:
        actual = [float(level[tuple(place["index"])]) for level in levels]
        assert actual == pytest.approx(place["values"], abs=5e-6)


def test_an_image_knows_nothing_of_the_others_in_its_batch(small: nn.Module) -> None:
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for together, alone in zip(small(images), small(images[1:2]), strict=True):
        assert (together[1] - alone[0]).abs().max() < 1e-5


def test_it_is_frozen_and_in_evaluation_mode(small: nn.Module) -> None:
    assert not small.training
    assert not any(parameter.requires_grad for parameter in small.parameters())
    assert not small(torch.rand(1, 3, 32, 32))[0].requires_grad


@pytest.mark.parametrize(("name", "tensors"), [("vits16", 211), ("vitl16", 415)])
def test_sizes_are_those_of_the_published_backbones(name: str, tensors: int) -> None:
    backbone = BACKBONES[name]
    model = new_vision_transformer(backbone).vit
    assert all(parameter.is_meta for parameter in model.parameters())
    assert len(model.state_dict()) == tensors
    # Besides timm's: the mask token, and biases of queries and values.
    more = backbone.dim + 2 * backbone.depth * backbone.dim
    assert sum(parameter.numel() for parameter in model.parameters()) == backbone.parameters + more
    assert backbone.layers[-1] == backbone.depth - 1


def test_the_rotary_periods_are_those_of_transformers() -> None:
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    config = DINOv3ViTConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2, num_register_tokens=4
    )
    usual = DINOv3ViTModel(config).rope_embeddings.inv_freq
    assert isinstance(usual, torch.Tensor)
    assert torch.equal(usual, 1 / rotary_periods(32))


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    for call in (check_transformers, lambda: new_vision_transformer(TINY)):
        with pytest.raises(ConfigError, match=r"transformers .*pip install 'betaearth\[dinov3\]'.* not installed"):
            call()


def test_a_transformers_too_old_to_know_dinov3_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    old = ModuleType("transformers")
    old.__spec__ = transformers.__spec__
    monkeypatch.setitem(sys.modules, "transformers", old)
    with pytest.raises(ConfigError, match=r"transformers 4\.56 or later"):
        new_vision_transformer(TINY)


def test_torchvision_and_timm_are_not_needed() -> None:
    code = """
import sys
sys.modules["torchvision"] = sys.modules["timm"] = None
import torch
from betaearth.nn.backbone_weights import vision_transformer
from tests.dinov3 import TINY, timm_tensors
levels = vision_transformer(timm_tensors(TINY), TINY, "seeded")(torch.zeros(1, 3, 32, 32))
assert [tuple(level.shape) for level in levels] == [(1, 32, 2, 2)] * 4
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=Path(__file__).parents[2])

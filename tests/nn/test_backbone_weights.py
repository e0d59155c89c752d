"""Reading backbones: everybody's names give the same numbers, and what does not fit is refused with its reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from betaearth.errors import ConfigError
from betaearth.nn.backbone_files import find_backbone
from betaearth.nn.backbone_keys import named_as_transformers
from betaearth.nn.backbone_weights import injected_backbone, load_backbone, tensors_digest, vision_transformer
from betaearth.nn.backbones import BACKBONES
from betaearth.nn.vit import VisionTransformer
from tests.dinov3 import TINY, original_tensors, timm_tensors, transformers_tensors

Tensors = dict[str, Tensor]


def outputs(tensors: Tensors) -> Tensor:
    images = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(2))
    return torch.stack(vision_transformer(tensors, TINY, "weights")(images))


@pytest.fixture(scope="module")
def timm() -> Tensors:
    """As timm's `*_qkvb`."""
    return timm_tensors(TINY, biases=True)


def exact_periods(tensors: Tensors) -> Tensors:
    """Leave the rounded periods away."""
    return {key: value for key, value in tensors.items() if key != "rope_embed.periods"}


NAMES: dict[str, Callable[[Tensors], Tensors]] = {
    "original": lambda timm: exact_periods(original_tensors(timm, TINY)),
    "transformers 4": transformers_tensors,
    "transformers 5": lambda timm: {
        f"model.{key}" if key.startswith("layer.") else key: value for key, value in transformers_tensors(timm).items()
    },
}


@pytest.mark.parametrize("prefix", ["", "backbone.", "backbone.vit.", "module."])
@pytest.mark.parametrize("names", NAMES)
def test_everybodys_names_give_the_same(timm: Tensors, names: str, prefix: str) -> None:
    named = {prefix + key: value for key, value in NAMES[names](timm).items()}
    assert torch.equal(outputs(named), outputs(timm))


def test_timm_leaves_out_biases_that_are_zero(timm: Tensors) -> None:
    plain = timm_tensors(TINY)
    zeros = {key: torch.zeros_like(value) if key.endswith("_bias") else value for key, value in timm.items()}
    assert torch.equal(outputs(plain), outputs(zeros))
    assert not torch.allclose(outputs(plain), outputs(timm), atol=1e-3)


def test_a_mask_of_the_original_biases_is_applied_and_none_is_needed(timm: Tensors) -> None:
    original = original_tensors(timm, TINY)
    silent = {key: torch.zeros_like(value) if key.endswith("bias_mask") else value for key, value in original.items()}
    assert torch.equal(outputs(exact_periods(silent)), outputs(timm_tensors(TINY)))
    bare = {
        key: value * original[f"{key}_mask"] if key.endswith("qkv.bias") else value
        for key, value in original.items()
        if not key.endswith("bias_mask")
    }
    assert torch.equal(outputs(exact_periods(bare)), outputs(timm))


def test_a_bias_of_the_keys_is_refused(timm: Tensors) -> None:
    spoiled = {key: value for key, value in original_tensors(timm, TINY).items() if not key.endswith("bias_mask")}
    with pytest.raises(ConfigError, match=r"the keys' part of blocks\.0\.attn\.qkv\.bias is not zero"):
        outputs(spoiled)


def test_original_files_bring_their_rounded_periods(timm: Tensors) -> None:
    original = original_tensors(timm, TINY)
    named = named_as_transformers(original, "weights")
    assert named.periods is not None
    assert torch.equal(named.periods.float(), original["rope_embed.periods"].float())
    frequencies = vision_transformer(original, TINY, "weights").get_buffer("vit.rope_embeddings.inv_freq")
    assert torch.equal(frequencies, 1 / original["rope_embed.periods"].float())
    doubled = {**original, "rope_embed.periods": original["rope_embed.periods"] * 2}
    assert (outputs(original) - outputs(doubled)).abs().max() > 1e-3
    assert (outputs(original) - outputs(timm)).abs().max() < 1e-2


def test_a_network_of_ours_can_be_read_again(timm: Tensors) -> None:
    module = vision_transformer(timm, TINY, "weights")
    again = {f"backbone.{key}": value for key, value in module.state_dict().items()}
    assert torch.equal(outputs(again), outputs(timm))


@pytest.mark.parametrize(
    "key", ["norm.weight", "blocks.3.mlp.fc2.bias", "blocks.0.attn.qkv.weight", "blocks.1.attn.v_bias"]
)
def test_one_missing_tensor_is_refused(timm: Tensors, key: str) -> None:
    with pytest.raises(
        ConfigError, match=r"weights, as tiny under transformers' names, does not fit .* [13] missing \("
    ):
        outputs({name: value for name, value in timm.items() if name != key})


@pytest.mark.parametrize("key", ["head.weight", "blocks.0.attn.k_bias", "pos_embed"])
def test_one_tensor_too_many_is_refused(timm: Tensors, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"1 unexpected \({key}\)"):
        outputs({**timm, key: torch.zeros(32)})


def test_a_wrong_shape_is_named_with_both(timm: Tensors) -> None:
    with pytest.raises(ConfigError, match=r"norm\.bias \(31,\) for \(32,\)"):
        outputs({**timm, "norm.bias": torch.zeros(31)})


def test_another_size_is_said_with_what_is_needed() -> None:
    other = timm_tensors(replace(BACKBONES["vits16"], depth=12))
    with pytest.raises(ConfigError) as error:
        vision_transformer(other, BACKBONES["vitl16"], "file.pth")
    assert "file.pth holds a backbone of 12 layers of 384 channels, which is vits16" in str(error.value)
    assert "needs vitl16, 24 layers of 1024: timm/vit_large_patch16_dinov3.sat493m" in str(error.value)


@pytest.mark.parametrize("tensors", [{}, {"encoder.weight": torch.ones(1)}, {"dpt_head.fuse.0.weight": torch.ones(1)}])
def test_what_is_no_backbone_is_refused(tensors: Tensors) -> None:
    with pytest.raises(ConfigError, match="weights holds no DINOv3 backbone"):
        outputs(tensors)


class TestFiles:
    @pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "dinov3_tiny_pretrain_sat493m.pth"])
    def test_each_kind_is_read(self, tmp_path: Path, timm: Tensors, name: str) -> None:
        path = tmp_path / name
        if name.endswith("safetensors"):
            safetensors.torch.save_file(timm, path)
        else:
            torch.save(original_tensors(timm, TINY) if name.endswith(".pth") else timm, path)
        loaded = load_backbone(find_backbone(path), TINY)
        assert isinstance(loaded.module, VisionTransformer)
        assert loaded.source.sha256 == find_backbone(path).sha256
        assert (loaded.source.origin, loaded.source.pretraining) == (name, "sat493m" if "sat" in name else None)

    def test_a_pickle_with_code_is_refused_and_does_not_run(self, tmp_path: Path) -> None:
        class Attack:
            def __reduce__(self) -> tuple[Any, ...]:
                return (os.mkdir, (str(tmp_path / "owned"),))

        torch.save({"reg_token": Attack()}, tmp_path / "original.pth")
        with pytest.raises(ConfigError, match="not a readable file of plain tensors"):
            load_backbone(find_backbone(tmp_path / "original.pth"), TINY)
        assert not (tmp_path / "owned").exists()

    def test_other_images_are_refused_before_the_file_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "vit_tiny.lvd1689m.safetensors"
        path.write_bytes(b"never read")
        with pytest.raises(ConfigError, match="pre-trained on lvd1689m"):
            load_backbone(find_backbone(path), TINY)


class Injected(nn.Module):
    """A backbone of the user's."""

    def __init__(self, dim: int = TINY.dim, levels: int = 4, step: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, dim, step, stride=step)
        self.number = levels

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.patches(images)] * self.number


class TestInjection:
    def test_a_module_is_taken_and_known_by_its_values(self) -> None:
        torch.manual_seed(0)
        module = Injected().train()
        loaded = injected_backbone(module, TINY.dim)
        assert loaded.module is module
        assert not module.training
        assert loaded.source.origin.startswith("injected ")
        assert loaded.source.origin.endswith(".Injected")
        before = loaded.source.sha256
        assert before == injected_backbone(module, TINY.dim).source.sha256
        with torch.no_grad():
            module.patches.weight[3] += 1
        assert injected_backbone(module, TINY.dim).source.sha256 != before

    @pytest.mark.parametrize("wrong", [Injected(dim=31), Injected(levels=3), Injected(step=8), nn.Identity()])
    def test_one_that_gives_something_else_is_refused(self, wrong: nn.Module) -> None:
        with pytest.raises(ConfigError, match=r"injected backbone \w+ gives .* needs \[\(1, 32, 2, 2\)"):
            injected_backbone(wrong, TINY.dim)

    def test_half_precision_is_refused(self) -> None:
        module = vision_transformer(timm_tensors(TINY), TINY, "seeded").half()
        with pytest.raises(ConfigError, match=r"computes in torch\.float16; float32 is needed"):
            injected_backbone(module, TINY.dim)

    def test_a_digest_is_of_names_types_shapes_and_values(self) -> None:
        base = {"a": torch.arange(6.0), "b": torch.ones(2, 3)}
        others = [
            {"a": base["a"], "c": base["b"]},
            {"a": base["a"].double(), "b": base["b"]},
            {"a": base["a"].reshape(2, 3), "b": base["b"]},
            {"a": base["a"].flip(0), "b": base["b"]},
            {"a": base["a"]},
        ]
        assert len({tensors_digest(tensors) for tensors in (base, *others)}) == 6
        assert tensors_digest(dict(reversed(base.items()))) == tensors_digest(base)

"""Seeded DINOv3 backbones and heads, under the names of everybody who publishes them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from benchmarks.seeded import weight
from betaearth.nn.backbones import Backbone
from betaearth.nn.dinov3 import DINOv3, DINOv3Config

TINY = Backbone(
    name="tiny",
    repo="somebody/tiny",
    original="somebody/tiny-original",
    pretraining="SAT-493M",
    tag="sat493m",
    dim=32,
    depth=4,
    heads=2,
    layers=(0, 1, 2, 3),
    parameters=78_000,
)
"""A backbone with two rotary periods a head, to try in milliseconds."""
TINY_HEAD = DINOv3Config(dim=TINY.dim, width=16, fused=24, heads=4, feedforward=32, layers=2)


def seeded_tensor(key: str, shape: tuple[int, ...]) -> Tensor:
    """Weights of one entry of a state dict: a function of its key and shape alone."""
    return torch.from_numpy(weight(key, shape))


def timm_shapes(backbone: Backbone, *, biases: bool = False) -> dict[str, tuple[int, ...]]:
    """Names and shapes of timm's tensors; with `biases` those of its `*_qkvb` models."""
    dim, hidden = backbone.dim, 4 * backbone.dim
    block: dict[str, tuple[int, ...]] = {
        "gamma_1": (dim,),
        "gamma_2": (dim,),
        **{f"norm{i}.{part}": (dim,) for i in (1, 2) for part in ("weight", "bias")},
        "attn.qkv.weight": (3 * dim, dim),
        "attn.proj.weight": (dim, dim),
        "attn.proj.bias": (dim,),
        "mlp.fc1.weight": (hidden, dim),
        "mlp.fc1.bias": (hidden,),
        "mlp.fc2.weight": (dim, hidden),
        "mlp.fc2.bias": (dim,),
        **({"attn.q_bias": (dim,), "attn.v_bias": (dim,)} if biases else {}),
    }
    return {
        "cls_token": (1, 1, dim),
        "reg_token": (1, 4, dim),
        "patch_embed.proj.weight": (dim, 3, 16, 16),
        "patch_embed.proj.bias": (dim,),
        **{f"blocks.{i}.{key}": shape for i in range(backbone.depth) for key, shape in block.items()},
        "norm.weight": (dim,),
        "norm.bias": (dim,),
    }


def timm_tensors(backbone: Backbone, *, biases: bool = False, prefix: str = "backbone.vit.") -> dict[str, Tensor]:
    """Seeded weights as timm names them; the seeds are those of the names with a prefix before them."""
    shapes = timm_shapes(backbone, biases=biases)
    return {key: seeded_tensor(prefix + key, shape) for key, shape in shapes.items()}


def original_tensors(timm: Mapping[str, Tensor], backbone: Backbone) -> dict[str, Tensor]:
    """Name timm's weights, with biases, as the original files do, with what those hold besides."""
    names = {"reg_token": "storage_tokens", "gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma"}
    named: dict[str, Tensor] = {}
    for key, value in timm.items():
        if not key.endswith("_bias"):
            stem, _, last = key.rpartition(".")
            named[".".join(filter(None, (stem, names.get(last, last))))] = value
    for i in range(backbone.depth):
        query, value = timm[f"blocks.{i}.attn.q_bias"], timm[f"blocks.{i}.attn.v_bias"]
        ignored = torch.full_like(query, 7.0)
        named[f"blocks.{i}.attn.qkv.bias"] = torch.cat([query, ignored, value])
        mask = torch.cat([torch.ones_like(query), torch.zeros_like(query), torch.ones_like(query)])
        named[f"blocks.{i}.attn.qkv.bias_mask"] = mask
    periods = 100.0 ** torch.arange(0, 1, 4 * backbone.heads / backbone.dim)
    return {
        **named,
        "mask_token": torch.zeros(1, backbone.dim),
        "local_cls_norm.weight": torch.ones(backbone.dim),
        "local_cls_norm.bias": torch.ones(backbone.dim),
        "rope_embed.periods": periods.to(torch.bfloat16),
    }


def transformers_tensors(timm: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name timm's weights, with biases, as the files of transformers do."""
    names = {
        "cls_token": "embeddings.cls_token",
        "reg_token": "embeddings.register_tokens",
        "patch_embed.proj": "embeddings.patch_embeddings",
        "blocks.": "layer.",
        "gamma_1": "layer_scale1.lambda1",
        "gamma_2": "layer_scale2.lambda1",
        "attn.proj": "attention.o_proj",
        "attn.q_bias": "attention.q_proj.bias",
        "attn.v_bias": "attention.v_proj.bias",
        "mlp.fc1": "mlp.up_proj",
        "mlp.fc2": "mlp.down_proj",
    }
    named = {"embeddings.mask_token": torch.zeros(1, 1, timm["norm.weight"].shape[0])}
    for key, value in timm.items():
        if key.endswith("attn.qkv.weight"):
            stem = key.replace("blocks.", "layer.").removesuffix("attn.qkv.weight")
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                named[f"{stem}attention.{letter}_proj.weight"] = part.contiguous()
            continue
        name = key
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        named[name] = value
    return named


def seeded_head(config: DINOv3Config) -> DINOv3:
    """A head with seeded weights, in evaluation mode, without backbone."""
    with torch.device("meta"):
        head = DINOv3(config)
    tensors = {key: seeded_tensor(key, tuple(value.shape)) for key, value in head.state_dict().items()}
    head.load_state_dict(tensors, strict=True, assign=True)
    return head.eval().requires_grad_(False)

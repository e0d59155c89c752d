"""Names of a backbone's tensors: timm's, the original ones, and transformers', to which the others are brought."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from betaearth.errors import ConfigError

MARKERS = {
    "timm": "reg_token",
    "original": "storage_tokens",
    "transformers": "embeddings.register_tokens",
}
"""Who names them so to the name of the register tokens; what stands before it there is the prefix of all names."""

ORIGINAL_TO_TIMM = (
    (r"storage_tokens", "reg_token"),
    (r"(blocks\.\d+\.)ls([12])\.gamma", r"\1gamma_\2"),
)
ORIGINAL_ONLY = re.compile(r"mask_token|local_cls_norm\..+|rope_embed\.periods|blocks\.\d+\.attn\.qkv\.bias(_mask)?")
"""What serves pre-training alone, and what `_timm_from_original` reads itself."""
PERIODS = "rope_embed.periods"

TIMM_TO_TRANSFORMERS = (
    (r"cls_token", "embeddings.cls_token"),
    (r"reg_token", "embeddings.register_tokens"),
    (r"patch_embed\.proj\.(.+)", r"embeddings.patch_embeddings.\1"),
    (r"norm\.(.+)", r"norm.\1"),
    (r"blocks\.(\d+)\.norm([12])\.(.+)", r"model.layer.\1.norm\2.\3"),
    (r"blocks\.(\d+)\.gamma_([12])", r"model.layer.\1.layer_scale\2.lambda1"),
    (r"blocks\.(\d+)\.attn\.([qv])_bias", r"model.layer.\1.attention.\2_proj.bias"),
    (r"blocks\.(\d+)\.attn\.proj\.(.+)", r"model.layer.\1.attention.o_proj.\2"),
    (r"blocks\.(\d+)\.mlp\.fc1\.(.+)", r"model.layer.\1.mlp.up_proj.\2"),
    (r"blocks\.(\d+)\.mlp\.fc2\.(.+)", r"model.layer.\1.mlp.down_proj.\2"),
)
QKV = re.compile(r"blocks\.(\d+)\.attn\.qkv\.weight")
MASK_TOKEN = "embeddings.mask_token"
"""Stands for hidden patches in pre-training; timm leaves it out."""


@dataclass(frozen=True)
class NamedTensors:
    """A backbone's tensors under transformers' names."""

    tensors: Mapping[str, Tensor]
    """Layers are `model.layer.{i}.`, as transformers 5 names them."""
    periods: Tensor | None
    """Of the rotary embedding where the file brings them, as the original ones do: rounded to bfloat16, which the
    others are not."""
    source: str
    """Who named them: one of `MARKERS`."""

    @property
    def dim(self) -> int:
        """Channels of a token."""
        return self.tensors[MARKERS["transformers"]].shape[-1]

    @property
    def depth(self) -> int:
        """Layers."""
        found = (re.match(r"model\.layer\.(\d+)\.", key) for key in self.tensors)
        return 1 + max((int(match[1]) for match in found if match), default=-1)


def named_as_transformers(tensors: Mapping[str, Tensor], where: object) -> NamedTensors:
    """Bring a state dict to transformers' names, all of it: what has no counterpart keeps its name and will not fit.

    Args:
        tensors: of timm (with or without the biases of `*_qkvb`), the original or transformers, under any prefix.
        where: what a message calls them.

    Raises:
        ConfigError: they are not a DINOv3 backbone's, or a key projection has a bias.
    """
    for source, marker in MARKERS.items():
        key = next((key for key in tensors if _is_named(key, marker)), None)
        if key is None:
            continue
        prefix = key.removesuffix(marker)
        inner = {name.removeprefix(prefix): value for name, value in tensors.items()}
        if source == "transformers":
            return NamedTensors({_layered(name): value for name, value in inner.items()}, None, source)
        timm = _timm_from_original(inner, where) if source == "original" else inner
        return NamedTensors(_transformers_from_timm(timm), inner.get(PERIODS) if source == "original" else None, source)
    raise ConfigError(
        f"{where} holds no DINOv3 backbone: none of its {len(tensors)} keys ends with {' or '.join(MARKERS.values())}"
    )


def _is_named(key: str, name: str) -> bool:
    return key == name or key.endswith(f".{name}")


def _layered(name: str) -> str:
    """Name a tensor of transformers 4 as transformers 5 does."""
    return f"model.{name}" if name.startswith("layer.") else name


def _timm_from_original(tensors: Mapping[str, Tensor], where: object) -> dict[str, Tensor]:
    named = {
        _renamed(key, ORIGINAL_TO_TIMM): value for key, value in tensors.items() if not ORIGINAL_ONLY.fullmatch(key)
    }
    for key, bias in tensors.items():
        if not key.endswith(".attn.qkv.bias"):
            continue
        mask = tensors.get(f"{key}_mask")
        query, keys, value = (bias if mask is None else bias * mask).chunk(3)
        if keys.any():
            raise ConfigError(f"{where} is not as DINOv3 is: the keys' part of {key} is not zero")
        stem = key.removesuffix("qkv.bias")
        named |= {f"{stem}q_bias": query, f"{stem}v_bias": value}
    return named


def _transformers_from_timm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named = {_renamed(key, TIMM_TO_TRANSFORMERS): value for key, value in tensors.items() if not QKV.fullmatch(key)}
    for key, value in tensors.items():
        if match := QKV.fullmatch(key):
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                named[f"model.layer.{match[1]}.attention.{letter}_proj.weight"] = part.contiguous()
    return named | _absent(named)


def _absent(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what timm leaves out: the mask token, and biases of queries and values that are zero."""
    absent = {MASK_TOKEN: torch.zeros_like(named["embeddings.cls_token"])} if "embeddings.cls_token" in named else {}
    if any(re.search(r"attention\.[qv]_proj\.bias", key) for key in named):
        return absent
    weights = [key for key in named if re.search(r"attention\.[qv]_proj\.weight", key)]
    return absent | {key.removesuffix("weight") + "bias": torch.zeros(len(named[key])) for key in weights}


def _renamed(key: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, name in rules:
        if match := re.fullmatch(pattern, key):
            return match.expand(name)
    return key

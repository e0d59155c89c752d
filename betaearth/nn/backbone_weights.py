"""Loading a backbone: strictly, from timm's, the original or transformers' weights, or as a module of the user's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from betaearth.errors import ConfigError
from betaearth.nn.backbone_files import check_pretraining
from betaearth.nn.backbone_keys import named_as_transformers
from betaearth.nn.backbones import BACKBONES, PATCH, Backbone, BackboneSource
from betaearth.nn.vit import new_vision_transformer, set_periods
from betaearth.nn.weight_files import WeightFile
from betaearth.nn.weights import load_into, load_state_dict

PROBE = 2 * PATCH
"""Edge in pixels of the image that an injected module is tried with."""


@dataclass(frozen=True)
class LoadedBackbone:
    """A backbone with its weights, in evaluation mode, and where it came from."""

    module: nn.Module
    """As `betaearth.nn.dinov3.DINOv3` takes it."""
    source: BackboneSource


def load_backbone(file: WeightFile, backbone: Backbone) -> LoadedBackbone:
    """Read a backbone from a file of its own.

    Raises:
        ConfigError: transformers is not installed, the file is damaged or is not this backbone's; or its name or its
            configuration says that it learned from other images.
    """
    file.check_digest()
    pretraining = check_pretraining(file, backbone)
    module = vision_transformer(load_state_dict(file).tensors, backbone, file.path)
    return LoadedBackbone(module, BackboneSource(file.origin, file.sha256, pretraining))


def vision_transformer(tensors: Mapping[str, Tensor], backbone: Backbone, where: object) -> nn.Module:
    """Build a backbone of a state dict.

    Args:
        tensors: see `betaearth.nn.backbone_keys.named_as_transformers`.
        backbone: what it must be.
        where: what a message calls the tensors.

    Raises:
        ConfigError: transformers is not installed, or the tensors are not this backbone's.
    """
    named = named_as_transformers(tensors, where)
    if (named.dim, named.depth) != (backbone.dim, backbone.depth):
        found = f"{named.depth} layers of {named.dim} channels{_called(named.dim, named.depth)}"
        raise ConfigError(
            f"{where} holds a backbone of {found}; this head needs {backbone.name}, {backbone.depth} layers of "
            f"{backbone.dim}: {backbone.repo}"
        )
    transformer = new_vision_transformer(backbone)
    load_into(transformer.vit, named.tensors, f"{where}, as {backbone.name} under transformers' names,")
    if named.periods is not None:
        set_periods(transformer.vit, named.periods)
    return transformer.eval().requires_grad_(False)


def _called(dim: int, depth: int) -> str:
    known = (other.name for other in BACKBONES.values() if (other.dim, other.depth) == (dim, depth))
    return "".join(f", which is {name}" for name in known)


def injected_backbone(module: nn.Module, dim: int) -> LoadedBackbone:
    """Take a module of the user's as the backbone.

    Args:
        module: see `betaearth.nn.dinov3.DINOv3`.
        dim: channels that the head needs.

    Raises:
        ConfigError: it does not give what a backbone gives.
    """
    _check_outputs(module.eval(), dim)
    kind = type(module)
    origin = f"injected {kind.__module__}.{kind.__qualname__}"
    return LoadedBackbone(module, BackboneSource(origin, tensors_digest(module.state_dict()), None))


def _check_outputs(module: nn.Module, dim: int) -> None:
    reference = next(module.parameters(), torch.zeros(1))
    if reference.dtype != torch.float32:
        raise ConfigError(
            f"the injected backbone {type(module).__qualname__} computes in {reference.dtype}; float32 is needed"
        )
    images = torch.zeros(1, 3, PROBE, PROBE, device=reference.device)
    with torch.no_grad():
        levels = module(images)
    shapes = [tuple(level.shape) for level in levels] if isinstance(levels, list | tuple) else [type(levels).__name__]
    needed = [(1, dim, PROBE // PATCH, PROBE // PATCH)] * 4
    if shapes != needed:
        raise ConfigError(
            f"the injected backbone {type(module).__qualname__} gives {shapes} for images {tuple(images.shape)}; this "
            f"head needs {needed}: the token maps of four layers, through the last norm and without class and register "
            "tokens"
        )


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Digest of names, types, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()

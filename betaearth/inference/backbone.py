"""Finding the backbone that a DINOv3 head needs: given, brought by the head's file, in the cache, or downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from betaearth.errors import ConfigError
from betaearth.nn.backbone_files import find_backbone
from betaearth.nn.backbone_weights import LoadedBackbone, injected_backbone, load_backbone, vision_transformer
from betaearth.nn.backbones import BACKBONES, Backbone, BackboneSource, backbone_of_dim
from betaearth.nn.dinov3 import DINOv3
from betaearth.nn.dinov3_head import own_backbone
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.vit import check_transformers
from betaearth.nn.weights import LoadedWeights
from betaearth.storage.files import folder_errors


def give_backbone(
    network: EmbeddingNetwork,
    weights: LoadedWeights,
    asked: str | Path | nn.Module | None,
    fetch: Callable[[str], Path],
) -> BackboneSource | None:
    """Give a network the backbone that it needs; most need none.

    Args:
        network: built of the weights.
        weights: its file.
        asked: see `BetaEarth.from_pretrained`.
        fetch: downloads a repository, unless the cache holds it, and returns its folder.

    Returns:
        Which backbone it is, None for a network without one.

    Raises:
        ConfigError: a backbone is given that means nothing, is not there, or is not the one that the head needs; or
            transformers is not installed.
        TransientError: it must be downloaded, and the network failed.
    """
    if isinstance(network, DINOv3):
        loaded = _backbone(weights, network.config.dim, asked, fetch)
        network.use_backbone(loaded.module)
        return loaded.source
    if asked is not None:
        raise ConfigError(f"{weights.file.path} is no DINOv3 head, so dinov3_weights means nothing: leave it out")
    return None


def _backbone(
    weights: LoadedWeights,
    dim: int,
    asked: str | Path | nn.Module | None,
    fetch: Callable[[str], Path],
) -> LoadedBackbone:
    if isinstance(asked, nn.Module):
        return injected_backbone(asked, dim)
    needed = backbone_of_dim(dim)
    if needed is None:
        known = ", ".join(f"{backbone.name} {backbone.dim}" for backbone in BACKBONES.values())
        raise ConfigError(
            f"{weights.file.path} reads a backbone of {dim} channels, and none is known ({known}): give a module"
        )
    check_transformers()
    own = own_backbone(weights.tensors)
    if asked is None and own:
        module = vision_transformer(own, needed, f"the backbone.* of {weights.file.path}")
        return LoadedBackbone(module, BackboneSource(weights.origin, weights.sha256, None))
    return load_backbone(find_backbone(_place(asked, needed, fetch)), needed)


def _place(asked: str | Path | None, needed: Backbone, fetch: Callable[[str], Path]) -> Path:
    if asked is not None:
        with folder_errors(Path(asked)):
            if Path(asked).exists():
                return Path(asked)
    if asked is None or str(asked) in (needed.repo, needed.original):
        return fetch(str(asked or needed.repo))
    raise ConfigError(
        f"dinov3_weights {str(asked)!r} is neither a file or folder on this machine, nor one of {needed.repo} and "
        f"{needed.original}, which this head needs"
    )

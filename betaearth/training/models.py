"""Building the networks that a configuration names, with the weights that they begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from betaearth.errors import ConfigError
from betaearth.inference.fetching import WeightsOptions, locate_weights
from betaearth.nn.backbone_files import find_backbone
from betaearth.nn.backbone_weights import injected_backbone, load_backbone
from betaearth.nn.backbones import BACKBONES
from betaearth.nn.checkpoints import choose_network, read_checkpoint
from betaearth.nn.demo import CONFIG as DEMO_CONFIG
from betaearth.nn.dinov3 import DINOv3, DINOv3Config
from betaearth.nn.dinov3_head import BACKBONE_PREFIX
from betaearth.nn.fpn import DROPOUT
from betaearth.nn.mit import STOCHASTIC_DEPTH, StochasticDepth
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.segformer import (
    FOUR_MODALITIES,
    RGB_MODALITY,
    PyramidNetwork,
    RGBOnly,
    SegFormer,
    SegFormerConfig,
)
from betaearth.nn.variants import VARIANTS, Family
from betaearth.nn.weight_cache import WeightCache, default_cache
from betaearth.nn.weight_files import FORMAT, NetworkSizes, TrainedOn, WeightsConfig
from betaearth.nn.weights import TIME_PREFIX, load_into, segformer_config
from betaearth.training.config import ModelConfig
from betaearth.training.initial import check_trained_sizes, initialise, initialise_film, initialise_mixer, take_encoder


def sizes_of(config: SegFormerConfig) -> NetworkSizes:
    """Spell a network's sizes as `config.json` does."""
    mit = config.mit
    dims, depths, heads, reductions = (
        (s[0], s[1], s[2], s[3]) for s in (mit.dims, mit.depths, mit.heads, mit.reductions)
    )
    return NetworkSizes(
        dims=dims,
        depths=depths,
        heads=heads,
        reductions=reductions,
        mlp_ratio=mit.mlp_ratio,
        pyramid=config.pyramid,
        segmentation=config.segmentation,
        groups=config.groups,
        features=config.features,
    )


TINY_SIZES = NetworkSizes(
    dims=(8, 16, 24, 32),
    depths=(1, 1, 1, 1),
    heads=(1, 2, 2, 4),
    reductions=(8, 4, 2, 1),
    mlp_ratio=2,
    pyramid=16,
    segmentation=16,
    groups=2,
    features=32,
)
NAMED_SIZES: Mapping[str, NetworkSizes | None] = {
    "released": None,
    "demo": sizes_of(DEMO_CONFIG),
    "tiny": TINY_SIZES,
}


@dataclass(frozen=True)
class Built:
    """A network ready to learn."""

    network: EmbeddingNetwork
    frozen: tuple[nn.Module, ...]
    """Parts that do not learn; they stay in evaluation mode."""


def build(config: ModelConfig, seed: int, *, backbone: nn.Module | None = None) -> Built:
    """Build a model's network, with the weights that it begins with.

    Args:
        config: of the model.
        seed: of random weights.
        backbone: of a DINOv3 head, instead of the one that the configuration names.

    Raises:
        ConfigError: weights to begin with or a backbone are not there or do not fit.
        TransientError: they must be downloaded, and the network failed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.family is Family.DINOV3:
            return _head(config, backbone)
        return _pyramids(config)


def network_sizes(config: ModelConfig) -> NetworkSizes | None:
    """Tell the sizes of a SegFormer network; None for the released ones."""
    return config.sizes if isinstance(config.sizes, NetworkSizes) else NAMED_SIZES[config.sizes]


def weights_config(config: ModelConfig, licence: str, trained_on: TrainedOn) -> WeightsConfig:
    """Describe the weights of a model, as `config.json` beside them will."""
    return WeightsConfig(
        format=FORMAT,
        variant=config.name,
        family=config.family,
        trained=True,
        any_subset=config.any_subset,
        licence=licence,
        inputs=tuple(sensor.value for sensor in config.inputs) if config.inputs else None,
        network=None if config.family is Family.DINOV3 else network_sizes(config),
        architecture=f"dinov3_{VARIANTS[config.variant].backbone}" if config.family is Family.DINOV3 else None,
        trained_on=trained_on,
    )


def _pyramids(config: ModelConfig) -> Built:
    rgb = config.family is Family.RGB_ONLY
    sizes = network_sizes(config)
    made = segformer_config(sizes, modalities=RGB_MODALITY if rgb else FOUR_MODALITIES, film=config.dated)
    network: PyramidNetwork = RGBOnly(made) if rgb else SegFormer(made)
    initialise(network)
    if config.init is not None:
        _begin_with(network, config)
    elif config.encoder is not None:
        take_encoder(network, config.encoder)
    for module in network.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = config.dropout * module.p / DROPOUT
        elif isinstance(module, StochasticDepth):
            module.rate = config.stochastic_depth * module.rate / STOCHASTIC_DEPTH
    frozen: tuple[nn.Module, ...] = ()
    if config.trainable == "head":
        frozen = tuple(network.branch(name).requires_grad_(False).eval() for name in network.modalities)
    return Built(network, frozen)


def _begin_with(network: PyramidNetwork, config: ModelConfig) -> None:
    """Give a network the weights of `init`; the modulation by date is new where these have none.

    Raises:
        ConfigError: they are not there, or not of such a network.
    """
    path, tensors = initial_tensors(config)
    check_trained_sizes(tensors, network, path)
    own = network.state_dict()
    taken = {
        key: value.clone() for key, value in tensors.items() if network.time_cond or not key.startswith(TIME_PREFIX)
    }
    taken = {**{key: value for key, value in own.items() if key.startswith(TIME_PREFIX)}, **taken}
    load_into(network, taken, path)
    if config.fusion == "fresh":
        initialise_mixer(network)
    if network.time_cond is not None and not any(key.startswith(TIME_PREFIX) for key in tensors):
        initialise_film(network.time_cond)


def initial_tensors(config: ModelConfig) -> tuple[Path, dict[str, Tensor]]:
    """Read the network that `init` names: its file, and its tensors by key.

    Raises:
        ConfigError: it is not there, or holds no such network.
        TransientError: it must be downloaded, and the network failed.
    """
    assert config.init is not None
    path = Path(config.init)
    if not path.is_file():
        path = locate_weights(config.init, WeightsOptions(), cache=None, s3=None, report=None).path
    checkpoint = read_checkpoint(path)
    prefix = choose_network(checkpoint, prefix=config.init_prefix)
    family = checkpoint.networks()[prefix]
    if family is not config.family:
        raise ConfigError(f"{path} holds a {family} network; {config.name} is a {config.family} one")
    tensors = {key: value.float() for key, value in checkpoint.below(prefix).items()}
    return path, {key: value for key, value in tensors.items() if not key.startswith(BACKBONE_PREFIX)}


def _head(config: ModelConfig, injected: nn.Module | None) -> Built:
    name = VARIANTS[config.variant].backbone
    assert name is not None
    backbone = BACKBONES[name]
    head = DINOv3(DINOv3Config(dim=backbone.dim, film=config.dated))
    if head.time_cond is not None:
        initialise_film(head.time_cond)
    if config.init is not None:
        path, tensors = initial_tensors(config)
        check_trained_sizes(tensors, head, path)
        load_into(head, {key: value.clone() for key, value in tensors.items()}, path)
    if injected is not None:
        loaded = injected_backbone(injected, backbone.dim)
    else:
        loaded = load_backbone(find_backbone(_backbone_path(config, name)), backbone)
    head.use_backbone(loaded.module)
    return Built(head, (loaded.module,))


def _backbone_path(config: ModelConfig, name: str) -> Path:
    if config.backbone is not None:
        return config.backbone
    held = WeightCache(default_cache()).find(BACKBONES[name].repo)
    if held is None:
        raise ConfigError(
            f"{config.name} learns on the frozen backbone {name}, which is not on this machine: run `betaearth models "
            f"fetch {config.variant}`, or say where it lies: --set models.0.backbone=PATH"
        )
    return held.folder

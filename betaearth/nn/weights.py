"""Reading weights and putting them into networks, strictly: every entry must have its place and its shape.

Nothing is ever unpickled but plain tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from betaearth.errors import ConfigError
from betaearth.nn.backbones import BACKBONES
from betaearth.nn.dinov3 import DINOv3
from betaearth.nn.dinov3_head import check_backbone_name, head_config, head_tensors
from betaearth.nn.mit import MiTConfig
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.plain_files import is_stored, read_pickle, read_safetensors
from betaearth.nn.segformer import (
    FOUR_MODALITIES,
    RGB_MODALITY,
    RGBOnly,
    SegFormer,
    SegFormerConfig,
)
from betaearth.nn.variants import Family, Variant
from betaearth.nn.weight_files import CONFIG_NAME, FORMAT, NetworkSizes, WeightFile, find_weights

TIME_PREFIX = "time_cond."
PREFIXES = {Family.DINOV3: "dpt_head.", Family.SEGFORMER: "fusion.", Family.RGB_ONLY: "head."}
"""A prefix of keys that only this family has."""
SHOWN = 3
"""Keys that a message lists of each kind."""


@dataclass(frozen=True)
class LoadedWeights:
    """A state dict and where it came from."""

    tensors: Mapping[str, Tensor]
    """Key to float32 tensor on the CPU."""
    file: WeightFile

    @property
    def sha256(self) -> str:
        """Digest of the file's bytes."""
        return self.file.sha256

    @property
    def config(self) -> Mapping[str, object]:
        """What `config.json` beside the file says; empty where there is none."""
        return self.file.config

    @property
    def origin(self) -> str:
        """Where the file came from, the same on every machine."""
        return self.file.origin


CHECKPOINT_KEYS = frozenset({"model", "models", "optimizer", "optimiser"})
"""What checkpoints hold beside tensors, ours and those of others, and no released state dict does."""


def load_state_dict(weights: str | Path | WeightFile) -> LoadedWeights:
    """Read a file of weights, or the weights of a variant or at a path as `find_weights` finds them.

    Raises:
        ConfigError: nothing is there, it is not a state dict of plain tensors, or a value is not finite.
    """
    file = weights if isinstance(weights, WeightFile) else find_weights(weights)
    entries: Mapping[str, object]
    entries = read_safetensors(file.path) if file.path.suffix == ".safetensors" else _read_pt(file.path)
    return LoadedWeights({key: checked_tensor(key, value, file.path) for key, value in entries.items()}, file)


def _read_pt(path: Path) -> Mapping[str, object]:
    content = read_pickle(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path} holds a {type(content).__name__}, not a state dict of named tensors")
    if content.keys() & CHECKPOINT_KEYS:
        raise ConfigError(
            f"{path} is a training checkpoint, not a state dict: `betaearth models export` makes weights of it"
        )
    return content


def checked_tensor(key: str, value: object, path: Path) -> Tensor:
    """Return an entry of a file as float32.

    Raises:
        ConfigError: it is not a tensor of finite floating-point values, each of which the file holds.
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise ConfigError(f"{path} is not a state dict: {key!r} is not a floating-point tensor")
    if not is_stored(value):
        raise ConfigError(
            f"{path} is damaged: {key} has the shape {tuple(value.shape)}, and the file does not hold as many values"
        )
    if not torch.isfinite(value).all():
        raise ConfigError(f"{path} is damaged: {key} holds values that are not finite")
    return value.float()


def family_of(weights: LoadedWeights) -> Family:
    """Tell the kind of network by the keys.

    Raises:
        ConfigError: the keys are of no known network, or not of the one that the file declares.
    """
    declared = weights.file.declared.family if weights.file.declared else None
    if Family.DINOV3 in str(weights.config.get("architecture", "")):
        declared = Family.DINOV3
    for family, prefix in PREFIXES.items():
        if any(key.startswith(prefix) for key in weights.tensors):
            if declared not in (None, family):
                raise ConfigError(f"{weights.file.path} declares {declared}, but its keys are those of {family}")
            return family
    raise ConfigError(
        f"{weights.file.path} holds the weights of no known network: none of its {len(weights.tensors)} keys "
        f"starts with {', '.join(PREFIXES.values())}"
    )


def build_network(weights: LoadedWeights) -> EmbeddingNetwork:
    """Build the network that the weights belong to and load them, in evaluation mode.

    A DINOv3 head comes without its backbone, also where the file brings one.

    Raises:
        ConfigError: the weights do not fit their network (see `load_into`).
    """
    family = family_of(weights)
    if family is Family.DINOV3:
        return _build_head(weights)
    film = any(key.startswith(TIME_PREFIX) for key in weights.tensors)
    config = _network_config(weights, family, film=film)
    # On the meta device nothing is allocated or initialised: the loaded tensors become the parameters.
    with torch.device("meta"):
        network: EmbeddingNetwork
        network = RGBOnly(config) if family is Family.RGB_ONLY else SegFormer(config)
    try:
        load_into(network, weights.tensors, weights.file.path)
    except ConfigError as error:
        if weights.file.declared is not None:
            raise
        raise ConfigError(f"{error}. {_undeclared(weights.file)}") from error
    return network.eval().requires_grad_(False)


def _undeclared(file: WeightFile) -> str:
    """Say what was looked for beside a file of weights whose sizes nobody says."""
    beside = file.path.parent / CONFIG_NAME
    found = f"{beside} is not of format {FORMAT}" if file.config else f"{beside} is not there"
    return (
        f"{found}, so the sizes of the released networks were taken: put the {CONFIG_NAME} beside the file that it was "
        "exported with, or export it anew from its training checkpoint (`betaearth models export`)"
    )


def _build_head(weights: LoadedWeights) -> DINOv3:
    tensors, path = head_tensors(weights.tensors), weights.file.path
    config = head_config(tensors, path)
    architecture = str(weights.config.get("architecture", ""))
    for backbone in BACKBONES:
        if backbone in architecture:
            check_backbone_name(backbone, config.dim, path)
    with torch.device("meta"):
        head = DINOv3(config)
    load_into(head, tensors, path)
    return head.eval().requires_grad_(False)


def _network_config(weights: LoadedWeights, family: Family, *, film: bool) -> SegFormerConfig:
    modalities = RGB_MODALITY if family is Family.RGB_ONLY else FOUR_MODALITIES
    sizes = weights.file.declared.network if weights.file.declared else None
    return segformer_config(sizes, modalities=modalities, film=film)


def segformer_config(
    sizes: NetworkSizes | None, *, modalities: tuple[tuple[str, int], ...], film: bool
) -> SegFormerConfig:
    """Return the configuration of a SegFormer network.

    Args:
        sizes: as `config.json` says them; None takes those of the released variants.
        modalities: each with its channels, in the order of fusion.
        film: whether a date modulates the features.
    """
    if sizes is None:
        return SegFormerConfig(modalities=modalities, film=film)
    return SegFormerConfig(
        modalities=modalities,
        mit=MiTConfig(sizes.dims, sizes.depths, sizes.heads, sizes.reductions, sizes.mlp_ratio),
        pyramid=sizes.pyramid,
        segmentation=sizes.segmentation,
        groups=sizes.groups,
        features=sizes.features,
        film=film,
    )


def shapes_of(variant: Variant) -> dict[str, tuple[int, ...]] | None:
    """List the tensors of a variant's network, key to shape; None of a DINOv3 head, whose backbone says its sizes."""
    if variant.family is Family.DINOV3:
        return None
    modalities = RGB_MODALITY if variant.family is Family.RGB_ONLY else FOUR_MODALITIES
    declared = find_weights(variant.name).declared if variant.repo is None else None
    config = segformer_config(declared.network if declared else None, modalities=modalities, film=variant.doy)
    with torch.device("meta"):
        network = RGBOnly(config) if variant.family is Family.RGB_ONLY else SegFormer(config)
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Make the tensors the network's parameters; `where` is what a message calls them.

    A network without FiLM takes a state dict without `time_cond.*`; nothing else may be missing, or too many.

    Raises:
        ConfigError: keys or shapes differ from the network's.
    """
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in tensors.items()}
    problems = {
        "missing": [key for key in expected if key not in given],
        "unexpected": [key for key in given if key not in expected],
        "of another shape": [
            f"{key} {given[key]} for {expected[key]}"
            for key in expected
            if key in given and given[key] != expected[key]
        ],
    }
    found = [f"{len(keys)} {kind} ({_some(keys)})" for kind, keys in problems.items() if keys]
    if found:
        raise ConfigError(
            f"{where} does not fit a {type(network).__name__} of {len(expected)} tensors: {'; '.join(found)}"
        )
    network.load_state_dict(dict(tensors), strict=True, assign=True)


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:SHOWN]) + (", ..." if len(keys) > SHOWN else "")

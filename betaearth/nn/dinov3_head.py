"""What a file of a DINOv3 head tells: its sizes, the backbone that it needs, and the one that it may bring."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from betaearth.errors import ConfigError
from betaearth.nn.backbones import BACKBONES
from betaearth.nn.dinov3 import DINOv3Config

BACKBONE_PREFIX = "backbone."
TIME_PREFIX = "time_cond."
FIRST_PROJECTION = "dpt_head.projections.0.weight"


def head_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the head's own tensors: all but the backbone's."""
    return {key: value for key, value in tensors.items() if not key.startswith(BACKBONE_PREFIX)}


def own_backbone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the backbone that the file brings; none where it holds the head alone."""
    return {key: value for key, value in tensors.items() if key.startswith(BACKBONE_PREFIX)}


def head_config(tensors: Mapping[str, Tensor], path: Path) -> DINOv3Config:
    """Read a head's sizes.

    Raises:
        ConfigError: the tensor that tells how many channels the backbone has is missing, or no 1x1 convolution.
    """
    projection = tensors.get(FIRST_PROJECTION)
    if projection is None or projection.ndim != 4:
        found = "is missing" if projection is None else f"has shape {tuple(projection.shape)}"
        raise ConfigError(
            f"{path} is not a whole DINOv3 head: {FIRST_PROJECTION} {found}; (128, channels, 1, 1) is needed"
        )
    return DINOv3Config(dim=projection.shape[1], film=any(key.startswith(TIME_PREFIX) for key in tensors))


def check_backbone_name(backbone: str, dim: int, path: Path) -> None:
    """Check that a head is as large as its name, or the architecture that its configuration names, says.

    Raises:
        ConfigError: it is not.
    """
    named = BACKBONES[backbone]
    if named.dim != dim:
        raise ConfigError(
            f"{path} is named as a head of {backbone}, which has {named.dim} channels, but it reads {dim} channels"
        )

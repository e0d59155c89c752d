"""The frozen backbones of the DINOv3 variants as data: where they come from, how large they are, which licence.

The weights are Meta's, under the DINOv3 licence, and never part of this package. The original repositories ask for a
login; timm's publish the same tensors without one. The original projections of queries and values carry biases that
are all zero, so timm leaves them out (its `*_qkvb` files keep them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from betaearth.nn.variants import DINOV3_LICENCE

PATCH = 16
"""Edge of a token in pixels."""
REGISTERS = 4
"""Register tokens; with the class token before them they stand before the tokens of the image."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A vision transformer, and which of its layers the head reads."""

    name: str
    """Of `betaearth.nn.variants.Variant.backbone`, whose head was trained on it."""
    repo: str
    """Id of timm's repository on the Hugging Face Hub, which needs no login."""
    original: str
    """Id of the original repository there, which needs one."""
    pretraining: str
    """Name of the set of images that it learned from."""
    tag: str
    """The same, as configurations, repositories and files spell it."""
    licence: str = DINOV3_LICENCE
    dim: int
    """Channels of a token."""
    depth: int
    """Layers."""
    heads: int
    layers: tuple[int, int, int, int]
    """Indices of the layers whose outputs the head reads, each through the backbone's last norm."""
    parameters: int
    """As timm's file holds them."""

    @property
    def hidden(self) -> int:
        """Channels within a layer's MLP."""
        return 4 * self.dim


_ALL = (
    Backbone(
        name="vitl16",
        repo="timm/vit_large_patch16_dinov3.sat493m",
        original="facebook/dinov3-vitl16-pretrain-sat493m",
        pretraining="SAT-493M",
        tag="sat493m",
        dim=1024,
        depth=24,
        heads=16,
        layers=(5, 11, 17, 23),
        parameters=303_079_424,
    ),
    Backbone(
        name="vits16",
        repo="timm/vit_small_patch16_dinov3.lvd1689m",
        original="facebook/dinov3-vits16-pretrain-lvd1689m",
        pretraining="LVD-1689M",
        tag="lvd1689m",
        dim=384,
        depth=12,
        heads=6,
        layers=(2, 5, 8, 11),
        parameters=21_586_944,
    ),
)

BACKBONES: Mapping[str, Backbone] = MappingProxyType({backbone.name: backbone for backbone in _ALL})
"""Name to backbone."""


def backbone_of_dim(dim: int) -> Backbone | None:
    """Return the backbone whose tokens have this many channels; None where none has."""
    return next((backbone for backbone in BACKBONES.values() if backbone.dim == dim), None)


@dataclass(frozen=True)
class BackboneSource:
    """Which backbone a model runs on, for its provenance."""

    origin: str
    """Where it came from, the same on every machine: hub id and commit, a file's name, `injected` and a class, or the
    file of the head that brought it."""
    sha256: str
    """Digest of the file's bytes, or of the names and values of what was injected."""
    pretraining: str | None
    """As `Backbone.tag` spells it; None where nothing tells. The tensors themselves do not."""

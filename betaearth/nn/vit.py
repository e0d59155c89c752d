"""The vision transformer of a backbone, run by transformers' `DINOv3ViTModel`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from betaearth.errors import ConfigError
from betaearth.nn.backbones import PATCH, REGISTERS, Backbone

if TYPE_CHECKING:
    from transformers import DINOv3ViTModel

NEEDED = "a DINOv3 variant needs transformers 4.56 or later for its backbone (pip install 'betaearth[dinov3]')"
THETA = 100.0
"""The longest rotary period would be this many half-widths of the image, the shortest is one."""
PREFIXES = 1 + REGISTERS
"""Class and register tokens, which come before those of the image."""


class VisionTransformer(nn.Module):
    """Images to the outputs of four layers; a backbone as `betaearth.nn.dinov3.DINOv3` takes it."""

    def __init__(self, model: DINOv3ViTModel, layers: tuple[int, ...]) -> None:
        """Take a model.

        Args:
            model: of transformers, with its weights.
            layers: indices of the layers whose outputs are wanted, from early to late.
        """
        super().__init__()
        self.vit = model
        self._layers = layers

    def forward(self, images: Tensor) -> list[Tensor]:
        """(m, 3, y, x) -> for every layer (m, dim, y / 16, x / 16), through the model's last norm."""
        n, rows, columns = len(images), images.shape[2] // PATCH, images.shape[3] // PATCH
        outputs = self.vit(pixel_values=images, output_hidden_states=True)
        states = outputs.hidden_states
        assert states is not None
        # The first state is the input of layer 0. The last one is normed in some versions of transformers and not in
        # others, but the last hidden state always is.
        normed = (
            outputs.last_hidden_state if layer + 2 == len(states) else self.vit.norm(states[layer + 1])
            for layer in self._layers
        )
        return [tokens[:, PREFIXES:].transpose(1, 2).reshape(n, -1, rows, columns) for tokens in normed]


def check_transformers() -> None:
    """Check that there is transformers, without the seconds that loading it takes.

    Raises:
        ConfigError: there is not.
    """
    if find_spec("transformers") is None:
        raise ConfigError(f"{NEEDED}; it is not installed")


def new_vision_transformer(backbone: Backbone) -> VisionTransformer:
    """Build the transformer without weights: its parameters are on the meta device.

    Raises:
        ConfigError: transformers is not installed, or too old to know DINOv3.
    """
    check_transformers()
    try:
        from transformers import DINOv3ViTConfig, DINOv3ViTModel
    except ImportError as error:
        raise ConfigError(f"{NEEDED}: {error}") from error
    config = DINOv3ViTConfig(
        patch_size=PATCH,
        hidden_size=backbone.dim,
        intermediate_size=backbone.hidden,
        num_hidden_layers=backbone.depth,
        num_attention_heads=backbone.heads,
        num_register_tokens=REGISTERS,
        rope_theta=THETA,
    )
    with torch.device("meta"):
        model = DINOv3ViTModel(config)
    set_periods(model, rotary_periods(backbone.dim // backbone.heads))
    return VisionTransformer(model, backbone.layers)


def rotary_periods(head: int) -> Tensor:
    """Periods of the rotary position embedding (Su et al. 2021, arXiv 2104.09864) along one axis.

    Args:
        head: channels of a head, four for every period: sine and cosine of both axes.

    Returns:
        (head / 4,), in half-widths of the image.
    """
    return THETA ** torch.arange(0, 1, 4 / head, dtype=torch.float32)


def set_periods(model: DINOv3ViTModel, periods: Tensor) -> None:
    """Give a model the periods of its rotary embedding, which are not among its parameters.

    They may be bfloat16, as the original files hold them; their inverses are not rounded a second time.
    """
    rotary = cast("nn.Module", model.rope_embeddings)
    rotary.register_buffer("inv_freq", 1 / periods.float(), persistent=False)

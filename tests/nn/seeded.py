"""Weights of a seeded initialisation in the demo's sizes: a network that learned nothing, for tests that need one.

The initialisation is the usual one: He for convolutions that a ReLU follows, Xavier for everything else. Left at that,
a random network answers every pixel with nearly the same vector, because each GELU and ReLU leaves a large common mean.
The heads and the last layer are therefore centred: their biases take away the mean over random smooth images.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from betaearth.nn.demo import CONFIG
from betaearth.nn.segformer import RGB_MODALITY, RGBOnly, SegFormer, SegFormerConfig
from betaearth.nn.variants import VARIANTS
from betaearth.nn.weight_files import CONFIG_NAME, DEMO, FILE_NAMES, FORMAT, NetworkSizes, WeightsConfig

SEED = 20260101
IMAGES = 4
"""Random images that the biases are centred on."""
IMAGE_SIZE = 64
SMOOTHNESS = 6
"""Edge of the coarse random field that an image is interpolated from."""
DECIMALS = 5
"""The centring biases are rounded, so that every machine finds the same ones."""
KERNEL_SIGMA = 0.15
"""Width of the bell that weights a kernel's taps, in kernel sizes."""
LEVEL_SHARES = {
    "decoder.p5": 0.1,
    "decoder.p4": 0.15,
    "decoder.p3": 0.3,
    "seg_blocks.0": 0.1,
    "seg_blocks.1": 0.15,
    "seg_blocks.2": 0.3,
}
"""Share of the coarser levels in the pyramid, so that what a pixel looks like prevails over where it lies."""
INPUT_RANGES = {"s2_l1c": (0.0, 0.5), "s2_l2a": (0.0, 0.5), "s1": (0.2, 0.9), "dem": (0.0, 1.0)}
"""Range of each modality's scaled values in common landscapes."""


def write_seeded_weights(folder: Path, seed: int = SEED) -> None:
    """Write `model.safetensors` and `config.json` of an untrained demo into an existing folder."""
    tensors = {key: value.contiguous() for key, value in seeded_tensors(seed).items()}
    safetensors.torch.save_file(tensors, folder / FILE_NAMES[0])
    config = seeded_config().model_dump(mode="json", exclude_none=True)
    (folder / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def seeded_config() -> WeightsConfig:
    """Return what `config.json` says."""
    variant, mit = VARIANTS[DEMO], CONFIG.mit
    return WeightsConfig(
        format=FORMAT,
        variant=variant.name,
        family=variant.family,
        trained=False,
        any_subset=variant.any_subset,
        licence=variant.licence,
        network=NetworkSizes(
            dims=mit.dims,
            depths=mit.depths,
            heads=mit.heads,
            reductions=mit.reductions,
            mlp_ratio=mit.mlp_ratio,
            pyramid=CONFIG.pyramid,
            segmentation=CONFIG.segmentation,
            groups=CONFIG.groups,
            features=CONFIG.features,
        ),
    )


def seeded_tensors(seed: int = SEED) -> dict[str, Tensor]:
    """Return the state dict: random weights of this seed with centred biases, float32."""
    rng = np.random.default_rng(seed)
    network = SegFormer(CONFIG).double().eval().requires_grad_(False)
    network.load_state_dict(
        {key: _initial(key, value, rng) for key, value in network.state_dict().items()}, strict=True
    )
    with torch.inference_mode():
        _centre(network, {name: _images(name, channels, rng) for name, channels in CONFIG.modalities})
    return {key: value.float() for key, value in network.state_dict().items()}


def _initial(key: str, value: Tensor, rng: np.random.Generator) -> Tensor:
    if key.endswith("freqs"):
        return value
    if key == "time_cond.film.proj.bias":
        return torch.cat([torch.ones(CONFIG.features), torch.zeros(CONFIG.features)])
    share = next((share for name, share in LEVEL_SHARES.items() if name in key), 1.0)
    if value.ndim == 1:
        return torch.full_like(value, share * key.endswith("weight"))
    values = torch.from_numpy(rng.normal(0.0, _spread(key, value), tuple(value.shape))) * _window(value)
    return values if "seg_blocks" in key else share * values


def _spread(key: str, value: Tensor) -> float:
    fan_in, fan_out = value.shape[1], value.shape[0]
    if "seg_blocks" in key:
        return math.sqrt(2 / fan_in)
    return (0.2 if "film" in key else 1.0) * math.sqrt(2 / (fan_in + fan_out))


def _window(value: Tensor) -> Tensor:
    """Weight a kernel's taps towards its centre."""
    if value.ndim == 2:
        return torch.ones(1, dtype=value.dtype)
    size = value.shape[-1]
    place = torch.arange(size, dtype=value.dtype) - (size - 1) / 2
    profile = torch.exp(-0.5 * (place / (KERNEL_SIGMA * size)) ** 2)
    taps = torch.outer(profile, profile)
    return taps / taps.square().sum().sqrt()


def _images(modality: str, channels: int, rng: np.random.Generator) -> Tensor:
    low, high = INPUT_RANGES[modality]
    coarse = torch.from_numpy(rng.uniform(low, high, (IMAGES, channels, SMOOTHNESS, SMOOTHNESS)))
    return F.interpolate(coarse, (IMAGE_SIZE, IMAGE_SIZE), mode="bicubic", align_corners=True)


def _centre(network: SegFormer, images: Mapping[str, Tensor]) -> None:
    """Take the mean away from every modality's features and from the embeddings of single modalities."""
    pyramids = {name: network.features(name, x) for name, x in images.items()}
    hidden: list[Tensor] = []
    for name, pyramid in pyramids.items():
        head = network.branch(name).head
        _take_away(head, head(pyramid))
        hidden.append(network.fuse([network.modulate(name, pyramid, None)]))
    _take_away(network.last, torch.cat([network.finish(term) for term in hidden]))


def _take_away(layer: nn.Conv2d, outputs: Tensor) -> None:
    """Make the outputs' mean per channel zero by the layer's bias."""
    assert layer.bias is not None
    layer.bias.sub_(outputs.mean((0, 2, 3)).round(decimals=DECIMALS))


def rewrite_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rgb_tensors() -> dict[str, Tensor]:
    """Small RGB weights; the sizes are those of the demo."""
    torch.manual_seed(0)
    config = SegFormerConfig(
        modalities=RGB_MODALITY,
        mit=CONFIG.mit,
        pyramid=CONFIG.pyramid,
        segmentation=CONFIG.segmentation,
        groups=CONFIG.groups,
        features=CONFIG.features,
    )
    return dict(RGBOnly(config).state_dict())

"""Fixtures of the room: the demo network, seeded full-size networks, and seeded inputs.

Seeded weights and inputs are pure functions of their names and sizes, so that outputs of another implementation with
the same weights can be compared number by number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.seeded import SEED, hats, weight
from betaearth.inference.model import BetaEarth
from betaearth.nn.backbone_weights import vision_transformer
from betaearth.nn.backbones import BACKBONES, Backbone
from betaearth.nn.dinov3 import DINOv3Config
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.segformer import RGB_MODALITY, RGBOnly, SegFormer, SegFormerConfig
from betaearth.nn.variants import VARIANTS
from tests.dinov3 import seeded_head, timm_tensors

Arrays = dict[str, NDArray[np.generic]]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks on many threads mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def demo() -> BetaEarth:
    """The demo variant."""
    return BetaEarth.from_pretrained("demo", device="cpu")


@pytest.fixture(scope="session")
def seeded_model() -> Callable[[str], BetaEarth]:
    """Give the full-size model of a variant with seeded weights; each is made once."""
    made: dict[str, BetaEarth] = {}

    def model(name: str) -> BetaEarth:
        if name not in made:
            made[name] = BetaEarth(_seeded_network(name), VARIANTS[name], weights_sha256="0" * 64, origin="seeded")
        return made[name]

    return model


def _seeded_network(name: str) -> EmbeddingNetwork:
    if VARIANTS[name].backbone:
        return _seeded_dinov3(BACKBONES[str(VARIANTS[name].backbone)])
    with torch.device("meta"):
        network: EmbeddingNetwork
        rgb = name == "rgb-only"
        film = VARIANTS[name].doy
        network = RGBOnly(SegFormerConfig(modalities=RGB_MODALITY)) if rgb else SegFormer(SegFormerConfig(film=film))
    tensors = {key: torch.from_numpy(weight(key, tuple(value.shape))) for key, value in network.state_dict().items()}
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def _seeded_dinov3(backbone: Backbone) -> EmbeddingNetwork:
    head = seeded_head(DINOv3Config(dim=backbone.dim))
    head.use_backbone(vision_transformer(timm_tensors(backbone), backbone, "seeded weights"))
    return head


@pytest.fixture(scope="session")
def seeded_inputs() -> Callable[[int, int], Arrays]:
    """Give raw inputs of a size, with nodata, saturated and missing pixels in them."""
    return _seeded_inputs


def _seeded_inputs(height: int, width: int) -> Arrays:
    rng = np.random.Generator(np.random.PCG64([SEED, height, width]))
    l2a = (200 + 6000 * _field(rng, 9, height, width)).astype(np.uint16)
    l1c = np.clip(l2a * 0.9 + 600 * rng.random((9, height, width)), 0, 65535).astype(np.uint16)
    s1 = (10 ** (-2.6 + 2.8 * _field(rng, 2, height, width))).astype(np.float32)
    dem = (300 + 900 * _field(rng, 1, height, width, noise=0.01)).astype(np.float32)
    for optical in (l2a, l1c):
        optical[:, 20:40, 30:60] = 0
    l2a[:, 100, 100:110] = 65535
    s1[:, 150:160, 50:90], s1[0, 10:15, 10:20], s1[1, 60:62, 5:9] = -32768, 0, 250
    dem[0, 5:9, 200:220] = -32767
    return {"s2_l2a": l2a, "s2_l1c": l1c, "s1": s1, "dem": dem}


def _field(
    rng: np.random.Generator, channels: int, height: int, width: int, *, noise: float = 0.15
) -> NDArray[np.float64]:
    """Nine by nine random knots, interpolated linearly, with white noise on top."""
    knots = rng.random((channels, 9, 9))
    field = np.einsum("hi,cij,wj->chw", hats(height), knots, hats(width))
    noisy: NDArray[np.float64] = np.clip(field + noise * (rng.random((channels, height, width)) - 0.5), 0, 1.2)
    return noisy

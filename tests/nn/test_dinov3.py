"""The DINOv3 network: names and shapes of the released heads, and every step against the plain one."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from betaearth.nn.dinov3 import DINOv3, DINOv3Config
from betaearth.nn.primitives import PRIMITIVES
from tests.dinov3 import TINY, TINY_HEAD, seeded_head

CHANNELS = {"s2_l1c": 9, "s2_l2a": 9, "s1": 2, "dem": 1}
DIGESTS = {
    "dinov3-vits16": (384, "b0f6ddd8d88c0bc48e3d9de6536c04dd910783648f4dc8f83e227b047785d4bf", 1_767_232),
    "dinov3-vitl16": (1024, "0e97323312f44eb717f882b0e80cbab03b9c64b3070eecd7bb9f6c1395084e7a", 2_094_912),
}
"""Variant to the channels that its head reads, sha256 over the sorted lines `key shape`, parameters."""


class Patches(nn.Module):
    """Stands for a backbone: four linear maps of patches, which any user could inject."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.levels = nn.ModuleList(nn.Conv2d(3, TINY.dim, 16, stride=16) for _ in range(4))
        self.batches: list[int] = []

    def forward(self, images: Tensor) -> list[Tensor]:
        self.batches.append(len(images))
        return [level(images) for level in self.levels]


@pytest.fixture
def network() -> DINOv3:
    """A small head on a stand-in for the backbone."""
    head = seeded_head(TINY_HEAD)
    head.use_backbone(Patches())
    return head


def images(size: tuple[int, int] = (64, 64), n: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {name: torch.rand((n, channels, *size), generator=generator) for name, channels in CHANNELS.items()}


def batches(network: DINOv3) -> list[int]:
    assert isinstance(network.backbone, Patches)
    return network.backbone.batches


def plain_forward(network: DINOv3, inputs: Mapping[str, Tensor], doy: Tensor | None) -> Tensor:
    """Image by image, then all sites at once."""
    assert network.backbone is not None
    tokens = []
    for name, x in inputs.items():
        for image in PRIMITIVES[name](x).unbind(1):
            levels = [
                F.interpolate(project(level), scale_factor=4, mode="bilinear", align_corners=False)
                for project, level in zip(network.dpt_head.projections, network.backbone(image), strict=True)
            ]
            token = network.dpt_head.fuse(torch.cat(levels, dim=1))
            if doy is not None and name != "dem":
                assert network.time_cond is not None
                scale, shift = network.time_cond(doy)
                token = token * scale[:, :, None, None] + shift[:, :, None, None]
            tokens.append(token)
    stacked = torch.stack(tokens, dim=1)
    n, count, width, h, w = stacked.shape
    fused = network.fusion(stacked.permute(0, 3, 4, 1, 2).reshape(-1, count, width))
    decoded = network.decoder(fused.reshape(n, h, w, -1).permute(0, 3, 1, 2))
    return F.interpolate(decoded, scale_factor=4, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("name", DIGESTS)
def test_keys_and_shapes_are_those_of_the_released_heads(name: str) -> None:
    dim, digest, parameters = DIGESTS[name]
    with torch.device("meta"):
        head = DINOv3(DINOv3Config(dim=dim))
    found = {key: list(value.shape) for key, value in head.state_dict().items()}
    assert len(found) == 54
    assert sum(p.numel() for p in head.parameters()) == parameters
    lines = "\n".join(sorted(f"{key} {shape}" for key, shape in found.items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == digest


@pytest.mark.parametrize("name", DIGESTS)
def test_keys_and_shapes_are_those_of_the_specification(name: str, spec: Path) -> None:
    with torch.device("meta"):
        head = DINOv3(DINOv3Config(dim=DIGESTS[name][0]))
    found = {key: list(value.shape) for key, value in head.state_dict().items()}
    assert found == json.loads((spec / f"keys_{name}-head.json").read_text())


@pytest.mark.parametrize("present", [("s2_l2a",), ("s1", "dem"), ("dem",), tuple(CHANNELS)])
@pytest.mark.parametrize("doys", [(45.0, 300.0), None])
def test_batches_of_images_change_nothing(
    network: DINOv3, present: tuple[str, ...], doys: tuple[float, ...] | None
) -> None:
    inputs = {name: images()[name] for name in present}
    doy = torch.tensor(doys) if doys else None
    with torch.no_grad():
        actual, expected = network(inputs, doy), plain_forward(network, inputs, doy)
    assert actual.shape == (2, 64, 64, 64)
    assert (F.normalize(actual, dim=1) - F.normalize(expected, dim=1)).abs().max() < 2e-6


@pytest.mark.parametrize("size", [(32, 32), (96, 96), (64, 160), (256, 32)])
def test_every_multiple_of_32_will_do(network: DINOv3, size: tuple[int, int]) -> None:
    inputs = images(size, n=1)
    with torch.no_grad():
        for name, count in {"s2_l2a": 4, "s1": 1, "dem": 1}.items():
            encoded = network.features(name, inputs[name])
            assert encoded.shape == (1, count, TINY_HEAD.width, size[0] // 4, size[1] // 4)
        assert network(inputs, None).shape == (1, 64, *size)


def test_a_modality_is_one_batch_and_an_absent_one_is_not_encoded(network: DINOv3) -> None:
    inputs = {name: images()[name] for name in ("s2_l2a", "s1")}
    network(inputs, None)
    assert batches(network) == [8, 2]


def test_the_order_of_modalities_does_not_matter(network: DINOv3) -> None:
    with torch.no_grad():
        terms = [network.modulate(name, network.features(name, x), torch.tensor([9.0])) for name, x in images().items()]
        fused = [network.fuse(order) for order in itertools.permutations(terms)]
    assert max((other - fused[0]).abs().max() for other in fused) < 1e-5 * fused[0].abs().max()


def test_elevation_knows_no_date(network: DINOv3) -> None:
    with torch.no_grad():
        terms = {
            name: [
                network.modulate(name, network.features(name, images()[name]), doy)
                for doy in (None, torch.tensor([10.0]), torch.tensor([200.0]))
            ]
            for name in ("dem", "s1")
        }
    assert all(torch.equal(term, terms["dem"][0]) for term in terms["dem"])
    assert not torch.allclose(terms["s1"][1], terms["s1"][2], atol=1e-3)


def test_no_date_is_not_day_zero(network: DINOv3) -> None:
    inputs = {"s2_l2a": images()["s2_l2a"]}
    with torch.no_grad():
        assert not torch.allclose(network(inputs, None), network(inputs, torch.zeros(2)), atol=1e-3)


def test_the_last_step_is_linear_and_upsampling_alone(network: DINOv3) -> None:
    hidden = torch.rand(1, 64, 8, 8)
    assert (network.hidden_channels, network.corners_aligned) == (64, False)
    assert network.embed(network.activate(hidden)) is hidden
    assert torch.equal(network.finish(hidden), F.interpolate(hidden, scale_factor=4, mode="bilinear"))


def test_the_backbone_is_frozen_and_the_head_learns(network: DINOv3) -> None:
    network.requires_grad_(True)
    network.use_backbone(Patches())
    network.train()
    assert network.backbone is not None
    assert not network.backbone.training
    network(images(), torch.tensor([45.0, 300.0])).square().mean().backward()
    moved = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert moved == {name for name, _ in network.named_parameters() if not name.startswith("backbone.")}


def test_without_film_there_is_no_date() -> None:
    with torch.device("meta"):
        head = DINOv3(DINOv3Config(dim=8, film=False))
    assert not any(key.startswith("time_cond") for key in head.state_dict())
    term = torch.rand(1, 1, 2, 2, 2)
    assert head.modulate("s1", term, torch.tensor([5.0])) is term

"""The networks: names and shapes of the released weights, and the folded path against the plain one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from betaearth.nn.demo import CONFIG
from betaearth.nn.mit import DepthwiseConv
from betaearth.nn.segformer import RGB_MODALITY, PyramidNetwork, RGBOnly, SegFormer, SegFormerConfig

DIGESTS = {
    "segformer-film": "d5eaca2d64950ac5338d4a9b293d033beb119ea10ff27c3c40cb30fb3339ad89",
    "rgb-only": "549c5ffd2c71cda854a0779175c47046a60b1db0982931df95276154c57c79de",
}
"""sha256 over the sorted lines `key shape` of the released state dicts."""


def released(name: str) -> PyramidNetwork:
    with torch.device("meta"):
        return RGBOnly(SegFormerConfig(modalities=RGB_MODALITY)) if name == "rgb-only" else SegFormer(SegFormerConfig())


def shapes(network: nn.Module) -> dict[str, list[int]]:
    return {key: list(value.shape) for key, value in network.state_dict().items()}


def plain_forward(network: SegFormer, inputs: Mapping[str, Tensor], doy: Tensor | None) -> Tensor:
    """The network as it was published: full resolution, zeros for what is absent, one step after the other."""
    size = next(iter(inputs.values())).shape
    features = []
    for name in ("s2_l1c", "s2_l2a", "s1", "dem"):
        if name not in inputs:
            features.append(torch.zeros(size[0], CONFIG.features, *size[2:]))
            continue
        branch = network.branch(name)
        pyramid = branch.decoder(branch.encoder(inputs[name]))
        x = F.interpolate(branch.segmentation_head(pyramid), scale_factor=4, mode="bilinear", align_corners=True)
        if doy is not None and name != "dem":
            assert network.time_cond is not None
            scale, shift = network.time_cond(doy)
            x = x * scale[:, :, None, None] + shift[:, :, None, None]
        features.append(x)
    fused = network.get_submodule("fusion")(torch.cat(features, dim=1))
    assert isinstance(fused, Tensor)
    return fused


@pytest.mark.parametrize(
    ("name", "tensors", "parameters"), [("segformer-film", 1459, 104_838_272), ("rgb-only", 370, 26_264_576)]
)
def test_keys_and_shapes_are_those_of_the_released_weights(name: str, tensors: int, parameters: int) -> None:
    network = released(name)
    found = shapes(network)
    assert len(found) == tensors
    assert sum(p.numel() for p in network.parameters()) == parameters
    lines = "\n".join(sorted(f"{key} {shape}" for key, shape in found.items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", ["segformer-film", "rgb-only"])
def test_keys_and_shapes_are_those_of_the_specification(name: str, spec: Path) -> None:
    assert shapes(released(name)) == json.loads((spec / f"keys_{name}.json").read_text())


@pytest.mark.parametrize(
    "present", [("s2_l2a",), ("s1", "dem"), ("dem",), ("s2_l2a", "dem"), ("s2_l1c", "s2_l2a", "s1", "dem")]
)
@pytest.mark.parametrize("doys", [(1.0, 1.0), (45.0, 300.0), None])
def test_folding_changes_nothing(
    demo_network: SegFormer, images: dict[str, Tensor], present: tuple[str, ...], doys: tuple[float, ...] | None
) -> None:
    inputs = {name: images[name] for name in present}
    doy = torch.tensor(doys) if doys else None
    with torch.no_grad():
        actual, expected = demo_network(inputs, doy), plain_forward(demo_network, inputs, doy)
    assert actual.shape == (2, 64, 64, 64)
    assert (F.normalize(actual, dim=1) - F.normalize(expected, dim=1)).abs().max() < 2e-6


def test_a_batch_of_one_is_computed_with_its_channels_last(demo_network: SegFormer, images: dict[str, Tensor]) -> None:
    """Otherwise convolutions copy, which costs several times what they compute."""
    strides: list[tuple[int, ...]] = []
    for module in demo_network.branch("s1").modules():
        if isinstance(module, DepthwiseConv):
            module.dwconv.register_forward_hook(lambda _, inputs, __: strides.append(inputs[0].stride()))
    with torch.no_grad():
        demo_network.features("s1", images["s1"][:1])
    assert len(strides) == 4
    assert all(stride[1] == 1 and stride[0] > stride[2] > stride[3] for stride in strides)


def test_an_absent_modality_is_not_encoded(demo_network: SegFormer, images: dict[str, Tensor]) -> None:
    ran: list[str] = []
    for name in demo_network.modalities:
        demo_network.branch(name).encoder.register_forward_hook(lambda *_, name=name: ran.append(name))
    with torch.no_grad():
        demo_network({"s2_l2a": images["s2_l2a"], "dem": images["dem"]}, None)
    assert ran == ["s2_l2a", "dem"]


def test_elevation_knows_no_date(demo_network: SegFormer, images: dict[str, Tensor]) -> None:
    with torch.no_grad():
        terms = {
            name: [
                demo_network.modulate(name, demo_network.features(name, images[name]), doy)
                for doy in (None, torch.tensor([10.0]), torch.tensor([200.0]))
            ]
            for name in ("dem", "s1")
        }
    assert all(torch.equal(term, terms["dem"][0]) for term in terms["dem"])
    assert not torch.allclose(terms["s1"][1], terms["s1"][2], atol=1e-3)


def test_no_date_is_not_day_zero(demo_network: SegFormer, images: dict[str, Tensor]) -> None:
    inputs = {"s2_l2a": images["s2_l2a"]}
    with torch.no_grad():
        assert not torch.allclose(demo_network(inputs, None), demo_network(inputs, torch.zeros(2)), atol=1e-3)


def test_every_parameter_learns(demo_network: SegFormer, images: dict[str, Tensor]) -> None:
    demo_network.requires_grad_(True)
    demo_network(images, torch.tensor([45.0, 300.0])).square().mean().backward()
    still = [
        name
        for name, parameter in demo_network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert still == []


def test_dropout_works_in_training_only(demo_network: SegFormer, images: dict[str, Tensor]) -> None:
    x = {"s1": images["s1"]}
    with torch.no_grad():
        assert torch.equal(demo_network(x, None), demo_network(x, None))
        demo_network.train()
        assert not torch.allclose(demo_network(x, None), demo_network(x, None), atol=1e-3)

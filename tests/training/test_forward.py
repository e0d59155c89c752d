"""A batch of chips with different inputs and dates: the numbers of `EmbeddingNetwork.forward`, chip by chip."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from betaearth.nn.dinov3 import DINOv3
from betaearth.nn.network import EmbeddingNetwork
from betaearth.scenes.model import BANDS, Sensor
from betaearth.training.config import ModelConfig
from betaearth.training.forward import embed_batch
from betaearth.training.models import build
from tests.training.learnable import StandInBackbone

SUBSETS = (
    (Sensor.S2_L1C, Sensor.S2_L2A, Sensor.S1, Sensor.DEM),
    (Sensor.S1,),
    (Sensor.S2_L2A, Sensor.DEM),
    (Sensor.DEM,),
    (Sensor.S1,),
)
DAYS = torch.tensor([10.0, 100.0, 200.0, 300.0, 366.0])
KNOWN = torch.tensor([True, True, False, True, False])


def network(variant: str) -> EmbeddingNetwork:
    config = ModelConfig.model_validate(
        {"name": "mine", "variant": variant, **({} if variant.startswith("dinov3") else {"network": "tiny"})}
    )
    built = build(config, 0, backbone=StandInBackbone(384) if variant.startswith("dinov3") else None).network.eval()
    torch.manual_seed(1)
    assert built.get_submodule("time_cond") is not None
    torch.nn.init.normal_(built.get_parameter("time_cond.film.proj.weight"), std=0.1)  # so that dates matter
    return built


@pytest.fixture(scope="module")
def inputs() -> dict[Sensor, Tensor]:
    torch.manual_seed(0)
    return {sensor: torch.rand(5, len(bands), 32, 32) for sensor, bands in BANDS.items()}


def present(subsets: tuple[tuple[Sensor, ...], ...]) -> dict[Sensor, Tensor]:
    return {sensor: torch.tensor([sensor in subset for subset in subsets]) for sensor in Sensor}


@pytest.mark.parametrize("variant", ["tiny", "dinov3-vits16"])
def test_each_chip_is_embedded_as_alone(variant: str, inputs: dict[Sensor, Tensor]) -> None:
    net = network(variant)
    with torch.no_grad():
        found = embed_batch(net, inputs, present(SUBSETS), DAYS, KNOWN)
        for row, subset in enumerate(SUBSETS):
            alone = {str(sensor): inputs[sensor][row : row + 1] for sensor in subset}
            expected = net(alone, DAYS[row : row + 1] if KNOWN[row] else None)
            torch.testing.assert_close(found[row : row + 1], expected, atol=2e-6, rtol=1e-5)
        undated = embed_batch(net, inputs, present(SUBSETS), None)
        whole = net({str(sensor): values[:1] for sensor, values in inputs.items()}, None)
        torch.testing.assert_close(undated[:1], whole, atol=2e-6, rtol=1e-5)
    assert not torch.allclose(found[0], undated[0], atol=1e-3)


@pytest.mark.parametrize("variant", ["tiny", "dinov3-vits16"])
def test_it_is_forward_where_all_have_the_same(variant: str, inputs: dict[Sensor, Tensor]) -> None:
    net, subset = network(variant), SUBSETS[2]
    with torch.no_grad():
        found = embed_batch(net, inputs, present((subset,) * 5), DAYS)
        assert torch.equal(found, net({str(sensor): inputs[sensor] for sensor in subset}, DAYS))


def test_rgb_comes_of_l1c_or_else_of_l2a(inputs: dict[Sensor, Tensor]) -> None:
    net = network("rgb-only")
    subsets = ((Sensor.S2_L1C, Sensor.S2_L2A), (Sensor.S2_L2A,), (Sensor.S2_L1C,), (Sensor.S2_L1C,), (Sensor.S2_L2A,))
    optical = {sensor: mask for sensor, mask in present(subsets).items() if sensor in subsets[0]}
    colours = [inputs[subset[0]][row, [2, 1, 0]] for row, subset in enumerate(subsets)]
    with torch.no_grad():
        found = embed_batch(net, inputs, optical, DAYS)
        torch.testing.assert_close(found, net({"rgb": torch.stack(colours)}, DAYS), atol=2e-6, rtol=1e-5)


def test_what_is_absent_is_not_read_and_learns_nothing(inputs: dict[Sensor, Tensor]) -> None:
    net = network("tiny").requires_grad_(True)
    poisoned = {**inputs, Sensor.S2_L1C: torch.full_like(inputs[Sensor.S2_L1C], torch.nan)}
    there = {**present(SUBSETS), Sensor.S2_L1C: torch.zeros(5, dtype=torch.bool)}
    found = embed_batch(net, poisoned, there, DAYS, KNOWN)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert bool(torch.isfinite(found).all())
    learned = {name.partition(".")[0] for name, value in net.named_parameters() if value.grad is not None}
    assert learned == {"s2l2a_encoder", "s1_encoder", "dem_encoder", "time_cond", "fusion"}


def test_a_chip_without_input_is_refused(inputs: dict[Sensor, Tensor]) -> None:
    there = present(((), *SUBSETS[1:]))
    with pytest.raises(ValueError, match="1 of 5 chips have no input"):
        embed_batch(network("tiny"), inputs, there, DAYS)


def test_a_backbone_never_learns() -> None:
    net = network("dinov3-vits16")
    assert isinstance(net, DINOv3)
    assert not any(value.requires_grad for name, value in net.named_parameters() if name.startswith("backbone."))

"""Steps in coordinates: those of a network that standardises its inputs itself, and weights as they are published."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from betaearth.nn.film import DAYS
from betaearth.nn.segformer import PyramidNetwork
from betaearth.scenes.model import BANDS, Sensor
from betaearth.training.config import ModelConfig
from betaearth.training.coordinates import LEAST_VARIANCE, Coordinates, Layer, Moments
from betaearth.training.distributed import World
from betaearth.training.forward import embed_batch
from betaearth.training.models import build

ALONE = World(0, 1, torch.device("cpu"))


def pyramids(**given: object) -> PyramidNetwork:
    network = build(ModelConfig.model_validate({"name": "mine", "variant": "tiny", **given}), 0).network
    assert isinstance(network, PyramidNetwork)
    return network


def embed(network: PyramidNetwork, without: frozenset[Sensor] = frozenset()) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    inputs = {sensor: torch.rand(2, len(bands), 32, 32, generator=generator) for sensor, bands in BANDS.items()}
    present = {sensor: torch.full((2,), sensor not in without) for sensor in BANDS}
    return embed_batch(network, inputs, present, torch.tensor([20.0, 200.0]))


def some_inputs() -> Tensor:
    return torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.5, 1, 2]) + 4


def test_steps_are_those_of_a_layer_that_standardises_its_inputs() -> None:
    """By autograd through the standardised layer, written down beside it."""
    x, target = some_inputs(), torch.randn(200, 2, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(2)
    layer = nn.Linear(3, 2)
    moments = Moments(x.mean(0), x.var(0), known=True)
    z = (x - moments.mean) / (moments.variance + LEAST_VARIANCE).sqrt()
    v = nn.Parameter((layer.weight * moments.deviation).detach().clone())
    c = nn.Parameter((layer.bias + layer.weight @ moments.mean).detach().clone())
    ours, theirs = (torch.optim.AdamW(p, lr=0.02) for p in (layer.parameters(), (v, c)))
    coordinates = Layer(layer.weight, layer.bias, moments)
    for _ in range(20):
        ours.zero_grad()
        theirs.zero_grad()
        (layer(x) - target).square().mean().backward()
        (z @ v.T + c - target).square().mean().backward()  # type: ignore[no-untyped-call]
        coordinates.enter()
        torch.testing.assert_close(layer.weight.grad, v.grad, atol=1e-5, rtol=1e-4)
        ours.step()
        theirs.step()
        coordinates.leave()
    torch.testing.assert_close(layer(x), z @ v.T + c, atol=1e-4, rtol=1e-4)


def test_moments_are_those_of_a_mixture_of_what_came() -> None:
    x = some_inputs()
    moments = Moments(torch.zeros(3), torch.ones(3), known=False)
    for part in (x[:100], x[100:]):
        moments.follow(part.mean(0), part.var(0, correction=0))
    weights = torch.cat([torch.full((100,), 0.009), torch.full((100,), 0.001)])[:, None]
    mean = (weights * x).sum(0)
    torch.testing.assert_close(moments.mean, mean)
    torch.testing.assert_close(moments.variance, (weights * (x - mean).square()).sum(0))


@pytest.mark.parametrize("variant", ["tiny", "rgb-only"])
def test_without_a_step_nothing_changes(variant: str) -> None:
    network = pyramids(variant=variant, network="tiny", dropout=0.0, stochastic_depth=0.0).train()
    coordinates = Coordinates(network)
    before = embed(network)
    seen = coordinates.see(ALONE)
    assert set(seen) == set(network.modalities)
    coordinates.enter(seen)
    assert not torch.allclose(embed(network), before)
    coordinates.see(ALONE)
    coordinates.leave({})
    torch.testing.assert_close(embed(network), before, atol=1e-5, rtol=1e-4)


def test_a_withheld_modality_keeps_its_moments_and_evaluation_is_not_looked_at() -> None:
    network = pyramids().train()
    coordinates = Coordinates(network)
    embed(network, without=frozenset({Sensor.S1}))
    assert "s1" not in coordinates.see(ALONE)
    network.eval()
    embed(network)
    assert not coordinates.see(ALONE)


def test_what_an_encoder_does_to_the_mean_does_not_reach_the_fusion() -> None:
    network = pyramids(dropout=0.0, stochastic_depth=0.0).train()
    coordinates = Coordinates(network)

    def terms() -> Tensor:
        features = network.features("s1", torch.linspace(0, 1, 2 * 32 * 32).view(1, 2, 32, 32))
        return network.modulate("s1", features, None).mean((0, 2, 3))

    first = terms()
    seen = coordinates.see(ALONE)
    coordinates.enter(seen)
    coordinates.leave(seen)
    with torch.no_grad():
        for block in network.branch("s1").decoder.seg_blocks:
            for module in block.modules():
                if isinstance(module, nn.GroupNorm):
                    module.bias.add_(1.0)
    moved = terms()
    for _ in range(60):
        coordinates.enter({})
        coordinates.leave(coordinates.see(ALONE))
        last = terms()
    assert (moved - first).abs().mean() > 0.1
    assert (last - first).abs().mean() < 0.05 * (moved - first).abs().mean()


def test_the_mean_date_learns_by_the_bias_alone() -> None:
    """What a date adds is apart from what all dates have: moved weights leave the year's mean as it is."""
    network = pyramids().train()
    coordinates = Coordinates(network)
    time = network.time_cond
    assert time is not None
    days = torch.arange(1, DAYS + 1, dtype=torch.float32)
    coordinates.enter({})
    with torch.no_grad():
        time.film.proj.weight.add_(0.01)
    coordinates.leave({})
    scale, shift = (amount.detach() for amount in time(days))
    torch.testing.assert_close(scale.mean(0), torch.ones(len(scale[0])), atol=1e-4, rtol=0)
    assert float(shift.std(0).min()) > 0.01


def test_moments_go_on_where_they_were() -> None:
    network, other = pyramids().train(), pyramids().train()
    coordinates, again = Coordinates(network), Coordinates(other)
    embed(network)
    seen = coordinates.see(ALONE)
    coordinates.enter(seen)
    coordinates.leave(seen)
    other.load_state_dict(network.state_dict())
    again.restore(coordinates.state())
    for one in (coordinates, again):
        one.enter({})
    for key, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
    with pytest.raises(KeyError):
        again.restore({"s9": {}})


def test_frozen_heads_are_left_alone() -> None:
    network = pyramids().train()
    for name in network.modalities:
        network.branch(name).requires_grad_(False)
    coordinates = Coordinates(network)
    embed(network)
    assert not coordinates.see(ALONE)

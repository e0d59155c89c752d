"""The coordinates in which a step is taken: layers see their inputs with mean 0 and deviation 1 while they learn.

AdamW moves each weight by about the learning rate, whatever its gradient. Where the inputs of a layer share a mean,
their weights have gradients of one sign and move alike, and the output runs off, at each step by the sum of the means.
A pyramid ends in sums of four ReLUs, whose mean is twice their deviation, and the 128 numbers of a date add up to 63:
after fifty steps most GELUs of a new fusion gave nothing for any pixel, and what was left told few classes apart.

LeCun et al. 1998 ("Efficient BackProp", section 4.3) therefore shift and scale what a layer reads. A linear layer
y = W x + b is as well y = V (x - m) / s + c, with V = W s and c = b + W m. Only steps are taken in V and c; networks,
their weights and whatever reads them know nothing of it. After a step m and s follow the inputs, and V and c stay: what
the encoders below did to the mean does not reach the fusion, as with batch normalisation, but no chip depends on the
others of its batch. A proposal; how the released variants learned is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from betaearth.nn.film import DAYS, TimeCondition
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.segformer import PyramidNetwork
from betaearth.training.distributed import World

FOLLOWING = 0.1
"""Share that the newest batch has in a running mean, as in batch normalisation."""
LEAST_VARIANCE = 0.01
"""Added to a variance: a channel that is the same nearly everywhere, of pyramids whose channels vary by about 1, is not
to be blown up."""


@dataclass
class Moments:
    """What the inputs of a layer are like."""

    mean: Tensor
    """(channels,)"""
    variance: Tensor
    """(channels,)"""
    known: bool
    """Whether any input was seen."""

    @property
    def deviation(self) -> Tensor:
        """(channels,), never 0."""
        return (self.variance + LEAST_VARIANCE).sqrt()

    def follow(self, mean: Tensor, variance: Tensor) -> None:
        """Take a batch's moments in; the first ones are taken as they are."""
        share = FOLLOWING if self.known else 1.0
        away = mean - self.mean
        self.variance.lerp_(variance, share).add_(away.square(), alpha=share * (1 - share))
        self.mean.lerp_(mean, share)
        self.known = True


@dataclass(frozen=True)
class Layer:
    """A linear layer whose inputs are looked at."""

    weight: Tensor
    """(out, channels, ...)"""
    bias: Tensor
    """(out,)"""
    moments: Moments

    def enter(self) -> None:
        """Turn W and b, and their gradients, into V and c."""
        mean, deviation = self._along(self.moments.mean), self._along(self.moments.deviation)
        with torch.no_grad():
            self.bias.add_((self.weight * mean).flatten(1).sum(1))
            self.weight.mul_(deviation)
            if self.weight.grad is not None and self.bias.grad is not None:
                shared = self.bias.grad.view(-1, *[1] * (self.weight.ndim - 1)) * mean
                self.weight.grad.sub_(shared).div_(deviation)

    def leave(self) -> None:
        """Turn V and c into W and b."""
        with torch.no_grad():
            self.weight.div_(self._along(self.moments.deviation))
            self.bias.sub_((self.weight * self._along(self.moments.mean)).flatten(1).sum(1))

    def _along(self, channels: Tensor) -> Tensor:
        return channels.view(1, -1, *[1] * (self.weight.ndim - 2))


class Coordinates:
    """Of all layers of a network that have such inputs and learn: the heads of its pyramids, and the date's."""

    def __init__(self, network: EmbeddingNetwork) -> None:
        """Look at what the heads of a network read from now on."""
        self._heads: dict[str, Layer] = {}
        self._sums: dict[str, Tensor] = {}
        self._fixed: list[Layer] = []
        if isinstance(network, PyramidNetwork):
            for name in network.modalities:
                self._follow(name, network)
        time = getattr(network, "time_cond", None)
        if isinstance(time, TimeCondition) and time.film.proj.weight.requires_grad:
            self._fixed.append(_date_layer(time))

    def _follow(self, name: str, network: PyramidNetwork) -> None:
        head, dropout = network.branch(name).head, network.branch(name).decoder.dropout
        if not head.weight.requires_grad:
            return
        assert head.bias is not None
        device = head.weight.device
        moments = Moments(
            torch.zeros(head.in_channels, device=device), torch.ones(head.in_channels, device=device), known=False
        )
        self._heads[name] = Layer(head.weight, head.bias, moments)
        dropout.register_forward_pre_hook(partial(self._note, name))

    def _note(self, name: str, module: nn.Module, given: tuple[Tensor, ...]) -> None:
        """Add up what a pyramid gives in training: its pixels, their sum and the sum of their squares."""
        if not module.training:
            return
        values = given[0].detach().float()
        pixels = values.new_full((1,), values.numel() / values.shape[1])
        sums = torch.cat([pixels, values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])
        self._sums[name] = self._sums[name] + sums if name in self._sums else sums

    def see(self, world: World) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Return mean and variance of what all processes' heads have read since the last call; and forget it."""
        found = {}
        for name, layer in self._heads.items():
            channels = len(layer.moments.mean)
            sums = self._sums.pop(name, layer.moments.mean.new_zeros(1 + 2 * channels))
            if world.size > 1:
                sums = sums.new_tensor(world.sum(sums.tolist()))
            if float(sums[0]) > 0:
                means = sums[1:] / sums[0]
                mean, square = means[:channels], means[channels:]
                found[name] = mean, (square - mean.square()).clamp_min(0)
        return found

    def enter(self, seen: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Go into the coordinates, before a step; a head's are those of the first batch until it has others."""
        for name, (mean, variance) in seen.items():
            if not self._heads[name].moments.known:
                self._heads[name].moments.follow(mean, variance)
        for layer in self._layers():
            layer.enter()

    def leave(self, seen: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Go back to weights as they are published, after a step: of inputs as they are by now."""
        for name, (mean, variance) in seen.items():
            self._heads[name].moments.follow(mean, variance)
        for layer in self._layers():
            layer.leave()

    def _layers(self) -> list[Layer]:
        return [layer for layer in (*self._heads.values(), *self._fixed) if layer.moments.known]

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return what must be kept to go on."""
        return {
            name: {"mean": layer.moments.mean.clone(), "variance": layer.moments.variance.clone()}
            for name, layer in self._heads.items()
            if layer.moments.known
        }

    def restore(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Go back to what `state` had returned.

        Raises:
            KeyError: it is of another network.
        """
        for name, held in state.items():
            moments = self._heads[name].moments
            moments.mean.copy_(held["mean"])
            moments.variance.copy_(held["variance"])
            moments.known = True


def _date_layer(time: TimeCondition) -> Layer:
    """Take the mean of a year's days away from what the date's modulation reads."""
    linear = time.film.proj
    with torch.no_grad():
        days = torch.arange(1, DAYS + 1, dtype=torch.float32, device=linear.weight.device)
        mean = time.embedding(days).mean(0)
    return Layer(linear.weight, linear.bias, Moments(mean, torch.ones_like(mean) - LEAST_VARIANCE, known=True))

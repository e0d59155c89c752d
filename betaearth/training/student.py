"""A model that learns: its network, its optimiser, its curriculum, and the average of its weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from betaearth.errors import ConfigError
from betaearth.inference.precision import Precision
from betaearth.nn.dinov3 import DINOv3
from betaearth.nn.dinov3_head import BACKBONE_PREFIX
from betaearth.nn.network import EmbeddingNetwork
from betaearth.training.batches import Batch
from betaearth.training.config import ModelConfig
from betaearth.training.coordinates import Coordinates
from betaearth.training.curriculum import View, drop_chance, key_of, view
from betaearth.training.distributed import World
from betaearth.training.forward import embed_batch
from betaearth.training.loss import LossSums, loss_sums
from betaearth.training.models import Built

DRAWS = 3
"""What the draws of the curriculum are for, as a part of their seed."""


class Student:
    """One of the models of a run. It changes nothing but itself, so the others do not matter to it."""

    def __init__(
        self, config: ModelConfig, built: Built, world: World, *, ema: float | None, precision: Precision
    ) -> None:
        """Put a network on its device, with an optimiser.

        Args:
            config: of the model.
            built: its network.
            world: where it learns.
            ema: decay of the average of its weights; None for none.
            precision: of its arithmetic.
        """
        self.config = config
        self.network = built.network.to(world.device)
        self._frozen, self._world, self._ema, self._precision = built.frozen, world, ema, precision
        self.parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        world.share(tensors_of(self.network).values())
        self.averaged = _copied(self.network) if ema is not None else None
        self._coordinates = Coordinates(self.network)
        self._optimiser = _optimiser(self.network, config)

    @property
    def best_network(self) -> EmbeddingNetwork:
        """The network to validate and export: of averaged weights where there are such."""
        return self.averaged or self.network

    def view(self, batch: Batch, *, seed: int, epoch: int, progress: float) -> View:
        """Draw what it may see of a batch."""
        present = {sensor: batch.present[sensor] for sensor in self.config.sensors}
        key = (seed, DRAWS, epoch, key_of(self.config.name))
        return view(self.config.curriculum, present, batch.places, progress=progress, key=key)

    def drop_chance(self, progress: float) -> float:
        """Return the chance that an input is withheld now."""
        return drop_chance(self.config.curriculum, progress)

    def learn(self, batch: Batch, seen: View, *, pixels: float, seed: int) -> tuple[float, float]:
        """Add a batch's gradients up.

        Args:
            batch: on this device.
            seen: what it may see of it.
            pixels: valid ones of the chips of all processes that it sees anything of.
            seed: of dropout.

        Returns:
            Sums over this process's pixels: of 1 - cos, and of the squared error.
        """
        self._train_mode()
        self._optimiser.zero_grad(set_to_none=True)
        sums = self._forward(batch, seen, seed)
        if sums is not None:
            (sums.total / max(pixels, 1.0)).backward()  # type: ignore[no-untyped-call]
        # What this batch did not reach, such as a withheld modality, has a gradient of zero: with None it would not
        # decay, and processes that add their gradients up would not have the same ones.
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return (float(sums.distance.detach()), float(sums.error.detach())) if sums is not None else (0.0, 0.0)

    def _forward(self, batch: Batch, seen: View, seed: int) -> LossSums | None:
        rows = seen.seen.nonzero().flatten()
        if len(rows) == 0:
            return None
        if len(rows) < len(batch):
            batch, seen = _rows_of(batch, seen, rows)
        torch.manual_seed(seed)
        device = self._world.device
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self._precision is Precision.BF16):
            prediction = embed_batch(self.network, batch.inputs, seen.present, batch.doy, seen.dated)
        return loss_sums(prediction, batch.target, batch.valid)

    def update(self, *, factor: float, clip: float) -> float:
        """Take a step.

        Args:
            factor: share of the full learning rate.
            clip: largest norm of the gradient.

        Returns:
            Norm of the gradient before it was clipped; where it is not finite, no step is taken.
        """
        self._world.sum_gradients(self.parameters)
        seen = self._coordinates.see(self._world)
        self._coordinates.enter(seen)
        centralise(self.parameters)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, clip, foreach=True))
        if finite := norm < float("inf"):
            for group in self._optimiser.param_groups:
                group["lr"] = self.config.lr * factor
            self._optimiser.step()
        self._coordinates.leave(seen)
        if finite and self.averaged is not None and self._ema is not None:
            with torch.no_grad():
                for mean, value in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                    mean.lerp_(value, 1 - self._ema)
        return norm

    def _train_mode(self) -> None:
        self.network.train()
        for module in self._frozen:
            module.eval()

    def tensors(self) -> dict[str, Tensor]:
        """Return what is exported, without a backbone."""
        return tensors_of(self.best_network)

    def state(self) -> dict[str, Any]:
        """Return what training needs besides."""
        state: dict[str, Any] = {"optimiser": self._optimiser.state_dict(), "coordinates": self._coordinates.state()}
        if self.averaged is not None:
            state["network"] = tensors_of(self.network)
        return state

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go back to what `tensors` and `state` had returned.

        Raises:
            ConfigError: they are of another network.
        """
        try:
            _load(self.best_network, tensors)
            if self.averaged is not None:
                _load(self.network, state["network"])
            self._optimiser.load_state_dict(dict(state["optimiser"]))
            self._coordinates.restore(state["coordinates"])
        except (KeyError, ValueError, RuntimeError) as error:
            raise ConfigError(f"the checkpoint does not fit {self.config.name}: {error}") from error


def tensors_of(network: EmbeddingNetwork) -> dict[str, Tensor]:
    """Return a network's tensors by key, without a frozen backbone, which others publish."""
    return {key: value for key, value in network.state_dict().items() if not key.startswith(BACKBONE_PREFIX)}


def _load(network: EmbeddingNetwork, tensors: Mapping[str, Tensor]) -> None:
    own = tensors_of(network)
    if own.keys() != tensors.keys():
        strange = sorted(own.keys() ^ tensors.keys())
        raise KeyError(f"{len(strange)} keys differ, such as {strange[0]}")
    if other := [key for key, value in own.items() if value.shape != tensors[key].shape]:
        raise ValueError(f"{other[0]} has the shape {tuple(tensors[other[0]].shape)}, not {tuple(own[other[0]].shape)}")
    with torch.no_grad():
        for key, value in own.items():
            value.copy_(tensors[key])


def _copied(network: EmbeddingNetwork) -> EmbeddingNetwork:
    """Copy a network, but not a backbone, which both share."""
    backbone = network.backbone if isinstance(network, DINOv3) else None
    if isinstance(network, DINOv3):
        network.backbone = None
    copied = copy.deepcopy(network).requires_grad_(False).eval()
    if isinstance(network, DINOv3) and isinstance(copied, DINOv3):
        network.backbone = copied.backbone = backbone
    return copied


def centralise(parameters: Iterable[nn.Parameter]) -> None:
    """Take from the gradient of each weight matrix or kernel the mean over what an output reads, in place.

    Weights whose inputs share a mean then cannot move all alike (Yong et al. 2020, arXiv 2004.01461): what
    `Coordinates` does for the layers where it matters most, the other layers get from this in part. A proposal.
    """
    for parameter in parameters:
        if parameter.ndim > 1 and parameter.grad is not None:
            parameter.grad.sub_(parameter.grad.mean(dim=tuple(range(1, parameter.ndim)), keepdim=True))


def _optimiser(network: EmbeddingNetwork, config: ModelConfig) -> torch.optim.AdamW:
    """Make AdamW; biases and norms, which have one axis, do not decay."""
    learning = [value for value in network.parameters() if value.requires_grad]
    groups = [
        {
            "params": [value for value in learning if (value.ndim > 1) is matrices],
            "weight_decay": config.weight_decay if matrices else 0.0,
        }
        for matrices in (True, False)
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def _rows_of(batch: Batch, seen: View, rows: Tensor) -> tuple[Batch, View]:
    there = rows.to(batch.doy.device)
    return (
        Batch(
            {sensor: value[there] for sensor, value in batch.inputs.items()},
            {sensor: value[rows] for sensor, value in batch.present.items()},
            batch.doy[there],
            batch.target[there],
            batch.valid[there],
        ),
        View({sensor: mask[rows] for sensor, mask in seen.present.items()}, seen.dated[rows]),
    )

"""Several processes that learn together, as `torchrun` starts them: sums over all of them, and who writes.

Gradients are summed after every backward pass, and the loss is divided by the number of valid pixels of all processes.
So N processes do what one with an N times larger batch does, also where some chips hold fewer valid pixels or a
modality is in the batch of one process alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from betaearth.errors import ConfigError


@dataclass(frozen=True)
class World:
    """The processes of a run, seen from one of them."""

    rank: int
    """From 0."""
    size: int
    device: torch.device
    """That this process computes on."""

    @property
    def leads(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Add numbers up over all processes, in float64."""
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(list(numbers), dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return [float(number) for number in total.tolist()]

    def any(self, flag: bool) -> bool:
        """Tell whether the flag is set in any process."""
        return flag if self.size == 1 else self.sum([float(flag)])[0] > 0

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Add gradients up over all processes; every parameter has one."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        together = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(together)
        parts = torch.split(together, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give all processes the leader's tensors."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def gather(self, value: object) -> list[object]:
        """Bring a plain value of every process to all, by rank."""
        if self.size == 1:
            return [value]
        gathered: list[object] = [None] * self.size
        dist.all_gather_object(gathered, value)
        return gathered

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def open_world(device: str = "auto") -> Iterator[World]:
    """Join the processes that `torchrun` has started, or be the only one.

    Args:
        device: `cpu`, `cuda`, or `auto`: a GPU where there is one.

    Raises:
        ConfigError: there is no GPU, or fewer than processes on this machine.
    """
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    target = _device(device, local)
    if size == 1:
        yield World(0, 1, target)
        return
    dist.init_process_group("nccl" if target.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size(), target)
    finally:
        dist.destroy_process_group()


def _device(asked: str, local: int) -> torch.device:
    if asked == "cpu" or (asked == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if local >= count:
        raise ConfigError(
            f"process {local} of this machine needs a GPU of its own, and there are {count}: --set device=cpu"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)

"""The loss: mean(1 - cos) + 0.1 MSE over the pixels whose target is known.

The published README says as much; whether MSE is that of the prediction as it comes or of its unit vector it does not
say. We take the prediction as it comes, which is inferred: of unit vectors, MSE would be (1 - cos) / 32, the first term
once more, while this one keeps predictions near unit length, which the blending of windows relies on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

MSE_WEIGHT = 0.1
SMALLEST = 1e-12
"""Squared length below which a prediction has no direction."""


@dataclass(frozen=True)
class LossSums:
    """Sums over valid pixels, so that parts of a batch can be added up before they are divided by their number."""

    distance: Tensor
    """Of 1 - cos."""
    error: Tensor
    """Of the squared error's mean over the 64 components."""

    @property
    def total(self) -> Tensor:
        """Of the loss."""
        return self.distance + MSE_WEIGHT * self.error


def loss_sums(prediction: Tensor, target: Tensor, valid: Tensor) -> LossSums:
    """Sum up the loss.

    Args:
        prediction: (n, 64, y, x), of any length.
        target: (n, 64, y, x), of unit length where valid.
        valid: (n, y, x) bool.
    """
    prediction = prediction.float()
    along, squared = Products.apply(prediction, target)  # type: ignore[no-untyped-call]
    cosine = along / squared.clamp_min(SMALLEST).sqrt()
    error = (squared - 2 * along + 1) / prediction.shape[1]
    nothing = torch.zeros((), device=prediction.device)
    return LossSums(torch.where(valid, 1 - cosine, nothing).sum(), torch.where(valid, error, nothing).sum())


def mean_cosines(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the mean cosine of every chip's valid pixels, (n,); NaN where it has none."""
    prediction, target = torch.broadcast_tensors(prediction.float(), target)  # type: ignore[no-untyped-call]
    along, squared = Products.apply(prediction, target)  # type: ignore[no-untyped-call]
    cosine = along / squared.clamp_min(SMALLEST).sqrt()
    total = torch.where(valid, cosine, torch.zeros((), device=cosine.device)).sum(dim=(1, 2))
    return total / valid.sum(dim=(1, 2))


class Products(torch.autograd.Function):
    """p.t and p.p over the channels, (n, 64, y, x) twice -> (n, y, x) twice, for a t that learns nothing.

    Its own backward pass, for in the usual one this took a third of a small network's time, all of it for memory.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, p: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        ctx.save_for_backward(p, t)
        return torch.einsum("ncyx,ncyx->nyx", p, t), torch.einsum("ncyx,ncyx->nyx", p, p)

    @staticmethod
    def backward(ctx: Any, along: Tensor, squared: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401, D102  # torch's
        p, t = ctx.saved_tensors
        return (t * along[:, None]).addcmul_(p, squared[:, None], value=2), None

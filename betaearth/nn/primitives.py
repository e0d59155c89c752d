"""Images of three channels, as a backbone for photographs takes them, from every modality.

Inputs are the scaled arrays of `betaearth.inference.preprocessing`. A backbone's usual mean and deviation of colours
are not applied: the heads were trained without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

S2_ORDER = ("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B11", "B12")
"""Order of the Sentinel-2 bands."""
S2_TRIPLES = (
    ("B04", "B03", "B02"),
    ("B08", "B04", "B03"),
    ("B12", "B11", "B04"),
    ("B07", "B06", "B05"),
)
"""True colour, false colour, short-wave infrared, red edge."""
SMALL = 1e-6
"""Keeps the ratio of VV to VH finite."""


def s2_primitives(bands: Tensor) -> Tensor:
    """Combine Sentinel-2 bands: (n, 9, y, x) -> (n, 4, 3, y, x)."""
    return torch.stack([bands[:, [S2_ORDER.index(band) for band in triple]] for triple in S2_TRIPLES], dim=1)


def s1_primitives(bands: Tensor) -> Tensor:
    """Stack VV, VH and their ratio within 0..1: (n, 2, y, x) -> (n, 1, 3, y, x)."""
    ratio = (bands[:, 0] / (bands[:, 1] + SMALL)).clamp(0, 1)
    return torch.stack([bands[:, 0], bands[:, 1], ratio], dim=1)[:, None]


def dem_primitives(elevation: Tensor) -> Tensor:
    """Stack elevation, slope within 0..1 and aspect as a share of the full turn: (n, 1, y, x) -> (n, 1, 3, y, x).

    Both follow from central differences of the scaled elevation; beyond the edge it goes on as it is there.
    """
    padded = F.pad(elevation, (1, 1, 1, 1), mode="replicate")[:, 0]
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    slope = torch.sqrt(across.square() + down.square()).clamp(0, 1)
    aspect = (torch.atan2(down, across) + math.pi) / (2 * math.pi)
    return torch.stack([elevation[:, 0], slope, aspect], dim=1)[:, None]


PRIMITIVES: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"s2_l1c": s2_primitives, "s2_l2a": s2_primitives, "s1": s1_primitives, "dem": dem_primitives}
)
"""Modality to what makes its images, (n, channels, y, x) -> (n, images, 3, y, x)."""

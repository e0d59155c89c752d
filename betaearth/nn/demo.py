"""The `demo` variant: a network of the released classes, small enough to come with the package.

Its weights lie in the folder `demo` beside this module: `model.safetensors`, `config.json`, and `metrics.json`, which
says how they were made. They learned from the synthetic Earth alone: every step runs offline in seconds, and what the
embeddings tell apart there says nothing about the real one.
"""

from __future__ import annotations

from betaearth.nn.mit import MiTConfig
from betaearth.nn.segformer import SegFormerConfig

CONFIG = SegFormerConfig(
    mit=MiTConfig(dims=(16, 24, 32, 48), depths=(1, 1, 1, 1), heads=(1, 2, 2, 4)),
    pyramid=32,
    segmentation=32,
    groups=1,
    features=64,
)

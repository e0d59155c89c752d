"""The Mix Transformer (MiT) encoder of SegFormer, after Xie et al. 2021 (arXiv 2105.15203), section 3.1.

Four stages, each an overlapping patch embedding followed by transformer blocks whose attention reads keys and
values from a spatially reduced map, and whose MLP mixes neighbours with a depthwise 3x3 convolution instead
of a positional encoding. Parameter names are those of the released weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK_EPS = 1e-6
"""LayerNorm epsilon of blocks and stages; patch embeddings and reduced maps keep PyTorch's 1e-5."""
STOCHASTIC_DEPTH = 0.1
"""Chance that the deepest residual is dropped in training; it grows linearly from 0 at the first block."""


@dataclass(frozen=True)
class MiTConfig:
    """Sizes of an encoder, one entry per stage; the defaults are MiT-B2."""

    dims: tuple[int, ...] = (64, 128, 320, 512)
    depths: tuple[int, ...] = (3, 4, 6, 3)
    """Blocks."""
    heads: tuple[int, ...] = (1, 2, 5, 8)
    """Attention heads; each divides its `dims`."""
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    """Edge of the square of tokens that one key stands for."""
    mlp_ratio: int = 4


def tokens_of(feature_map: Tensor) -> Tensor:
    """(n, c, h, w) -> (n, h * w, c)."""
    return feature_map.flatten(2).transpose(1, 2)


def map_of(tokens: Tensor, height: int, width: int) -> Tensor:
    """(n, h * w, c) -> (n, c, h, w), a view whose channels lie last.

    The order of the steps matters: transposing first gives a batch of one a stride that convolutions do not take for
    channels-last, and they copy; the depthwise one then took twenty times as long.
    """
    return tokens.view(len(tokens), height, width, -1).permute(0, 3, 1, 2)


class StochasticDepth(nn.Module):
    """Drops a sample's whole residual in training and scales the kept ones, so that the mean stays."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, residual: Tensor) -> Tensor:
        """Return the residual of shape (n, tokens, c), unchanged in evaluation."""
        if not self.training or self.rate == 0.0:
            return residual
        keep = torch.rand(residual.shape[0], 1, 1, device=residual.device) >= self.rate
        return residual * keep / (1.0 - self.rate)


class PatchEmbedding(nn.Module):
    """Overlapping strided convolution and LayerNorm."""

    def __init__(self, channels: int, dim: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, kernel, stride, padding=kernel // 2)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> tuple[Tensor, int, int]:
        """(n, channels, y, x) -> tokens (n, h * w, dim), h, w."""
        x = self.proj(x)
        height, width = x.shape[2:]
        # Where convolutions compute in bfloat16, the sum of the blocks' residuals stays in the parameters' float32.
        return self.norm(tokens_of(x).to(self.norm.weight.dtype)), height, width


class EfficientAttention(nn.Module):
    """Self-attention whose keys and values come from a map reduced by `reduction` in both directions."""

    def __init__(self, dim: int, *, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.reduction = reduction
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        if reduction > 1:
            self.sr = nn.Conv2d(dim, dim, reduction, reduction)
            self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """(n, h * w, dim) -> the same shape."""
        query = self.q(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
        reduced = self._reduced(tokens, height, width)
        key, value = self.kv(reduced).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out

    def _reduced(self, tokens: Tensor, height: int, width: int) -> Tensor:
        if self.reduction == 1:
            return tokens
        # The convolution's squares do not overlap, so it is one linear layer over them. As a convolution in bfloat16
        # it came out wrong with 16 or 24 channels on processors with AMX (oneDNN, torch 2.13).
        edge, channels = self.reduction, tokens.shape[2]
        squares = tokens.view(len(tokens), height // edge, edge, width // edge, edge, channels).transpose(2, 3)
        weight = self.sr.weight.permute(0, 2, 3, 1).flatten(1)
        reduced: Tensor = self.norm(F.linear(squares.reshape(len(tokens), -1, weight.shape[1]), weight, self.sr.bias))
        return reduced


class DepthwiseConv(nn.Module):
    """Depthwise 3x3 convolution over tokens; a module of its own because of its name in the weights."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """(n, h * w, dim) -> the same shape."""
        return tokens_of(self.dwconv(map_of(tokens, height, width)))


class MixFFN(nn.Module):
    """Widen, mix neighbours, GELU, narrow."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = DepthwiseConv(hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """(n, h * w, dim) -> the same shape."""
        out: Tensor = self.fc2(F.gelu(self.dwconv(self.fc1(tokens), height, width)))
        return out


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each a residual."""

    def __init__(self, dim: int, *, heads: int, reduction: int, mlp_ratio: int, drop: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=BLOCK_EPS)
        self.attn = EfficientAttention(dim, heads=heads, reduction=reduction)
        self.norm2 = nn.LayerNorm(dim, eps=BLOCK_EPS)
        self.mlp = MixFFN(dim, mlp_ratio * dim)
        self.drop = StochasticDepth(drop)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """(n, h * w, dim) -> the same shape."""
        tokens = tokens + self.drop(self.attn(self.norm1(tokens), height, width))
        out: Tensor = tokens + self.drop(self.mlp(self.norm2(tokens), height, width))
        return out


class MiT(nn.Module):
    """The encoder: maps at 1/4, 1/8, 1/16 and 1/32 of the input's resolution."""

    def __init__(self, channels: int, config: MiTConfig) -> None:
        super().__init__()
        self.stages = len(config.dims)
        drops = torch.linspace(0.0, STOCHASTIC_DEPTH, sum(config.depths), device="cpu").tolist()
        for stage, dim in enumerate(config.dims):
            below = channels if stage == 0 else config.dims[stage - 1]
            kernel, stride = (7, 4) if stage == 0 else (3, 2)
            first = sum(config.depths[:stage])
            blocks = [
                Block(
                    dim,
                    heads=config.heads[stage],
                    reduction=config.reductions[stage],
                    mlp_ratio=config.mlp_ratio,
                    drop=drops[first + i],
                )
                for i in range(config.depths[stage])
            ]
            name = stage + 1
            self.add_module(f"patch_embed{name}", PatchEmbedding(below, dim, kernel=kernel, stride=stride))
            self.add_module(f"block{name}", nn.ModuleList(blocks))
            self.add_module(f"norm{name}", nn.LayerNorm(dim, eps=BLOCK_EPS))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encode.

        Args:
            x: (n, channels, y, x); y and x are multiples of 32.

        Returns:
            One map (n, dims[s], y / 2^(s+2), x / 2^(s+2)) per stage, finest first.
        """
        maps: list[Tensor] = []
        for name in range(1, self.stages + 1):
            tokens, height, width = self.get_submodule(f"patch_embed{name}")(x)
            for block in self.get_submodule(f"block{name}").children():
                tokens = block(tokens, height, width)
            x = map_of(self.get_submodule(f"norm{name}")(tokens), height, width)
            maps.append(x)
        return maps

"""Joining any number of tokens of a pixel site by attention; their order does not matter.

A pre-norm transformer encoder (Vaswani et al. 2017, arXiv 1706.03762; Xiong et al. 2020, arXiv 2002.04745) lets the
tokens of a site look at each other, and one learned query gathers them. Sites know nothing of each other: they are
the batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CUDA_SITES = 4096
"""Sites at a time on a GPU. CUDA's attention kernels fail at a batch of 65,536, where the grid of blocks ends; with 8
heads this stays below even in a kernel that counts batch times heads."""
CPU_SITES = 256
"""Sites at a time elsewhere: what ten tokens of them need fits a cache."""


class Attention(nn.Module):
    """Scaled dot-product attention with several heads; parameters as in `torch.nn.MultiheadAttention`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def attend_self(self, tokens: Tensor) -> Tensor:
        """(s, t, width) -> (s, t, width), every token looking at all."""
        query, key, value = F.linear(tokens, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=2)
        return self._attend(query, key, value)

    def attend(self, query: Tensor, tokens: Tensor) -> Tensor:
        """Query (1, q, width) shared by all sites, tokens (s, t, width) -> (s, q, width)."""
        width = query.shape[2]
        asked = F.linear(query, self.in_proj_weight[:width], self.in_proj_bias[:width])
        key, value = F.linear(tokens, self.in_proj_weight[width:], self.in_proj_bias[width:]).chunk(2, dim=2)
        return self._attend(asked.expand(len(tokens), -1, -1), key, value)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        query, key, value = (
            part.reshape(*part.shape[:2], self._heads, -1).transpose(1, 2) for part in (query, key, value)
        )
        seen = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out_proj(seen.transpose(1, 2).flatten(2))
        return out


class EncoderLayer(nn.Module):
    """Attention and a two-layer perceptron, each added to what it reads; parameters as in PyTorch's layer."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(s, t, width) -> (s, t, width)."""
        tokens = tokens + self.self_attn.attend_self(self.norm1(tokens))
        out: Tensor = tokens + self.linear2(F.gelu(self.linear1(self.norm2(tokens))))
        return out


class Encoder(nn.Module):
    """Encoder layers, one after the other."""

    def __init__(self, width: int, heads: int, feedforward: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feedforward) for _ in range(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """(s, t, width) -> (s, t, width)."""
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


class SetFusion(nn.Module):
    """The tokens of a site, however many, to one vector."""

    def __init__(self, width: int, heads: int, feedforward: int, layers: int, out: int) -> None:
        """Begin with random parameters.

        Args:
            width: channels of a token.
            heads: of every attention.
            feedforward: channels within an encoder layer.
            layers: of the encoder.
            out: channels of the result.
        """
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, width) / width**0.5)
        self.self_attn = Encoder(width, heads, feedforward, layers)
        self.cross_attn = Attention(width, heads)
        self.cross_norm_q = nn.LayerNorm(width)
        self.cross_norm_kv = nn.LayerNorm(width)
        self.proj = nn.Sequential(nn.Linear(width, out), nn.GELU())

    def forward(self, tokens: Tensor) -> Tensor:
        """Fuse, some sites at a time: (s, t, width) -> (s, out)."""
        at_once = CUDA_SITES if tokens.is_cuda else CPU_SITES
        return torch.cat([self._fuse(some) for some in torch.split(tokens, at_once)])

    def _fuse(self, tokens: Tensor) -> Tensor:
        encoded = self.self_attn(tokens)
        gathered = self.cross_attn.attend(self.cross_norm_q(self.query), self.cross_norm_kv(encoded))
        out: Tensor = self.proj(gathered[:, 0])
        return out

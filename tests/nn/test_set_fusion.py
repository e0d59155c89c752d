"""Fusion by attention against PyTorch's own transformer layers with the same parameters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from betaearth.nn.set_fusion import CPU_SITES, CUDA_SITES, SetFusion

WIDTH, HEADS, FEEDFORWARD, OUT = 32, 4, 48, 20
LARGEST_GRID = 65_535
"""Of CUDA's second and third dimension."""


class Plain(nn.Module):
    """The same in PyTorch's modules; their parameters have the same names."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, FEEDFORWARD, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.query = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.self_attn = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.cross_attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.cross_norm_q = nn.LayerNorm(WIDTH)
        self.cross_norm_kv = nn.LayerNorm(WIDTH)
        self.proj = nn.Sequential(nn.Linear(WIDTH, OUT), nn.GELU())

    def forward(self, tokens: Tensor) -> Tensor:
        known = self.cross_norm_kv(self.self_attn(tokens))
        query = self.cross_norm_q(self.query.expand(len(tokens), -1, -1))
        gathered, _ = self.cross_attn(query, known, known, need_weights=False)
        out: Tensor = self.proj(gathered[:, 0])
        return out


@pytest.fixture
def fusion() -> SetFusion:
    """A fusion whose parameters are all drawn: norms and biases too."""
    torch.manual_seed(0)
    module = SetFusion(WIDTH, HEADS, FEEDFORWARD, 2, OUT).eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.requires_grad_(False)


@pytest.mark.parametrize("tokens", [1, 2, 5, 10])
def test_it_is_the_usual_transformer(fusion: SetFusion, tokens: int) -> None:
    plain = Plain().eval().requires_grad_(False)
    plain.load_state_dict(fusion.state_dict(), strict=True)
    sites = torch.randn(7, tokens, WIDTH)
    assert fusion(sites).shape == (7, OUT)
    assert (fusion(sites) - plain(sites)).abs().max() < 2e-5


def test_the_order_of_tokens_does_not_matter(fusion: SetFusion) -> None:
    sites = torch.randn(9, 6, WIDTH)
    assert (fusion(sites) - fusion(sites[:, torch.randperm(6)])).abs().max() < 2e-5


def test_every_token_matters(fusion: SetFusion) -> None:
    sites = torch.randn(9, 6, WIDTH)
    for token in range(6):
        others = [index for index in range(6) if index != token]
        assert (fusion(sites) - fusion(sites[:, others])).abs().max() > 1e-3


def test_sites_are_taken_some_at_a_time_and_know_nothing_of_each_other(fusion: SetFusion) -> None:
    sites = torch.randn(2 * CPU_SITES + 3, 3, WIDTH)
    seen: list[int] = []
    hook = fusion.self_attn.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    whole = fusion(sites)
    hook.remove()
    assert seen == [CPU_SITES, CPU_SITES, 3]
    alone = torch.cat([fusion(sites[index : index + 1]) for index in (0, CPU_SITES, len(sites) - 1)])
    assert (whole[[0, CPU_SITES, -1]] - alone).abs().max() < 2e-5


def test_no_attention_on_a_gpu_sees_more_than_its_grid_holds() -> None:
    heads_of_the_released = 8
    assert CPU_SITES < CUDA_SITES
    assert CUDA_SITES * heads_of_the_released < LARGEST_GRID


def test_every_parameter_learns() -> None:
    module = SetFusion(WIDTH, HEADS, FEEDFORWARD, 2, OUT)
    module(torch.randn(5, 4, WIDTH)).square().sum().backward()
    still = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []

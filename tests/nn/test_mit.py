"""The encoder against PyTorch's own attention, and its shapes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from betaearth.nn.mit import EfficientAttention, MiT, MiTConfig, StochasticDepth, map_of, tokens_of

SMALL = MiTConfig(dims=(8, 16, 24, 32), depths=(1, 2, 1, 1), heads=(1, 2, 3, 4))


def test_unreduced_attention_is_multi_head_attention() -> None:
    torch.manual_seed(0)
    ours = EfficientAttention(24, heads=3, reduction=1).eval()
    reference = nn.MultiheadAttention(24, 3, batch_first=True).eval()
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([ours.q.weight, ours.kv.weight]))
        reference.in_proj_bias.copy_(torch.cat([ours.q.bias, ours.kv.bias]))
        reference.out_proj.weight.copy_(ours.proj.weight)
        reference.out_proj.bias.copy_(ours.proj.bias)
        tokens = torch.randn(2, 35, 24)
        expected, _ = reference(tokens, tokens, tokens, need_weights=False)
        assert torch.allclose(ours(tokens, 5, 7), expected, atol=1e-6)


def test_reduced_attention_reads_keys_from_the_reduced_map() -> None:
    torch.manual_seed(0)
    ours = EfficientAttention(8, heads=2, reduction=2).eval()
    tokens = torch.randn(1, 16, 8)
    with torch.no_grad():
        reduced = ours.norm(ours.sr(tokens.transpose(1, 2).reshape(1, 8, 4, 4)).flatten(2).transpose(1, 2))
        key, value = ours.kv(reduced).chunk(2, dim=2)
        query = ours.q(tokens)
        heads = []
        for part in (slice(0, 4), slice(4, 8)):
            score = query[..., part] @ key[..., part].transpose(1, 2) / 4**0.5
            heads.append(score.softmax(-1) @ value[..., part])
        expected = ours.proj(torch.cat(heads, dim=2))
        assert torch.allclose(ours(tokens, 4, 4), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_maps_halve_from_a_quarter(size: tuple[int, int]) -> None:
    maps = MiT(5, SMALL).eval()(torch.zeros(2, 5, *size))
    expected = [(2, dim, size[0] >> s + 2, size[1] >> s + 2) for s, dim in enumerate(SMALL.dims)]
    assert [tuple(m.shape) for m in maps] == expected


def test_tokens_and_maps_are_inverse() -> None:
    feature_map = torch.randn(2, 3, 4, 5)
    assert torch.equal(map_of(tokens_of(feature_map), 4, 5), feature_map)


def test_norms_have_the_epsilon_that_the_weights_were_trained_with() -> None:
    eps = {name: m.eps for name, m in MiT(3, SMALL).named_modules() if isinstance(m, nn.LayerNorm)}
    assert {value for name, value in eps.items() if "patch_embed" in name or "attn" in name} == {1e-5}
    assert {value for name, value in eps.items() if "patch_embed" not in name and "attn" not in name} == {1e-6}


def test_stochastic_depth_keeps_the_mean_in_training_and_everything_in_evaluation() -> None:
    torch.manual_seed(0)
    layer, ones = StochasticDepth(0.25), torch.ones(20000, 1, 1)
    assert torch.equal(layer.eval()(ones), ones)
    dropped = layer.train()(ones)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    rates = [block.rate for block in MiT(3, SMALL).modules() if isinstance(block, StochasticDepth)]
    assert rates == pytest.approx([0.0, 0.025, 0.05, 0.075, 0.1])

"""Networks as they begin: random, from photographs, from another checkpoint with parts frozen; and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from betaearth.errors import ConfigError
from betaearth.nn.segformer import PyramidNetwork, SegFormer, SegFormerConfig
from betaearth.nn.variants import VARIANTS
from betaearth.training.config import ModelConfig
from betaearth.training.models import build
from tests.training.learnable import StandInBackbone


def model(**given: object) -> ModelConfig:
    return ModelConfig.model_validate({"name": "mine", "variant": "tiny", **given})


def pyramids(**given: object) -> PyramidNetwork:
    network = build(model(**given), 0).network
    assert isinstance(network, PyramidNetwork)
    return network


def encoder_file(path: Path, network: PyramidNetwork) -> dict[str, Tensor]:
    """Weights of an encoder for three colours, under the names of the SegFormer paper's files."""
    tensors = {key: torch.randn_like(value) for key, value in network.branch("s1").encoder.state_dict().items()}
    tensors["patch_embed1.proj.weight"] = torch.randn(8, 3, 7, 7)
    torch.save({"state_dict": {**tensors, "head.weight": torch.zeros(1000, 32)}}, path)
    return tensors


def test_the_seed_decides() -> None:
    same = [build(model(), seed).network.state_dict() for seed in (3, 3, 4)]
    assert all(torch.equal(same[0][key], same[1][key]) for key in same[0])
    assert not torch.equal(same[0]["fusion.0.weight"], same[2]["fusion.0.weight"])


def test_a_date_changes_nothing_at_first() -> None:
    network = pyramids().eval()
    inputs = {"s1": torch.rand(1, 2, 32, 32), "dem": torch.rand(1, 1, 32, 32)}
    with torch.no_grad():
        torch.testing.assert_close(network(inputs, torch.tensor([200.0])), network(inputs, None), atol=1e-6, rtol=1e-6)


def test_encoders_begin_as_the_paper_has_it() -> None:
    encoder = pyramids(network="demo").branch("s2_l1c").encoder.state_dict()
    linear = encoder["block4.0.mlp.fc1.weight"]
    assert float(linear.std()) == pytest.approx(0.02 * 0.88, rel=0.05)  # cut at two deviations
    assert float(linear.abs().max()) <= 0.04
    assert float(encoder["patch_embed3.proj.weight"].std()) == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.05)
    assert not encoder["block4.0.mlp.fc1.bias"].any()


def test_weights_of_photographs_are_adapted_to_the_channels(tmp_path: Path) -> None:
    plain = encoder_file(tmp_path / "mit.pth", pyramids())
    network = pyramids(encoder=tmp_path / "mit.pth")
    first = {
        name: network.branch(name).encoder.get_parameter("patch_embed1.proj.weight") for name in network.modalities
    }
    kernels = plain["patch_embed1.proj.weight"]
    for band, colour in ((2, 0), (1, 1), (0, 2)):  # B04, B03, B02 are red, green, blue
        torch.testing.assert_close(first["s2_l2a"][:, band], kernels[:, colour] / 3)
    torch.testing.assert_close(first["s2_l2a"][:, 5], kernels.mean(dim=1) / 3)
    torch.testing.assert_close(first["dem"][:, 0], 3 * kernels.mean(dim=1))
    for name in network.modalities:
        key = "block2.0.attn.kv.weight"
        assert torch.equal(network.branch(name).encoder.state_dict()[key], plain[key])
    rgb = pyramids(variant="rgb-only", network="tiny", encoder=tmp_path / "mit.pth")
    assert torch.equal(rgb.branch("rgb").encoder.get_parameter("patch_embed1.proj.weight"), kernels)


def test_frozen_pyramids_come_from_the_checkpoint_and_fusion_is_kept_or_fresh(tmp_path: Path) -> None:
    source = pyramids(doy=False)
    path = tmp_path / "no-film.pt"
    torch.save({f"models.{key}": value for key, value in source.state_dict().items()}, path)
    kept, fresh = (build(model(init=str(path), trainable="head", fusion=fusion), 1) for fusion in ("kept", "fresh"))
    for built in (kept, fresh):
        learning = {name.partition(".")[0] for name, p in built.network.named_parameters() if p.requires_grad}
        assert learning == {"time_cond", "fusion"}
        assert len(built.frozen) == 4
    own, before = kept.network.state_dict(), source.state_dict()
    assert all(torch.equal(own[key], value) for key, value in before.items())
    other = fresh.network.state_dict()
    assert not torch.equal(other["fusion.0.weight"], before["fusion.0.weight"])
    assert torch.equal(other["s1_encoder.decoder.p5.weight"], before["s1_encoder.decoder.p5.weight"])
    inputs = {"s1": torch.rand(1, 2, 32, 32)}
    with torch.no_grad():
        torch.testing.assert_close(kept.network.eval()(inputs, torch.tensor([9.0])), source.eval()(inputs, None))


def test_what_learns_of_the_released_frozen_variants_is_small() -> None:
    with torch.device("meta"):
        network = SegFormer(SegFormerConfig())
    parts = (*network.get_submodule("fusion").parameters(), *network.get_submodule("time_cond").parameters())
    learning = sum(parameter.numel() for parameter in parts)
    assert learning == 344_896  # "about 0.3 M" of 104.8 M
    assert sum(value.numel() for value in network.parameters()) == VARIANTS["reinit"].parameters


def test_a_dinov3_head_learns_on_a_frozen_backbone() -> None:
    built = build(model(variant="dinov3-vits16"), 0, backbone=StandInBackbone(384))
    learning = sum(value.numel() for value in built.network.parameters() if value.requires_grad)
    assert learning == VARIANTS["dinov3-vits16"].parameters
    assert not built.network.train().get_submodule("backbone").training


def test_what_cannot_begin_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = pyramids().state_dict()
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file(dict(pyramids(network="demo").state_dict()), path)
    for given, words in (
        ({"init": str(path)}, "cannot begin this network: its"),
        ({"init": str(path), "variant": "rgb-only", "network": "tiny"}, "holds a segformer network"),
        ({"encoder": path}, "is no MiT encoder for images of three colours"),
        ({"variant": "dinov3-vits16"}, "betaearth models fetch dinov3-vits16"),
        ({"init": str(tmp_path / "none.pt")}, "no such file or folder"),
    ):
        with pytest.raises(ConfigError, match=words):
            build(model(**given), 0)
    torch.save({f"{name}.{key}": value for name in ("a", "b") for key, value in source.items()}, tmp_path / "two.pt")
    with pytest.raises(ConfigError, match="choose one by --prefix"):
        build(model(init=str(tmp_path / "two.pt")), 0)
    build(model(init=str(tmp_path / "two.pt"), init_prefix="b"), 0)


def test_pixels_without_data_do_not_drown_the_gradient() -> None:
    network = pyramids()
    nothing = {name: torch.zeros(1, channels, 32, 32) for name, channels in network.config.modalities}
    network(nothing, None).sum().backward()
    steepest = {
        name: float(value.grad.norm()) / (float(network.last.bias.grad.norm()) if network.last.bias is not None else 1)  # type: ignore[union-attr]
        for name, value in network.named_parameters()
        if value.grad is not None
    }
    assert max(steepest.values()) < 50, max(steepest, key=lambda name: steepest[name])

"""Which variant weights are."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from betaearth.errors import ConfigError
from betaearth.nn.dinov3 import DINOv3, DINOv3Config
from betaearth.nn.identity import identify
from betaearth.nn.segformer import RGBOnly
from betaearth.nn.variants import VARIANTS, Family
from betaearth.nn.weights import build_network, load_state_dict
from tests.dinov3 import seeded_head
from tests.nn.seeded import rewrite_config, rgb_tensors


class TestIdentifying:
    def test_demo(self) -> None:
        assert identify(load_state_dict("demo")) == VARIANTS["demo"]

    def test_weights_that_nothing_names_are_custom_and_promise_nothing(self, weights_folder: Path) -> None:
        (weights_folder / "config.json").unlink()
        variant = identify(load_state_dict(weights_folder))
        assert (variant.name, variant.family, variant.any_subset) == ("custom", Family.SEGFORMER, False)
        assert (variant.parameters, variant.tensors) == (VARIANTS["demo"].parameters, 531)

    def test_a_users_own_variant_is_what_its_config_says(self, weights_folder: Path) -> None:
        rewrite_config(weights_folder, variant="vineyards", trained=True, licence="MIT")
        variant = identify(load_state_dict(weights_folder))
        assert (variant.name, variant.trained, variant.any_subset, variant.licence) == ("vineyards", True, True, "MIT")

    def test_inputs_that_weights_never_learned_from_are_not_taken(self, weights_folder: Path) -> None:
        rewrite_config(weights_folder, variant="mine", inputs=["dem", "s2_l2a"])
        assert identify(load_state_dict(weights_folder)).inputs == ("s2_l2a", "dem")
        rewrite_config(weights_folder, variant="mine", inputs=["radar"])
        with pytest.raises(ConfigError, match="inputs"):
            load_state_dict(weights_folder)

    def test_rgb_weights_are_told_by_their_keys(self, weights_folder: Path) -> None:
        safetensors.torch.save_file(rgb_tensors(), weights_folder / "model.safetensors")
        rewrite_config(weights_folder, variant="mine", family="rgb-only")
        weights = load_state_dict(weights_folder)
        assert identify(weights).inputs == ("s2_l1c", "s2_l2a")
        assert isinstance(build_network(weights), RGBOnly)

    def test_a_name_that_the_keys_contradict_is_refused(self, weights_folder: Path) -> None:
        safetensors.torch.save_file(rgb_tensors(), weights_folder / "model.safetensors")
        with pytest.raises(ConfigError, match="declares segformer, but its keys are those of rgb-only"):
            identify(load_state_dict(weights_folder))
        (weights_folder / "config.json").unlink()
        renamed = weights_folder.rename(weights_folder.parent / "betaearth-segformer-film-robust")
        with pytest.raises(ConfigError, match=r"named robust .*but its keys are those of rgb-only"):
            identify(load_state_dict(renamed))

    def test_a_dinov3_head_is_loaded_without_its_backbone(self, tmp_path: Path) -> None:
        head = seeded_head(DINOv3Config(dim=384))
        torch.save({**head.state_dict(), "backbone.norm.weight": torch.ones(384)}, tmp_path / "model.pt")
        (tmp_path / "config.json").write_text('{"architecture": "dinov3_vits16"}')
        weights = load_state_dict(tmp_path)
        variant = identify(weights)
        assert (variant.family, variant.parameters, variant.tensors) == (Family.DINOV3, 1_767_232, 54)
        network = build_network(weights)
        assert isinstance(network, DINOv3)
        assert network.backbone is None
        assert all(torch.equal(value, head.state_dict()[key]) for key, value in network.state_dict().items())

    def test_a_dinov3_head_of_one_number_is_none(self, tmp_path: Path) -> None:
        torch.save({"dpt_head.projections.0.weight": torch.ones(1)}, tmp_path / "model.pt")
        with pytest.raises(ConfigError, match=r"not a whole DINOv3 head: .* has shape \(1,\)"):
            build_network(load_state_dict(tmp_path))

"""The registry of backbones, their names in files, and what a path tells of them."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from betaearth.errors import ConfigError
from betaearth.nn.backbone_files import check_pretraining, find_backbone, pretraining_of
from betaearth.nn.backbones import BACKBONES, backbone_of_dim
from betaearth.nn.variants import VARIANTS
from betaearth.nn.weight_cache import FetchedRecord
from tests.dinov3 import timm_shapes

DIGESTS = {
    ("vits16", False): "ee70f9108e8aec1f2c356a628fa2e3d29e8326b26533f6baa56a0000750b9b1d",
    ("vits16", True): "50ea3e082693b6874f72c66918a05dc62a430da8d3894870b0c722f0c3de0f9c",
    ("vitl16", False): "faca68dbb68b831626207da950db0b0aec7af562fa3c24a55ba8256e1e02f485",
    ("vitl16", True): "014d9ae36d97b75957ccbd0b52721324d596d76b5dbde977f2c121e66de69211",
}
"""sha256 over the sorted lines `key shape` of timm 1.0.31's models, plain and `_qkvb`."""


class TestRegistry:
    def test_each_head_has_the_backbone_that_it_was_trained_on(self) -> None:
        wanted = {name: variant.backbone for name, variant in VARIANTS.items() if variant.backbone}
        assert wanted == {"dinov3-vitl16": "vitl16", "dinov3-vits16": "vits16"}
        large, small = BACKBONES["vitl16"], BACKBONES["vits16"]
        assert (large.pretraining, large.repo) == ("SAT-493M", "timm/vit_large_patch16_dinov3.sat493m")
        assert (small.pretraining, small.repo) == ("LVD-1689M", "timm/vit_small_patch16_dinov3.lvd1689m")
        assert all(b.repo.endswith(f".{b.tag}") and b.original.endswith(f"-{b.tag}") for b in BACKBONES.values())
        assert {b.licence for b in BACKBONES.values()} == {"DINOv3 License"}

    @pytest.mark.parametrize(("name", "biases"), DIGESTS)
    def test_the_tests_know_the_names_of_timm(self, name: str, biases: bool) -> None:
        shapes = timm_shapes(BACKBONES[name], biases=biases)
        lines = "\n".join(sorted(f"{key} {list(shape)}" for key, shape in shapes.items()))
        assert hashlib.sha256(lines.encode()).hexdigest() == DIGESTS[name, biases]
        if not biases:
            assert sum(math.prod(shape) for shape in shapes.values()) == BACKBONES[name].parameters

    def test_a_backbone_is_known_by_its_channels(self) -> None:
        assert backbone_of_dim(384) is BACKBONES["vits16"]
        assert backbone_of_dim(768) is None

    def test_the_registry_needs_no_torch(self) -> None:
        code = "import sys, betaearth.nn.backbones, betaearth.nn.backbone_files; "
        code += "assert not {'torch', 'safetensors', 'transformers'} & set(sys.modules), 'heavy import'"
        subprocess.run([sys.executable, "-c", code], check=True)


def put(folder: Path, name: str, config: dict[str, Any] | None = None) -> Path:
    """Lay a file that is never read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder / name


class TestFinding:
    @pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model.pt", "dinov3_vits16.pth"])
    def test_a_folder_is_its_file(self, tmp_path: Path, name: str) -> None:
        path = put(tmp_path, name)
        for given in (tmp_path, path):
            found = find_backbone(given)
            assert (found.path, found.origin) == (path, name)
            assert found.sha256 == hashlib.sha256(b"").hexdigest()

    def test_safetensors_come_first(self, tmp_path: Path) -> None:
        put(tmp_path, "pytorch_model.bin")
        assert find_backbone(put(tmp_path, "model.safetensors").parent).path.suffix == ".safetensors"

    def test_of_several_original_files_one_must_be_named(self, tmp_path: Path) -> None:
        paths = [put(tmp_path, f"dinov3_vit{size}16.pth") for size in "sl"]
        assert find_backbone(paths[1]).path == paths[1]
        with pytest.raises(ConfigError, match=r"2 \.pth files, so name one"):
            find_backbone(tmp_path)

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="neither a file nor a folder"):
            find_backbone(tmp_path / "nothing.pth")
        with pytest.raises(ConfigError, match="holds no backbone"):
            find_backbone(tmp_path)
        with pytest.raises(ConfigError, match="not a file of weights"):
            find_backbone(put(tmp_path, "model.onnx"))

    def test_a_fetched_one_says_where_it_came_from(self, tmp_path: Path) -> None:
        path = put(tmp_path, "model.safetensors")
        record = FetchedRecord(
            repo="timm/vit_large_patch16_dinov3.sat493m",
            source="the hub",
            origin=f"timm/vit_large_patch16_dinov3.sat493m@{'0' * 40}/model.safetensors",
            revision=None,
            commit="0" * 40,
            file="model.safetensors",
            size=0,
            sha256=hashlib.sha256(b"").hexdigest(),
            licence=None,
            fetched=datetime.now(UTC),
        )
        (tmp_path / "fetched.json").write_text(record.model_dump_json())
        found = find_backbone(path)
        assert found.origin == record.origin
        assert pretraining_of(found) == "sat493m"


class TestPretraining:
    @pytest.mark.parametrize(
        ("place", "tag"),
        [
            ("vit_small_patch16_dinov3.lvd1689m/model.safetensors", "lvd1689m"),
            ("vit_large_patch16_dinov3_qkvb.sat493m/model.safetensors", "sat493m"),
            ("models--timm--vit_large_patch16_dinov3.sat493m/snapshots/0123/model.safetensors", "sat493m"),
            ("downloads/dinov3_vitl16_pretrain_sat493m-eadcf0ff.pth", "sat493m"),
            ("sat493m/dinov3_vits16_pretrain_lvd1689m-08c60483.pth", "lvd1689m"),
            ("dinov3-vitl16-pretrain-LVD1689M/model.safetensors", "lvd1689m"),
            ("vit_small_patch16_dinov3_qkvb.eupe_lvd1689m/model.safetensors", "eupe_lvd1689m"),
            ("downloads/model.safetensors", None),
        ],
    )
    def test_names_tell_it(self, tmp_path: Path, place: str, tag: str | None) -> None:
        path = tmp_path / "a" / "b" / "c" / place
        assert pretraining_of(find_backbone(put(path.parent, path.name))) == tag

    def test_the_configuration_of_timm_comes_before_names(self, tmp_path: Path) -> None:
        path = put(tmp_path / "sat493m", "model.safetensors", {"pretrained_cfg": {"tag": "lvd1689m"}})
        assert pretraining_of(find_backbone(path)) == "lvd1689m"

    def test_a_configuration_beside_an_original_file_is_not_its_own(self, tmp_path: Path) -> None:
        path = put(tmp_path, "dinov3_vitl16_pretrain_sat493m.pth", {"pretrained_cfg": {"tag": "lvd1689m"}})
        assert pretraining_of(find_backbone(path)) == "sat493m"

    @pytest.mark.parametrize(
        ("folder", "name", "found"),
        [
            ("vit_large_patch16_dinov3.lvd1689m", "vitl16", "lvd1689m"),
            ("vit_small_patch16_dinov3.sat493m", "vits16", "sat493m"),
            ("vit_small_patch16_dinov3_qkvb.eupe_lvd1689m", "vits16", "eupe_lvd1689m"),
        ],
    )
    def test_another_set_of_images_is_refused_and_the_right_one_named(
        self, tmp_path: Path, folder: str, name: str, found: str
    ) -> None:
        file = find_backbone(put(tmp_path / folder, "model.safetensors"))
        backbone = BACKBONES[name]
        with pytest.raises(ConfigError) as error:
            check_pretraining(file, backbone)
        for words in (f"pre-trained on {found},", backbone.pretraining, backbone.repo, str(file.path)):
            assert words in str(error.value)

    def test_what_nothing_tells_is_taken_and_said_to_be_unknown(self, tmp_path: Path) -> None:
        assert check_pretraining(find_backbone(put(tmp_path, "model.safetensors")), BACKBONES["vitl16"]) is None

"""DINOv3 variants from end to end: which backbone a head gets, and from where."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from betaearth.errors import ConfigError
from betaearth.inference.model import BetaEarth
from betaearth.nn.backbone_weights import vision_transformer
from betaearth.nn.backbones import BACKBONES
from betaearth.nn.dinov3 import DINOv3Config
from betaearth.nn.variants import Family
from betaearth.nn.weight_files import find_weights
from betaearth.scenes.model import Sensor
from tests.dinov3 import TINY, original_tensors, seeded_head, timm_tensors
from tests.weights_server import WeightsServer

SHAPE = (70, 90)
WINDOWS: dict[str, Any] = {"tile_size": 64, "overlap": 32}
Embed = Callable[[BetaEarth], NDArray[np.float32]]


@pytest.fixture(autouse=True)
def _tiny_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a small backbone to the registry."""
    monkeypatch.setattr("betaearth.nn.backbones.BACKBONES", {**BACKBONES, TINY.name: TINY})


@pytest.fixture
def embed(seeded_inputs: Callable[[int, int], dict[str, NDArray[Any]]]) -> Embed:
    """Embed what every variant takes."""
    inputs: dict[str, Any] = {name: array[:, 20:90, 20:110] for name, array in seeded_inputs(224, 224).items()}
    return lambda model: model.predict(doy=100, **inputs, **WINDOWS)


def save(tensors: Mapping[str, Tensor], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(dict(tensors), path)
    else:
        torch.save(dict(tensors), path)
    return path


def head_tensors(dim: int = TINY.dim) -> dict[str, Tensor]:
    return dict(seeded_head(DINOv3Config(dim=dim)).state_dict())


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """A file of a head that reads the small backbone."""
    return save(head_tensors(), tmp_path / "head" / "model.safetensors")


def tiny_module() -> nn.Module:
    return vision_transformer(timm_tensors(TINY), TINY, "seeded")


class TestWhichBackbone:
    @pytest.mark.parametrize("whole_folder", [True, False])
    def test_a_file_or_folder_is_used(self, tmp_path: Path, head: Path, embed: Embed, whole_folder: bool) -> None:
        path = save(timm_tensors(TINY), tmp_path / "tiny.sat493m" / "model.safetensors")
        given = path.parent if whole_folder else path
        model = BetaEarth.from_pretrained(head, "cpu", given)
        assert model.backbone is not None
        assert (model.backbone.origin, model.backbone.pretraining) == ("model.safetensors", "sat493m")
        assert model.backbone.sha256 == find_weights(path).sha256
        assert model.weights_sha256 == find_weights(head).sha256
        assert (model.variant.name, model.variant.family) == ("custom", Family.DINOV3)
        assert (model.variant.tensors, model.variant.any_subset, model.variant.doy) == (54, False, True)
        vectors = embed(model)
        assert vectors.shape == (*SHAPE, 64)
        assert np.abs(np.linalg.norm(vectors, axis=-1) - 1).max() < 1e-5
        injected = BetaEarth.from_pretrained(head, "cpu", dinov3_weights=tiny_module())
        assert np.array_equal(embed(injected), vectors)

    def test_a_head_that_brings_its_backbone_needs_no_other(self, tmp_path: Path, embed: Embed) -> None:
        timm = timm_tensors(TINY, biases=True)
        original = {key: value for key, value in original_tensors(timm, TINY).items() if key != "rope_embed.periods"}
        both = {**head_tensors(), **{f"backbone.{key}": value for key, value in original.items()}}
        path = save(both, tmp_path / "both.pt")
        model = BetaEarth.from_pretrained(path, "cpu")
        assert model.backbone is not None
        assert (model.backbone.origin, model.backbone.sha256) == ("both.pt", model.weights_sha256)
        assert (model.variant.tensors, model.variant.parameters) == (54, sum_of(head_tensors()))
        own = vision_transformer(timm, TINY, "seeded")
        assert np.array_equal(embed(model), embed(BetaEarth.from_pretrained(path, "cpu", own)))
        other = BetaEarth.from_pretrained(path, "cpu", save(timm_tensors(TINY), tmp_path / "other.pth"))
        assert np.abs(embed(other) - embed(model)).max() > 1e-3

    def test_a_backbone_that_the_head_brings_must_be_whole(self, tmp_path: Path) -> None:
        part = {f"backbone.{key}": value for key, value in timm_tensors(TINY).items() if key != "norm.bias"}
        with pytest.raises(
            ConfigError, match=r"backbone\.\* of .*both\.pt, as tiny .* does not fit .*1 missing \(norm\.bias\)"
        ):
            BetaEarth.from_pretrained(save({**head_tensors(), **part}, tmp_path / "both.pt"), "cpu")

    def test_without_any_it_is_downloaded_once(
        self, hub: WeightsServer, tmp_path: Path, head: Path, embed: Embed
    ) -> None:
        commit = hub.publish(TINY.repo, {"model.safetensors": safetensors.torch.save(timm_tensors(TINY))})
        first = BetaEarth.from_pretrained(head, "cpu", cache=tmp_path / "cache")
        assert first.backbone is not None
        assert first.backbone.origin == f"{TINY.repo}@{commit}/model.safetensors"
        hub.asked.clear()
        second = BetaEarth.from_pretrained(head, "cpu", cache=tmp_path / "cache")
        assert hub.asked == []
        assert second.backbone == first.backbone
        assert np.array_equal(embed(first), embed(second))

    @pytest.mark.parametrize("kind", [str, Path])
    def test_the_original_repository_may_be_asked_for(
        self, hub: WeightsServer, tmp_path: Path, head: Path, kind: type[str | Path]
    ) -> None:
        hub.publish(TINY.original, {"model.safetensors": safetensors.torch.save(timm_tensors(TINY))})
        model = BetaEarth.from_pretrained(head, "cpu", kind(TINY.original), cache=tmp_path / "cache")
        assert model.backbone is not None
        assert model.backbone.origin.startswith(f"{TINY.original}@")

    def test_a_variant_and_its_backbone_come_from_one_mirror(self, tmp_path: Path) -> None:
        """Full size: the small variant as it is published."""
        backbone = BACKBONES["vits16"]
        mirror = tmp_path / "mirror"
        name = "betaearth-dinov3-vits16"
        save(head_tensors(backbone.dim), mirror / name / "model.safetensors")
        save(timm_tensors(backbone), mirror / backbone.repo.split("/")[1] / "model.safetensors")
        model = BetaEarth.from_pretrained("dinov3-vits16", "cpu", mirror=str(mirror), cache=tmp_path / "cache")
        assert (model.variant.name, model.variant.parameters) == ("dinov3-vits16", 1_767_232)
        assert model.backbone is not None
        assert model.backbone.pretraining == "lvd1689m"
        assert "vit_small_patch16_dinov3.lvd1689m" in model.backbone.origin
        assert repr(model) == "BetaEarth(params=23.4M, device=cpu)"


def sum_of(tensors: Mapping[str, Tensor]) -> int:
    return sum(value.numel() for key, value in tensors.items() if not key.endswith("freqs"))


class TestRefusals:
    def test_a_place_where_nothing_is(self, head: Path) -> None:
        with pytest.raises(ConfigError, match=r"'nothing\.pth' is neither a file or folder.* somebody/tiny and"):
            BetaEarth.from_pretrained(head, "cpu", "nothing.pth")

    def test_what_no_path_can_be(self, head: Path) -> None:
        with pytest.raises(ConfigError, match="is no path"):
            BetaEarth.from_pretrained(head, "cpu", "x" * 300)

    def test_a_backbone_that_means_nothing(self) -> None:
        with pytest.raises(ConfigError, match="no DINOv3 head, so dinov3_weights means nothing"):
            BetaEarth.from_pretrained("demo", "cpu", "backbone.safetensors")

    def test_other_images(self, tmp_path: Path, head: Path) -> None:
        path = save(timm_tensors(TINY), tmp_path / "vit_tiny.lvd1689m" / "model.safetensors")
        with pytest.raises(ConfigError, match=r"pre-trained on lvd1689m, and this head was trained on .* SAT-493M"):
            BetaEarth.from_pretrained(head, "cpu", path)

    def test_another_size(self, tmp_path: Path) -> None:
        path = save(timm_tensors(TINY), tmp_path / "tiny.pth")
        small = save(head_tensors(384), tmp_path / "small" / "model.safetensors")
        with pytest.raises(ConfigError, match=r"tiny\.pth holds a backbone of 4 layers of 32 channels.* needs vits16"):
            BetaEarth.from_pretrained(small, "cpu", path)

    def test_a_head_of_an_unknown_size_needs_a_module(self, tmp_path: Path) -> None:
        path = save(head_tensors(48), tmp_path / "model.safetensors")
        with pytest.raises(ConfigError, match=r"48 channels, and none is known \(.*vits16 384.*give a module"):
            BetaEarth.from_pretrained(path, "cpu")
        model = BetaEarth.from_pretrained(path, "cpu", Patches(48))
        assert model.predict(s1=np.ones((2, 40, 40)), **WINDOWS).shape == (40, 40, 64)

    @pytest.mark.parametrize("way", ["folder", "architecture"])
    def test_a_head_that_is_not_as_large_as_its_name_says(self, tmp_path: Path, way: str) -> None:
        name = "betaearth-dinov3-vitl16" if way == "folder" else "downloads"
        path = save(head_tensors(384), tmp_path / name / "model.safetensors")
        if way == "architecture":
            (path.parent / "config.json").write_text(json.dumps({"architecture": "dinov3_vitl16"}))
        with pytest.raises(ConfigError, match="named as a head of vitl16, which has 1024 channels, but it reads 384"):
            BetaEarth.from_pretrained(path, "cpu", tiny_module())

    def test_the_architecture_of_another_network(self, tmp_path: Path) -> None:
        path = save({"encoder.weight": torch.ones(1), "head.0.weight": torch.ones(1)}, tmp_path / "model.pt")
        (tmp_path / "config.json").write_text(json.dumps({"architecture": "dinov3_vits16"}))
        with pytest.raises(ConfigError, match="declares dinov3, but its keys are those of rgb-only"):
            BetaEarth.from_pretrained(path, "cpu")

    @pytest.mark.parametrize("key", ["decoder.proj.2.bias", "fusion.query", "dpt_head.projections.0.weight"])
    def test_a_head_must_be_whole(self, tmp_path: Path, key: str) -> None:
        part = {name: value for name, value in head_tensors().items() if name != key}
        with pytest.raises(ConfigError, match=rf"1 missing \({key}\)|not a whole DINOv3 head: {key} is missing"):
            BetaEarth.from_pretrained(save(part, tmp_path / "model.safetensors"), "cpu", tiny_module())

    def test_a_head_holds_nothing_else(self, tmp_path: Path) -> None:
        more = {**head_tensors(), "optimizer.step": torch.zeros(1)}
        with pytest.raises(ConfigError, match=r"1 unexpected \(optimizer\.step\)"):
            BetaEarth.from_pretrained(save(more, tmp_path / "model.safetensors"), "cpu", tiny_module())

    def test_no_transformers_is_said_before_anything_is_downloaded(
        self, hub: WeightsServer, tmp_path: Path, head: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(ConfigError, match=r"pip install 'betaearth\[dinov3\]'"):
            BetaEarth.from_pretrained(head, "cpu", cache=tmp_path / "cache")
        assert hub.asked == []


class Patches(nn.Module):
    """A user's own backbone."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, dim, 16, stride=16)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.patches(images)] * 4


class TestEmbedding:
    @pytest.fixture
    def model(self, head: Path) -> BetaEarth:
        return BetaEarth.from_pretrained(head, "cpu", tiny_module())

    def test_an_observer_gives_what_predict_gives(
        self, model: BetaEarth, seeded_inputs: Callable[[int, int], dict[str, NDArray[Any]]]
    ) -> None:
        inputs = {name: array[:, 20:90, 20:110] for name, array in seeded_inputs(224, 224).items()}
        observer = model.observer(SHAPE, dem=inputs["dem"], **WINDOWS)
        for sensor in (Sensor.S2_L2A, Sensor.S1, Sensor.S2_L1C):
            given: dict[str, Any] = {sensor.value: inputs[sensor.value], "dem": inputs["dem"], **WINDOWS}
            observed = observer.observe({sensor: inputs[sensor.value]}, doy=33)
            assert np.abs(observed - model.predict(doy=33, **given)).max() < 2e-6

    @pytest.mark.parametrize("shape", [(1, 1), (33, 64), (64, 100)])
    def test_any_size_will_do(self, model: BetaEarth, shape: tuple[int, int]) -> None:
        s1 = np.random.default_rng(0).uniform(0.001, 0.5, (2, *shape))
        vectors = model.predict(s1=s1, **WINDOWS)
        assert vectors.shape == (*shape, 64)
        assert np.abs(np.linalg.norm(vectors, axis=-1) - 1).max() < 1e-5

    def test_the_date_changes_the_result(self, model: BetaEarth) -> None:
        s1 = np.random.default_rng(0).uniform(0.001, 0.5, (2, 64, 64))
        first, second, none = (model.predict(s1=s1, doy=doy, tile_size=64, overlap=32) for doy in (10, 200, None))
        assert min(np.abs(first - second).max(), np.abs(first - none).max()) > 1e-3

"""From a training checkpoint to a folder of weights: the same numbers, or a refusal that says why."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from betaearth.errors import ConfigError, DataError
from betaearth.inference.export import export_checkpoint
from betaearth.inference.model import BetaEarth
from betaearth.nn.demo import CONFIG
from betaearth.nn.dinov3 import DINOv3, DINOv3Config
from betaearth.nn.segformer import RGB_MODALITY, RGBOnly, SegFormer, SegFormerConfig
from betaearth.nn.variants import VARIANTS, Family, Variant
from betaearth.nn.weight_files import find_weights
from betaearth.nn.weights import shapes_of

Tensors = Mapping[str, Tensor]


@pytest.fixture(scope="module")
def small() -> Tensors:
    """The shipped weights of the demo."""
    tensors: dict[str, Tensor] = safetensors.torch.load_file(find_weights("demo").path)
    return tensors


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """A configuration in our format for a network of the demo's sizes."""
    shipped = json.loads((find_weights("demo").path.parent / "config.json").read_text())
    return {**shipped, "variant": "mine", "trained": True, "licence": "MIT"}


def rgb_tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    sizes = {name: getattr(CONFIG, name) for name in ("mit", "pyramid", "segmentation", "groups", "features")}
    return dict(RGBOnly(SegFormerConfig(modalities=RGB_MODALITY, **sizes)).state_dict())


def prefixed(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in tensors.items()}


def read(folder: Path) -> tuple[Tensors, Tensors, dict[str, Any]]:
    return (
        safetensors.torch.load_file(folder / "model.safetensors"),
        torch.load(folder / "model.pt", weights_only=True),
        json.loads((folder / "config.json").read_text()),
    )


def same(found: Tensors, expected: Tensors) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)


def test_ours_becomes_the_published_layout(small: Tensors, config: dict[str, Any], tmp_path: Path) -> None:
    optimiser = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3}]}
    checkpoint = {"model": small, "optimiser": optimiser, "schedule": {"last_epoch": 3}, "epoch": 3, "config": config}
    torch.save(checkpoint, tmp_path / "last.pt")
    made = export_checkpoint(tmp_path / "last.pt", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json",
        "model.pt",
        "model.safetensors",
    ]
    assert len({path.stat().st_mode for path in (tmp_path / "out").iterdir()}) == 1
    tensors, pickled, written = read(tmp_path / "out")
    assert same(tensors, small)
    assert same(pickled, small)
    assert written == {**config, "architecture": "segformer", "model_name": "betaearth-segformer"}
    assert (made.variant.name, made.prefix, made.left_out) == ("mine", "model.", 0)
    assert made.weights.sha256 == find_weights(tmp_path / "out").sha256
    scene = np.full((9, 40, 40), 1500, "uint16")
    model = BetaEarth.from_pretrained(tmp_path / "out", device="cpu")
    assert model.variant.name == "mine"
    expected = BetaEarth.from_pretrained("demo", device="cpu").predict(s2_l2a=scene)
    assert np.array_equal(model.predict(s2_l2a=scene), expected)
    only_pickle = tmp_path / "only-pickle"
    only_pickle.mkdir()
    for name in ("model.pt", "config.json"):
        (tmp_path / "out" / name).rename(only_pickle / name)
    assert np.array_equal(BetaEarth.from_pretrained(only_pickle, device="cpu").predict(s2_l2a=scene), expected)


@pytest.mark.parametrize(
    "prefix", ["", "model.", "module.", "_orig_mod.", "models.segformer_b2.", "model._orig_mod.", "lit.net.module."]
)
@pytest.mark.parametrize("nested", [True, False])
def test_prefixes_are_found(
    small: Tensors, config: dict[str, Any], tmp_path: Path, prefix: str, *, nested: bool
) -> None:
    tensors = prefixed(prefix, small)
    content = {"state_dict": tensors, "pytorch-lightning_version": "2", "config": config} if nested else tensors
    torch.save(content, tmp_path / "last.ckpt")
    (tmp_path / "config.json").write_text(json.dumps(config))
    export_checkpoint(tmp_path / "last.ckpt", tmp_path / "out")
    assert same(read(tmp_path / "out")[0], small)


def test_wrappers_within_a_network_are_found_too(small: Tensors, config: dict[str, Any], tmp_path: Path) -> None:
    compiled = {key.replace("_encoder.encoder.", "_encoder._orig_mod.encoder."): value for key, value in small.items()}
    torch.save({"model": compiled, "config": config}, tmp_path / "last.pt")
    export_checkpoint(tmp_path / "last.pt", tmp_path / "out")
    assert same(read(tmp_path / "out")[0], small)


def test_an_averaged_model_is_a_network(small: Tensors, config: dict[str, Any], tmp_path: Path) -> None:
    averaged = {"n_averaged": torch.tensor(7), **prefixed("module.", small)}
    torch.save({"model": averaged, "config": config}, tmp_path / "last.pt")
    export_checkpoint(tmp_path / "last.pt", tmp_path / "out")
    assert same(read(tmp_path / "out")[0], small)


def test_safetensors_and_half_precision(small: Tensors, config: dict[str, Any], tmp_path: Path) -> None:
    halves = {f"model.{key}": value.half() for key, value in small.items()}
    safetensors.torch.save_file(halves, tmp_path / "last.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    export_checkpoint(tmp_path / "last.safetensors", tmp_path / "out")
    tensors, pickled, _ = read(tmp_path / "out")
    assert {value.dtype for value in (*tensors.values(), *pickled.values())} == {torch.float32}
    assert same(tensors, {key: value.half().float() for key, value in small.items()})


def test_tensors_that_share_memory(small: Tensors, config: dict[str, Any], tmp_path: Path) -> None:
    one = torch.zeros(16)
    shared = {key: one if value.shape == (16,) else value for key, value in small.items()}
    torch.save({"model": shared, "config": config}, tmp_path / "last.pt")
    export_checkpoint(tmp_path / "last.pt", tmp_path / "out")
    assert same(read(tmp_path / "out")[0], shared)


def test_a_frozen_backbone_is_left_out_of_a_dinov3_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = dict(DINOv3(DINOv3Config(dim=384)).state_dict())
    backbone = {"backbone.cls_token": torch.ones(1, 1, 384), "backbone.mask": torch.zeros(1, dtype=torch.bool)}
    torch.save({"state_dict": prefixed("model.", {**head, **backbone})}, tmp_path / "last.ckpt")
    made = export_checkpoint(tmp_path / "last.ckpt", tmp_path / "out", variant="dinov3-vits16")
    tensors, pickled, written = read(tmp_path / "out")
    assert same(tensors, head)
    assert same(pickled, head)
    assert (len(tensors), made.left_out, made.variant.name) == (54, 2, "dinov3-vits16")
    assert (written["architecture"], written["model_name"]) == ("dinov3_vits16", "betaearth-dinov3-vits16")
    with pytest.raises(ConfigError, match="has 1024 channels, but it reads 384"):
        export_checkpoint(tmp_path / "last.ckpt", tmp_path / "other", variant="dinov3-vitl16")


def small_shapes(variant: Variant) -> dict[str, tuple[int, ...]]:
    """The tensors of a variant, were it of the demo's sizes."""
    config = dataclasses.replace(CONFIG, film=variant.doy)
    network = SegFormer(config)
    if variant.family is Family.RGB_ONLY:
        return {key: tuple(value.shape) for key, value in rgb_tensors().items()}
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


class TestNamesOfReleasedVariants:
    def test_a_network_of_other_sizes_is_refused_with_the_first_difference(
        self, small: Tensors, config: dict[str, Any], tmp_path: Path
    ) -> None:
        torch.save({"model": small, "config": config}, tmp_path / "last.pt")
        key = "s2l1c_encoder.encoder.patch_embed1.proj.weight"
        mine = tuple(small[key].shape)
        with pytest.raises(
            DataError, match=r"the network 'model\.' is not robust: .* in robust; give it a name"
        ) as said:
            export_checkpoint(tmp_path / "last.pt", tmp_path / "out", variant="robust")
        assert f"{key} is {mine}, and (64, {mine[1]}, 7, 7) in robust" in str(said.value)
        assert not (tmp_path / "out").exists()
        assert export_checkpoint(tmp_path / "last.pt", tmp_path / "own", variant="own").variant.name == "own"
        # The demo is such a network.
        assert export_checkpoint(tmp_path / "last.pt", tmp_path / "demo", variant="demo").variant.name == "demo"

    @pytest.mark.parametrize("name", ["robust", "no-film", "rgb-only", "demo"])
    def test_shapes_are_those_of_the_variant(self, name: str) -> None:
        shapes = shapes_of(VARIANTS[name])
        assert shapes is not None
        assert len(shapes) == VARIANTS[name].tensors
        numbers = sum(math.prod(shape) for key, shape in shapes.items() if not key.endswith(".freqs"))
        assert numbers == VARIANTS[name].parameters

    def test_a_missing_tensor_is_named(self, small: Tensors, config: dict[str, Any], tmp_path: Path) -> None:
        last = list(small)[-1]
        without = {key: value for key, value in small.items() if key != last}
        torch.save({"model": without, "config": config}, tmp_path / "last.pt")
        with pytest.raises(DataError, match=f"{last} is missing, and "):
            export_checkpoint(tmp_path / "last.pt", tmp_path / "out", variant="demo")


class TestSeveralNetworks:
    @pytest.fixture(autouse=True)
    def _small_variants(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("betaearth.nn.checkpoints.shapes_of", small_shapes)

    @pytest.fixture
    def several(self, small: Tensors, config: dict[str, Any], tmp_path: Path) -> Path:
        """A checkpoint as those behind the released weights: several networks trained on shared batches."""
        tensors = {
            **prefixed("model_reinit.", small),
            **prefixed("model_hilr.", {key: value + 1 for key, value in small.items()}),
            **prefixed("models.segformer_b2.", {k: v for k, v in small.items() if not k.startswith("time_cond.")}),
            **prefixed("model_rgb.", rgb_tensors()),
            "loss.weight": torch.ones(3),
        }
        torch.save({"state_dict": tensors, "config": config}, tmp_path / "last.ckpt")
        return tmp_path / "last.ckpt"

    def test_a_variant_is_its_prefix(self, several: Path, small: Tensors, tmp_path: Path) -> None:
        for name, prefix in (("reinit", "model_reinit."), ("rgb-only", "model_rgb."), ("hilr", "model_hilr.")):
            made = export_checkpoint(several, tmp_path / name, variant=name)
            assert (made.variant.name, made.prefix) == (name, prefix)
            # What the checkpoint says holds of networks of its family alone; a variant's name gives no licence.
            assert made.variant.licence == ("unknown" if name == "rgb-only" else "MIT")
            assert BetaEarth.from_pretrained(tmp_path / name, device="cpu").variant.name == name
        assert same(read(tmp_path / "reinit")[0], small)
        assert same(read(tmp_path / "hilr")[0], {key: value + 1 for key, value in small.items()})
        names = [read(tmp_path / name)[2]["model_name"] for name in ("reinit", "rgb-only")]
        assert names == ["betaearth-segformer-film", "betaearth-rgb-only"]

    def test_a_variant_without_prefix_of_its_own_is_known_by_its_kind(self, several: Path, tmp_path: Path) -> None:
        made = export_checkpoint(several, tmp_path / "out", variant="asterisk-labs/betaearth-segformer")
        assert (made.variant.name, made.prefix) == ("no-film", "models.segformer_b2.")
        assert not any(key.startswith("time_cond.") for key in read(tmp_path / "out")[0])

    def test_the_user_must_say_which(self, several: Path, tmp_path: Path) -> None:
        refused: list[dict[str, Any]] = [{}, {"variant": "scratch"}, {"prefix": "model_none"}]
        for words in refused:
            with pytest.raises(ConfigError) as refusal:
                export_checkpoint(several, tmp_path / "out", **words)
            for listed in (
                "model_reinit. (reinit, segformer with a date, 531 tensors)",
                "model_rgb. (rgb-only, rgb-only",
            ):
                assert listed in str(refusal.value)
        assert not (tmp_path / "out").exists()

    def test_a_prefix_may_have_any_name(self, several: Path, tmp_path: Path) -> None:
        made = export_checkpoint(several, tmp_path / "out", prefix="model_hilr", variant="my-own", any_subset=True)
        assert (made.variant.name, made.variant.any_subset) == ("my-own", True)
        assert read(tmp_path / "out")[2]["any_subset"] is True
        assert export_checkpoint(several, tmp_path / "b", prefix="model_hilr.").variant.name == "hilr"

    def test_what_the_user_says_counts_for_a_released_variant_too(self, several: Path, tmp_path: Path) -> None:
        made = export_checkpoint(several, tmp_path / "out", variant="reinit", licence="MIT", any_subset=True)
        loaded = BetaEarth.from_pretrained(tmp_path / "out", device="cpu").variant
        for variant in (made.variant, loaded):
            assert (variant.name, variant.licence, variant.any_subset) == ("reinit", "MIT", True)

    def test_each_network_of_a_run_is_what_its_checkpoint_says(
        self, small: Tensors, config: dict[str, Any], tmp_path: Path
    ) -> None:
        learned = {"name": "fields", "synthetic": True, "digest": "0" * 64}
        own = {**config, "variant": "robust", "licence": "Apache-2.0", "any_subset": False, "trained_on": learned}
        weights = {
            "models.robust": own,
            "models.mine": {**config, "licence": "CC0-1.0", "trained_on": None},
            "models.rgb-only": {**config, "variant": "rgb-only", "family": "rgb-only", "licence": "LicenseRef-own"},
        }
        networks = {"robust": small, "mine": small, "rgb-only": rgb_tensors()}
        models = {f"{name}.{key}": value for name, held in networks.items() for key, value in held.items()}
        torch.save({"models": models, "weights": weights}, tmp_path / "last.pt")
        for name, licence in (("robust", "Apache-2.0"), ("mine", "CC0-1.0"), ("rgb-only", "LicenseRef-own")):
            made = export_checkpoint(tmp_path / "last.pt", tmp_path / name, prefix=f"models.{name}")
            written = read(tmp_path / name)[2]
            assert (made.variant.licence, written["licence"]) == (licence, licence)
        written = read(tmp_path / "robust")[2]
        assert (written["variant"], written["any_subset"], written["trained_on"]) == ("robust", False, learned)
        assert BetaEarth.from_pretrained(tmp_path / "robust", device="cpu").variant.any_subset is False
        assert "trained_on" not in read(tmp_path / "mine")[2]

    def test_a_copy_below_a_prefix_is_not_part_of_the_network(
        self, small: Tensors, config: dict[str, Any], tmp_path: Path
    ) -> None:
        tensors = {**small, **prefixed("ema.", {key: value * 0 for key, value in small.items()})}
        torch.save({"state_dict": tensors, "config": config}, tmp_path / "last.ckpt")
        export_checkpoint(tmp_path / "last.ckpt", tmp_path / "out", prefix="")
        assert same(read(tmp_path / "out")[0], small)
        with pytest.raises(ConfigError, match=r"holds 2 networks .* \(none\) .*, ema\. "):
            export_checkpoint(tmp_path / "last.ckpt", tmp_path / "other")


class TestRefusals:
    def refuse(self, content: object, tmp_path: Path, said: str, **words: Any) -> None:
        torch.save(content, tmp_path / "last.ckpt")
        with pytest.raises(ConfigError, match=said):
            export_checkpoint(tmp_path / "last.ckpt", tmp_path / "out", **words)
        assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"], "nothing is left behind"

    def test_code_is_not_run(self, small: Tensors, tmp_path: Path) -> None:
        content = {"state_dict": dict(small), "hyper_parameters": argparse.Namespace(lr=1e-3)}
        self.refuse(content, tmp_path, r"without running code \(argparse\.Namespace\).*torch\.save\(torch\.load")

    @pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x02."])
    def test_garbage(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "last.ckpt").write_bytes(content)
        with pytest.raises(ConfigError, match="is not a readable file of plain tensors"):
            export_checkpoint(tmp_path / "last.ckpt", tmp_path / "out")
        with pytest.raises(ConfigError, match="is not a file"):
            export_checkpoint(tmp_path / "none.ckpt", tmp_path / "out")

    @pytest.mark.parametrize(
        "value", [torch.zeros(1).expand(10**12), torch.eye(3).to_sparse(), torch.empty(3, device="meta")]
    )
    def test_a_tensor_that_the_file_does_not_hold(self, small: Tensors, tmp_path: Path, value: Tensor) -> None:
        content = {"model": {**small, "fusion.0.bias": value}}
        self.refuse(content, tmp_path, r"model\.fusion\.0\.bias has the shape .*, and the file does not hold as many")

    def test_other_things(self, small: Tensors, tmp_path: Path) -> None:
        self.refuse([1], tmp_path, "holds a list, not named tensors")
        self.refuse({"epoch": 3}, tmp_path, "holds no tensors: a state dict, or a mapping with 'state_dict' or 'model'")
        self.refuse({"layer.weight": torch.ones(1)}, tmp_path, r"no network that we know: its keys are layer\.weight")
        twice = {**prefixed("module.", small), **small}
        self.refuse(twice, tmp_path, "twice, with and without _orig_mod or module")

    def test_what_does_not_load(self, small: Tensors, config: dict[str, Any], tmp_path: Path) -> None:
        less = dict(small)
        less.pop("fusion.0.bias")
        self.refuse({"model": less, "config": config}, tmp_path, r"1 missing \(fusion\.0\.bias\)")
        more = {**small, "head.weight": torch.ones(1)}
        self.refuse({"model": more, "config": config}, tmp_path, r"1 unexpected \(head\.weight\)")
        self.refuse({"model": small}, tmp_path, "of another shape")
        nan = {**small, "fusion.0.bias": torch.full_like(small["fusion.0.bias"], float("nan"))}
        self.refuse({"model": nan, "config": config}, tmp_path, r"fusion\.0\.bias holds values that are not finite")

    def test_a_name_that_is_not_this_network(self, small: Tensors, config: dict[str, Any], tmp_path: Path) -> None:
        content = {"model": small, "config": config}
        self.refuse(content, tmp_path, "no network that may be rgb-only; by prefix", variant="rgb-only")
        self.refuse(content, tmp_path, "is named no-film", variant="no-film", prefix="model")
        self.refuse(content, tmp_path, "variant 'My Own' will not do", variant="My Own")
        self.refuse({"model": small, "config": {**config, "colour": 1}}, tmp_path, "colour")

    def test_a_folder_that_is_in_use(self, small: Tensors, config: dict[str, Any], tmp_path: Path) -> None:
        torch.save({"model": small, "config": config}, tmp_path / "last.pt")
        (tmp_path / "out").mkdir()
        export_checkpoint(tmp_path / "last.pt", tmp_path / "out")
        with pytest.raises(ConfigError, match="is there already and not an empty folder"):
            export_checkpoint(tmp_path / "last.pt", tmp_path / "out")
        with pytest.raises(ConfigError, match="is there already and not an empty folder"):
            export_checkpoint(tmp_path / "last.pt", tmp_path / "last.pt")
        with pytest.raises(ConfigError, match=r"cannot be made: .*last\.pt is a file"):
            export_checkpoint(tmp_path / "last.pt", tmp_path / "last.pt" / "a" / "out")
        made = export_checkpoint(tmp_path / "last.pt", tmp_path / "a" / "b" / "out")
        assert made.weights.path.is_file()

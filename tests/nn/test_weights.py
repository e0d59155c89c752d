"""Reading weights: what fits is loaded bit by bit, everything else is refused with its reason."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from betaearth.errors import ConfigError
from betaearth.nn.identity import identify
from betaearth.nn.segformer import SegFormer
from betaearth.nn.weight_files import find_weights, is_path
from betaearth.nn.weights import build_network, load_into, load_state_dict
from tests.nn.seeded import rewrite_config, rgb_tensors


class TestFinding:
    def test_demo_is_on_every_machine(self) -> None:
        found = find_weights("demo")
        assert found.origin == "betaearth/nn/demo/model.safetensors"
        assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
        assert found.name == "demo"

    @pytest.mark.parametrize("name", ["robust", "asterisk-labs/betaearth-rgb-only", "betaearth-segformer"])
    def test_released_weights_must_be_given(self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError, match=r"not on this machine.*folder that holds model\.safetensors"):
            find_weights(name)  # which neither looks into the cache nor downloads

    def test_a_folder_named_as_the_variant_is_its_weights(
        self, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (weights_folder / "config.json").unlink()
        weights_folder.rename(weights_folder.parent / "robust")
        monkeypatch.chdir(weights_folder.parent)
        assert find_weights("robust").name == "robust"

    @pytest.mark.parametrize(
        ("folder", "name"),
        [
            ("betaearth-segformer-film-hilr", "hilr"),
            ("betaearth-robust", "robust"),
            ("scratch", None),
            ("betaearth-demo", None),
        ],
    )
    def test_a_folder_names_its_variant_by_the_full_name_only(
        self, weights_folder: Path, folder: str, name: str | None
    ) -> None:
        (weights_folder / "config.json").unlink()
        renamed = weights_folder.rename(weights_folder.parent / folder)
        assert find_weights(renamed).name == name
        assert find_weights(renamed / "model.safetensors").name == name

    def test_safetensors_come_before_a_pickle(self, weights_folder: Path) -> None:
        (weights_folder / "model.pt").write_bytes(b"never read")
        assert find_weights(weights_folder).path.name == "model.safetensors"

    def test_the_origin_is_no_path_of_this_machine(self, weights_folder: Path) -> None:
        assert find_weights(weights_folder).origin == "model.safetensors"

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"nothing: no such file or folder, .*give a file of weights"):
            find_weights(tmp_path / "nothing")
        with pytest.raises(ConfigError, match=r"neither a variant .*robust.* nor a file or folder"):
            find_weights("nothing")
        with pytest.raises(ConfigError, match="holds no weights"):
            find_weights(tmp_path)
        (tmp_path / "model.onnx").write_bytes(b"")
        with pytest.raises(ConfigError, match="not a file of weights"):
            find_weights(tmp_path / "model.onnx")

    @pytest.mark.parametrize("content", ["{", "[]", '{"format": "betaearth-weights/1"}'])
    def test_a_broken_config_is_refused(self, weights_folder: Path, content: str) -> None:
        (weights_folder / "config.json").write_text(content)
        with pytest.raises(ConfigError, match=r"config\.json"):
            find_weights(weights_folder)

    def test_an_unknown_field_of_our_config_is_refused(self, weights_folder: Path) -> None:
        rewrite_config(weights_folder, colour="blue")
        with pytest.raises(ConfigError, match="colour"):
            find_weights(weights_folder)


class TestReading:
    def test_safetensors_and_pickle_give_the_same(self, weights_folder: Path, demo_tensors: dict[str, Tensor]) -> None:
        torch.save(demo_tensors, weights_folder / "plain.pt")
        torch.save({"state_dict": demo_tensors, "epoch": 3}, weights_folder / "nested.pt")
        for name in ("model.safetensors", "plain.pt", "nested.pt"):
            loaded = load_state_dict(weights_folder / name)
            assert loaded.tensors.keys() == demo_tensors.keys()
            assert all(torch.equal(loaded.tensors[key], value) for key, value in demo_tensors.items())
            assert loaded.sha256 == hashlib.sha256((weights_folder / name).read_bytes()).hexdigest()
            assert loaded.origin == name

    def test_half_precision_is_widened(self, weights_folder: Path, demo_tensors: dict[str, Tensor]) -> None:
        halves = {key: value.half() for key, value in demo_tensors.items()}
        safetensors.torch.save_file(halves, weights_folder / "model.safetensors")
        loaded = load_state_dict(weights_folder)
        assert {value.dtype for value in loaded.tensors.values()} == {torch.float32}

    def test_a_pickle_with_code_is_refused_and_does_not_run(self, tmp_path: Path) -> None:
        class Attack:
            def __reduce__(self) -> tuple[Any, ...]:
                return (os.mkdir, (str(tmp_path / "owned"),))

        torch.save({"weight": Attack()}, tmp_path / "zip.pt")
        (tmp_path / "raw.pt").write_bytes(pickle.dumps(Attack(), protocol=2))
        for name in ("zip.pt", "raw.pt"):
            with pytest.raises(ConfigError, match="not a readable file of plain tensors"):
                load_state_dict(tmp_path / name)
        assert not (tmp_path / "owned").exists()

    @pytest.mark.parametrize(
        "content", [b"", b"garbage", b"PK\x03\x04 cut off", b"\x80\x02cos\nsystem\n.", b"\x80\x02."]
    )
    @pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
    def test_garbage_is_refused(self, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=r"not a readable"):
            load_state_dict(tmp_path)

    def test_a_cut_file_is_refused(self, weights_folder: Path) -> None:
        path = weights_folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(ConfigError, match="not a readable safetensors file"):
            load_state_dict(weights_folder)

    def test_an_archive_of_something_else_is_refused(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
            archive.writestr("readme.txt", "no weights")
        with pytest.raises(ConfigError, match="not a readable file of plain tensors"):
            load_state_dict(tmp_path)

    @pytest.mark.parametrize("content", [[torch.ones(1)], {1: torch.ones(1)}, {"step": 3}, {"a": torch.ones(1).int()}])
    def test_what_is_no_state_dict_is_refused(self, tmp_path: Path, content: object) -> None:
        torch.save(content, tmp_path / "model.pt")
        with pytest.raises(ConfigError, match="not a state dict"):
            load_state_dict(tmp_path)

    @pytest.mark.parametrize("part", ["model", "models"])
    def test_a_training_checkpoint_is_told_how_it_becomes_weights(self, tmp_path: Path, part: str) -> None:
        torch.save({"format": 1, part: {"fusion.2.bias": torch.zeros(64)}, "optimiser": {}}, tmp_path / "model.pt")
        with pytest.raises(ConfigError, match=r"is a training checkpoint, .*`betaearth models export`"):
            load_state_dict(tmp_path)

    def test_a_tensor_that_repeats_a_value_to_any_size_is_refused(self, tmp_path: Path) -> None:
        torch.save({"fusion.2.bias": torch.zeros(1).expand(10**12)}, tmp_path / "model.pt")
        with pytest.raises(ConfigError, match="does not hold as many values"):
            load_state_dict(tmp_path)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_values_that_are_not_finite_are_refused(
        self, weights_folder: Path, demo_tensors: dict[str, Tensor], value: float
    ) -> None:
        broken = {key: tensor.clone() for key, tensor in demo_tensors.items()}
        broken["fusion.2.bias"][5] = value
        safetensors.torch.save_file(broken, weights_folder / "model.safetensors")
        with pytest.raises(ConfigError, match=r"fusion\.2\.bias holds values that are not finite"):
            load_state_dict(weights_folder)


class TestFitting:
    def test_the_tensors_become_the_parameters(self, demo_tensors: dict[str, Tensor]) -> None:
        network = build_network(load_state_dict("demo"))
        assert not network.training
        assert all(torch.equal(value, demo_tensors[key]) for key, value in network.state_dict().items())

    def test_nothing_at_all_does_not_fit(self, tmp_path: Path, demo_network: SegFormer) -> None:
        with pytest.raises(ConfigError, match=r"531 missing \(.*, \.\.\.\)"):
            load_into(demo_network, {}, "nothing")
        torch.save({}, tmp_path / "model.pt")
        with pytest.raises(ConfigError, match="no known network: none of its 0 keys"):
            build_network(load_state_dict(tmp_path))

    def test_rgb_weights_do_not_fit_four_encoders(self, demo_network: SegFormer) -> None:
        with pytest.raises(ConfigError, match=r"of 531 tensors: 528 missing .*; 135 unexpected \(encoder\."):
            load_into(demo_network, rgb_tensors(), "rgb")

    def test_a_wrong_shape_is_named_with_both_shapes(
        self, demo_network: SegFormer, demo_tensors: dict[str, Tensor]
    ) -> None:
        wrong = {**demo_tensors, "fusion.2.bias": torch.zeros(63)}
        with pytest.raises(ConfigError, match=r"1 of another shape \(fusion\.2\.bias \(63,\) for \(64,\)\)"):
            load_into(demo_network, wrong, "wrong")

    @pytest.mark.parametrize("key", ["fusion.2.bias", "time_cond.film.proj.bias", "s1_encoder.decoder.p5.weight"])
    def test_one_missing_tensor_is_refused(
        self, weights_folder: Path, demo_tensors: dict[str, Tensor], key: str
    ) -> None:
        rest = {name: value for name, value in demo_tensors.items() if name != key}
        safetensors.torch.save_file(rest, weights_folder / "model.safetensors")
        with pytest.raises(ConfigError, match=f"1 missing \\({key}\\)"):
            build_network(load_state_dict(weights_folder))

    def test_one_tensor_too_many_is_refused(self, weights_folder: Path, demo_tensors: dict[str, Tensor]) -> None:
        more = {**demo_tensors, "optimizer.step": torch.zeros(1)}
        safetensors.torch.save_file(more, weights_folder / "model.safetensors")
        with pytest.raises(ConfigError, match=r"1 unexpected \(optimizer\.step\)"):
            build_network(load_state_dict(weights_folder))

    def test_without_film_the_date_changes_nothing(
        self, weights_folder: Path, demo_tensors: dict[str, Tensor], images: dict[str, Tensor]
    ) -> None:
        rest = {key: value for key, value in demo_tensors.items() if not key.startswith("time_cond.")}
        safetensors.torch.save_file(rest, weights_folder / "model.safetensors")
        rewrite_config(weights_folder, variant="my-own")
        weights = load_state_dict(weights_folder)
        assert identify(weights).doy is False
        network = build_network(weights)
        whole = build_network(load_state_dict("demo"))
        with torch.no_grad():
            dated = network({"s1": images["s1"]}, torch.tensor([45.0, 300.0]))
            assert torch.equal(dated, network({"s1": images["s1"]}, None))
            # The same numbers elsewhere in memory: sums may be taken in another order.
            torch.testing.assert_close(dated, whole({"s1": images["s1"]}, None), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["./x", "../x", "/x", "~/x", "~x", "a/b/c", "a/", "model.pt", Path("a/b")])
def test_what_can_only_be_a_path(name: str | Path) -> None:
    assert is_path(name)


@pytest.mark.parametrize("name", ["robust", "asterisk-labs/betaearth-rgb-only", "someone/x.y", "demo"])
def test_what_may_be_a_hub_id_or_a_variant(name: str) -> None:
    assert not is_path(name)


class TestSizesThatNobodySays:
    def test_it_is_said_what_was_looked_for(self, weights_folder: Path) -> None:
        (weights_folder / "config.json").unlink()
        with pytest.raises(ConfigError, match=r"does not fit a SegFormer .*of another shape") as said:
            build_network(load_state_dict(weights_folder))
        assert f"{weights_folder / 'config.json'} is not there, so the sizes of the released networks" in str(
            said.value
        )
        assert "put the config.json beside the file that it was exported with" in str(said.value)

    def test_a_config_of_another_format_says_no_sizes(self, weights_folder: Path) -> None:
        (weights_folder / "config.json").write_text('{"architecture": "segformer"}')
        with pytest.raises(ConfigError, match=r"config\.json is not of format betaearth-weights/1, so the sizes"):
            build_network(load_state_dict(weights_folder))

    def test_where_they_are_said_the_file_is_wrong(self, weights_folder: Path) -> None:
        tensors = safetensors.torch.load_file(weights_folder / "model.safetensors")
        tensors.popitem()
        safetensors.torch.save_file(tensors, weights_folder / "model.safetensors")
        with pytest.raises(ConfigError, match=r"1 missing \([^)]*\)$"):
            build_network(load_state_dict(weights_folder))

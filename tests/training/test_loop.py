"""Training: it learns, stops and goes on bit for bit, leaves frozen parts alone, and refuses what it must."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from betaearth.errors import ConfigError, DataError
from betaearth.events import CheckpointWritten, Event, Notice, TrainingStarted, TrainingStep, Validated, ignore
from betaearth.inference.export import export_checkpoint
from betaearth.nn.mit import StochasticDepth
from betaearth.nn.segformer import PyramidNetwork
from betaearth.nn.weights import build_network, load_state_dict
from betaearth.scenes.model import Sensor
from betaearth.training import validation
from betaearth.training.chips import TARGET_NODATA, Chip
from betaearth.training.config import TrainingConfig
from betaearth.training.config_files import checked, load_config
from betaearth.training.curriculum import key_of
from betaearth.training.dataset import Dataset
from betaearth.training.distributed import World, open_world
from betaearth.training.forward import embed_batch
from betaearth.training.initial import FLAT
from betaearth.training.lessons import check_crop, check_inputs, lessons, rare_inputs
from betaearth.training.loop import Run, TrainingReport, _seed, train
from betaearth.training.models import build
from betaearth.training.splits import SplitOptions
from betaearth.training.validation import mean_target
from betaearth.training.writing import write_dataset
from tests.training.learnable import ABOUT, SMALL, StandInBackbone, learnable_cells, learnable_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """24 chips of 12 cells: 16 to learn from, or so."""
    return learnable_data(tmp_path_factory.mktemp("data") / "set")


def config(*changes: str) -> TrainingConfig:
    return load_config("tiny", (*SMALL, "epochs=2", "log_every=3", *changes))


def several(*models: dict[str, Any], **given: Any) -> TrainingConfig:
    base = config().model_dump(mode="json")
    sizes = base["models"][0]["network"]
    content = [{"variant": "tiny", "network": sizes, "lr": 1e-2, **model} for model in models]
    return checked({**base, "models": content, **given}, "here")


def last(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(out / "checkpoints" / "last.pt", weights_only=True)
    return content


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def same(one: Any, other: Any) -> bool:
    """Whether nested values are the same to the last bit."""
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def after(count: int) -> Callable[[], bool]:
    """A `stop` that says yes from that many questions on."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > count

    return stop


@pytest.fixture(scope="module")
def finished(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingReport, list[Event]]:
    """A run of two epochs that nobody disturbed."""
    out = tmp_path_factory.mktemp("finished") / "run"
    events: list[Event] = []
    report = train(config("ema=0.9"), data, out, emit=events.append)
    return out, report, events


def test_it_says_how_far_it_is(finished: tuple[Path, TrainingReport, list[Event]]) -> None:
    out, report, events = finished
    steps = [event for event in events if isinstance(event, TrainingStep)]
    started = events[0]
    assert isinstance(started, TrainingStarted)
    assert [event.step for event in steps] == list(range(1, 2 * started.steps + 1))
    assert steps[-1].seconds_left == 0
    assert steps[0].seconds_left > 0
    assert [event.epoch for event in events if isinstance(event, Validated)] == [1, 2]
    assert [(e.epoch, e.step) for e in events if isinstance(e, CheckpointWritten)] == [(1, 0), (2, 0)]
    written = lines(out)
    assert [line["step"] for line in written if line["kind"] == "step"] == [
        event.step for event in steps if event.logged
    ]
    validated = [line for line in written if line["kind"] == "validation"]
    assert [line["models"]["tiny"]["cosine"] for line in validated][-1] == pytest.approx(
        report.validation.scores["tiny"].cosine if report.validation else math.nan
    )
    about = json.loads((out / "training.json").read_text())
    assert (about["data"], about["synthetic"], about["processes"]) == ("learnable", True, 1)
    assert about["data_digest"] == last(out)["data"]


def test_the_constant_answer_is_that_of_the_mean_target(
    finished: tuple[Path, TrainingReport, list[Event]], data: Dataset
) -> None:
    _, report, _ = finished
    assert report.validation is not None
    train_targets = [data.read(row).target[:, ::4, ::4].reshape(64, -1) for row in data.rows("train")]
    mean = sum(target.astype(float).sum(axis=1) for target in train_targets)
    mean = mean / (mean**2).sum() ** 0.5
    cosines = [float((data.read(row).target * mean[:, None, None]).sum(axis=0).mean()) for row in data.rows("val")]
    assert report.validation.constant == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)
    assert mean_target(data, data.rows("train")) == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("stops", [(1, 3), (7,), (2, 0, 0, 1, 1)])
def test_going_on_is_the_same_as_never_having_stopped(
    stops: tuple[int, ...], finished: tuple[Path, TrainingReport, list[Event]], data: Dataset, tmp_path: Path
) -> None:
    out = finished[0]
    for count in stops:
        assert not train(config("ema=0.9"), data, tmp_path, stop=after(count)).finished
    assert train(config("ema=0.9", "workers=2"), data, tmp_path).finished
    assert same(last(tmp_path), last(out))
    assert (tmp_path / "metrics.jsonl").read_bytes() == (out / "metrics.jsonl").read_bytes()
    best = [torch.load(folder / "checkpoints" / "best-tiny.pt", weights_only=True) for folder in (tmp_path, out)]
    assert same(*best)


def test_a_run_that_was_killed_has_no_line_twice(
    finished: tuple[Path, TrainingReport, list[Event]], data: Dataset, tmp_path: Path
) -> None:
    def killed(event: Event) -> None:
        if isinstance(event, TrainingStep) and event.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config("ema=0.9"), data, tmp_path, emit=killed)
    assert len(lines(tmp_path)) > 0
    events: list[Event] = []
    train(config("ema=0.9"), data, tmp_path, emit=events.append)
    assert isinstance(events[0], TrainingStarted)
    assert events[0].done == events[0].steps  # the first epoch had been kept
    assert (tmp_path / "metrics.jsonl").read_bytes() == (finished[0] / "metrics.jsonl").read_bytes()


def test_what_is_done_is_done(finished: tuple[Path, TrainingReport, list[Event]], data: Dataset) -> None:
    before = (finished[0] / "metrics.jsonl").read_bytes()
    report = train(config("ema=0.9"), data, finished[0])
    assert report.finished
    assert report.best == finished[1].best
    assert (finished[0] / "metrics.jsonl").read_bytes() == before


def test_another_configuration_or_other_data_are_refused_or_begun_anew(data: Dataset, tmp_path: Path) -> None:
    train(config(), data, tmp_path / "run", stop=after(0))
    with pytest.raises(ConfigError, match=r"models.0.lr is 0.002 there and 0.001 here; .* --no-resume"):
        train(config("models.0.lr=1e-3"), data, tmp_path / "run")
    other = learnable_data(tmp_path / "other", seed=1)
    with pytest.raises(DataError, match="learned from other data"):
        train(config(), other, tmp_path / "run")
    events: list[Event] = []
    train(config("models.0.lr=1e-3"), other, tmp_path / "run", resume=False, stop=after(2), emit=events.append)
    assert isinstance(events[0], TrainingStarted)
    assert events[0].done == 0
    assert last(tmp_path / "run")["step"] == 3
    damaged, held = tmp_path / "run" / "checkpoints" / "last.pt", last(tmp_path / "run")
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(ConfigError, match=r"last.pt"):
        train(config(), data, tmp_path / "run")
    wrongs: tuple[dict[str, Any], ...] = (
        {"epoch": "one"},
        {"journal": -1},
        {"meters": {}},
        {"state": {}},
        {"training": "{"},
    )
    for wrong in wrongs:
        torch.save({**held, **wrong}, damaged)
        with pytest.raises(ConfigError, match=r"last.pt is a damaged checkpoint: .* --no-resume"):
            train(config(), data, tmp_path / "run")
    small = {key: torch.zeros(()) for key in held["models"]}
    torch.save({**held, "models": small}, damaged)
    with pytest.raises(ConfigError, match=r"the checkpoint does not fit tiny: .* has the shape \(\), not \("):
        train(config("models.0.lr=1e-3"), other, tmp_path / "run")
    torch.save({"format": "other"}, damaged)
    with pytest.raises(ConfigError, match="is no checkpoint of a run of format"):
        train(config(), data, tmp_path / "run")
    torch.save({**held, "format": "betaearth-training/1"}, damaged)
    with pytest.raises(ConfigError, match=r"/2 \('betaearth-training/1'\), .* --no-resume, or give another --out"):
        train(config("models.0.lr=1e-3"), other, tmp_path / "run")


def test_it_learns_and_each_model_learns_as_if_it_were_alone(data: Dataset, tmp_path: Path) -> None:
    plain, robust = {"name": "plain"}, {"name": "drops", "curriculum": {"full": 0.3, "start": 0.0}}
    both = train(several(plain, robust, epochs=6, seed=3), data, tmp_path / "both")
    alone = train(several(robust, epochs=6, seed=3), data, tmp_path / "alone")
    together, single = last(tmp_path / "both"), last(tmp_path / "alone")
    assert all(torch.equal(value, together["models"][key]) for key, value in single["models"].items())
    assert both.best["drops"] == alone.best["drops"]
    assert both.validation is not None
    first, *_, final = [line for line in lines(tmp_path / "both") if line["kind"] == "step"]
    assert final["models"]["plain"]["loss"] < first["models"]["plain"]["loss"]
    assert 0 < first["models"]["drops"]["drop"] < final["models"]["drops"]["drop"] == 0.5
    assert all(line["models"]["plain"]["drop"] == 0 for line in lines(tmp_path / "both") if line["kind"] == "step")


def test_the_best_weights_are_exported_and_load(
    finished: tuple[Path, TrainingReport, list[Event]], tmp_path: Path
) -> None:
    out, report, _ = finished
    made = export_checkpoint(report.weights["tiny"], tmp_path / "weights")
    loaded = load_state_dict(made.weights.path)
    build_network(loaded)
    assert (made.variant.name, made.variant.trained, made.variant.any_subset) == ("tiny", True, True)
    whole = export_checkpoint(out / "checkpoints" / "last.pt", tmp_path / "last")
    assert whole.prefix == "models.tiny."
    config_of_best = torch.load(report.weights["tiny"], weights_only=True)["config"]
    learned = {"name": "learnable", "synthetic": True, "digest": last(out)["data"]}
    assert config_of_best["trained_on"] == learned
    for folder in ("weights", "last"):
        assert json.loads((tmp_path / folder / "config.json").read_text())["trained_on"] == learned


def test_each_of_several_models_is_exported_from_the_last_checkpoint(data: Dataset, tmp_path: Path) -> None:
    which = several({"name": "dated"}, {"name": "plain", "doy": False}, licence="Apache-2.0", epochs=1)
    train(which, data, tmp_path / "run", stop=after(0))
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    held = last(tmp_path / "run")
    with pytest.raises(ConfigError, match="holds 2 networks"):
        export_checkpoint(path, tmp_path / "none")
    for name in ("dated", "plain"):
        made = export_checkpoint(path, tmp_path / name, prefix=f"models.{name}")
        written = json.loads((tmp_path / name / "config.json").read_text())
        assert (made.variant.name, written["licence"], written["any_subset"]) == (name, "Apache-2.0", False)
        assert written["trained_on"] == {"name": "learnable", "synthetic": True, "digest": data.digest}
        tensors = load_state_dict(made.weights.path).tensors
        assert tensors
        assert all(torch.equal(value, held["models"][f"{name}.{key}"]) for key, value in tensors.items())


def begun_weights(which: TrainingConfig, data: Dataset, out: Path) -> dict[str, Tensor]:
    """The weights that a run begins with: those that it holds when its first batch is about to be read."""
    with open_world("cpu") as world:
        run = Run(which, data, out, world, emit=ignore, backbones={})
        return {key: value.clone() for key, value in run.students[0].tensors().items()}


def test_what_is_exported_is_the_average_where_there_is_one(data: Dataset, tmp_path: Path) -> None:
    train(config("ema=0.5", "epochs=1"), data, tmp_path / "ema", stop=after(0))
    train(config("epochs=1"), data, tmp_path / "plain", stop=after(0))
    averaged, plain = last(tmp_path / "ema"), last(tmp_path / "plain")
    begun = begun_weights(config("ema=0.5", "epochs=1"), data, tmp_path / "begun")
    for key, value in plain["models"].items():
        assert torch.equal(averaged["state"]["tiny"]["network"][key.removeprefix("tiny.")], value)
        torch.testing.assert_close(averaged["models"][key], (value + begun[key.removeprefix("tiny.")]) / 2)


@pytest.mark.parametrize("fusion", ["kept", "fresh"])
def test_frozen_pyramids_stay_as_they_are_without_dropout(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fusion: str
) -> None:
    source = config("models.0.doy=false", "models.0.name=plain")
    begun = build(source.models[0], 1).network.state_dict()
    torch.save(begun, tmp_path / "plain.pt")
    dropping = {"dropout": 0.9, "stochastic_depth": 0.9, "init": str(tmp_path / "plain.pt"), "trainable": "head"}
    dropping["fusion"] = fusion
    first = begun_weights(several({"name": "frozen", **dropping}), data, tmp_path / "begun")
    train(several({"name": "frozen", **dropping}), data, tmp_path / "run")
    learned = {key.removeprefix("frozen."): value for key, value in last(tmp_path / "run")["models"].items()}
    frozen = [key for key in begun if "_encoder." in key]
    assert frozen
    assert any(key.endswith(".segmentation_head.0.weight") for key in frozen)
    for tensors in (first, learned):
        assert [key for key in frozen if not torch.equal(tensors[key], begun[key])] == []
    assert torch.equal(first["fusion.0.weight"], begun["fusion.0.weight"]) == (fusion == "kept")
    assert not torch.equal(learned["fusion.0.weight"], begun["fusion.0.weight"])
    assert learned["time_cond.film.proj.weight"].any()
    drops: list[bool] = []

    def note(self: torch.nn.Module, values: Tensor) -> Tensor:
        drops.append(self.training)
        return values

    for module in (torch.nn.Dropout2d, StochasticDepth):
        monkeypatch.setattr(module, "forward", note)
    train(several({"name": "frozen", **dropping}), data, tmp_path / "again", stop=after(0))
    assert drops
    assert not any(drops)


def test_a_fresh_fusion_begins_with_what_frozen_heads_give_at_mean_0_and_deviation_1(
    data: Dataset, tmp_path: Path
) -> None:
    source = config("models.0.doy=false", "models.0.name=plain")
    torch.save(build(source.models[0], 1).network.state_dict(), tmp_path / "plain.pt")
    which = several(
        {"name": "frozen", "init": str(tmp_path / "plain.pt"), "trainable": "head", "fusion": "fresh", "doy": False}
    )
    with open_world("cpu") as world:
        run = Run(which, data, tmp_path / "run", world, emit=ignore, backbones={})
    network = run.students[0].network
    assert isinstance(network, PyramidNetwork)
    some = run._some_chips()
    with torch.no_grad():
        given = {
            name: network.branch(name).head(network.features(name, some.inputs[Sensor(name)]))
            for name in network.modalities
        }
    # What a plain fusion, drawn by the same seed, makes of standardised channels.
    drawn = build(which.models[0], _seed(which.seed, key_of("frozen"))).network
    standard = []
    for values in given.values():
        deviation, mean = torch.std_mean(values, (0, 2, 3), keepdim=True)
        standard.append((values - mean) / deviation.clamp_min(FLAT))
    with torch.no_grad():
        expected = drawn.fusion[0](torch.cat(standard, dim=1))  # type: ignore[operator,index]
        found = network.fusion[0](torch.cat(list(given.values()), dim=1))  # type: ignore[operator,index]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert float(found.mean((0, 2, 3)).abs().max()) < 1e-4


def without(chip: Chip, sensor: str) -> Chip:
    given: dict[str, Any] = {sensor: None}
    return dataclasses.replace(chip, **given)


def lacking(folder: Path, sensor: str, keep: int) -> Dataset:
    """Cells of which only the first few have a sensor."""
    cells = [
        cell if number < keep else dataclasses.replace(cell, chips=tuple(without(chip, sensor) for chip in cell.chips))
        for number, cell in enumerate(learnable_cells(12))
    ]
    return write_dataset(cells, folder, about=ABOUT, split=SplitOptions(shares=(1.0, 0.0, 0.0)))


def test_an_input_that_no_chip_has_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = lacking(tmp_path / "set", "s1", 0)
    plain, all_four = {"name": "plain", "inputs": ["s2_l2a", "dem"]}, {"name": "all"}
    said = (
        rf"no chip of {data.folder} has s1, which all learns from: "
        r"--set models.1.inputs=\[s2_l1c,s2_l2a,dem\], or data with it"
    )
    with monkeypatch.context() as patch:
        patch.setattr("betaearth.training.loop.open_world", None)
        with pytest.raises(ConfigError, match=said):
            train(several(plain, all_four), data, tmp_path / "run")
    asked = config("models.0.inputs=[s2_l2a,s2_l1c,dem]", "epochs=1")
    assert train(asked, data, tmp_path / "run", stop=after(0)).position.step == 1
    # An RGB network takes either product of Sentinel-2, and its one encoder learns from both.
    rgb = lacking(tmp_path / "rgb", "s2_l1c", 0)
    check_inputs(several({"name": "rgb", "variant": "rgb-only"}), rgb)
    with pytest.raises(ConfigError, match="has s2_l1c, which all"):
        check_inputs(several(all_four), rgb)


def test_an_input_that_few_chips_have_is_told(tmp_path: Path) -> None:
    data = lacking(tmp_path / "set", "s1", 1)
    events: list[Event] = []
    train(config("epochs=1"), data, tmp_path / "run", stop=after(0), emit=events.append)
    assert events[0] == Notice("tiny learns from s1, which only 2 of 24 chips have")
    assert list(rare_inputs(config(), lacking(tmp_path / "more", "s1", 2))) == []


def test_a_chip_without_a_target_matters_to_nothing(tmp_path: Path) -> None:
    cells = list(learnable_cells(6, 32))
    small = next(learnable_cells(1, 16))
    bare = dataclasses.replace(small, cell="9U_9R", target=np.full_like(small.target, TARGET_NODATA))
    data = write_dataset([*cells, bare], tmp_path / "d", about=ABOUT, split=SplitOptions(shares=(1.0, 0.0, 0.0)))
    assert {row.cell for row in data.rows("train")} - {row.cell for row in lessons(data)} == {"9U_9R"}
    assert train(config("epochs=1"), data, tmp_path / "run", stop=after(0)).position.step == 1


def test_crops_are_compared_with_the_smallest_chip_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [*learnable_cells(2, 96), next(learnable_cells(1, 72)), *learnable_cells(1, 128)]
    mixed = [dataclasses.replace(cell, cell=f"{i}U_{i}R") for i, cell in enumerate(cells)]
    every = SplitOptions(shares=(1.0, 0.0, 0.0))
    data = write_dataset(mixed, tmp_path / "mixed", about=ABOUT, split=every)
    monkeypatch.setattr("betaearth.training.loop.open_world", None)
    said = r"crop 96 does not fit into the smallest chip of .*mixed, 2U_2R 2021 of 72 x 72 pixels: --set crop=64"
    with pytest.raises(ConfigError, match=said):
        train(config("crop=96"), data, tmp_path / "run")
    small = write_dataset(learnable_cells(1, 16), tmp_path / "small", about=ABOUT, split=every)
    with pytest.raises(DataError, match=r"of 16 x 16 pixels, is too small: networks look at 32 x 32 at least"):
        train(config(), small, tmp_path / "run")
    check_crop(64, data)
    assert not (tmp_path / "run").exists()


def test_a_folder_of_something_else_is_left_alone(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for folder, first in ((tmp_path, "notes.txt"), (data.folder, "dataset.json")):
        before = sorted(folder.rglob("*"))
        with pytest.raises(DataError, match=rf"holds something else \({first}\), not a run"):
            train(config(), data, folder)
        assert sorted(folder.rglob("*")) == before


def test_a_byte_that_flipped_stops_it(tmp_path: Path) -> None:
    data = learnable_data(tmp_path / "data")
    shard = sorted((data.folder / "shards").iterdir())[-1]
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=f"{shard.name} is damaged"):
        train(config(), data, tmp_path / "run")


@pytest.mark.parametrize("how", ["rate", "data"])
def test_what_is_not_finite_stops_it_with_advice(
    how: str, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        r"tiny: the (loss|gradient) is not finite in epoch 1, step \d+ of \d+; there is no checkpoint yet. Lower its lr"
    )
    which = config("clip=1e30", "models.0.lr=1e18") if how == "rate" else config()
    if how == "data":
        read = Dataset.read

        def poisoned(self: Dataset, *given: Any) -> Any:
            sample = read(self, *given)
            sample.target[0, 0, 0] = math.nan
            return sample

        monkeypatch.setattr(Dataset, "read", poisoned)
    with pytest.raises(DataError, match=words):
        train(which, data, tmp_path)
    assert not (tmp_path / "checkpoints" / "last.pt").exists()


def test_an_answer_that_is_not_finite_is_not_left_out_of_the_score(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_bad(*given: Any) -> Tensor:
        answer = embed_batch(*given)
        answer[0] = math.nan
        return answer

    monkeypatch.setattr(validation, "embed_batch", one_bad)
    with pytest.raises(DataError, match="tiny: an answer to a tile of validation is not finite"):
        train(config("epochs=1"), data, tmp_path)


def test_what_is_begun_anew_leaves_no_weights_of_another_run(data: Dataset, tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    for name in ("best-other.pt", "best-tiny.pt", "last.pt", "mine.pt"):
        (checkpoints / name).write_bytes(b"")
    train(config("epochs=1"), data, tmp_path, resume=False, stop=after(0))
    assert sorted(path.name for path in checkpoints.iterdir()) == ["last.pt", "mine.pt"]


def test_processes_that_see_different_checkpoints_stop(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config("epochs=1"), data, tmp_path, stop=after(0))
    monkeypatch.setattr(World, "gather", lambda _, value: [value, None])
    with pytest.raises(ConfigError, match=r"see different checkpoints in .*: give a folder that all machines share"):
        train(config("epochs=1"), data, tmp_path)


def test_without_a_split_to_validate_the_last_weights_are_offered(data: Dataset, tmp_path: Path) -> None:
    events: list[Event] = []
    report = train(config("validation.split=test", "epochs=1"), data, tmp_path, emit=events.append)
    assert any(isinstance(event, Notice) and "test is empty" in event.message for event in events)
    assert report.validation is None
    assert report.weights["tiny"].name == "last.pt"


def test_a_dinov3_head_is_trained_on_its_frozen_backbone(data: Dataset, tmp_path: Path) -> None:
    which = checked(
        {**config("epochs=1").model_dump(mode="json"), "models": [{"name": "head", "variant": "dinov3-vits16"}]}, "here"
    )
    backbone = StandInBackbone(384)
    before = backbone.embed.weight.clone()
    train(which, data, tmp_path, stop=after(1), backbones={"head": backbone})
    train(which, data, tmp_path, stop=after(0), backbones={"head": backbone})
    assert torch.equal(backbone.embed.weight, before)
    held = last(tmp_path)
    assert held["step"] == 3
    assert not any("backbone" in key for key in held["models"])
    made = export_checkpoint(tmp_path / "checkpoints" / "last.pt", tmp_path / "weights")
    assert made.variant.tensors == 54
